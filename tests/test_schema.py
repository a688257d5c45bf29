"""What a manifest may say, rule by rule, and what its entries have to do with each other."""

import copy
import json
import re
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import handset
from hormesis.settings.scoring import Scoring
from hormesis.storage.manifest_checks import resume_fault, validate_manifest
from hormesis.storage.schema import FINISHED, ScoringEntry, manifest_of
from hormesis.storage.table_checks import column_fault, study_fault
from hormesis.storage.training_schema import RetrainingManifest
from hormesis.storage.validation import (
    Above0,
    Count,
    Entry,
    Number,
    Share,
    Text,
    among,
    is_plain,
    plain,
    plain_values,
    wrong_entry,
)


def said(**changes: Any) -> dict[str, Any]:
    """A manifest as JSON has it; ``a__b=value`` replaces an entry of an entry."""
    made = json.loads(json.dumps({"format": 2, "study": "ab", **handset.manifest()}))
    made["shards"] = {"edges": [0, 4, 10]}
    for name, value in changes.items():
        *way, last = name.split("__")
        place = made
        for key in way:
            place = place[key]
        place[last] = value
    return made


class Inner(Entry, frozen=True):
    b: dict[Text, list[Count]]


class Outer(Entry, frozen=True):
    a: Inner
    c: bool
    d: Inner | None = None


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Count, [0, 5], [-1, True, 1.0, "1", None, 10**400]),
        (Number, [0, -1, 0.5], [1e31, float("nan"), float("inf"), True, "0", None, 10**400]),
        (Share, [0, 1, 0.5], [-1e-9, 1.1, float("nan")]),
        (Above0, [0.5, 1], [0, 1e30, float("nan")]),
        (bool, [True, False], [0, 1, None, "true"]),
        (Text, ["", "a", "é\n\t"], ["a" * 4097, "\x00", "\x1b", "\ud800", "\x7f", "\x85", 3, None]),
        (Annotated[str, among(("a", "b"))], ["a"], ["c", "", "a\n", "ab"]),
        (list[Count], [[], [0, 1]], [[0, "1"], {}, "0"]),
        (dict[Text, Count], [{}, {"a": 1}], [{"a": "1"}, {"\x00": 1}, [], None]),
        (bool | Count, [True, 3], ["x", None, 0.5]),
    ],
    ids=str,
)
def test_kinds(kind, good, bad):
    assert [wrong_entry(value, kind) for value in good] == [None for _ in good]
    assert [wrong_entry(value, kind, "x") is None for value in bad] == [False for _ in bad]


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"a": {"b": {"x": [0]}}, "c": True, "unknown": 3}, None),
        ({"a": {"b": {"x": [0], "y": [None]}}, "c": False}, "a.b.y"),
        ({"a": {"b": {"\x00": [0]}}, "c": False}, "a.b.\\x00"),
        ({"a": {"b": {}}}, "c"),
        ({"a": {}, "c": 3}, "a.b"),
        ({"a": {"b": {}}, "c": True, "d": {"b": 3}}, "d.b"),
        ({"a": None, "c": True}, "a"),
        ([], ""),
    ],
)
def test_the_place_of_what_is_wrong(values, place):
    assert wrong_entry(values, Outer) == place


@given(st.text())
def test_any_text_is_spelled_out_so_that_the_rule_lets_it_pass(text):
    found = plain(text)
    assert is_plain(found)
    assert found == text or not is_plain(text) or len(text) > 4096
    assert plain_values({text: [text]}) == {found: [found]}


def test_a_manifest_as_it_is_written_has_no_faults():
    assert validate_manifest(said()).question.sweep.filters[0] == "high_pass"
    validate_manifest(said(flow=[{"targets": ["a"], "after": []}], unknown={"x": [1]}))


def test_what_a_manifest_does_not_say_is_as_it_was_before_anybody_said_it():
    known = manifest_of(said())
    assert (known.state, known.origin.epoch, known.question.attack.steps) == (FINISHED, None, None)
    assert ScoringEntry().as_scoring() == Scoring()


