"""A study that is interrupted and gone on with: every shard once, and the same bytes at the end."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

import hormesis as hm
from hormesis.engine.shards import ShardMeasurer, ShardTask
from hormesis.errors import StudyError
from hormesis.measure import shard_worker
from hormesis.results.study import load_study
from hormesis.storage.files import MANIFEST, OUTCOMES

SAMPLES = 300  # ten shards
SWEEP = hm.Sweep(thresholds=5)
CERTAIN = replace(SWEEP, until="certain")
QUIET = hm.Execution(progress=False, num_workers=1)


class StopError(BaseException):
    """Stands for a signal."""


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        nn.init.zeros_(made.get_parameter("3.bias"))
    return made


def data(samples: int = SAMPLES) -> tuple[torch.Tensor, torch.Tensor]:
    inputs = torch.rand(samples, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        labels = network()(inputs).argmax(dim=1)
    labels[::7] = 1 - labels[::7]
    order = labels.argsort()  # by class, as image folders come
    return inputs[order], labels[order]


def analyze(out: Path | None, sweep: hm.Sweep = SWEEP, **more: Any) -> hm.Study:
    never = hm.Confirmation(when="never")
    given = {"attack": hm.FGSM(0.05), "confirmation": never, "execution": QUIET, **more}
    return hm.analyze(network(), given.pop("data", data()), sweep=sweep, out=out, **given)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[ShardTask]:
    """The shards that are measured, as they are asked for."""
    tasks: list[ShardTask] = []
    measure = ShardMeasurer.measure

    def noted(self: ShardMeasurer, task: ShardTask, tick: Any, *, clean: bool = True) -> Any:
        tasks.append(task)
        return measure(self, task, tick, clean=clean)

    monkeypatch.setattr(ShardMeasurer, "measure", noted)
    return tasks


def interrupted(out: Path, after: int, sweep: hm.Sweep = SWEEP, **more: Any) -> None:
    """Begin a study, or go on with it, and end after so many shards."""
    work, done = shard_worker.ShardWorker.__call__, []

    def stopping(self: shard_worker.ShardWorker, task: ShardTask, tick: Any) -> bytes:
        if len(done) == after:
            raise StopError
        done.append(task)
        return work(self, task, tick)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_worker.ShardWorker, "__call__", stopping)
        with pytest.raises(StopError):
            analyze(out, sweep, **more)


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / OUTCOMES).iterdir())}


def plain(value: object) -> object:
    """Return what a manifest says as it comes back from the disk: tuples are lists there."""
    return json.loads(json.dumps(value))


def same(one: hm.Study, other: hm.Study) -> None:
    for table in ("targets", "responses", "scores"):
        pd.testing.assert_frame_equal(getattr(one, table), getattr(other, table), check_exact=True)
    for key in ("question", "attack", "base", "notes", "study"):
        assert plain(one.manifest[key]) == plain(other.manifest[key])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "study"
    analyze(folder)
    return folder


@pytest.mark.parametrize("stops", [(3,), (1, 4, 0, 2)])
@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_measured_is_not_measured_again(tmp_path, whole, measured, stops, workers):
    out, execution = tmp_path / "s", replace(QUIET, num_workers=workers)
    for after in stops:
        interrupted(out, after, execution=execution)
    found = analyze(out, execution=replace(QUIET, num_workers=3 - workers))
    firsts = [task.first for task in measured]
    assert sorted(set(firsts)) == list(range(0, SAMPLES, 32))
    assert len(firsts) <= len(set(firsts)) + workers * len(stops)
    assert shards(out) == shards(whole)
    same(found, load_study(whole))
    same(load_study(out), load_study(whole))


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_the_magnitude_is_chosen_once(tmp_path, monkeypatch, metric):
    asked = {"attack": hm.FGSM("auto"), "metric": metric}
    expected = analyze(None, **asked)
    interrupted(tmp_path / "s", 2, **asked)

    def again(*_: object, **__: object) -> None:
        raise AssertionError("the magnitude is chosen again")

    monkeypatch.setattr("hormesis.measure.study_plan.automatic_epsilon", again)
    same(analyze(tmp_path / "s", **asked), expected)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_sweep_that_chooses_when_to_stop_stops_at_the_same_place(tmp_path, workers):
    more = {"data": data(1500), "execution": replace(QUIET, num_workers=workers)}
    expected = analyze(tmp_path / "whole", CERTAIN, **more)
    for after in (5, 1):
        interrupted(tmp_path / "s", after, CERTAIN, **more)
        so_far = load_study(tmp_path / "s")
        assert not so_far.finished
        assert so_far.planned == 1500
    found = analyze(tmp_path / "s", CERTAIN, **more)
    same(found, expected)
    assert found.manifest["settled"] == expected.manifest["settled"]
    assert shards(tmp_path / "s") == shards(tmp_path / "whole")


def test_an_unfinished_study_says_what_it_is_of(tmp_path, whole):
    interrupted(tmp_path / "s", 4)
    so_far = load_study(tmp_path / "s")
    assert not so_far.finished
    assert so_far.manifest["base"]["samples"] == 128
    assert so_far.notes[-1] == (
        "Unfinished: 128 of 300 samples so far (4 of 10 shards); the command that began it goes on."
    )
    # The numbers are those of a study of these very samples.
    finished = load_study(whole)
    assert so_far.samples is not None
    places = so_far.samples["place"].to_numpy(copy=True)[:128]
    own = analyze(None, data=tuple(values[places] for values in data()))
    pd.testing.assert_frame_equal(so_far.responses, own.responses, check_exact=True)
    assert so_far.scores["value"].equals(own.scores["value"])
    # In random order: a prefix of samples sorted by class would be of one class.
    assert so_far.base.clean == pytest.approx(finished.base.clean, abs=0.06)
    labels = so_far.samples["label"].to_numpy()
    assert labels[:128].mean() == pytest.approx(labels.mean(), abs=0.02)
    assert so_far.outcomes().clean.shape[1] == 128


def test_before_the_first_shard_there_is_nothing_to_open(tmp_path, whole):
    interrupted(tmp_path / "s", 1)
    for path in (tmp_path / "s" / OUTCOMES).iterdir():
        path.unlink()
    with pytest.raises(StudyError, match="is unfinished and has no whole shard yet"):
        load_study(tmp_path / "s")
    analyze(tmp_path / "s")
    assert shards(tmp_path / "s") == shards(whole)


def test_another_question_is_refused_with_the_difference_named(tmp_path):
    interrupted(tmp_path / "s", 2)
    before = shards(tmp_path / "s")
    with pytest.raises(StudyError, match=r"another question \(attack\.epsilon is 0\.1 here and"):
        analyze(tmp_path / "s", attack=hm.FGSM(0.1))
    assert shards(tmp_path / "s") == before


def test_steps_of_another_size_are_gone_on_with_by_their_size(tmp_path):
    """Studies were begun when a step was ε/30, whatever their number, and recorded that."""
    weak = hm.PGD(0.05, steps=2, step_size=0.01 / 0.3)
    interrupted(tmp_path / "s", 2, attack=weak)
    message = r"step_size is 1\.25 here and 0\.0333\d+ there\); resume it with `step_size` 0\.0333"
    with pytest.raises(StudyError, match=message):
        analyze(tmp_path / "s", attack=hm.PGD(0.05, steps=2))
    with pytest.raises(StudyError, match=r"\(attack\.steps is 3 here and 2 there\); choose"):
        analyze(tmp_path / "s", attack=hm.PGD(0.05, steps=3))
    assert analyze(tmp_path / "s", attack=weak).manifest["attack"]["step_size"] == 0.01 / 0.3


def test_what_is_replaced_stays_until_the_new_one_is_whole(tmp_path, whole):
    out = tmp_path / "s"
    analyze(out, attack=hm.FGSM(0.1))
    before = shards(out)
    over = replace(QUIET, overwrite=True)
    interrupted(out, 3, execution=over)
    assert shards(out) == before
    assert load_study(out).manifest["attack"]["epsilon"] == 0.1
    interrupted(out, 1, execution=over, attack=hm.FGSM(0.2))  # yet another question: begun anew
    interrupted(out, 3, execution=over)
    found = analyze(out, execution=over)
    assert found.folder == out
    assert shards(out) == shards(whole)
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_finished_study_is_opened_and_nothing_measured(tmp_path, measured):
    analyze(tmp_path / "s")
    measured.clear()
    found = analyze(tmp_path / "s", scoring=hm.Scoring(reference="base"))
    assert not measured
    assert found.scoring.reference == "base"


@pytest.mark.parametrize("harm", ["gone", "cut", "flipped", "swapped", "foreign"])
def test_damaged_shards_are_measured_again(tmp_path, whole, measured, harm):
    out = tmp_path / "s"
    analyze(out)
    path = out / OUTCOMES / "00000064.safetensors"
    content = path.read_bytes()
    if harm == "gone":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(content[:-7])
    elif harm == "flipped":
        path.write_bytes(content[:-3] + bytes([content[-3] ^ 16]) + content[-2:])
    elif harm == "swapped":
        path.write_bytes(path.with_name("00000096.safetensors").read_bytes())
    else:
        analyze(tmp_path / "other", attack=hm.FGSM(0.1))
        path.write_bytes((tmp_path / "other" / OUTCOMES / path.name).read_bytes())
    words = "are missing" if harm == "gone" else "are damaged: "
    with pytest.raises(StudyError, match=rf"00000064\.safetensors {words}.*measures them again"):
        load_study(out).scores  # noqa: B018
    measured.clear()
    found = analyze(out)
    assert [task.first for task in measured] == [64]
    assert shards(out) == shards(whole)
    same(found, load_study(whole))


def test_a_study_is_finished_when_its_manifest_says_so(tmp_path, whole, monkeypatch):
    def stopped(*_: object, **__: object) -> None:
        raise StopError

    monkeypatch.setattr("hormesis.measure.pipeline.finish", stopped)
    with pytest.raises(StopError):
        analyze(tmp_path / "s")
    monkeypatch.undo()
    so_far = load_study(tmp_path / "s")
    assert not so_far.finished
    pd.testing.assert_frame_equal(so_far.responses, load_study(whole).responses)
    same(analyze(tmp_path / "s"), load_study(whole))


def test_without_its_manifest_a_study_is_taken_over(tmp_path, whole, measured):
    out = tmp_path / "s"
    interrupted(out, 4)
    (out / MANIFEST).write_text("{")
    measured.clear()
    with pytest.raises(StudyError, match="Still whole are 4 of 4 shards, of 128 samples: move"):
        analyze(out)
    (out / MANIFEST).rename(out / "manifest.json.bad")
    with pytest.raises(StudyError, match="holds shards of another study, whose manifest is gone"):
        analyze(out, attack=hm.FGSM(0.1))
    analyze(out)
    assert len(measured) == 6
    assert shards(out) == shards(whole)


@pytest.mark.parametrize("name", ["targets.parquet", "cells.parquet", "samples.parquet"])
def test_damaged_tables_are_told_and_written_again(tmp_path, whole, name):
    out = tmp_path / "s"
    interrupted(out, 4)
    content = (out / name).read_bytes()
    (out / name).write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
    with pytest.raises(StudyError, match=rf"{name} is missing or damaged: its checksum"):
        load_study(out)
    same(analyze(out), load_study(whole))
