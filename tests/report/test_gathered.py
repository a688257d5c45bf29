"""What a report is about: folders of all kinds, and what varies between studies."""

import json
from itertools import product

import numpy as np
import pandas as pd
import pytest

import handset
import synthetic
from handset import FRAGILE, ROBUST
from hormesis.analysis.classes import CLASSES
from hormesis.errors import StudyError, TrainingError
from hormesis.report.html.comparison_payload import compare_sources, comparison_payload
from hormesis.report.html.page import write_report
from hormesis.report.html.payload import study_payload
from hormesis.report.html.retraining_payload import retraining_payload
from hormesis.report.views.comparison_text import POOLED
from hormesis.report.views.sources import (
    comparison_axis,
    gather,
    headings,
    page_title,
    with_scoring,
)
from hormesis.results.comparison import compare
from hormesis.settings.scoring import Scoring


def study(seed: int = 0, **about):
    """A study of its own network, with what it is about set by ``model``, ``data``, ``epoch``."""
    generator = np.random.default_rng(seed)
    of = synthetic.network(generator, targets=3, steps=5)
    made = synthetic.study(of, of.outcomes(60, generator))
    question = made.manifest["question"]
    question["network"] = {"name": about.get("model", "net"), "fingerprint": f"{seed:064d}"}
    question["data"]["name"] = about.get("data", "set")
    if "epoch" in about:
        made.manifest["origin"] = {"epoch": about["epoch"]}
    return made


def payload_of(gathered):
    return comparison_payload(gathered, compare_sources(gathered))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"epoch": 1}, {"epoch": 2}, "epochs"),
        ({"data": "a"}, {"data": "b"}, "data"),
        ({"model": "a"}, {"model": "b", "data": "other"}, "models"),
        ({"epoch": 2}, {"epoch": 2}, "seeds"),
        ({}, {"epoch": 2}, "seeds"),
    ],
)
def test_what_varies(one, other, expected):
    assert comparison_axis([study(0, **one), study(1, **other)]) == expected
    assert comparison_axis([study(0, **one)]) == ""


NET = {"model": "squeezenet1_1", "data": "mnist"}


@pytest.mark.parametrize(
    ("about", "title", "each"),
    [
        ([NET], "squeezenet1_1 on mnist", ["squeezenet1_1 on mnist"]),
        ([{**NET, "epoch": 1}], "squeezenet1_1 on mnist, epoch 1", None),
        (
            [{**NET, "epoch": epoch} for epoch in (1, 2, 11)],
            "squeezenet1_1 on mnist, epochs 1, 2 and 11",
            [f"squeezenet1_1 on mnist, epoch {epoch}" for epoch in (1, 2, 11)],
        ),
        (
            [{**NET, "epoch": epoch} for epoch in range(1, 6)],
            "squeezenet1_1 on mnist, epochs 1 to 5",
            None,
        ),
        ([NET, {"model": "b", "data": "mnist"}], "squeezenet1_1 and b on mnist", None),
        ([NET, {"model": "squeezenet1_1"}], "squeezenet1_1 on mnist and set", None),
        ([{"model": name} for name in "abcde"], "5 networks on set", None),
    ],
)
def test_titles_name_network_data_and_what_varies(about, title, each):
    sources = gather([study(seed, **one) for seed, one in enumerate(about)])
    assert page_title(sources) == title
    assert len(set(headings(sources))) == len(about)
    assert headings(sources) == (each or headings(sources))


def test_trainings_that_are_alike_are_told_apart():
    sources = gather([study(seed) for seed in range(2)])
    assert page_title(sources) == "net on set, 2 studies"
    assert headings(sources) == ["net on set, study 1", "net on set, study 2"]
    seeded = [study(seed) for seed in range(2)]
    for seed, one in enumerate(seeded):
        one.manifest["origin"] = {"training": {"question": {"recipe": {"seed": 7 + seed}}}}
    assert headings(gather(seeded)) == ["net on set, seed 7", "net on set, seed 8"]


