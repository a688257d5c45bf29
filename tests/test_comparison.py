"""Comparisons of made-up studies: what stays, what changes, what is refused."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import handset
import hormesis as hm
import synthetic
from hormesis.analysis.classes import CLASSES, IMPROVING
from hormesis.analysis.comparison_tables import study_pairs
from hormesis.cli.app import main
from hormesis.errors import SettingError, StudyError
from hormesis.results.study import Study

NETWORK = synthetic.network(np.random.default_rng(3), targets=5, steps=5)


def origin(epoch: int | None = None, seed: int = 1) -> dict[str, Any]:
    recipe = {"recipe": {"seed": seed}}
    return {"epoch": epoch, "training": {"question": recipe}}


def study(
    shift: float = 1.0, *, samples: int = 600, seed: int = 7, changes: dict[str, Any] | None = None
) -> Study:
    """A study of the same samples, unless ``seed`` is another, of a network that falls more."""
    network = replace(NETWORK, shift=NETWORK.shift * shift)
    made = synthetic.study(network, network.outcomes(samples, np.random.default_rng(seed)))
    manifest = copy.deepcopy(made.manifest)
    manifest["question"]["network"]["fingerprint"] = f"{shift} {seed}"
    manifest["question"]["data"]["fingerprint"] = f"{seed} {samples}"
    for path, value in (changes or {}).items():
        *above, last = path.split(".")
        place = manifest
        for key in above:
            place = place[key]
        place[last] = value
    return replace(made, manifest=manifest)


def epochs(*shifts: float) -> list[Study]:
    return [
        study(shift, changes={"origin": origin(place + 1)}) for place, shift in enumerate(shifts)
    ]


def written(made: Study, folder: Path) -> Path:
    tables = made.manifest, made.targets, made.responses
    return handset.write(folder, tables, made.outcomes())


def test_scores_are_those_of_the_studies():
    members = epochs(1.0, 0.5)
    found = hm.compare(members)
    for label, member in zip(("1", "2"), members, strict=True):
        own = member.scores.loc[member.scores["filter"] == "combined"]
        ours = found.scores.loc[found.scores["study"] == label]
        assert ours["match"].tolist() == own["target"].tolist()
        for column in ("value", "low", "high"):
            assert ours[column].to_numpy() == pytest.approx(own[column].to_numpy(), abs=1e-6)
        for column in ("class", "point", "certain", "score"):
            assert ours[column].tolist() == own[column].tolist()


def test_paths_and_invariants_by_hand():
    found = hm.compare(epochs(1.0, 0.9, 0.1))
    scores = found.scores.set_index(["score", "match", "study"]).sort_index()
    for row in found.paths.to_dict("records"):
        three = scores.loc[(row["score"], row["match"])]
        letters = "".join(
            CLASSES[point].letter if certain else CLASSES[point].letter.lower()
            for point, certain in zip(three["point"], three["certain"], strict=True)
        )
        assert row["path"] == letters
        above = three["point"].replace(dict.fromkeys(IMPROVING, "antifragile"))
        same, certain = above.nunique() == 1, three["certain"].to_numpy().all()
        assert row["invariant"] == ("no" if not same else "certain" if certain else "undecided")
    assert set(found.paths["invariant"]) >= {"no", "certain"}


def test_differences_on_the_same_samples_are_paired():
    one, other = epochs(1.0, 0.8)
    paired = hm.compare([one, other]).changes
    apart = hm.compare([one, replace(other, manifest=_renamed(other, "other"))]).changes
    assert paired["paired"].to_numpy().all()
    assert not apart["paired"].to_numpy().any()
    # Against the values of both, sample by sample.
    influence, _ = one.influence("combined")
    again, _ = other.influence("combined")
    row = paired.set_index(["score", "match"]).loc[("clean", "layer1.weight")]
    values = again[0, 1] - influence[0, 1]
    error = np.sqrt(
        values.var(ddof=1) / 600
        + (1 / one.base.clean**2 + 1 / other.base.clean**2) / (3 * 600) ** 2
    )
    assert row["high"] - row["difference"] == pytest.approx(
        stats.t.ppf(0.975, 599) * error, rel=1e-3
    )
    wide, narrow = ((t["high"] - t["low"]).to_numpy().mean() for t in (apart, paired))
    assert wide > 1.2 * narrow


def _renamed(made: Study, fingerprint: str) -> dict[str, Any]:
    manifest = copy.deepcopy(made.manifest)
    manifest["question"]["data"]["fingerprint"] = fingerprint
    return manifest


def test_a_difference_is_the_negative_of_its_reverse():
    members = epochs(1.0, 0.8)
    one = hm.compare(members, over="seeds").changes.set_index(["score", "match"])
    other = hm.compare(members[::-1], over="seeds").changes.set_index(["score", "match"])
    other = other.loc[one.index]
    assert one["difference"].to_numpy() == pytest.approx(-other["difference"].to_numpy())
    assert one["low"].to_numpy() == pytest.approx(-other["high"].to_numpy())


def test_the_largest_certain_changes_come_first():
    changes = hm.compare(epochs(1.0, 0.9, 0.1)).changes
    for _, part in changes.groupby("score", sort=False):
        size = part["difference"].abs()
        assert part["certain"].is_monotonic_decreasing
        for _, same in size.groupby(part["certain"].to_numpy(), sort=False):
            assert same.is_monotonic_decreasing
    excluded = (changes["low"] > 0) | (changes["high"] < 0)
    assert excluded.to_numpy()[changes["certain"].to_numpy()].all()


def test_epochs_come_in_order_and_are_compared_one_after_the_other():
    members = epochs(1.0, 0.9, 0.1)
    found = hm.compare([members[2], members[0], members[1]])
    assert found.studies["study"].tolist() == ["1", "2", "3"]
    steps = found.changes[["from", "to"]].drop_duplicates()
    assert set(steps.itertuples(index=False, name=None)) == {("1", "2"), ("2", "3"), ("1", "3")}
    assert len(study_pairs(3, ordered=False)) == 3
    assert study_pairs(11, ordered=False) == [(0, other) for other in range(1, 11)]


def test_runs_are_pooled_by_students_t():
    members = [
        study(shift, changes={"origin": origin(3, seed)})
        for seed, shift in enumerate((1.0, 0.9, 0.8))
    ]
    found = hm.compare(members, over="seeds", group_by=("model", "data", "epoch"))
    row = found.pooled.set_index(["score", "match"]).loc[("clean", "layer0.weight")]
    values = (
        found.scores.set_index(["score", "match"])
        .sort_index()
        .loc[("clean", "layer0.weight"), "value"]
    )
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert (row["mean"], row["low"], row["high"]) == pytest.approx((values.mean(), low, high))
    assert row["runs"] == 3
    assert row["low"] < row["sampling_low"] < row["mean"]
    with pytest.raises(SettingError, match="no two studies agree in seed"):
        hm.compare(members, over="seeds", group_by=("seed",))


def test_architectures_are_matched_by_role():
    one = study()
    renamed = {name: f"block.{name}" for name in NETWORK.targets}
    other = study(changes={"question.network.name": "large", "question.network.fingerprint": "x"})
    other = replace(
        other,
        targets=other.targets.replace({"target": renamed}),
        responses=other.responses.replace({"target": renamed}),
    )
    found = hm.compare([one, other], over="models")
    assert list(dict.fromkeys(found.matching["match"])) == [
        "first convolution",
        "stage 1 convolution",
        "stage 2 convolution",
        "stage 3 convolution",
        "classifier",
    ]
    assert np.abs(found.changes["difference"].to_numpy()).max() < 1e-12
    own = pd.DataFrame(
        {
            "study": ["tiny", "tiny", "large"],
            "target": ["layer0.weight", "layer2.weight", "block.layer1.weight"],
            "match": "mine",
        }
    )
    mine = hm.compare([one, other], over="models", matching=own)
    means = one.scores.loc[lambda t: (t["filter"] == "combined") & (t["score"] == "clean")]
    expected = means.set_index("target")["value"][["layer0.weight", "layer2.weight"]].mean()
    value = mine.scores.loc[lambda t: (t["study"] == "tiny") & (t["score"] == "clean"), "value"]
    assert value.item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "sentence", "allow"),
    [
        ({"question.sweep.thresholds": 9}, r"differ in sweep\.thresholds: 5 in", "thresholds"),
        ({"question.attack.epsilon": 0.5}, r"differ in attack\.epsilon: 0\.25 in", "epsilon"),
        ({"question.attack.name": "pgd"}, r"differ in attack\.name: fgsm in", "attack"),
        ({"scoring.reference": "base"}, r"differ in scoring\.reference: density in", "reference"),
        ({"question.data.name": "else"}, r"differ in data: made up in", "data"),
        ({"question.network.name": "big"}, r"differ in model: tiny in", "model"),
    ],
)
def test_other_methods_are_refused_or_marked(changes: dict[str, Any], sentence: str, allow: str):
    members = [study(), study(0.9, changes=changes)]
    with pytest.raises(StudyError, match=sentence):
        hm.compare(members)
    found = hm.compare(members, allow=(f"different:{allow}",))
    assert any(note.startswith("Allowed: the studies differ in") for note in found.notes)


def test_one_scoring_may_be_given_for_all():
    members = [study(), study(0.9, changes={"scoring.reference": "base"})]
    found = hm.compare(members, scoring=hm.Scoring(tolerance=0.2))
    assert found.scoring.tolerance == 0.2


def test_what_cannot_be_compared_is_refused():
    one, other = epochs(1.0, 0.9)
    with pytest.raises(StudyError, match="at least two studies, got 1"):
        hm.compare([one])
    with pytest.raises(StudyError, match="at least two studies, got none"):
        hm.compare([])
    with pytest.raises(StudyError, match="The same study is given twice"):
        hm.compare([one, other, one])
    with pytest.raises(
        SettingError, match=r"Unknown choice of `over` 'epoch'\. Did you mean epochs"
    ):
        hm.compare([one, other], over="epoch")
    with pytest.raises(SettingError, match="such as 'different:epsilon', got 'epsilon'"):
        hm.compare([one, other], allow=("epsilon",))


def test_partial_and_unfinished_studies_are_marked(tmp_path: Path):
    one, other = epochs(1.0, 0.9)
    other.manifest["question"]["data"]["samples"] = 10_000
    written(one, tmp_path / "epoch-0001")
    written(other, tmp_path / "epoch-0002")
    (tmp_path / ".epoch-0003.1.partial" / "outcomes").mkdir(parents=True)
    found = hm.compare(tmp_path)
    assert found.studies["mark"].tolist() == ["", "partial: 600 of 10000 samples"]
    assert any("epoch-0003.1.partial is not finished and was left out" in n for n in found.notes)


def test_one_object_may_hold_all_studies():
    class Several:
        def __init__(self, studies: list[Study]) -> None:
            self.members = dict(enumerate(studies))

    found = hm.compare(Several(epochs(1.0, 0.9)))
    assert found.studies["study"].tolist() == ["1", "2"]
    with pytest.raises(StudyError, match="at least two studies, got 1"):
        hm.compare(study())


def test_studies_without_outcomes_are_compared_without_certainty():
    members = [replace(member, packed={}) for member in epochs(1.0, 0.5)]
    found = hm.compare(members)
    assert found.changes[["low", "high", "p"]].isna().to_numpy().all()
    assert not found.changes["certain"].to_numpy().any()
    assert set(found.paths["invariant"]) <= {"undecided", "no"}


def test_a_floored_network_is_undefined_throughout():
    outcomes = NETWORK.outcomes(300, np.random.default_rng(0))
    floored = synthetic.study(
        NETWORK, replace(outcomes, base_adversarial=0 * outcomes.base_adversarial)
    )
    floored.manifest["question"]["network"]["fingerprint"] = "floored"
    found = hm.compare([study(), floored], over="seeds")
    kinds = found.paths.set_index("score")["invariant"]
    assert set(kinds["adversarial"]) == {"undefined"}
    assert "undefined" not in set(kinds["clean"])
    assert set(found.agreement["score"]) == {"clean"}


def test_the_command_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for place, member in enumerate(epochs(1.0, 0.9, 0.2)):
        written(member, tmp_path / "s" / f"epoch-{place + 1:04d}")
    out = tmp_path / "out"
    arguments = ["compare", str(tmp_path / "s"), "--out", str(out)]
    assert main([*arguments, "--formats", "csv", "parquet", "latex"]) == 0
    printed = capsys.readouterr().out
    assert "keep their class for certain" in printed
    assert max(map(len, printed.split("\n\nin ")[0].splitlines())) <= 80
    for name in ("heatmap", "ranks", "agreement"):
        assert (out / f"{name}.png").stat().st_size > 5000
    changes = pd.read_csv(out / "changes.csv")
    assert changes["difference"].tolist() == pytest.approx(
        pd.read_parquet(out / "changes.parquet")["difference"].tolist(), rel=1e-15
    )
    assert r"\begin{tabular}" in (out / "paths.tex").read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["compare"], "Expected the folders of at least two studies"),
        (["compare", "nowhere"], "nowhere is no study"),
        (["compare", "s/epoch-0001"], "at least two studies, got 1"),
        (["compare", "s", "--over", "epoch"], "Did you mean epochs"),
        (["compare", "s", "--matching", "no.csv"], "The matching no.csv cannot be read"),
        (["compare", "s", "--score", "adverse"], "Did you mean adversarial"),
        (["compare", "s", "--formats", "xls"], "Unknown format 'xls'"),
        (["compare", "s", "--out", "file"], "cannot be written to file"),
        (["compare", "s", "--level", "95"], "Expected `--level` between 0 and 1"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    for place, member in enumerate(epochs(1.0, 0.9)):
        written(member, tmp_path / "s" / f"epoch-{place + 1:04d}")
    (tmp_path / "file").write_text(json.dumps({}))
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.startswith("hormesis: error: ")
    assert len(error.strip().splitlines()) == 1
