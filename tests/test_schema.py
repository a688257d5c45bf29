"""What a manifest may say, rule by rule, and what its entries have to do with each other."""

import copy
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import handset
from hormesis.storage.rules import (
    Exactly,
    Flag,
    Many,
    Named,
    Number,
    Table,
    Text,
    Whole,
    either,
    is_plain,
    plain,
    plainly,
)
from hormesis.storage.schema import faults, not_to_go_on_with, retraining_fault
from hormesis.storage.table_checks import wrong_column, wrong_study


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


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (Whole(1, 5), [1, 5], [0, 6, True, 1.0, "1", None, 10**400]),
        (Number(0, 1), [0, 1, 0.5], [-1e-9, 1.1, float("nan"), float("inf"), True, "0", 10**400]),
        (Number(0, 1, open=True), [0.5], [0, 1]),
        (Flag(), [True, False], [0, 1, None, "true"]),
        (Text(3), ["", "abc", "é\n\t"], ["abcd", "\x00", "\x1b", "\ud800", "\x7f", 3, None]),
        (Text(among=("a", "b")), ["a"], ["c", ""]),
        (Exactly(None), [None], [0, False, ""]),
        (Many(Whole(), 1, 2), [[0], [0, 1]], [[], [0, 1, 2], [0, "1"], (0,), {}, "0"]),
        (Named(Whole()), [{}, {"a": 1}], [{"a": "1"}, {"\x00": 1}, [], None]),
        (Table({"a": Flag(), "b?": Flag()}), [{"a": True}, {"a": True, "c": 3}], [{}, {"a": 1}]),
        (either(Flag(), Whole()), [True, 3], ["x", None, 0.5]),
        (either(), [], [None, 0]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_rules(rule, good, bad):
    assert [list(rule.wrong(value, "x")) for value in good] == [[] for _ in good]
    assert all(list(rule.wrong(value, "x")) for value in bad)


def test_a_rule_says_where():
    rule = Table({"a": Table({"b": Named(Many(Whole()))}), "c": Flag()})
    wrong = list(rule.wrong({"a": {"b": {"x": [0], "y": [None]}}}, ""))
    assert wrong == ["a.b.y", "c"]


@given(st.text())
def test_any_text_is_spelled_out_so_that_the_rule_lets_it_pass(text):
    found = plain(text)
    assert is_plain(found)
    assert found == text or not is_plain(text) or len(text) > 4096
    assert plainly({text: [text]}) == {found: [found]}


def test_a_manifest_as_it_is_written_has_no_faults():
    assert list(faults(said())) == []
    assert list(faults(said(flow=[{"targets": ["a"], "after": []}], unknown={"x": [1]}))) == []


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
    (found,) = faults(said(**changes))
    assert words in found


def test_what_an_unfinished_study_lacks():
    made = said(state="unfinished")
    del made["base"], made["shards"]
    assert list(faults(made)) == ["it lacks `shards`"]


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
    assert words in not_to_go_on_with(said(**changes))
    assert bool(words) == bool(not_to_go_on_with(said(**changes)))


def tables() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    cells = handset.responses({"a": (0.8, 0.4, 0.0)})
    samples = pd.DataFrame({"place": np.arange(10), "label": np.arange(10) % 2})
    return handset.targets(["a"]), cells, samples


def test_tables_that_say_what_the_manifest_says():
    assert wrong_study(said(), *tables()) == ""


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
    assert words in wrong_study(said(**changes), *tables())


def test_shares_and_targets_that_cannot_be():
    targets, cells, samples = tables()
    assert "shares of samples" in wrong_study(said(), targets, cells.assign(clean=1.5), samples)
    assert "without values" in wrong_study(said(), targets.assign(size=0), cells, samples)


@pytest.mark.parametrize(
    ("column", "value"),
    [("density", 1.5), ("density", np.nan), ("zeroed", -1), ("alpha", np.inf), ("outcome", -2)],
)
def test_values_that_no_column_has(column, value):
    cells = tables()[1].assign(**{column: value})
    assert wrong_column(cells, (column,)) == (
        f"has values in its column {column} that cannot be there"
    )


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
    assert retraining_fault(made) == ""
    made[part][key] = value
    assert retraining_fault(made) == f"it lacks a proper `{part}.{key}`"
