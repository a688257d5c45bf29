"""The fast engine gives the outcomes of the plain loop, on networks of every make."""

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

import hormesis as hm
from hormesis.engine import plain, recheck
from hormesis.engine.executor import run_program
from hormesis.engine.graph import NotExportable, Program
from hormesis.engine.outcomes import Block, MeasurementSpec, Outcomes
from hormesis.engine.plan import Removal, make_plan
from hormesis.engine.suffix import compile_network, measure
from hormesis.models.networks import build_model, logits_of
from hormesis.models.normalization import normalized
from hormesis.settings.attacks import FGSM, PGD
from hormesis.settings.choices import KINDS
from hormesis.stress.filters import Threshold
from hormesis.stress.metrics import accuracy, as_metric, loss, top5
from hormesis.stress.targets import find_targets

STATISTICS = (
    ("weight", 0.7, 1.5),
    ("bias", -0.3, 0.3),
    ("running_mean", -0.3, 0.3),
    ("running_var", 0.5, 1.5),
)


def seeded(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every tensor values that make each layer matter, running statistics included."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(tensor: Tensor, low: float, high: float) -> None:
        with torch.no_grad():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for name, low, high in STATISTICS:
                tensor = getattr(module, name)
                if tensor is not None:
                    drawn(tensor, low, high)
    return network.eval()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Tied(nn.Module):
    """One weight used by two layers, one module called twice, and a parameter never used."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.twice, self.last = nn.Linear(6, 6), nn.Linear(6, 3)
        self.unused = nn.Linear(2, 2)

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        hidden = self.second(self.first(inputs).relu())
        return {"loss": hidden.sum(), "logits": self.last(self.twice(self.twice(hidden).tanh()))}


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.last = nn.Linear(8, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        tokens = torch.cat([self.token.expand(len(inputs), -1, -1), self.encoder(inputs)], dim=1)
        return self.last(self.attention(tokens, tokens, tokens)[0][:, 0])


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.last = nn.LSTM(4, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        states, _ = self.lstm(inputs)
        return self.last(states[:, -1]), states


class Residual(nn.Module):
    """In-place operations on a value that two branches read."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.branch = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8))
        self.relu = nn.ReLU(inplace=True)
        self.last = nn.Linear(8, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        stem = self.relu(self.stem(inputs))
        hidden = self.branch(stem)
        hidden += stem
        return self.last(self.relu(hidden).mean(dim=(2, 3)))


def convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),  # depthwise
        nn.Conv2d(8, 12, 1, groups=2),
        nn.BatchNorm2d(12, affine=False),
        nn.Hardswish(),
        nn.Conv2d(12, 8, 3, padding=2, dilation=2, padding_mode="reflect"),
        nn.ConvTranspose2d(8, 6, 3, stride=2, output_padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU6(),
        nn.Conv2d(6, 6, (1, 3), stride=(2, 1), padding=(0, 1)),
        nn.GroupNorm(2, 6),
        nn.Conv2d(6, 8, 3, stride=4, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    )


def line() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(2, 6, 5, stride=2, padding=2),
        nn.BatchNorm1d(6),
        nn.ReLU(),
        nn.Conv1d(6, 6, 3, groups=3, padding=1),
        nn.AdaptiveMaxPool1d(4),
        nn.Flatten(),
        nn.BatchNorm1d(24, affine=False),
        nn.Linear(24, 4),
        nn.BatchNorm1d(4, affine=False),
    )


def volume() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(1, 4, 3, padding=1),
        nn.BatchNorm3d(4),
        nn.ReLU(),
        nn.MaxPool3d(2),
        nn.Conv3d(4, 4, 1),
        nn.Flatten(),
        nn.Linear(32, 3),
    )


def tiny_maps() -> nn.Module:
    """Maps of 4 x 4, 2 x 2 and 1 x 1, where most taps of a filter see padding alone."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8, 4),
    )


class Branches(nn.Module):
    """Branches that are joined, pooled and mixed, and a join that somebody else reads too."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.narrow, self.wide = nn.Conv2d(6, 4, 1), nn.Conv2d(6, 5, 3, padding=1)
        self.mix, self.deep = nn.Conv2d(9, 6, 1), nn.Conv2d(6, 6, 3, padding=1)
        self.norm, self.end = nn.BatchNorm2d(9), nn.Conv2d(15, 8, 1, stride=2)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.last = nn.Linear(17, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        stem = self.stem(inputs).relu()
        joined = self.pool(torch.cat([self.narrow(stem), self.wide(stem)], dim=1).relu())
        mixed = self.mix(joined).relu()
        again = torch.cat([self.narrow(mixed), self.wide(mixed)], 1)
        whole = torch.cat((self.norm(again), self.deep(mixed)), dim=-3)
        return self.last(torch.cat([self.end(whole).amax((2, 3)), again.mean((2, 3))], dim=1))


def wrapped() -> nn.Module:
    return normalized(tiny_maps(), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25))


