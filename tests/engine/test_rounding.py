"""Networks in which large values cancel: the fast engine measures how far rounding reaches."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import hormesis as hm
from hormesis.engine import audit, plain, recheck, suffix
from hormesis.engine.executor import Answer, Stage, checked_rows, spread_indices
from hormesis.engine.graph import NotExportable, Schedule
from hormesis.engine.outcomes import Block, MeasurementSpec, Outcomes
from hormesis.engine.plan import make_plan
from hormesis.engine.suffix import compile_network
from hormesis.stress.metrics import accuracy
from hormesis.stress.targets import find_targets

SHAPE = (3, 8, 8)


class Shift(nn.Module):
    """Adds an offset and takes it away again: what is left is rounded as the offset is."""

    def __init__(self, offset: float):
        super().__init__()
        self.offset = offset

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return (inputs + self.offset) - self.offset


def _before_a_batch_norm(offset: float) -> nn.Module:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3),
        nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10),
    )  # fmt: skip
    network.train()
    for _ in range(20):
        network(torch.rand(64, *SHAPE))
    with torch.no_grad():
        network.get_parameter("0.bias").add_(offset)
        network.get_buffer("1.running_mean").add_(offset)
    return network.eval()


def _before_a_layer_norm(offset: float) -> nn.Module:
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(192, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 10)
    )
    with torch.no_grad():
        network.get_parameter("1.bias").add_(offset)
    return network.eval()


def _within(offset: float) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), Shift(offset), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(8, 10),
    ).eval()  # fmt: skip


def _in_the_logits(offset: float) -> nn.Module:
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.ReLU(), nn.Linear(16, 10))
    with torch.no_grad():
        network.get_parameter("3.bias").add_(offset)
    return network.eval()


def _both(network: nn.Module, adversary: str) -> tuple[Outcomes, Outcomes, float]:
    """Return the outcomes of the fast engine and the plain loop, and how the program rounds."""
    inputs = torch.rand(96, *SHAPE)
    with torch.no_grad():
        labels = network(inputs).argmax(1)
    labels[::4] = torch.randint(10, (24,))
    sweep = hm.Sweep(thresholds=4, filters=("high_pass", "pulse_wave"), adversary=adversary)
    plan = make_plan(network, find_targets(network, inputs[:2], hm.Targets()), sweep)
    adaptive = adversary == "adaptive"
    question = MeasurementSpec(
        accuracy, hm.FGSM(0.05), adaptive=adaptive, bounds=(0.0, 1.0), seed=0
    )
    block = Block(inputs, labels)
    program = compile_network(network, inputs[:2], adaptive_too=adaptive)
    fast = suffix.measure(program, network, plan.removals, block, question)
    return fast, plain.measure(network, plan.removals, block, question), program.rounding


@pytest.mark.parametrize(
    ("make", "offset", "adversary"),
    [
        (_before_a_batch_norm, 1e3, "fixed"),
        (_before_a_batch_norm, 1e4, "fixed"),
        (_before_a_batch_norm, 1e4, "adaptive"),
        (_before_a_layer_norm, 1e4, "fixed"),
        (_before_a_layer_norm, 1e6, "fixed"),
        (_before_a_layer_norm, 1e6, "adaptive"),
        (_within, 1e6, "fixed"),
        (_in_the_logits, 1e4, "fixed"),
    ],
)
def test_both_engines_agree_where_large_values_cancel(make, offset: float, adversary: str):
    torch.manual_seed(0)
    try:
        fast, slow, rounding = _both(make(offset), adversary)
    except NotExportable:
        return  # then the plain loop measures, and the study says so
    for name in ("base_clean", "base_adversarial", "clean", "adversarial"):
        different = int((getattr(fast, name) != getattr(slow, name)).sum())
        assert different == 0 or rounding > 1e-4, (name, different)


def test_a_study_of_such_a_network_says_so():
    torch.manual_seed(0)
    network = _before_a_batch_norm(1e4)
    study = _study(network, torch.rand(32, *SHAPE), torch.randint(10, (32,)))
    assert any("of the largest" in note for note in study.manifest["notes"])
    assert study.manifest["audit"]["outcomes"] >= 256


def test_rounding_within_the_margin_changes_nothing():
    own = torch.tensor([[10.0, 1.0], [5.0, 4.0]])
    answer = Answer(own + torch.tensor([[1e-5, 0.0], [0.0, 0.0]]), None)
    rounding = recheck.Rounding(logit_scale=10.0)
    assert rounding.after(answer, own) == rounding
    assert not rounding.coarse


def test_rounding_beyond_the_margin_widens_it_by_what_was_seen():
    own = torch.tensor([[10.0, 1.0], [0.01, 0.0]])
    answer = Answer(own + torch.tensor([[0.0, 0.0], [0.0, 1e-3]]), None)
    rounding = recheck.Rounding(logit_scale=10.0).after(answer, own)
    assert rounding.floor == pytest.approx(8e-3, rel=1e-4)
    assert rounding.margins(own, None).flatten().tolist() == pytest.approx([8e-3] * 2, rel=1e-4)
    assert not rounding.coarse
    assert replace(rounding, logit_scale=1.0).coarse
    assert rounding.after(Answer(own, None), own) == rounding  # a later look does not narrow it


def test_logits_that_are_not_finite_do_not_widen_the_margin():
    own = torch.tensor([[torch.nan, 1.0], [torch.inf, 0.0]])
    rounding = recheck.Rounding(logit_scale=1.0)
    assert rounding.after(Answer(own, None), own).floor == 0


@pytest.mark.parametrize("rows", range(1, 12))
def test_few_rows_are_different_ones_from_both_ends(rows: int):
    few = spread_indices(rows).tolist()
    assert few == sorted(set(few))
    assert (few[0], few[-1]) == (0, rows - 1)
    assert len(few) == min(rows, 4)


def _study(network: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> hm.Study:
    sweep = hm.Sweep(thresholds=4)
    execution = hm.Execution(progress=False)
    return hm.analyze(
        network, (inputs, labels), attack=hm.FGSM(0.05), sweep=sweep, execution=execution
    )


def test_an_engine_that_is_wrong_is_found_by_the_audit(monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    network, inputs = _in_the_logits(0.0), torch.rand(64, *SHAPE)
    with torch.no_grad():
        labels = network(inputs).argmax(1)
    assert _study(network, inputs, labels).manifest["audit"]["different"] == 0
    settled = recheck.recheck_logits

    def wrong(network, removal, *rest, **kind):
        logits = settled(network, removal, *rest, **kind)
        return logits if removal is None else logits.roll(1, dims=1)

    monkeypatch.setattr(recheck, "recheck_logits", wrong)
    study = _study(network, inputs, labels)
    assert study.manifest["audit"]["different"] > 0
    assert any("measured again" in note for note in study.manifest["notes"])


def test_an_audit_does_not_complain_of_what_was_asked_for_inexactly():
    assert audit.Audit(300, 5).notes(exact=False) == []
    (note,) = audit.Audit(3000, 5).notes(exact=True)
    assert note.startswith("Of 3,000 outcomes that the plain loop measured again, 5 were different")


def test_the_removal_that_takes_most_is_always_looked_at():
    network = nn.Linear(4, 4)
    targets = find_targets(network, torch.zeros(1, 4), hm.Targets())
    removals = make_plan(network, targets, hm.Sweep(thresholds=9)).removals
    order = sorted(range(len(removals)), key=lambda row: removals[row].count % 7)
    stage = Stage(("weight",), tuple(order), Schedule(()), frozenset(), 0, reaches=True)
    chosen = checked_rows(stage, removals)
    assert max(range(len(removals)), key=lambda row: removals[row].count) in chosen
    assert {order[0], order[-1]} <= set(chosen)
    assert len(set(chosen)) == len(chosen) <= 7