def test_the_title_of_a_page_names_what_it_is_of(tmp_path):
    page = write_report(study(0, **NET, epoch=1), tmp_path / "page.html")
    text = page.read_text(encoding="utf-8")
    assert "<title>squeezenet1_1 on mnist, epoch 1 · Hormesis</title>" in text
    retraining = write_report(retrained(tmp_path), tmp_path / "page.html")
    assert "<title>Selective retraining of net on set, epoch 3 ·" in retraining.read_text("utf-8")


def test_several_studies_are_compared():
    payload = payload_of(gather([study(0, epoch=1), study(1, epoch=2)]))
    assert payload is not None
    assert (payload["over"], payload["refused"], payload["studies"]) == ("epochs", "", ["1", "2"])
    assert payload["matches"] == ["layer0.weight", "layer1.weight", "layer2.weight"]
    assert all(len(path) == 2 for path, _ in payload["paths"]["clean"])


def test_several_trainings_come_with_intervals_between_them():
    studies = [study(seed) for seed in (0, 1, 2)]
    gathered = gather(studies)
    payload = payload_of(gathered)
    assert payload is not None
    (group,) = payload["pooled"]
    assert group["name"] == "net on set"
    expected = compare(studies, over="seeds").pooled.query("score == 'adversarial'")
    rows = pd.DataFrame(group["scores"]["adversarial"])
    assert rows["match"].tolist() == expected["match"].tolist()
    assert set(rows["runs"]) == {3}
    for name, low, high in (
        ("between", "low", "high"),
        ("sampling", "sampling_low", "sampling_high"),
        ("both", "total_low", "total_high"),
    ):
        ends = np.array(rows[name].tolist())
        np.testing.assert_allclose(ends, expected[[low, high]].to_numpy(), atol=1e-9)
    assert [list(CLASSES)[code] for code in rows["class"]] == expected["class"].tolist()
    assert payload["pooled_says"].startswith(POOLED)


def test_architectures_are_pooled_where_each_was_trained_several_times():
    names = ["one", "one", "two", "two"]
    several = [study(seed, model=name) for seed, name in enumerate(names)]
    payload = payload_of(gather(several))
    assert payload is not None
    assert [group["name"] for group in payload["pooled"]] == ["one on set", "two on set"]
    once = payload_of(gather([study(0, model="one"), study(1, model="two")]))
    assert once is not None
    assert once["pooled"] == []


def test_labels_hold_only_what_is_known():
    gathered = gather([study(0, model="one"), study(1, model="two", epoch=3)])
    assert gathered.labels == ("one", "3 two")
    payload = payload_of(gathered)
    assert payload is not None
    assert payload["studies"] == ["one", "3 two"] or payload["refused"]


def test_epochs_are_put_in_order():
    gathered = gather([study(0, epoch=9), study(1, epoch=2)])
    assert gathered.labels == ("2", "9")
    assert [one.manifest["origin"]["epoch"] for one in gathered.studies] == [2, 9]


def test_one_study_is_not_compared():
    assert payload_of(gather(study())) is None


def test_studies_that_cannot_be_compared_say_why():
    other = study(1, epoch=2)
    other.manifest["question"]["sweep"]["adversary"] = "adaptive"
    payload = payload_of(gather([study(0, epoch=1), other]))
    assert payload is not None
    assert "The studies differ in sweep.adversary" in payload["refused"]


def test_another_scoring_is_for_all():
    sources = gather([study(0, epoch=1), study(1, epoch=2)])
    gathered = with_scoring(sources, Scoring(reference="base"))
    assert {each.scoring.reference for each in gathered.studies} == {"base"}
    assert gather(gathered) is gathered


def test_a_folder_that_is_nothing_is_refused(tmp_path):
    with pytest.raises(StudyError, match="is no study: it has no manifest"):
        gather(tmp_path)


STUDY = {"network": "net", "data": "set", "epoch": 3}
SELECTION = {"keep": ["robust"], "by": "clean", "filter": "combined", "targets": ["a", "b"]}
RECIPE = {"epochs": 2, "optimizer": "Adam", "rate": 0.001}