def parametrized() -> nn.Module:
    first = weight_norm(nn.Conv2d(3, 6, 3))
    return nn.Sequential(first, nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(54, 4))


def vision_transformer() -> nn.Module:
    network = torchvision.models.VisionTransformer(8, 4, 1, 2, 16, 32, num_classes=5)
    nn.init.normal_(network.get_parameter("heads.head.weight"))  # it starts at zero
    return network


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "tied": (Tied, (6,)),
    "attention": (Attention, (3, 8)),
    "recurrent": (Recurrent, (5, 4)),
    "residual": (Residual, (3, 6, 6)),
    "convolutions": (convolutions, (3, 9, 9)),
    "line": (line, (2, 16)),
    "volume": (volume, (1, 4, 4, 4)),
    "tiny maps": (tiny_maps, (3, 8, 8)),
    "branches": (Branches, (3, 7, 7)),
    "wrapped": (wrapped, (3, 8, 8)),
    "parametrized": (parametrized, (3, 8, 8)),
    "vision transformer": (vision_transformer, (3, 8, 8)),
}


def made(name: str, count: int = 12) -> tuple[nn.Module, Block]:
    build, shape = NETWORKS[name]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(3)
        network = seeded(build())
        inputs = torch.rand(count, *shape)
        logits = logits_of(network(inputs))
    labels = logits.argmax(dim=1)
    labels[::3] = (logits - logits.mean(dim=0)).argmax(dim=1)[::3]  # so that some are wrong
    return network, Block(inputs, labels, first=5)


@cache
def compiled(name: str, fast: bool = True) -> Program:
    network, block = made(name)
    return compile_network(network, block.inputs[:2], fast=fast, adaptive_too=True)


def removals_of(
    network: nn.Module, block: Block, sweep: hm.Sweep, **selection: object
) -> tuple[Removal, ...]:
    targets = find_targets(network, block.inputs[:1], hm.Targets(**selection))  # pyright: ignore
    return make_plan(network, targets, sweep).removals


def question(**changes: object) -> MeasurementSpec:
    given = {"metric": accuracy, "attack": FGSM(0.05), "adaptive": False}
    return MeasurementSpec(**(given | changes), bounds=(0.0, 1.0), seed=1)  # pyright: ignore


def assert_same(found: Outcomes, expected: Outcomes) -> None:
    for name in ("base_clean", "base_adversarial", "clean", "adversarial", "changed"):
        one, other = getattr(found, name), getattr(expected, name)
        assert one.dtype == other.dtype, name
        assert torch.equal(one, other), name


EVERY = {"kinds": KINDS}


@pytest.mark.parametrize(
    ("name", "fast"),
    [(name, True) for name in NETWORKS]
    + [(name, False) for name in ("tied", "residual", "tiny maps")],
)
@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_outcomes_are_those_of_the_plain_loop(name: str, fast: bool, step: int) -> None:
    """By every third removal, so that each parameter has some; slowly by all of them."""
    network, block = made(name)
    removals = removals_of(network, block, hm.Sweep(thresholds=2), **EVERY)[::step]
    program = compiled(name, fast)
    expected = plain.measure(network, removals, block, question())
    assert_same(measure(program, network, removals, block, question()), expected)
    assert expected.changed.any()


@pytest.mark.parametrize("selection", [{"scope": "global"}, {"per": "channel"}])
@pytest.mark.parametrize("name", ["tiny maps", "tied"])
def test_global_targets_and_channels(name: str, selection: dict[str, str]) -> None:
    network, block = made(name)
    sweep = hm.Sweep(("pulse_wave",), thresholds=2, control=True, span=(-0.3, 0.3))
    removals = removals_of(network, block, sweep, **selection)[::2]
    program = compiled(name)
    expected = plain.measure(network, removals, block, question())
    assert_same(measure(program, network, removals, block, question()), expected)


@pytest.mark.parametrize("changes", [{"adaptive": True}, {"attack": PGD(0.05, steps=2)}])
@pytest.mark.parametrize("name", ["tiny maps", "attention"])
def test_every_adversary(name: str, changes: dict[str, object]) -> None:
    network, block = made(name)
    removals = removals_of(network, block, hm.Sweep(thresholds=2))
    program = compiled(name)
    assert program.literal is not None
    expected = plain.measure(network, removals, block, question(**changes))
    assert_same(measure(program, network, removals, block, question(**changes)), expected)


