"""The studies of several epochs, read as one."""

from pathlib import Path

import pandas as pd
import pytest

import hormesis as hm
from handset import study, write
from hormesis.errors import StudyError
from hormesis.report.plots.evolution import draw_evolution
from hormesis.report.text.series_table import print_series
from hormesis.report.views.figures import moved_targets
from hormesis.results.series import StudySeries

EPOCHS = {1: (1.0, 0.2, 0.0), 3: (1.0, 0.9, 0.5), 12: (0.8, 0.8, 0.8)}


@pytest.fixture
def folder(tmp_path):
    """Three hand-made studies, of one target each."""
    for epoch, clean in EPOCHS.items():
        made = study({"a.weight": clean, "b.weight": (1.0, 0.5, 0.0)})
        said = {**made.manifest, "origin": {"epoch": epoch}}
        write(tmp_path / f"epoch-{epoch:04d}", (said, made.targets, made.responses))
    (tmp_path / ".epoch-0004.1.partial").mkdir()
    (tmp_path / "epoch-0005").mkdir()  # no study
    return tmp_path


def opened(folder: Path) -> StudySeries:
    return hm.load_series(folder)


@pytest.mark.parametrize("table", ["scores", "responses", "targets"])
def test_every_table_is_that_of_the_studies_with_their_epochs(folder, table):
    studies = opened(folder)
    joined = getattr(studies, table)
    assert joined.columns[0] == "epoch"
    assert list(dict.fromkeys(joined["epoch"])) == [1, 3, 12]
    for epoch in EPOCHS:
        alone = getattr(hm.load_study(folder / f"epoch-{epoch:04d}"), table)
        rows = joined.loc[joined["epoch"] == epoch].drop(columns="epoch").reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, alone)


def test_another_scoring_holds_for_all(folder):
    studies, scoring = opened(folder), hm.Scoring(reference="base", tolerance=0.2)
    alone = hm.load_study(folder / "epoch-0003").scores_with(scoring)
    anew = studies.scores_with(scoring)
    rows = anew.loc[anew["epoch"] == 3].drop(columns="epoch").reset_index(drop=True)
    pd.testing.assert_frame_equal(rows, alone)
    assert studies.with_scoring(scoring).scores.equals(anew)
    assert studies.with_scoring(scoring).scoring == scoring


def test_the_unfiltered_networks_are_a_table(folder):
    base = opened(folder).base
    assert base.columns.tolist() == ["epoch", "epsilon", "clean", "adversarial"]
    assert base["epoch"].tolist() == [1, 3, 12]
    assert base["adversarial"].tolist() == [0.4] * 3


def test_a_single_study_is_still_one(folder):
    assert isinstance(hm.load_study(folder / "epoch-0001"), hm.Study)
    assert (
        repr(opened(folder))
        == "StudySeries(Study(tiny on made up, fgsm, 2 targets), epochs 1, 3, 12)"
    )


def test_a_folder_without_studies_is_refused(tmp_path):
    with pytest.raises(StudyError, match=r"is no study: it has no manifest\.json"):
        hm.load_study(tmp_path)
    with pytest.raises(StudyError, match="is no study"):
        hm.load_study(tmp_path / "nowhere")


def test_each_loader_names_the_other(folder):
    with pytest.raises(StudyError, match="a series of studies: load them with `load_series`"):
        hm.load_study(folder)
    with pytest.raises(StudyError, match="holds no studies of the epochs"):
        hm.load_series(folder / "epoch-0001")


def test_a_study_under_the_name_of_another_epoch_is_refused(folder):
    (folder / "epoch-0003").rename(folder / "epoch-0004")
    with pytest.raises(StudyError, match=r"epoch-0004 is of epoch 3"):
        hm.load_series(folder)


def test_the_picture_and_the_table_show_every_epoch(folder, tmp_path, capsys):
    studies = opened(folder)
    draw_evolution(studies, tmp_path / "drawn.svg")
    text = (tmp_path / "drawn.svg").read_text()
    assert text.startswith("<?xml")
    print_series(studies, picture=tmp_path / "drawn.svg")
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines() if "fragile" in line] == ["1", "3", "12"]
    assert "every epoch: A note." in said


def test_the_telling_targets_are_the_ends_and_the_one_that_moved_most():
    values = {"low": (-0.5, -0.6), "moved": (0.6, -0.1), "still": (0.0, 0.0), "high": (0.2, 0.3)}
    rows = [
        (epoch, name, score, value[place] if score == "adversarial" else 0.0)
        for place, epoch in enumerate((1, 10))
        for name, value in values.items()
        for score in ("clean", "adversarial")
    ]
    table = pd.DataFrame(rows, columns=["epoch", "target", "score", "value"])
    assert moved_targets(table) == ["low", "moved", "high"]
    undefined = table.assign(value=table["value"].where(table["score"] == "clean"))
    assert moved_targets(undefined) == ["low"]