def retrained(folder, *, controls: bool = True):
    manifest = {"retraining": 1, "study": STUDY, "selection": SELECTION, "recipe": RECIPE}
    if controls:
        manifest["arms"] = {"selective": [], "everything": []}
        trial = {"steps": 10, "restarts": 1}
        manifest["controls"] = {"seeds": [0, 1], "samples": 10, "trial": trial}
        keys = product(manifest["arms"], (0, 1), (("clean", 0.0), ("fgsm", 0.1)), range(10))
        rows = [(arm, seed, *attack, sample, sample < 6) for arm, seed, attack, sample in keys]
        columns = ["arm", "seed", "attack", "epsilon", "sample", "right"]
        pd.DataFrame(rows, columns=columns).to_parquet(folder / "outcomes.parquet")
        effects = {"arm": "selective", "attack": "fgsm", "epsilon": 0.1, "difference": 0.1}
        effects |= {"low": 0.02, "high": 0.18, "verdict": "better"}
        pd.DataFrame([effects]).to_parquet(folder / "effects.parquet")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_retraining_has_its_arms_and_effects(tmp_path):
    gathered = gather([retrained(tmp_path)])
    assert (gathered.studies, len(gathered.retrainings)) == ((), 1)
    payload = retraining_payload(gathered.retrainings[0])
    assert list(payload["arms"]) == ["selective", "everything"]
    assert payload["about"] == (
        "net on set, epoch 3: training went on for 2 epochs (Adam, rate 0.001) with 2 targets, "
        "robust by the clean score of the combined filter."
    )
    assert payload["controls"]
    cell = ["+10.0", "+2.0 to +18.0, better"]
    assert payload["effects"] == {"heads": ["FGSM, ε = 0.1"], "rows": [["selective", cell]]}
    assert payload["arms"]["selective"] == "the robust targets"


def test_the_picture_of_a_retraining_is_a_part_of_its_page(tmp_path):
    page = write_report(retrained(tmp_path), tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count('data-picture="retraining-0"') == 1


def test_a_retraining_without_controls_has_none(tmp_path):
    payload = retraining_payload(gather(retrained(tmp_path, controls=False)).retrainings[0])
    assert (payload["controls"], payload["effects"], payload["answer"]) == (False, None, [])


def test_a_damaged_retraining_is_named(tmp_path):
    retrained(tmp_path)
    (tmp_path / "effects.parquet").write_bytes(b"no table")
    with pytest.raises(TrainingError, match=r"The table .*effects\.parquet is damaged"):
        retraining_payload(gather(tmp_path).retrainings[0])


def test_responses_come_with_intervals_and_the_histogram_of_the_weights():
    made = handset.study({"w": ROBUST, "v": FRAGILE}, sizes={"w": 4, "v": 4})
    curves = study_payload(made, "one")["curves"]
    own = curves["0"]["filters"]["high_pass"]
    assert (own["clean"], own["alpha"], own["zeroed"]) == (
        [0.8, 0.4, 0.0],
        [-1.0, 0.0, 1.0],
        [0, 2, 4],
    )
    assert all(low <= mean <= high for low, mean, high in zip(
        own["clean_low"], own["clean"], own["clean_high"], strict=True))  # fmt: skip
    assert curves["0"]["histogram"] == [[2, 2], 0, 0]
    assert curves["0"]["edges"] == [-1.0, 0.0, 1.0]


def test_of_many_targets_those_of_extreme_scores_have_responses():
    middles = [0.8, 0.6, 0.4, 0.2, 0.0]
    made = handset.study({f"w{place}": (0.8, m, 0.0) for place, m in enumerate(middles)})
    payload = study_payload(made, "one", most_curves=2)
    assert sorted(payload["curves"]) == ["0", "4"]
    assert payload["targets"]["name"] == [f"w{place}" for place in range(5)]
    note = (
        "Responses are here for 2 of 5 targets, half of them those of the lowest adversarial scores"
    )
    assert any(one.startswith(note) for one in payload["notes"])
