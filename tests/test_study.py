"""A study as its users hold it: the tables' columns, other scorings, and no need for torch."""

import subprocess
import sys
from pathlib import Path

import pytest

import handset
from handset import ANTIFRAGILE, FRAGILE, ROBUST
from hormesis.analysis.scores import Base
from hormesis.errors import SettingError, StudyError
from hormesis.results.study import Study, load_study
from hormesis.settings.scoring import Scoring

HEAVY = ("torch", "torchvision", "foolbox", "lightning", "sklearn")


@pytest.fixture
def study():
    return handset.study({"b.weight": ANTIFRAGILE, "a": ROBUST, "c": FRAGILE})


@pytest.fixture
def folder(tmp_path, study):
    tables = study.manifest, study.targets, study.responses
    return handset.write(tmp_path / "study", tables)


def test_columns_come_in_the_promised_order(folder):
    found = load_study(folder)
    assert found.scores.columns.tolist() == [
        "target",
        "filter",
        "score",
        "value",
        "class",
        "low",
        "high",
        "level",
        "certain",
        "point",
    ]
    assert found.responses.columns.tolist()[:8] == [
        "target",
        "filter",
        "step",
        "alpha",
        "zeroed",
        "density",
        "clean",
        "adversarial",
    ]
    assert found.targets.columns.tolist() == [
        "target",
        "kind",
        "shape",
        "size",
        "depth",
        "minimum",
        "maximum",
        "tested",
        "reason",
    ]


def test_names_of_filters_and_scores(study):
    assert study.scores["filter"].unique().tolist() == [
        "high_pass",
        "low_pass",
        "pulse_wave",
        "combined",
    ]
    assert study.scores["score"].unique().tolist() == ["clean", "adversarial", "difference"]


def test_what_was_written_is_what_is_opened(folder, study):
    found = load_study(str(folder))
    assert found.folder == folder
    assert found.scores.equals(study.scores)
    assert found.base == study.base == Base(0.8, 0.4, higher_is_better=True)
    assert found.scoring == study.scoring == Scoring(reference="density")
    assert found.notes == study.notes == ("A note.",)


def values(study: Study, scoring: Scoring | None = None) -> dict[str, float]:
    scores = study.scores if scoring is None else study.scores_with(scoring)
    return {
        target: value
        for target, name, score, value, *_ in scores.itertuples(index=False, name=None)
        if (name, score) == ("combined", "clean")
    }


def test_scores_follow_the_studys_own_scoring(study):
    expected = {"b.weight": 0.5, "a": 0.0, "c": 1 / 6 - 0.5}
    assert values(study) == pytest.approx(expected, abs=1e-15)
    by_base = {"b.weight": 0.0, "a": -0.5, "c": 1 / 6 - 1}
    assert values(study, Scoring(reference="base")) == pytest.approx(by_base, abs=1e-15)
    assert values(study) == pytest.approx(expected, abs=1e-15)


def test_a_study_may_be_given_another_scoring_for_good(study):
    wide = Scoring(reference="base", tolerance=2.0)
    other = study.with_scoring(wide)
    assert other.scoring == wide
    assert other.scores.equals(study.scores_with(wide))
    assert set(other.scores["class"]) == {"robust"}
    assert study.scoring == Scoring(reference="density")
    assert other.responses is study.responses


def test_another_scoring_may_need_what_was_not_measured(study):
    with pytest.raises(SettingError, match="'random' needs the random control"):
        study.scores_with(Scoring(reference="random"))


def test_a_study_in_memory_keeps_no_outcomes(study):
    with pytest.raises(StudyError, match="keeps no outcomes: analyse with `out` to write them"):
        study.outcomes()


def test_a_study_says_what_it_is_about(study):
    assert repr(study) == "Study(tiny on made up, fgsm, 3 targets)"


def loaded(code: str) -> list[str]:
    """Return which of the heavy packages a process has loaded at its end."""
    code += f"\nimport sys\nprint('loaded:', *[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()[1:]


def test_opening_and_scoring_needs_no_torch(folder):
    code = f"""
import hormesis
study = hormesis.load_study({str(folder)!r})
assert len(study.scores) == 36
assert len(study.scores_with(hormesis.Scoring(reference="base"))) == 36
"""
    assert loaded(code) == []


def test_drawing_and_printing_needs_no_torch(folder, tmp_path):
    code = f"""
from pathlib import Path
import hormesis
from hormesis.report.plots.overview import draw_overview
from hormesis.report.text.summary import print_summary
study = hormesis.load_study({str(folder)!r})
draw_overview(study, Path({str(tmp_path)!r}) / "drawn.png")
print_summary(study)
"""
    assert loaded(code) == []
    assert Path(tmp_path / "drawn.png").stat().st_size > 0


def test_exporting_needs_no_torch(folder, tmp_path):
    code = f"""
from hormesis.cli.app import main
for what in ("scores", "responses", "targets"):
    to = {str(tmp_path)!r} + "/" + what
    assert main(["export", {str(folder)!r}, "--what", what, "--to", to]) == 0
"""
    assert loaded(code) == []
    for what in ("scores", "responses", "targets"):
        assert (tmp_path / what).read_text().startswith("target,")
