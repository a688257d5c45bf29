"""No number changes: what older code measured and computed is what this code does; see ``frozen``.

``READ``: tables of committed studies are those that were computed when they were committed.
``MEASURE``: the same networks on the same samples give the same files anew, with every engine.
"""

import json
import os
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open

from frozen import cases, tables

HERE = Path(__file__).parent
STUDIES = sorted(path.name for path in cases.STUDIES.iterdir())
# How a study was carried out, on which no result depends, and what depends on that.
CARRIED_OUT = ("run", "sha256", "tables")
BY_AUTO = ("flow", "audit")  # of the engine `auto`: what it knows of the network, and its checks
# With these engines every code path is passed once and quickly; all others are for the slow part.
QUICK = {
    "other": "auto",
    "confirmed": "plain",
    "magnitude": "plain",
    "channel": "auto",
    "global": "plain",
    "margin": "plain",
    "until": "auto",
    "extended": "plain",
}
EACH = [
    pytest.param(name, engine, marks=[pytest.mark.slow] if QUICK.get(name) != engine else [])
    for name in cases.CASES
    for engine in ("plain", "auto")
]
PLAIN_AND_AUTO = ["plain", pytest.param("auto", marks=pytest.mark.slow)]
STORED = ("targets", "cells", "removals", "samples", "responses", "confirmation")
RANDOM = ("random_clean", "random_adversarial")
# Outcomes that are real numbers may differ in their last bits between engines and processors.
LAST_BITS = 1e-5