@pytest.mark.parametrize(
    "name",
    [
        "branches",
        "vision transformer",
        pytest.param("tiny maps", marks=pytest.mark.slow),
        pytest.param("residual", marks=pytest.mark.slow),
    ],
)
def test_bfloat16_filters_exactly_and_rounds_logits(name: str) -> None:
    network, block = made(name)
    removals = removals_of(network, block, hm.Sweep(thresholds=3))
    program = compile_network(network, block.inputs[:2], dtype=torch.bfloat16)
    asking = question(metric=loss, attack=FGSM(1e-3))
    exact = plain.measure(network, removals, block, asking)
    found = measure(program, network, removals, block, asking)
    assert not torch.allclose(found.clean, exact.clean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.clean, exact.clean, rtol=0.05, atol=0.1)
    torch.testing.assert_close(found.adversarial, exact.adversarial, rtol=0.05, atol=0.1)
    assert {w.dtype for w in program.weights(program.parameters).values()} == {torch.float32}


def test_loss_agrees_up_to_rounding() -> None:
    network, block = made("tiny maps")
    removals = removals_of(network, block, hm.Sweep(thresholds=3))
    program = compiled("tiny maps")
    expected = plain.measure(network, removals, block, question(metric=loss))
    found = measure(program, network, removals, block, question(metric=loss))
    torch.testing.assert_close(found.clean, expected.clean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.adversarial, expected.adversarial, rtol=1e-4, atol=1e-5)


@given(st.data())
@settings(max_examples=3, deadline=None)
def test_order_of_removals_and_size_of_blocks_do_not_matter(data: st.DataObject) -> None:
    network, block = made("residual")
    removals = removals_of(network, block, hm.Sweep(thresholds=2), **EVERY)
    program = compiled("residual")
    order = data.draw(st.permutations(range(len(removals))))
    cut = data.draw(st.integers(1, len(block.labels) - 1))
    whole = measure(program, network, removals, block, question())
    parts = [
        Block(block.inputs[:cut], block.labels[:cut], first=5),
        Block(block.inputs[cut:], block.labels[cut:], first=5 + cut),
    ]
    shuffled = [removals[place] for place in order]
    found = [measure(program, network, shuffled, part, question()) for part in parts]
    assert torch.equal(torch.cat([part.clean for part in found], dim=1), whole.clean[order])


def test_network_and_its_modes_are_left_alone() -> None:
    network, block = made("residual")
    removals = removals_of(network, block, hm.Sweep(thresholds=2))
    network.get_submodule("branch").train()
    before = copy.deepcopy(network.state_dict())
    ticks: list[None] = []
    program = compiled("residual")
    measure(program, network, removals, block, question(), lambda: ticks.append(None))
    assert len(ticks) == len(removals)
    assert network.get_submodule("branch").training
    assert not network.get_submodule("stem").training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_threads_share_a_program() -> None:
    network, block = made("convolutions", count=40)
    removals = removals_of(network, block, hm.Sweep(thresholds=2))
    program = compiled("convolutions")
    blocks = [Block(block.inputs[i : i + 10], block.labels[i : i + 10], i) for i in (0, 10, 20, 30)]
    expected = [plain.measure(network, removals, part, question()) for part in blocks]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda part: measure(program, network, removals, part, question()), blocks)
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


def test_what_reaches_no_logit_is_unchanged() -> None:
    network, block = made("tied")
    removals = removals_of(network, block, hm.Sweep(thresholds=3), include=("unused.weight",))
    program = compiled("tied")
    found = measure(program, network, removals, block, question())
    assert not found.changed.any()
    assert torch.equal(found.clean, found.base_clean.expand_as(found.clean))


def test_a_mask_that_removes_zeros_is_unchanged() -> None:
    network, block = made("tiny maps")
    with torch.no_grad():
        network.get_parameter("3.weight")[0] = 0.0
    found = find_targets(network, block.inputs[:1], hm.Targets(include=("3.weight",)))
    (target,) = (target for target in found if target.tested)
    removal = Removal(target, Threshold("pulse_wave", 0, 0.0, -1e-9, 1e-9), count=72)
    program = compile_network(network, block.inputs[:2])
    assert not measure(program, network, [removal], block, question()).changed.any()