@pytest.mark.parametrize(
    ("changes", "binary"),
    [
        ({}, True),
        ({"question__performance__name": "top5"}, True),
        ({"question__performance__name": "loss"}, False),
        ({"question__performance__name": "mine", "metric": {"binary": True}}, True),
        ({"metric": {"binary": False}}, False),
    ],
)
def test_whether_a_metric_is_binary(changes, binary):
    assert manifest_of(said(**changes)).binary == binary


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"question__network__name": 3}, "it lacks a proper `question.network.name`"),
        ({"question__sweep__thresholds": 1}, "it lacks a proper `question.sweep.thresholds`"),
        ({"question__sweep__until": "later"}, "it lacks a proper `question.sweep.until`"),
        ({"question__attack__epsilon": 0}, "it lacks a proper `question.attack.epsilon`"),
        ({"attack__epsilon": "auto"}, "it lacks a proper `attack.epsilon`"),
        ({"scoring__level": 1}, "it lacks a proper `scoring.level`"),
        ({"scoring__own": 1}, "its `scoring` has a setting 'own' too many"),
        ({"origin": {"epoch": -1}}, "it lacks a proper `origin.epoch`"),
        (
            {"origin": {"training": {"question": {"recipe": {"seed": "x"}}}}},
            "it lacks a proper `origin.training.question.recipe.seed`",
        ),
        ({"run": {"versions": {"torch": 2}}}, "it lacks a proper `run.versions.torch`"),
        ({"run": {"seconds": "1"}}, "it lacks a proper `run.seconds`"),
        ({"question__data__bounds": [1.0, 0.0]}, "`question.data.bounds` do not run from low"),
        ({"question__sweep__span": [1.0, 1.0]}, "`question.sweep.span` do not run from low"),
        ({"question__sweep__filters": ["low_pass"] * 2}, "`question.sweep.filters` name one twice"),
        ({"base__samples": 11}, "its `base.samples` are more than its data have"),
        ({"base__clean": 0.05}, "it lacks a proper `base.clean`"),
        ({"shards__edges": [0, 4, 9]}, "its shards end at another sample than its data"),
        ({"shards__edges": [1, 10]}, "the edges of its `shards` do not ascend from 0"),
        (
            {"settled": [{"samples": 11, "clean": 1.0, "adversarial": 0.5, "targets": ["a"]}]},
            "targets are `settled` after more than 10 samples",
        ),
        (
            {"settled": [{"samples": 4, "clean": 1.0, "adversarial": 0.5, "targets": ["a"]}] * 2},
            "a target is `settled` twice",
        ),
        ({"flow": [{"targets": [], "after": [0]}]}, "its `flow` does not come in the order"),
        ({"notes": ["x" * 30_000]}, "it lacks a proper `notes`"),
    ],
)
def test_what_a_manifest_may_not_say(changes, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        validate_manifest(said(**changes))


def test_what_an_unfinished_study_lacks():
    made = said(state="unfinished")
    del made["base"], made["shards"]
    with pytest.raises(ValueError, match="it lacks `shards`"):
        validate_manifest(made)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "it lacks a proper `run.batch`"),
        ({"run": {"batch": 4}}, ""),
        ({"run": {"batch": 4}, "question__attack__epsilon": "auto"}, "a proper `attack.chosen`"),
        ({"attack": {}}, "it lacks a proper `attack.name`"),
    ],
)
def test_what_can_be_gone_on_with(changes, words):
    assert words in resume_fault(said(**changes))
    assert bool(words) == bool(resume_fault(said(**changes)))


def tables() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    cells = handset.responses({"a": (0.8, 0.4, 0.0)})
    samples = pd.DataFrame({"place": np.arange(10), "label": np.arange(10) % 2})
    return handset.targets(["a"]), cells, samples


def test_tables_that_say_what_the_manifest_says():
    assert study_fault(manifest_of(said()), *tables()) == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"question__data__classes": 1}, "it has other samples than it says"),
        ({"question__data__samples": 11}, "it has other samples than it says"),
        ({"question__sweep__thresholds": 4}, "it has other filters or thresholds"),
        ({"question__sweep__filters": ["low_pass"]}, "it has other filters or thresholds"),
        ({"flow": [{"targets": ["b"], "after": []}]}, "its `flow` names unknown targets"),
        (
            {"settled": [{"samples": 4, "clean": 1.0, "adversarial": 0.5, "targets": ["b"]}]},
            "targets are `settled` that were not swept",
        ),
    ],
)
def test_tables_that_say_something_else_than_the_manifest(changes, words):
    assert words in study_fault(manifest_of(said(**changes)), *tables())


def test_shares_and_targets_that_cannot_be():
    targets, cells, samples = tables()
    assert "shares of samples" in study_fault(
        manifest_of(said()), targets, cells.assign(clean=1.5), samples
    )
    assert "without values" in study_fault(
        manifest_of(said()), targets.assign(size=0), cells, samples
    )


@pytest.mark.parametrize(
    ("column", "value"),
    [("density", 1.5), ("density", np.nan), ("zeroed", -1), ("alpha", np.inf), ("outcome", -2)],
)
def test_values_that_no_column_has(column, value):
    cells = tables()[1].assign(**{column: value})
    assert column_fault(cells, (column,)) == (f"has impossible values in its column {column}")


RETRAINING: dict[str, Any] = {
    "study": {"network": "a", "data": "b", "epoch": None},
    "selection": {"targets": ["x"], "keep": ["robust"], "by": "clean", "filter": "combined"},
    "recipe": {"epochs": 1, "optimizer": "Adam", "rate": 0.1},
}


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("study", "network", 3),
        ("study", "epoch", "one"),
        ("selection", "targets", "x"),
        ("selection", "keep", [3]),
        ("recipe", "rate", "fast"),
        ("recipe", "epochs", None),
    ],
)
def test_what_the_manifest_of_a_retraining_may_not_say(part, key, value):
    made = copy.deepcopy(RETRAINING)
    assert wrong_entry(made, RetrainingManifest) is None
    made[part][key] = value
    assert wrong_entry(made, RetrainingManifest) == f"{part}.{key}"
