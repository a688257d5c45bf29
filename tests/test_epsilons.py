"""Several magnitudes of one attack: studies that share clean outcomes, and the surface of both."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import hormesis as hm
from hormesis.analysis.turns import class_turns
from hormesis.cli.app import main
from hormesis.engine.shards import ShardMeasurer
from hormesis.errors import AttackError, SettingError, StudyError
from hormesis.report.plots.surface import relative_surfaces
from hormesis.settings.magnitudes import check_epsilons, short_epsilon
from hormesis.stress import attacks
from users import forgotten, settle

EPSILONS = (0.05, 0.15, 0.3)
ASKED = {
    "sweep": hm.Sweep(thresholds=4),
    "confirmation": hm.Confirmation("never"),
    "execution": hm.Execution(engine="plain", progress=False, num_workers=1),
}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(9, 12), nn.ReLU(), nn.Linear(12, 3)).eval()


def data() -> tuple[torch.Tensor, torch.Tensor]:
    inputs = torch.rand(70, 1, 3, 3, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return inputs, network()(inputs).argmax(dim=1)


@pytest.fixture(scope="module")
def surface(tmp_path_factory):
    out = tmp_path_factory.mktemp("surface") / "studies"
    return hm.analyze_epsilons(network(), data(), EPSILONS[::-1], out=out, **ASKED)


def test_each_study_is_that_of_its_magnitude_alone(surface, tmp_path):
    assert (surface.axis, tuple(surface.members)) == ("epsilon", EPSILONS)
    for epsilon, study in surface.members.items():
        out = tmp_path / str(epsilon)
        hm.analyze(network(), data(), attack=hm.FGSM(epsilon), out=out, **ASKED)
        alone = hm.load_study(out)
        assert study.manifest["question"] == alone.manifest["question"]
        assert study.manifest["study"] == alone.manifest["study"]
        assert study.scores.equals(alone.scores)
        for own, other in zip(study.blocks(), alone.blocks(), strict=True):
            assert np.array_equal(own.clean, other.clean)
            assert np.array_equal(own.adversarial, other.adversarial)
            assert np.array_equal(own.changed, other.changed)


def test_clean_samples_are_measured_once(tmp_path, monkeypatch):
    measured = []
    measure = ShardMeasurer.measure

    def noted(self, task, tick, *, clean=True):
        measured.append((self.spec.attack.epsilon, clean, int(task.wanted.sum())))
        return measure(self, task, tick, clean=clean)

    monkeypatch.setattr(ShardMeasurer, "measure", noted)
    hm.analyze_epsilons(network(), data(), EPSILONS, out=tmp_path / "out", **ASKED)
    assert all(clean == (epsilon == EPSILONS[0]) for epsilon, clean, _ in measured)
    assert {epsilon for epsilon, _, _ in measured} == set(EPSILONS)
    assert len({wanted for _, _, wanted in measured}) == 1
    measured.clear()
    again = hm.analyze_epsilons(network(), data(), EPSILONS, out=tmp_path / "out", **ASKED)
    assert not measured
    more = hm.analyze_epsilons(network(), data(), (*EPSILONS, 0.4), out=tmp_path / "out", **ASKED)
    assert {epsilon for epsilon, clean, _ in measured if not clean} == {0.4}
    assert more.members[0.3].scores.equals(again.members[0.3].scores)
    assert tuple(hm.load_series(tmp_path / "out").members) == (*EPSILONS, 0.4)


def test_it_resumes_after_an_error_half_way(tmp_path, monkeypatch, surface):
    clip = attacks.clip

    def failing(perturbed, inputs, **limits):
        if limits["epsilon"] == EPSILONS[1]:
            raise AttackError("The light went out.")
        return clip(perturbed, inputs, **limits)

    with monkeypatch.context() as patched:
        patched.setattr(attacks, "clip", failing)
        with pytest.raises(AttackError, match="light"):
            hm.analyze_epsilons(network(), data(), EPSILONS, out=tmp_path / "out", **ASKED)
    assert hm.load_study(tmp_path / "out" / "epsilon-0.05").finished
    resumed = hm.analyze_epsilons(network(), data(), EPSILONS, out=tmp_path / "out", **ASKED)
    assert resumed.scores.equals(surface.scores)


def test_tables_have_a_column_of_magnitudes(surface):
    assert surface.scores["epsilon"].unique().tolist() == list(EPSILONS)
    assert list(surface.base.columns) == ["epsilon", "clean", "adversarial"]
    assert surface.base["clean"].nunique() == 1
    assert surface.base["adversarial"].is_monotonic_decreasing


def test_a_surface_is_the_response_over_its_base(surface):
    for target in surface.responses["target"].unique():
        parts = relative_surfaces(surface, target)
        responses = surface.responses.set_index(["target", "filter"]).sort_index()
        for name, values in parts.items():
            rows = responses.loc[(target, name)]
            expected = rows["adversarial"].to_numpy(float).reshape(len(EPSILONS), -1)
            bases = surface.base["adversarial"].to_numpy(float)[:, None]
            np.testing.assert_allclose(values, expected / bases - 1, rtol=1e-12)


def test_turns_are_where_the_line_between_scores_leaves_the_class(surface):
    tolerance = 0.02
    scores = surface.scores_with(replace(surface.scoring, tolerance=tolerance))
    turns = class_turns(scores, "epsilon", tolerance)
    assert len(turns)
    expected = 0
    names = ["target", "filter", "score"]
    for key, part in scores.groupby(names):
        values = part["value"].to_numpy()
        classes = np.select([values < -tolerance, values > tolerance], [-1, 1], 0)
        expected += int((np.diff(classes) != 0).sum())
        for turn in turns.to_dict("records"):
            if tuple(turn[name] for name in names) != key:
                continue
            assert turn["last"] <= turn["at"] <= turn["next"]
            height = abs(np.interp(turn["at"], EPSILONS, values))
            assert height == pytest.approx(tolerance, abs=1e-12)
    assert len(turns) == expected


def test_magnitudes_read_as_they_were_typed():
    assert check_epsilons(("8/255", 0.2, "0.2", 2 / 255)) == (2 / 255, 8 / 255, 0.2)
    assert [short_epsilon(one) for one in (1 / 255, 0.2, 0.6, 1.5, 1e-5)] == [
        "1/255", "0.2", "0.6", "1.5", "1e-05"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("epsilons", "changes", "says"),
    [
        ((0.1,), {}, "at least two different magnitudes, got 1"),
        ((), {}, "got none"),
        ((0.1, "0.1"), {}, "got 1"),
        ((0.1, "auto"), {}, "where there are several, got 'auto'"),
        ((0.1, -1), {}, "above 0"),
        ((0.1, 0.2), {"attack": None}, "for several of them, got 'none'"),
    ],
)
def test_what_is_no_list_of_magnitudes_is_refused(tmp_path, epsilons, changes, says):
    with pytest.raises(SettingError, match=says):
        hm.analyze_epsilons(network(), data(), epsilons, out=tmp_path / "o", **ASKED, **changes)
    assert not (tmp_path / "o").exists()


def test_folders_of_something_else_are_refused(tmp_path, surface):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(StudyError, match="holds something else"):
        hm.analyze_epsilons(network(), data(), EPSILONS, out=tmp_path / "full", **ASKED)
    inputs, labels = data()
    with pytest.raises(StudyError, match="holds studies of something else"):
        hm.analyze_epsilons(network(), (1 - inputs, labels), EPSILONS, out=surface.folder, **ASKED)
    with pytest.raises(StudyError, match="series of studies"):
        hm.load_study(surface.folder)


def test_studies_of_several_magnitudes_are_compared(surface):
    comparison = hm.compare(surface, over="epsilons")
    assert comparison.studies["study"].tolist() == ["ε 0.05", "ε 0.15", "ε 0.3"]
    assert not any("magnitude" in note for note in comparison.notes)
    with pytest.raises(StudyError, match=r"differ in attack\.epsilon"):
        hm.compare(surface, over="epochs")


def test_it_shows_on_the_page_and_in_a_notebook(surface, tmp_path):
    text = hm.write_report(surface, tmp_path / "page.html").read_text()
    assert 'data-picture="surface"' in text
    assert "ε 0.15" in surface._repr_html_()
    assert repr(surface).endswith("ε 0.05, 0.15, 0.3)")
    with pytest.raises(StudyError, match="several magnitudes"):
        replace(surface, axis="epoch").plot.surface()


def test_the_command_line(tmp_path, monkeypatch, capsys):
    settle(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    words = "--thresholds 3 --engine plain --confirm never --no-progress --epsilon 0.1,51/255"
    with forgotten():
        named = ["--model", "my.nets:build", "--data", "my.sets:held_out", "--out", "s"]
        assert main(["analyze", *named, *words.split()]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines()), default=0) <= 80
    assert [line.split()[0] for line in printed.splitlines()[4:6]] == ["0.1", "0.2"]
    assert sorted(path.name for path in Path("s").iterdir() if path.is_dir()) == [
        "epsilon-0.1", "epsilon-0.2"
    ]  # fmt: skip
    assert Path("s/epsilons.png").exists()
    for what in ("surface", "epochs"):
        assert main(["plot", "s", "--what", what, "--out", f"{what}.svg"]) == 0
    assert main(["show", "s"]) == 0
    assert main(["status", "s"]) == 0
    assert main(["export", "s", "--what", "turns", "--to", "turns.csv"]) == 0
    assert Path("turns.csv").read_text().startswith("target,filter,score,before,after")
    capsys.readouterr()
    assert main(["export", "s/epsilon-0.1", "--what", "turns"]) == 2
    assert main(["plot", "s", "--what", "heatmap", "--out", "h.svg"]) == 2
    assert main(["plot", "s/epsilon-0.1", "--what", "surface", "--out", "h.svg"]) == 2
    refused = capsys.readouterr().err
    assert "no class turns" in refused
    assert "'surface', or name one of them" in refused
    assert "holds one study" in refused
    assert main(["analyze", *words.split()[:-1], "0.1,auto"]) == 2
    assert "'auto'" in capsys.readouterr().err
    (tmp_path / "run").mkdir()
    assert main(["analyze", *words.split(), "--run", "run"]) == 2
    assert "one `--epsilon` beside `--run`" in capsys.readouterr().err
