"""Memory: what a block takes is foreseen, what was promised is kept, what is too little is said."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from hormesis import FGSM, PGD, analyze
from hormesis.engine import memory, plain, suffix
from hormesis.engine.memory import Footprint, allot_memory, footprint, halving
from hormesis.engine.outcomes import Block, MeasurementSpec, Outcomes
from hormesis.engine.plan import Removal, make_plan
from hormesis.errors import SettingError
from hormesis.measure import shard_worker
from hormesis.settings.execution import Execution, in_bytes
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.stress.metrics import accuracy, next_token_nll
from hormesis.stress.targets import find_targets

MIB = 2**20
ASKED = MeasurementSpec(accuracy, FGSM(0.1), adaptive=False, bounds=(0.0, 1.0), seed=0)


@pytest.fixture(autouse=True)
def _studies_find_out_what_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unlike everywhere else in the suite."""
    monkeypatch.setattr(shard_worker, "footprint", footprint)


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2048, 10),
    ).eval()


def block(count: int) -> Block:
    inputs = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return Block(inputs.repeat(count // 2, 1, 1, 1), torch.arange(2).repeat(count // 2))


def removals(network: nn.Module) -> tuple[Removal, ...]:
    found = find_targets(network, block(2).inputs, Targets())
    return make_plan(network, found, Sweep(("high_pass",), thresholds=2)).removals


@pytest.mark.parametrize("attack", [FGSM(0.1), PGD(0.1, steps=3)])
@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("engine", ["plain", "suffix"])
def test_what_a_large_block_takes_is_foreseen(engine, adaptive, attack):
    network = small()
    asked = MeasurementSpec(accuracy, attack, adaptive=adaptive, bounds=(0.0, 1.0), seed=0)
    measure = partial(plain.measure, network)
    if engine == "suffix":
        program = suffix.compile_network(network, block(2).inputs, adaptive_too=True)
        measure = partial(suffix.measure, program, network)
    some = removals(network)[::2]
    taken = footprint(measure, some, block(2), asked)
    held = memory.allocations(lambda: measure(some, block(64), asked, lambda: None))
    tensors = (taken.of(64) - memory._BUFFERS) / memory._SLACK
    assert tensors == pytest.approx(np.cumsum(held).max(), rel=0.1)


@given(
    st.lists(st.tuples(st.integers(0, 300 * MIB), st.integers(0, MIB)), min_size=1, max_size=5),
    st.integers(0, 4096 * MIB),
    st.integers(1, 8),
)
def test_what_is_allotted_fits(events, room, workers):
    fixed, sample = np.array(events, dtype=float).T
    taken = Footprint(fixed, sample, 100)
    try:
        used, samples = allot_memory(taken, room, workers)
    except SettingError:
        assert taken.of(2) > room
        return
    assert used * taken.of(samples) <= room
    assert samples == memory.MOST or used * taken.of(samples + 1) > room
    assert used == workers or (used + 1) * taken.of(2) > room


def test_too_little_memory_says_how_much_it_takes():
    taken = Footprint(np.array([512.0 * MIB]), np.array([0.0]))
    with pytest.raises(
        SettingError, match=r"need 729\.61 MiB .* promise at least 629\.61 MiB more"
    ):
        allot_memory(taken, 100 * MIB, 2)
    images = torch.rand(4, 3, 16, 16), torch.arange(4)
    with pytest.raises(SettingError, match="promise at least"):
        analyze(
            small(), images, attack=FGSM(0.1), execution=Execution(memory="1MiB", progress=False)
        )


def test_little_memory_changes_no_number():
    network = small()
    images = torch.rand(40, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    data = images, network(images).argmax(dim=1)
    asked = {"attack": FGSM(0.05), "sweep": Sweep(("high_pass",), thresholds=3)}
    whole = analyze(network, data, execution=Execution(num_workers=1, progress=False), **asked)
    little = psutil.Process().memory_info().rss + 72 * MIB
    parts = analyze(
        network, data, execution=Execution(num_workers=1, memory=little, progress=False), **asked
    )
    assert parts.responses.equals(whole.responses)


@given(st.integers(1, 10**6), st.sampled_from(["", "B", "KiB", "MB", "GiB", "T", "Mi"]))
def test_amounts_of_memory(number, unit):
    factors = {"": 1, "B": 1, "KiB": 1024, "MB": 10**6, "GiB": 2**30}
    if unit in factors:
        assert in_bytes(f"{number} {unit}") == number * factors[unit]
    else:
        with pytest.raises(SettingError, match="Expected `memory` to be an amount such as 4GiB"):
            Execution(memory=f"{number}{unit}")


@pytest.mark.parametrize("wrong", ["", "GiB", "-1GiB", "0", "nan", "1e3", "four", 0, -5])
def test_what_is_no_amount_of_memory_is_refused(wrong):
    with pytest.raises(SettingError, match="Expected `memory`"):
        Execution(memory=wrong)


def test_half_of_what_is_free_is_promised_by_itself(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    free = psutil.virtual_memory().available
    assert memory.room(None, torch.device("cpu")) == pytest.approx(free / 2, rel=0.2)
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert memory.room(None, torch.device("cpu")) == 300
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.room(None, torch.device("cpu")) == pytest.approx(free / 2, rel=0.2)


Tick = Callable[[], None]


@pytest.mark.parametrize("most", [2, 3, 7, 50])
def test_a_block_that_finds_no_memory_is_halved(most):
    sizes = []

    def scarce(
        some: Sequence[Removal], part: Block, asked: MeasurementSpec, tick: Tick
    ) -> Outcomes:
        sizes.append(len(part.labels))
        if len(part.labels) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain.measure(network, some, part, asked, tick)

    network = small()
    some = removals(network)[:2]
    asked = MeasurementSpec(accuracy, PGD(0.1, steps=2), adaptive=False, bounds=(0.0, 1.0), seed=0)
    whole = Block(block(20).inputs, block(20).labels, first=5)
    if most == 2:  # twenty samples cannot be halved down to two without a single one
        with pytest.raises(SettingError, match="no memory for 3 samples"):
            halving(scarce)(some, whole, asked, lambda: None)
        return
    found = halving(scarce)(some, whole, asked, lambda: None)
    expected = plain.measure(network, some, whole, asked)
    for name in ("base_clean", "base_adversarial", "clean", "adversarial", "changed"):
        assert torch.equal(getattr(found, name), getattr(expected, name))


PROMISE = """
import resource, torch
import hormesis as hm
from hormesis.models.networks import build_model
torch.set_num_threads(1)
network = build_model({name!r}, classes=10, channels=3, size=(64, 64), seed=0).eval()
images = torch.rand(256, 3, 64, 64)
study = hm.analyze(network, (images, torch.arange(256) % 10), attack=hm.FGSM(0.01),
                   sweep=hm.Sweep(("high_pass",), thresholds=2),
                   execution=hm.Execution(memory="{promise}MiB", num_workers=2, progress=False))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "promise"), [("resnet18", 1700), ("squeezenet1_1", 1200), ("resnet50", 2600)]
)
def test_a_promise_is_kept(name, promise):
    words = PROMISE.format(name=name, promise=promise)
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert float(done.stdout) <= promise


PROMISE_OF_SEQUENCES = """
import resource, torch
import hormesis as hm
from transformers import GPT2Config, GPT2LMHeadModel
torch.set_num_threads(1)
network = GPT2LMHeadModel(GPT2Config(vocab_size=50257, n_positions=64, n_embd=64, n_layer=2,
                                     n_head=2)).eval()
ids = torch.randint(50257, (64, 64))
study = hm.analyze(network, ({{"input_ids": ids}}, ids), attack=None, metric="next_token_nll",
                   sweep=hm.Sweep(("high_pass",), thresholds=2),
                   targets=hm.Targets(include=("*.c_fc.weight",)),
                   execution=hm.Execution(memory="{promise}MiB", num_workers=2, progress=False))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("promise", [1500, 2500])
def test_a_promise_is_kept_for_long_sequences_of_a_large_vocabulary(promise):
    """Logits of all 64 sequences alone take 785 MiB, and two blocks have a copy each."""
    words = PROMISE_OF_SEQUENCES.format(promise=promise)
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert float(done.stdout) <= promise


def test_the_loss_of_tokens_makes_no_copy_of_all_logits():
    logits, truth = torch.randn(4, 100, 20_000), torch.randint(20_000, (4, 100))
    held = np.cumsum(memory.allocations(lambda: next_token_nll.measure(logits, truth)))
    assert held.max() < 1.125 * logits.nbytes  # which the first view of them counts
    expected = [
        functional.cross_entropy(one[:-1], other[1:])
        for one, other in zip(logits, truth, strict=True)
    ]
    assert torch.allclose(next_token_nll.measure(logits, truth), torch.stack(expected))
