"""A study that grows out of another: what both share is not measured again, and nothing differs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import hormesis as hm
from hormesis.engine.controls import control_columns
from hormesis.engine.outcomes import Outcomes
from hormesis.engine.shards import ShardMeasurer, ShardTask
from hormesis.errors import StudyError
from hormesis.measure import shard_worker
from hormesis.results.study import load_study
from hormesis.settings.choices import UNFILTERED
from hormesis.storage.files import CELLS, MANIFEST, OUTCOMES, read_table
from killed import data, network

ALL = 300
QUIET = hm.Execution(progress=False, engine="plain")
SMALL: dict[str, Any] = {
    "count": 100,
    "targets": hm.Targets(include=("3.weight",)),
    "sweep": hm.Sweep(thresholds=5, control=True),
    "attack": hm.PGD(0.05, steps=2),
    "confirmation": hm.Confirmation(when="never"),
}


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Removals × samples that are measured: ``full``, and ``half`` without the clean samples."""
    done = {"full": 0, "half": 0}
    measure = ShardMeasurer.measure

    def counted(self: ShardMeasurer, task: ShardTask, tick: Any, *, clean: bool = True) -> Outcomes:
        done["full" if clean else "half"] += int(task.wanted.sum()) * (task.end - task.first)
        return measure(self, task, tick, clean=clean)

    monkeypatch.setattr(ShardMeasurer, "measure", counted)
    return done


def analyze(out: Path, execution: hm.Execution = QUIET, **asked: Any) -> hm.Study:
    asked = {**SMALL, **asked}
    count = asked.pop("count")
    samples = hm.samples_from(data(ALL), count=count)
    return hm.analyze(network(), samples, out=out, execution=execution, **asked)


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / OUTCOMES).iterdir())}


def removals(folder: Path) -> set[tuple[object, ...]]:
    """What a study removes, told apart by what a reader of its tables sees."""
    cells = read_table(folder, CELLS, ("outcome", "control"))
    rows = cells.loc[cells["outcome"] != UNFILTERED]
    return {row for name in ("outcome", *control_columns(rows)) for row in rows[name].tolist()}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "study"
    analyze(folder)
    return folder


WIDER: dict[str, dict[str, Any]] = {
    "samples": {"count": 200},
    "all samples": {"count": None},
    "thresholds": {"sweep": hm.Sweep(thresholds=9, control=True)},
    "targets": {"targets": hm.Targets()},
    "magnitude": {"attack": hm.PGD(0.1, steps=2)},
    "attack": {"attack": hm.FGSM(0.05)},
    "adversary": {"count": 64, "sweep": hm.Sweep(thresholds=5, control=True, adversary="adaptive")},
    "everything": {
        "count": 128,
        "targets": hm.Targets(),
        "sweep": hm.Sweep(thresholds=9, control=True),
        "attack": hm.FGSM(0.05),
    },
}


@pytest.mark.parametrize("wider", WIDER)
def test_the_extended_study_is_that_from_scratch(tmp_path, small, work, wider):
    scratch = analyze(tmp_path / "scratch", **WIDER[wider])
    whole = dict(work)
    work.update(full=0, half=0)
    extended = analyze(tmp_path / "s", replace(QUIET, extend=small), **WIDER[wider])
    assert shards(tmp_path / "s") == shards(tmp_path / "scratch")
    assert extended.scores.equals(scratch.scores)
    assert extended.manifest["base"] == scratch.manifest["base"]
    assert work["full"] < whole["full"]
    total = len(removals(tmp_path / "s"))
    before = len(removals(small))
    if wider == "samples":
        assert work == {"full": total * 100, "half": 0}
    if wider == "targets":
        assert work == {"full": (total - before) * 100, "half": 0}
    if wider in ("attack", "magnitude"):
        assert work["half"] == total * 100
        # What changed a logit for some samples, and perhaps for perturbed ones alone.
        assert work["full"] < work["half"] / 20


def test_the_fast_engine_measures_half_as_the_plain_one_does(tmp_path, small, work):
    analyze(tmp_path / "scratch", **WIDER["attack"])
    execution = replace(QUIET, engine="auto", num_workers=2, extend=small)
    analyze(tmp_path / "s", execution, **WIDER["attack"])
    assert shards(tmp_path / "s") == shards(tmp_path / "scratch")
    assert work["half"] > 0


