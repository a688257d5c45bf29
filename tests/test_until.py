"""`until`: a sweep that stops, from the network to the study that is opened again."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import hormesis as hm
from hormesis.engine import sweep as sweep_module
from hormesis.errors import SettingError, StudyError

SAMPLES = 1500
QUICK = hm.Sweep(thresholds=5, until=0.2)
RUN = hm.Run(progress=False, workers=1)


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        nn.init.zeros_(made.get_parameter("3.bias"))
    return made


def data() -> tuple[torch.Tensor, torch.Tensor]:
    inputs = torch.rand(SAMPLES, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        labels = network()(inputs).argmax(dim=1)
    labels[::7] = 1 - labels[::7]
    order = labels.argsort()  # by class, as image folders come
    return inputs[order], labels[order]


def study(sweep: hm.Sweep = QUICK, **more: object) -> hm.Study:
    return hm.analyze(network(), data(), attack=hm.FGSM(0.05), sweep=sweep, run=RUN, **more)  # pyright: ignore[reportArgumentType]


def test_it_stops_early_and_says_what_was_saved():
    found = study()
    samples = found.manifest["base"]["samples"]
    assert 256 <= samples < SAMPLES
    assert any(f"Stopped after {samples} of {SAMPLES} samples" in note for note in found.notes)
    combined = found.scores.loc[found.scores["filter"] == "combined"]
    assert (combined["high"] - combined["value"]).max() <= 0.2
    # A random order: a prefix of samples sorted by class would be of one class.
    whole = study(replace(QUICK, until=None))
    assert found.base.clean == pytest.approx(whole.base.clean, abs=0.1)


def test_neither_block_size_nor_workers_move_the_place(monkeypatch: pytest.MonkeyPatch):
    one = study()
    monkeypatch.setattr(sweep_module, "BLOCK", 100, raising=False)
    other = hm.analyze(
        network(), data(), attack=hm.FGSM(0.05), sweep=QUICK, run=replace(RUN, workers=2)
    )
    assert other.scores.equals(one.scores)
    assert other.manifest["base"] == one.manifest["base"]


def test_a_stopped_study_is_opened_again_and_not_with_another_scoring(tmp_path):
    first = study(out=tmp_path / "s")
    assert first.scores.equals(study(out=tmp_path / "s").scores)
    assert hm.open_study(tmp_path / "s").scores.equals(first.scores)
    with pytest.raises(StudyError, match=r"until\.tolerance is 0\.2 here and 0\.05 there"):
        study(out=tmp_path / "s", scoring=hm.Scoring(tolerance=0.2))


@pytest.mark.parametrize("until", ["soon", "", "0", "-0.5", 0.0, float("nan"), "inf"])
def test_other_aims_are_refused(until):
    with pytest.raises(SettingError, match="Expected `until` to be 'certain' or a number above 0"):
        hm.Sweep(until=until)


def test_aims_as_users_write_them():
    assert [hm.Sweep(until=u).until for u in ("certain", "±0.01", "0.01", 0.5)] == [
        "certain",
        0.01,
        0.01,
        0.5,
    ]
