"""Whatever happens during an analysis, the network given is bit for bit the same afterwards."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import hormesis as hm
from hormesis.errors import ModelError

ENGINES = ("plain", "auto")
HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_load_state_dict_pre_hooks",
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class FaultError(Exception):
    """Raised by the network itself."""


class Fragile(nn.Linear):
    """A layer that fails once more than half of its weights are zero."""

    def forward(self, input: Tensor) -> Tensor:
        if int((self.weight == 0).sum()) > self.weight.numel() / 2:
            raise FaultError("half of the weights are gone")
        return super().forward(input)


class Awkward(nn.Module):
    """Everything that could be left changed: see ``awkward`` for what is done to it."""

    def __init__(self, last: nn.Linear) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.first, self.second = nn.Linear(64, 6), nn.Linear(64, 6)
        self.second.weight = self.first.weight
        self.last = last
        self.register_buffer("scale", torch.ones(6, requires_grad=True))

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.drop(self.norm(self.conv(inputs)).relu().flatten(1))
        return self.last((self.first(hidden) + self.second(hidden).relu()) * self.scale)


def awkward(last: type[nn.Linear] = nn.Linear) -> tuple[Awkward, list[str]]:
    """A network in mixed modes with hooks, frozen and trained parameters; and what hooks saw."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        network = Awkward(last(6, 3))
        loss = network(torch.rand(8, 1, 4, 4)).square().sum()  # moves the running statistics
        loss.backward()
    network.conv.weight.grad = None
    network.norm.bias.requires_grad_(False)
    network.last.weight.requires_grad_(False)
    with torch.no_grad():
        network.first.weight[0, :3] = torch.tensor([0.0, -0.0, 1e-42])
    network.train()
    network.drop.eval()
    network.last.eval()
    seen: list[str] = []
    network.conv.register_forward_hook(lambda *_: seen.append("conv"))
    network.last.register_forward_pre_hook(lambda *_: seen.append("last"))
    network.norm.register_full_backward_hook(lambda *_: None)
    network.first.weight.register_hook(lambda gradient: gradient)
    return network, seen


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(12, 1, 4, 4, generator=generator), torch.arange(12) % 3


def snapshot(network: nn.Module) -> dict[str, Any]:
    """Everything about a network and about the process that an analysis must not change."""
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    modules = dict(network.named_modules())
    return {
        "bytes": {name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()},
        "tensors": {name: (id(t), t.data_ptr(), t.stride()) for name, t in tensors.items()},
        "asked": {name: tensor.requires_grad for name, tensor in tensors.items()},
        "gradient": {name: id(tensor.grad) for name, tensor in tensors.items()},
        "gradients": {
            name: None if tensor.grad is None else tensor.grad.numpy().tobytes()
            for name, tensor in tensors.items()
        },
        "tensor hooks": {
            name: dict(getattr(tensor, "_backward_hooks", None) or {})
            for name, tensor in tensors.items()
        },
        "modules": {name: id(module) for name, module in modules.items()},
        "modes": {name: module.training for name, module in modules.items()},
        "hooks": {
            (name, kind): dict(getattr(module, kind))
            for name, module in modules.items()
            for kind in HOOKS
        },
        "attributes": {name: sorted(vars(module)) for name, module in modules.items()},
        "torch random": torch.get_rng_state().numpy().tobytes(),
        "numpy random": repr(np.random.get_state()),  # noqa: NPY002
        # Not Python's own: the type checker of these tests draws from that one.
        "gradients on": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
    }


def check_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    for what, value in before.items():
        assert after[what] == value, what


def analyze(network: nn.Module, engine: str, **options: Any) -> hm.Study:
    return hm.analyze(
        network,
        data(),
        attack=options.get("attack", hm.FGSM(epsilon=0.1)),
        targets=options.get("targets", hm.Targets()),
        sweep=hm.Sweep(thresholds=3, adversary=options.get("adversary", "fixed"), control=True),
        metric=options.get("metric", "accuracy"),
        execution=hm.Execution(
            engine=engine, num_workers=options.get("workers", 1), progress=False
        ),
    )