def stored(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the tables of a folder as they lie there."""
    found = tables.read(folder)
    found.pop("cells", None)
    found.pop("removals", None)
    return found


@pytest.mark.parametrize("name", STUDIES)
def test_a_committed_study_has_the_tables_it_had(name: str) -> None:
    folder = cases.STUDIES / name
    study = cases.opened(folder)
    assert study.finished
    tables.check_all(cases.stored_tables(study), stored(folder))
    every = name in cases.EVERY_SCORING
    tables.check_all(cases.study_tables(study, every=every), tables.read(cases.TABLES / name))


@pytest.mark.slow
@pytest.mark.parametrize("name", cases.BOOTSTRAPPED)
def test_a_committed_study_has_the_intervals_by_bootstrap_that_it_had(name: str) -> None:
    wanted = tables.read(cases.TABLES / f"{name}-by-bootstrap")
    tables.check_all(cases.bootstrapped(name), wanted)


@pytest.mark.parametrize("number", [1, 2])
def test_the_older_formats_are_those_of_their_time(number: int) -> None:
    folder = cases.STUDIES / f"format-{number}"
    assert json.loads((folder / "manifest.json").read_text())["format"] == number
    assert (folder / "samples.parquet").exists() == (number == 2)
    study, first = cases.opened(folder), cases.opened(cases.STUDIES / "format-1")
    # Places of rows are a format's own matter, and format 1 drew random controls in another order.
    one, other = (
        study.responses.drop(columns=[*RANDOM, "outcome", "control"]) for study in (study, first)
    )
    tables.check(one, other, "responses")
    tables.check(study.scores, first.scores, "scores")


def test_a_committed_series_has_the_tables_it_had() -> None:
    series = cases.opened(cases.SERIES)
    tables.check_all(cases.study_tables(series, every=True), tables.read(cases.TABLES / "series"))
    for epoch in cases.EPOCHS:
        folder = cases.SERIES / f"epoch-{epoch:04d}"
        tables.check_all(cases.stored_tables(cases.opened(folder)), stored(folder))


@pytest.mark.parametrize("name", cases.COMPARISONS)
def test_a_comparison_says_what_it_said(name: str) -> None:
    tables.check_all(cases.compared(name), tables.read(cases.TABLES / f"comparison-by-{name}"))


def test_a_committed_retraining_has_the_tables_it_had() -> None:
    tables.check_all(cases.retraining_tables(cases.RETRAINING), tables.read(cases.RETRAINING))


@pytest.mark.parametrize(("name", "engine"), EACH)
def test_a_study_measured_anew_is_the_committed_one(name: str, engine: str, tmp_path: Path) -> None:
    cases.measured(name, engine, tmp_path / "new")
    check_same_study(tmp_path / "new", cases.STUDIES / name)


@pytest.mark.parametrize("engine", PLAIN_AND_AUTO)
def test_a_series_measured_anew_is_the_committed_one(engine: str, tmp_path: Path) -> None:
    cases.measured_series(engine, cases.TRAINING, tmp_path / "new")
    for epoch in cases.EPOCHS:
        name = f"epoch-{epoch:04d}"
        check_same_study(tmp_path / "new" / name, cases.SERIES / name)


@pytest.mark.slow
def test_a_retraining_done_anew_is_the_committed_one(tmp_path: Path) -> None:
    found = cases.retrained(tmp_path / "new")
    tables.check_all(cases.retraining_tables(found.folder), tables.read(cases.RETRAINING))


@pytest.mark.slow
def test_a_study_measured_by_ray_is_the_committed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    there = os.environ.get("PYTHONPATH", "")  # its processes import the network from here
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(HERE), there])))
    cases.measured("signed", "ray", tmp_path / "new")
    check_same_study(tmp_path / "new", cases.STUDIES / "signed")


def check_same_study(new: Path, old: Path) -> None:
    """Fail unless the files of two studies are the same, but for when and how they were made."""
    shards = sorted(path.name for path in (old / "outcomes").iterdir())
    assert sorted(path.name for path in (new / "outcomes").iterdir()) == shards
    real = [check_same_shard(new / "outcomes" / name, old / "outcomes" / name) for name in shards]
    close = LAST_BITS if any(real) else tables.CLOSE
    for name in STORED:
        there = (old / f"{name}.parquet").exists()
        assert (new / f"{name}.parquet").exists() == there
        if there:
            found, wanted = (pd.read_parquet(folder / f"{name}.parquet") for folder in (new, old))
            tables.check(found, wanted, name, close)
    there, before = said_by(new), said_by(old)
    if "flow" not in there or "flow" not in before:
        for said, name in product((there, before), BY_AUTO):
            said.pop(name, None)
    check_plain(there, before, close)


def check_same_shard(new: Path, old: Path) -> bool:
    """Fail unless two shards are equal byte by byte; return whether they hold real numbers."""
    with safe_open(old, "numpy") as wanted, safe_open(new, "numpy") as found:
        said = dict(wanted.metadata())
        if said["binary"] == "true":
            assert new.read_bytes() == old.read_bytes()
            return False
        assert {**found.metadata(), "sha256": ""} == {**said, "sha256": ""}
        assert sorted(found.keys()) == sorted(wanted.keys())
        for name in wanted.keys():  # noqa: SIM118  (it is no mapping)
            pair = found.get_tensor(name), wanted.get_tensor(name)
            if pair[1].dtype.kind == "f":
                np.testing.assert_allclose(*pair, rtol=LAST_BITS, atol=LAST_BITS)
            else:
                assert np.array_equal(*pair)
    return True


def said_by(folder: Path) -> dict[str, Any]:
    """Return what the manifest of a study says of its question and its results."""
    said = json.loads((folder / "manifest.json").read_text())
    for name in (*CARRIED_OUT, "metric"):  # properties of the metric were not written before
        said.pop(name, None)
    for name in ("confirmation", "cross_check"):
        said.get(name, {}).pop("seconds", None)
    if "origin" in said:
        said["origin"]["run"] = Path(said["origin"]["run"]).name
    return said


def check_plain(found: Any, wanted: Any, close: float) -> None:
    """Fail unless two values of JSON are equal, real numbers up to their last bits."""
    if isinstance(wanted, dict):
        assert sorted(found) == sorted(wanted)
        for key in wanted:
            check_plain(found[key], wanted[key], close)
    elif isinstance(wanted, list):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            check_plain(one, other, close)
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, rel=close, abs=close)
    else:
        assert found == wanted