def test_halving_the_grid_measures_the_new_thresholds_only(tmp_path, small, work):
    analyze(tmp_path / "s", replace(QUIET, extend=small), **WIDER["thresholds"])
    old, new = (set(_keys(folder)) for folder in (small, tmp_path / "s"))
    assert work == {"full": len(new - old) * 100, "half": 0}
    # High and low pass keep their thresholds; the pulse is half as wide.
    cells = read_table(small, CELLS, ("filter", "outcome"))
    kept = cells.loc[(cells["filter"] != "pulse_wave") & (cells["zeroed"] > 0), "outcome"]
    assert len(old & new) >= 2 * len(set(kept.tolist()))


def _keys(folder: Path) -> list[str]:
    return read_table(folder, "removals.parquet", ("key",))["key"].tolist()


def test_the_same_study_extended_measures_nothing(tmp_path, small, work):
    analyze(tmp_path / "s", replace(QUIET, extend=small))
    assert work == {"full": 0, "half": 0}
    assert shards(tmp_path / "s") == shards(small)


def test_in_its_own_folder_the_old_one_stays_until_the_new_one_is_whole(
    tmp_path, small, work, monkeypatch
):
    out = tmp_path / "s"
    analyze(out)
    analyze(tmp_path / "scratch", count=200)
    work.update(full=0)
    itself, done = replace(QUIET, extend=out), []
    measure = shard_worker.ShardWorker.__call__

    def dying(self: shard_worker.ShardWorker, task: ShardTask, tick: Any) -> bytes:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(task)
        return measure(self, task, tick)

    with monkeypatch.context() as patch:
        patch.setattr(shard_worker.ShardWorker, "__call__", dying)
        with pytest.raises(KeyboardInterrupt):
            analyze(out, itself, count=200)
    assert shards(out) == shards(small)
    assert load_study(out).finished
    analyze(out, itself, count=200)
    assert shards(out) == shards(tmp_path / "scratch")
    assert work["full"] == len(removals(out)) * 100
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_one_that_died_before_it_took_its_place_takes_it_at_last(tmp_path, work, monkeypatch):
    out = tmp_path / "s"
    analyze(out)
    itself = replace(QUIET, extend=out)

    def dying(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("hormesis.measure.pipeline.swap", dying)
        with pytest.raises(KeyboardInterrupt):
            analyze(out, itself, count=200)
    work.update(full=0)
    found = analyze(out, itself, count=200)
    assert work["full"] == 0
    assert found.manifest["base"]["samples"] == 200
    assert load_study(out).manifest["base"]["samples"] == 200


def test_an_unfinished_or_damaged_study_gives_what_it_has(tmp_path, small, work):
    out = tmp_path / "old"
    analyze(out)
    work.update(full=0)
    (out / OUTCOMES / "00000032.safetensors").unlink()
    path = out / OUTCOMES / "00000064.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    analyze(tmp_path / "s", replace(QUIET, extend=out))
    assert work["full"] == len(removals(small)) * 64
    assert shards(tmp_path / "s") == shards(small)


def test_other_samples_are_not_mistaken_for_the_same(tmp_path, small, work):
    inputs, labels = data(ALL)
    other = hm.samples_from((1 - inputs, labels), count=100)
    options = {name: value for name, value in SMALL.items() if name != "count"}
    execution = replace(QUIET, extend=small)
    hm.analyze(network(), other, out=tmp_path / "s", execution=execution, **options)
    assert work["full"] == len(removals(small)) * 100


@pytest.mark.parametrize("what", ["network", "performance", "data"])
def test_what_nothing_can_be_taken_over_from_is_refused(tmp_path, small, what):
    changed: dict[str, Any] = {}
    used, samples = network(), hm.samples_from(data(ALL), count=100)
    if what == "network":
        with torch.no_grad():
            used.get_parameter("1.bias").add_(1)
    elif what == "performance":
        changed["metric"] = "loss"
    else:
        samples = hm.samples_from(data(ALL), count=100, bounds=(0.0, 2.0))
    options = {name: value for name, value in SMALL.items() if name != "count"} | changed
    with pytest.raises(StudyError, match=rf"cannot be extended: its {what} has another"):
        hm.analyze(
            used, samples, out=tmp_path / "s", execution=replace(QUIET, extend=small), **options
        )
    assert not (tmp_path / "s").exists()


def test_the_refusal_of_another_question_names_the_way(small):
    with pytest.raises(StudyError, match=r"reuse its outcomes with `extend`"):
        analyze(small, count=200)


def test_a_damaged_manifest_cannot_be_extended(tmp_path, small):
    analyze(tmp_path / "old")
    (tmp_path / "old" / MANIFEST).write_text("{")
    with pytest.raises(StudyError, match="is damaged"):
        analyze(tmp_path / "s", replace(QUIET, extend=tmp_path / "old"), count=200)
