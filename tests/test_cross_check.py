# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportOptionalSubscript=false
# pyright: reportOptionalMemberAccess=false, reportGeneralTypeIssues=false
"""Figures that noise or another network's perturbed inputs make worse than the attack: masked."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import hormesis as hm
import known_answers as known
from hormesis.analysis.classes import FIXED_ONLY, FRAGILE, MASKED, ROBUST
from hormesis.analysis.cross_check import Figures, compare_attacks
from hormesis.engine import plain
from hormesis.engine.outcomes import Block, MeasurementSpec
from hormesis.engine.plan import make_plan
from hormesis.errors import SettingError
from hormesis.measure import remeasure
from hormesis.settings.attacks import RandomSigns
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.stress.attacks import perturb, perturb_and_note
from hormesis.stress.metrics import accuracy
from hormesis.stress.targets import find_targets

CHECK = hm.Confirmation(when="never", samples=240, cross_check=True)


def analysed(network: nn.Module, out: Path | None = None, **asked: Any) -> hm.Study:
    sweep = hm.Sweep(thresholds=5, adversary=asked.pop("adversary", "fixed"))
    execution = hm.Execution(
        progress=False, num_workers=asked.pop("workers", 1), engine=asked.pop("engine", "auto")
    )
    options = {"confirmation": CHECK, "attack": hm.FGSM(0.06)} | asked
    return hm.analyze(
        network, known.data(240), out=out, sweep=sweep, execution=execution, **options
    )


def classes(study: hm.Study) -> dict[str, str]:
    rows = study.scores.query("filter == 'combined' and score == 'adversarial'")
    names = rows["target"].str.removesuffix(".weight")
    return dict(zip(names, rows["class"], strict=True))


@pytest.mark.parametrize("adversary", ["fixed", pytest.param("adaptive", marks=pytest.mark.slow)])
def test_gradients_that_lead_astray_are_masked_though_none_is_zero(adversary):
    attack = hm.FGSM(0.1)
    blind = analysed(
        known.Ruffled(), adversary=adversary, attack=attack, confirmation=hm.Confirmation()
    )
    assert MASKED not in classes(blind).values()
    assert blind.manifest["base"]["zero_gradient"] == 0
    study = analysed(known.Ruffled(), adversary=adversary, attack=attack)
    assert classes(study) == {"signal": MASKED, "ripple": MASKED}
    base = study.confirmation.query("target == ''").set_index("attack")
    assert set(base.index) == {"noise", "surrogates"}
    assert (base["low"] > study.manifest["cross_check"]["margin"]).all()
    for way in ("random noise of the same ε", "inputs perturbed on filtered versions"):
        assert any(
            note.startswith("The unfiltered network's adversarial accuracy is masked")
            and way in note
            for note in study.notes
        )


@pytest.mark.parametrize("adversary", ["fixed", pytest.param("adaptive", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("made", "expected", "seed"),
    [
        (known.Informative, {"informative": FRAGILE, "other": ROBUST}, 2),
        pytest.param(
            known.Informative,
            {"informative": FRAGILE, "other": ROBUST},
            7,
            marks=pytest.mark.slow,
        ),
        (known.Duplicate, {"one": ROBUST, "other": ROBUST}, 0),
    ],
)
def test_an_honest_network_is_not_masked(made, expected, adversary, seed):
    """Also where a filter leaves answers by chance, which noise and attacks move anywhere."""
    torch.manual_seed(seed)
    study = analysed(made(), adversary=adversary)
    assert classes(study) == expected
    table = study.confirmation
    above = table["low"] > study.manifest["cross_check"]["margin"]
    assert not (above & table["working"]).any()
    assert [note for note in study.notes if "none is masked" in note]


def test_what_only_fixes_the_attack_is_still_called_so():
    confirmation = hm.Confirmation(samples=240, steps=2, draws=0, cross_check=True)
    assert classes(analysed(known.Carrier(), confirmation=confirmation))["carrier"] == FIXED_ONLY
    assert classes(analysed(known.Carrier()))["carrier"] == MASKED


def test_the_rows_are_those_of_a_loop(tmp_path):
    study = analysed(known.Ruffled(), tmp_path / "study")
    rows = study.confirmation.query("attack == 'noise'").reset_index(drop=True)
    cells = study.responses
    assert len(rows) == 1 + len(cells)
    inputs, labels = known.data(240)
    order = torch.tensor(study.samples["place"].tolist())
    inputs, labels = inputs[order], labels[order]
    network = known.Ruffled()
    where = {"bounds": (0.0, 1.0), "seed": 0}
    right = []
    for attack in (hm.FGSM(0.06), RandomSigns(0.06)):
        found = perturb(network, inputs, labels, attack, **where)
        right.append((network(found).argmax(dim=1) == labels).double().numpy())
    more = right[0] - right[1]
    assert rows["value"][0] == pytest.approx(more.mean(), abs=1e-12)
    half = 1.9699 * more.std(ddof=1) / np.sqrt(240)  # Student's t of 239
    assert rows["high"][0] - rows["value"][0] == pytest.approx(half, rel=1e-4)


@pytest.mark.parametrize("adversary", ["fixed", pytest.param("adaptive", marks=pytest.mark.slow)])
def test_engines_and_workers_say_the_same(adversary):
    found = [
        analysed(known.Noise(), adversary=adversary, engine=engine, workers=workers).confirmation
        for engine, workers in (("plain", 1), ("auto", 2))
    ]
    pd.testing.assert_frame_equal(*found, check_exact=True)


def test_asked_for_later_it_alone_is_measured_and_goes_on_after_a_kill(tmp_path, monkeypatch):
    few = {"samples": 240, "steps": 2, "draws": 0}
    whole = analysed(
        known.Noise(), tmp_path / "whole", confirmation=hm.Confirmation(**few, cross_check=True)
    )
    before = analysed(known.Noise(), tmp_path / "study", confirmation=hm.Confirmation(**few))
    steps, usual = list[str](), remeasure.Remeasurement.blocks

    def killed(self: Any, step: Any) -> Any:
        steps.append(step.name)
        if step.name == "cross-surrogates":
            raise KeyboardInterrupt
        return usual(self, step)

    both = hm.Confirmation(**few, cross_check=True)
    monkeypatch.setattr(remeasure.Remeasurement, "blocks", killed)
    with pytest.raises(KeyboardInterrupt):
        analysed(known.Noise(), tmp_path / "study", confirmation=both)
    assert steps == ["cross-noise", "cross-surrogates"]
    assert (tmp_path / "study" / "confirmation" / "cross-noise" / "outcomes").is_dir()
    monkeypatch.setattr(remeasure.Remeasurement, "blocks", usual)
    measured, worker = set[str](), remeasure.ShardWorker.__call__

    def counted(self: Any, task: Any, tick: Any = lambda samples: None) -> bytes:
        measured.add(self.study)
        return worker(self, task, tick)

    monkeypatch.setattr(remeasure.ShardWorker, "__call__", counted)
    again = analysed(known.Noise(), tmp_path / "study", confirmation=both)
    assert len(measured) == 1  # noise was there
    assert not (tmp_path / "study" / "confirmation").exists()
    pd.testing.assert_frame_equal(again.confirmation, whole.confirmation)
    kept = again.confirmation.query("stress != 'cross'")[before.confirmation.columns]
    pd.testing.assert_frame_equal(kept.reset_index(drop=True), before.confirmation)
    measured.clear()
    for asked in (both, hm.Confirmation(**few)):
        read = analysed(known.Noise(), tmp_path / "study", confirmation=asked)
        pd.testing.assert_frame_equal(read.confirmation, whole.confirmation)
        assert read.notes == whole.notes
    assert measured == set()


def test_noise_is_the_samples_own_and_within_reach():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    inputs, labels = torch.rand(30, 4), torch.arange(30) % 3
    where = {"bounds": (0.0, 1.0), "seed": 5}
    right = []
    for draws in (1, 8):
        noise = RandomSigns(0.2, draws)
        found = perturb_and_note(network, inputs, labels, noise, **where).inputs
        parts = known.perturbed_in_two(network, (inputs, labels), noise, 11, **where)
        assert torch.equal(parts, found)
        inside = (found > 0) & (found < 1)
        moved = (found - inputs).abs()
        assert moved.max() <= 0.2 + 1e-6
        torch.testing.assert_close(moved[inside], torch.full_like(moved[inside], 0.2))
        right.append(network(found).argmax(dim=1) == labels)
    assert not (right[1] & ~right[0]).any()


def test_each_sample_is_perturbed_on_the_next_surrogate_in_turn():
    network = known.Noise().eval()
    inputs, labels = known.data(8)
    targets = find_targets(network, inputs[:2], Targets())
    plan = make_plan(network, targets, Sweep(filters=("high_pass",), thresholds=3))
    few = plan.removals[1], plan.removals[-1], plan.removals[-2]
    asked = MeasurementSpec(accuracy, hm.FGSM(0.1), False, (0.0, 1.0), 0, surrogates=few)
    found, idle = plain.attack_block(network, Block(inputs, labels, first=4), asked)
    assert idle.shape == (2, 8)
    for row in range(8):
        with plain.filtering(network, few[(4 + row) % 3]):
            alone = perturb(
                network, inputs, labels, hm.FGSM(0.1), bounds=(0.0, 1.0), seed=0, first=4
            )
        assert torch.equal(found[row], alone[row])


def test_figures_that_were_not_measured_to_the_end_count_as_far_as_they_were():
    cells = pd.DataFrame({"target": ["w"], "filter": "low_pass", "step": 0, "outcome": 0})
    cells = cells.assign(working=True)
    own = Figures(np.ones(4), np.array([[1.0, 1.0, 1.0, np.nan]]))
    other = Figures(np.ones(4), np.zeros((1, 4)))
    rows = compare_attacks(cells, own, other, 0.95, higher_is_better=False)
    assert rows["samples"].tolist() == [4, 3]
    assert rows["value"].tolist() == [0.0, -1.0]


def test_the_number_of_draws_is_checked():
    with pytest.raises(SettingError, match="Expected `draws` to be at least 1, got 0"):
        RandomSigns(0.1, 0)