def test_rows_that_tie_are_settled_by_the_network() -> None:
    """Two classes with the same weights: rounding alone would tell them apart."""
    network, block = made("tiny maps", count=64)
    with torch.no_grad():
        weight, bias = network.get_parameter("17.weight"), network.get_parameter("17.bias")
        weight[1] = weight[0]
        bias[:2] = 1.0
    removals = removals_of(network, block, hm.Sweep(thresholds=3))
    program = compile_network(network, block.inputs[:2])
    for metric in (accuracy, as_metric("accuracy")):
        asking = question(metric=metric)
        expected = plain.measure(network, removals, block, asking)
        assert_same(measure(program, network, removals, block, asking), expected)


def test_a_program_works_for_a_single_sample() -> None:
    network, block = made("tiny maps", count=1)
    removals = removals_of(network, block, hm.Sweep(thresholds=2))
    program = compile_network(network, block.inputs)
    for adaptive in (False, True):
        expected = plain.measure(network, removals, block, question(adaptive=adaptive))
        found = measure(program, network, removals, block, question(adaptive=adaptive))
        assert_same(found, expected)


def test_nothing_to_measure() -> None:
    network, block = made("tiny maps")
    program = compiled("tiny maps")
    found = measure(program, network, [], block, question())
    assert found.clean.shape == (0, 12)
    assert found.changed.shape == (0,)


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs) if inputs.sum() > 0 else self.layer(-inputs)


class Remembering(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.get_submodule("layer")(inputs) * self.get_buffer("calls").add_(1)


def sharing() -> nn.Module:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    shared = network.get_parameter("0.weight").detach()
    network[1].register_parameter("weight", nn.Parameter(shared))
    return network


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (Branching, "torch.export refused it"),
        (Remembering, "it changes its buffer 'calls'"),
        (sharing, "'0.weight' and '1.weight' share memory"),
    ],
)
def test_what_cannot_be_exported_is_refused(build: Callable[[], nn.Module], reason: str) -> None:
    with pytest.raises(NotExportable, match=reason):
        compile_network(build(), torch.rand(2, 4))


def test_zeros_behind_a_relu_are_equal_without_rounding() -> None:
    logits = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    before = torch.tensor([[-1.0, -2.0, 1.0], [-1.0, -1.0, -1.0], [-1.0, -1.0, -1e-7]])
    labels = torch.tensor([0, 1, 2])
    assert not recheck.find_undecided(logits, labels, accuracy, before=before)[:2].any()
    assert recheck.find_undecided(logits, labels, accuracy).tolist() == [False, True, True]
    assert recheck.find_undecided(logits, labels, accuracy, before=before)[2]


PAPER = ("resnet18", "resnet50", "squeezenet1_1", "shufflenet_v2_x1_0")


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PAPER)
def test_every_outcome_of_the_papers_networks(name: str, channels: int) -> None:
    """At least 100,000 rows a network: targets x cells x samples, clean and perturbed."""
    network = seeded(build_model(name, classes=10, channels=channels, size=(32, 32), seed=1))
    inputs = torch.rand(100, channels, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        labels = network(inputs).argmax(dim=1)
    block = Block(inputs, labels)
    removals = removals_of(network, block, hm.Sweep(thresholds=9, control=True))
    step = max(1, len(removals) // 500)
    program = compile_network(network, inputs[:2])
    expected = plain.measure(network, removals[::step], block, question())
    assert 2 * expected.clean.numel() >= 100_000
    assert_same(measure(program, network, removals[::step], block, question()), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPER)
def test_rounding_stays_within_the_margin(name: str) -> None:
    network = seeded(build_model(name, classes=10, channels=3, size=(32, 32), seed=1))
    inputs = torch.rand(20, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    block = Block(inputs, torch.zeros(20, dtype=torch.int64))
    program = compile_network(network, inputs[:2])
    with torch.inference_mode():
        usual = network(inputs).abs().max().item()
    for removal in removals_of(network, block, hm.Sweep(thresholds=3))[::3]:
        weights = removal.apply(program.weights({part.parameter for part in removal.target.parts}))
        with torch.inference_mode(), plain.filtering(network, removal):
            expected, answer = network(inputs), run_program(program, inputs, weights)
        margins = recheck.Rounding(usual).margins(expected, answer.before)
        assert ((answer.logits - expected).abs() <= margins / 4).all()


def test_top5_depends_on_the_true_class_alone() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 9))
    inputs = torch.rand(20, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    block = Block(inputs, torch.arange(20) % 9)
    removals = removals_of(network, block, hm.Sweep(thresholds=4))
    program = compile_network(network, inputs)
    expected = plain.measure(network, removals, block, question(metric=top5))
    assert_same(measure(program, network, removals, block, question(metric=top5)), expected)