def test_the_snapshot_notices_what_it_should() -> None:
    network, _ = awkward()
    before = snapshot(network)
    changes = {
        "bytes": lambda: network.first.weight.data[0, 1].abs_(),  # -0.0 to 0.0
        "modes": network.drop.train,
        "asked": lambda: network.conv.bias is not None and network.conv.bias.requires_grad_(False),
        "gradient": lambda: setattr(network.last.bias, "grad", torch.zeros(3)),
        "hooks": lambda: network.drop.register_forward_hook(lambda *_: None),
        "attributes": lambda: setattr(network.drop, "left_behind", 1),
        "torch random": lambda: torch.rand(1),
    }
    for what, change in changes.items():
        change()
        assert snapshot(network)[what] != before[what], what


@pytest.mark.parametrize("adversary", ["fixed", "adaptive"])
@pytest.mark.parametrize("engine", ENGINES)
def test_after_an_analysis(engine: str, adversary: str) -> None:
    network, seen = awkward()
    before = snapshot(network)
    study = analyze(network, engine, adversary=adversary)
    check_same(before, snapshot(network))
    assert any(study.responses["changed"])
    assert {"conv", "last"} <= set(seen)  # the user's hooks ran


@pytest.mark.parametrize("targets", [hm.Targets(scope="global"), hm.Targets(per="channel")])
@pytest.mark.parametrize("engine", ENGINES)
def test_after_an_analysis_of_all_at_once_and_by_channel(engine: str, targets: hm.Targets) -> None:
    network, _ = awkward()
    before = snapshot(network)
    analyze(network, engine, targets=targets, workers=2)
    check_same(before, snapshot(network))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("attack", [hm.PGD(epsilon=0.1, steps=2), hm.FGSM(epsilon="auto")])
def test_after_an_attack_that_draws_or_searches(engine: str, attack: hm.FGSM | hm.PGD) -> None:
    network, _ = awkward()
    before = snapshot(network)
    analyze(network, engine, attack=attack)
    check_same(before, snapshot(network))


@pytest.mark.parametrize("adversary", ["fixed", "adaptive"])
@pytest.mark.parametrize("engine", ENGINES)
def test_after_an_exception_in_the_network_half_way(engine: str, adversary: str) -> None:
    network, _ = awkward(Fragile)
    before = snapshot(network)
    with pytest.raises(ModelError, match="FaultError: half of the weights are gone"):
        analyze(network, engine, adversary=adversary, targets=hm.Targets(include=("*weight",)))
    check_same(before, snapshot(network))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("engine", ENGINES)
def test_after_an_interruption_half_way(engine: str, workers: int) -> None:
    network, _ = awkward()
    before = snapshot(network)
    calls = []

    def impatient(outputs: Tensor, labels: Tensor) -> Tensor:
        calls.append(len(outputs))
        if len(calls) > 15:
            raise KeyboardInterrupt("enough")
        return outputs.gather(1, labels[:, None])[:, 0]

    with pytest.raises(KeyboardInterrupt, match="enough"):
        analyze(network, engine, metric=impatient, workers=workers)
    check_same(before, snapshot(network))
    assert len(calls) > 15


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_inside_a_block_without_gradients(mode: Any) -> None:
    network, _ = awkward()
    before = snapshot(network)
    with mode():
        analyze(network, "auto")
        assert not torch.is_grad_enabled()
    check_same(before, snapshot(network))


@pytest.mark.parametrize("engine", ENGINES)
def test_the_network_can_be_trained_afterwards(engine: str) -> None:
    network, _ = awkward()
    twin = deepcopy(network)
    analyze(network, engine)
    inputs, labels = data()
    for one in (network, twin):
        one.drop.eval()
        one.zero_grad()
        cross_entropy(one(inputs), labels).backward()
    for (name, one), (_, other) in zip(
        network.named_parameters(), twin.named_parameters(), strict=True
    ):
        given, wanted = one.grad, other.grad
        if given is None or wanted is None:
            assert given is wanted, name
        else:
            assert torch.equal(given, wanted), name


@pytest.mark.parametrize("engine", ENGINES)
def test_a_network_in_training_mode_is_measured_in_evaluation_mode(engine: str) -> None:
    network, _ = awkward()
    twin = deepcopy(network).eval()
    network.train()
    statistics = {name: buffer.clone() for name, buffer in network.norm.named_buffers()}
    study, wanted = analyze(network, engine), analyze(twin, engine)
    assert study.base == wanted.base
    assert study.responses.equals(wanted.responses)
    for name, buffer in network.norm.named_buffers():
        assert torch.equal(buffer, statistics[name]), name
    with torch.no_grad():  # in training mode the answer would have been another one
        assert not torch.allclose(deepcopy(network)(data()[0]), twin(data()[0]), rtol=0, atol=1e-3)
