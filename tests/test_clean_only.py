"""Studies without an attack: the clean scores of a study with one, and nothing else."""

import json
import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import hormesis as hm
from hormesis.engine.shards import ShardMeasurer, ShardTask
from hormesis.errors import SettingError, StudyError
from hormesis.measure import shard_worker
from hormesis.report.html.payload import study_payload
from hormesis.report.text.summary import study_lines
from hormesis.report.views.command_text import command
from hormesis.report.views.method_text import facts
from hormesis.results.study import Study, load_study
from hormesis.settings.attacks import NoAttack, make_attack
from hormesis.storage.files import MANIFEST
from hormesis.storage.manifest_checks import validate_manifest
from hormesis.training.arms import target_classes
from hormesis.training.selection import Selection

SWEEP = hm.Sweep(thresholds=5, control=2)
QUIET = hm.Execution(progress=False, num_workers=1)


INPUTS = torch.rand(2000, 1, 2, 2, generator=torch.Generator().manual_seed(0))


def network(seed: int = 0) -> nn.Module:
    """Return a network that says either class as often; others than the first are like it."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        made = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        torch.manual_seed(seed)
        for parameter in made.parameters() if seed else ():
            parameter.add_(0.05 * torch.randn_like(parameter))
        first, second = made(INPUTS).T
        made.get_parameter("3.bias")[1] += (first - second).median()
    return made


def data(samples: int = 300) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        labels = network()(INPUTS).argmax(dim=1)
    labels[::7] = 1 - labels[::7]
    return INPUTS[:samples], labels[:samples]


def analyze(attack: Any = None, *, seed: int = 0, samples: int = 300, **more: Any) -> Study:
    never = hm.Confirmation(when="never" if attack else "auto")
    given = {"sweep": SWEEP, "execution": QUIET, "confirmation": never, **more}
    return hm.analyze(network(seed), data(samples), attack=attack, **given)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("studies") / "clean"
    analyze(out=out)
    return out


@pytest.fixture(scope="module")
def stressed() -> Study:
    return analyze(hm.FGSM(0.05))


def clean_rows(table: pd.DataFrame) -> pd.DataFrame:
    return table.loc[table["score"] == "clean"].reset_index(drop=True)


@pytest.mark.parametrize("engine", ["auto", "plain"])
@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_clean_scores_are_those_of_a_study_with_an_attack(engine: str, metric: str) -> None:
    execution = replace(QUIET, engine=engine)
    own = analyze(metric=metric, execution=execution)
    other = analyze(hm.FGSM(0.05), metric=metric, execution=execution)
    assert own.metadata.run.engine == other.metadata.run.engine
    # Real numbers differ in their last digit between batches of different sizes.
    digits: dict[str, Any] = {"check_exact": (engine, metric) != ("auto", "loss")}
    pd.testing.assert_frame_equal(own.scores, clean_rows(other.scores), **digits)
    names = ["target", "filter", "step", "clean", "random_clean", "zeroed", "alpha"]
    one, two = (pd.DataFrame(study.responses, columns=names) for study in (own, other))
    pd.testing.assert_frame_equal(one, two, **digits)


SCORINGS = [
    pytest.param(*one, marks=[pytest.mark.slow] if one[1] == "bootstrap" and one[2] != "bh" else [])
    for one in product(
        ("base", "density", "random"), ("delta", "bootstrap"), ("none", "holm", "bh")
    )
]


@pytest.mark.parametrize(("reference", "interval", "multiplicity"), SCORINGS)
def test_every_scoring_counts_clean_scores_alone(
    folder: Path, stressed: Study, reference: str, interval: str, multiplicity: str
) -> None:
    scoring = hm.Scoring(reference=reference, interval=interval, multiplicity=multiplicity)
    own = load_study(folder).with_scoring(scoring)
    other = stressed.with_scoring(scoring)
    pd.testing.assert_frame_equal(own.scores, clean_rows(other.scores), check_exact=True)
    readings = clean_rows(other.readings)
    pd.testing.assert_frame_equal(own.readings, readings, check_exact=True)


def test_what_is_stored(folder: Path) -> None:
    kept = analyze()  # in memory
    read = load_study(folder)
    pd.testing.assert_frame_equal(kept.scores, read.scores)
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["question"]["attack"] == manifest["attack"] == {"name": "none"}
    assert set(manifest["base"]) == {"clean", "higher_is_better", "samples", "clean_error"}
    assert not manifest["notes"]
    outcomes = read.outcomes()
    assert not outcomes.adversarial.any()
    assert not outcomes.base_adversarial.any()
    assert outcomes.clean.any()
    assert 0 < outcomes.base_clean.mean() < 1
    assert read.responses[["adversarial", "random_adversarial"]].isna().to_numpy().all()
    assert np.isnan(read.base.adversarial)
    assert not read.stressed
    assert read.score_names == ("clean",) == tuple(read.scores["score"].unique())
    assert repr(read) == "Study(Sequential on custom, no attack, 2 targets)"
    assert read.notes == ()


class StopError(BaseException):
    """Stands for a signal."""


def test_an_interrupted_study_is_estimated_and_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = ShardMeasurer.measure

    def stopped(self: ShardMeasurer, task: ShardTask, tick: Any, *, clean: bool = True) -> Any:
        if task.first >= 96:
            raise StopError
        return measure(self, task, tick, clean=clean)

    out = tmp_path / "study"
    with monkeypatch.context() as patched:
        patched.setattr(shard_worker.ShardMeasurer, "measure", stopped)
        with pytest.raises(StopError):
            analyze(out=out)
    partial = load_study(out)
    assert not partial.finished
    assert partial.metadata.base.samples == 96
    assert set(partial.scores["score"]) == {"clean"}
    assert "adversarial" not in partial.manifest["base"]
    resumed = analyze(out=out)
    pd.testing.assert_frame_equal(resumed.scores, load_study(folder).scores, check_exact=True)


def test_a_sweep_stops_by_clean_scores_alone(tmp_path: Path) -> None:
    sweep = hm.Sweep(thresholds=5, until=0.1)
    own = analyze(sweep=sweep, samples=2000, out=tmp_path / "study")
    read = load_study(tmp_path / "study")
    pd.testing.assert_frame_equal(own.scores, read.scores)
    assert read.metadata.base.samples < 2000
    widths = read.scores.query("filter == 'combined'").eval("high - low")
    assert (widths <= 0.2).all()
    assert not any("adversarial" in entry for entry in read.manifest.get("settled", ()))


def test_an_attack_comes_later(folder: Path, tmp_path: Path, stressed: Study) -> None:
    execution = replace(QUIET, extend=folder)
    later = analyze(hm.FGSM(0.05), execution=execution, out=tmp_path / "later")
    pd.testing.assert_frame_equal(later.scores, stressed.scores, check_exact=True)
    with pytest.raises(StudyError, match="cannot be extended without an attack"):
        analyze(execution=replace(QUIET, extend=tmp_path / "later"), out=tmp_path / "none")


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"sweep": hm.Sweep(adversary="adaptive")}, "`adversary` 'adaptive'"),
        ({"confirmation": hm.Confirmation(when="always")}, "`confirm` 'always'"),
        ({"confirmation": hm.Confirmation(cross_check=True)}, "`cross_check`"),
    ],
)
def test_what_needs_an_attack_is_refused(more: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingError, match=f"^Expected an attack for {named}, got none"):
        analyze(**more)


def test_the_name_none() -> None:
    assert make_attack("none") == NoAttack()
    assert make_attack("none").epsilon is None
    settings: list[dict[str, Any]] = [{"epsilon": "8/255"}, {"steps": 3}, {"step_size": 0.1}]
    for given in settings:
        with pytest.raises(SettingError, match=f"Expected no `{next(iter(given))}` without an"):
            make_attack("none", **given)
    with pytest.raises(SettingError, match="Unknown attack 'none'"):
        make_attack("none", training=True)


def test_comparisons_are_of_clean_scores(folder: Path, stressed: Study) -> None:
    own, other = load_study(folder), analyze(seed=1)
    alone = hm.compare([own, other], over="seeds")
    assert alone.score_names == ("clean",)
    assert alone.main_score == "clean"
    assert not {"adversarial", "epsilon"} & set(alone.studies)
    assert set(alone.changes["score"]) == set(alone.paths["score"]) == {"clean"}
    assert set(alone.pooled["score"]) == {"clean"}
    mixed = hm.compare([analyze(hm.FGSM(0.05), seed=1), own], over="seeds")
    assert "Clean scores alone are compared, as not every study has an attack." in mixed.notes
    difference = hm.compare([stressed, analyze(hm.FGSM(0.05), seed=1)], over="seeds").changes
    back = mixed.changes.sort_values("match")["difference"].to_numpy()
    there = clean_rows(difference).sort_values("match")["difference"].to_numpy()
    np.testing.assert_array_equal(back, -there)


def test_parameters_are_chosen_by_the_clean_score(folder: Path) -> None:
    study = load_study(folder)
    by_clean = target_classes(study, Selection(by="clean"))
    assert (
        by_clean["class"].tolist() == study.scores.query("filter == 'combined'")["class"].tolist()
    )
    for score in ("adversarial", "difference"):
        with pytest.raises(SettingError, match=r"Expected `by` to be 'clean', as .* has no attack"):
            target_classes(study, Selection(by=score))


def test_a_stress_without_a_magnitude_has_none_anywhere(stressed: Study) -> None:
    nameless = {"name": "evaluation"}
    question = {**stressed.manifest["question"], "attack": nameless}
    study = replace(
        stressed, manifest={**stressed.manifest, "question": question} | {"attack": nameless}
    )
    validate_manifest(study.manifest)
    assert study.stressed
    assert study.score_names == ("clean", "adversarial", "difference")
    words = [*study_lines(study), command(study), str(facts(study)), study._repr_html_()]
    words.append(json.dumps(study_payload(study, "one"), allow_nan=False, ensure_ascii=False))
    for text in words:
        assert not re.search(r"ε|\bnan\b|None", text)
    assert "stress of its own; fixed adversary" in study_lines(study)


@pytest.mark.parametrize(
    ("entry", "lacking"),
    [
        (("question", "attack", "epsilon"), "question.attack.epsilon"),
        (("attack", "epsilon"), "attack.epsilon"),
        (("base", "adversarial"), "base.adversarial"),
    ],
)
def test_only_a_study_without_attack_may_lack_its_entries(
    stressed: Study, entry: tuple[str, ...], lacking: str
) -> None:
    manifest = json.loads(json.dumps(stressed.manifest))
    inner = manifest
    for name in entry[:-1]:
        inner = inner[name]
    del inner[entry[-1]]
    with pytest.raises(ValueError, match=f"it lacks a proper `{lacking}`"):
        validate_manifest(manifest)


def test_a_manifest_with_and_without_attack_is_damaged(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["question"]["attack"] = {"name": "fgsm", "epsilon": 0.1}
    with pytest.raises(ValueError, match="its `attack` is another than its `question` names"):
        validate_manifest(manifest)
