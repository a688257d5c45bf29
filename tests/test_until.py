"""`until`: a sweep that stops, from the network to the study that is opened again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import handset
import hormesis as hm
from hormesis.data.sampling import random_order
from hormesis.engine.engines import Engine
from hormesis.engine.outcomes import Block, Outcomes
from hormesis.errors import SettingError, StudyError
from hormesis.measure import pipeline, shard_worker
from hormesis.results.study import load_study
from hormesis.results.study_files import RESPONSE_COLUMNS

SAMPLES = 1500
QUICK = hm.Sweep(thresholds=5, until=0.2)
CERTAIN = replace(QUICK, until="certain")  # the first target after 256 samples, the other after 512
RUN = hm.Execution(progress=False, num_workers=1)


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        nn.init.zeros_(made.get_parameter("3.bias"))
    return made


def data() -> tuple[torch.Tensor, torch.Tensor]:
    inputs = torch.rand(SAMPLES, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        labels = network()(inputs).argmax(dim=1)
    labels[::7] = 1 - labels[::7]
    order = labels.argsort()  # by class, as image folders come
    return inputs[order], labels[order]


def study(sweep: hm.Sweep = QUICK, **more: object) -> hm.Study:
    return hm.analyze(
        network(),
        data(),
        attack=hm.FGSM(0.05),
        sweep=sweep,
        execution=RUN,
        **{"scoring": hm.Scoring(reference="density"), **more},
    )  # pyright: ignore[reportArgumentType]


def test_it_stops_early_and_says_what_was_saved():
    found = study()
    samples = found.manifest["base"]["samples"]
    assert 256 <= samples < SAMPLES
    assert any(f"Stopped after {samples} of {SAMPLES} samples" in note for note in found.notes)
    combined = found.scores.loc[found.scores["filter"] == "combined"]
    assert (combined["high"] - combined["value"]).max() <= 0.2
    # A random order: a prefix of samples sorted by class would be of one class.
    whole = study(replace(QUICK, until=None))
    assert found.base.clean == pytest.approx(whole.base.clean, abs=0.1)


def of_blocks(monkeypatch: pytest.MonkeyPatch, workers: int, most: int) -> None:
    """Let so many workers measure so many samples at a time, whatever memory there is."""
    monkeypatch.setattr(shard_worker, "allot_memory", lambda *_: (workers, most))


@pytest.mark.parametrize(("workers", "most"), [(2, 100), (3, 256)])
def test_neither_block_size_nor_workers_move_anything(
    monkeypatch: pytest.MonkeyPatch, workers: int, most: int
):
    one = settling()
    of_blocks(monkeypatch, workers, most)
    other = study(CERTAIN)
    assert other.scores.equals(one.scores)
    assert other.responses.equals(one.responses)
    for key in ("base", "settled", "notes"):
        assert other.manifest[key] == one.manifest[key]


@cache
def settling() -> hm.Study:
    return study(CERTAIN)


def test_a_settled_target_is_that_of_a_study_of_its_samples():
    found = settling()
    assert [(one["samples"], one["targets"]) for one in found.manifest["settled"]] == [
        (256, ["1.weight"])
    ]
    assert found.manifest["base"]["samples"] == 512
    order = random_order(SAMPLES, CERTAIN.seed)
    for target, count in (("1.weight", 256), ("3.weight", 512)):
        some = tuple(values[order[:count]] for values in data())
        own = hm.analyze(
            network(),
            some,
            attack=hm.FGSM(0.05),
            sweep=replace(CERTAIN, until=None),
            scoring=hm.Scoring(reference="density"),
            execution=RUN,
        )
        for table in ("responses", "scores"):
            ours, theirs = (
                getattr(one, table).loc[getattr(one, table)["target"] == target]
                for one in (found, own)
            )
            columns = [c for c in ours.columns if c in {*RESPONSE_COLUMNS, "value", "point"}]
            assert ours[columns].equals(theirs[columns])
        prefix = found.group_of[target]
        # Guessing is by the classes of all samples, whenever a target was settled.
        assert (prefix.samples, prefix.base) == (count, replace(own.base, chance=found.base.chance))


def test_what_is_settled_is_not_measured_any_more(monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[int, set[str]]] = []
    choose = shard_worker.choose_engine

    def spied(*arguments: Any) -> Engine:
        engine = choose(*arguments)

        def measure(removals: Any, block: Block, *more: Any) -> Outcomes:
            if len(block.labels) > 4:  # not those that only tell how much memory is taken
                asked.append((block.first, {removal.target.name for removal in removals}))
            return engine.measure(removals, block, *more)

        return replace(engine, measure=measure)

    monkeypatch.setattr(shard_worker, "choose_engine", spied)
    reports: list[tuple[str, int, int]] = []

    @contextmanager
    def shown(**_: Any) -> Iterator[Callable[[str, int, int], None]]:
        yield lambda *report: reports.append(report)

    monkeypatch.setattr(pipeline, "show_progress", shown)
    found = study(CERTAIN)
    targets = dict(asked)
    assert targets[0] == targets[192] == {"1.weight", "3.weight"}
    assert targets[256] == {"3.weight"}
    assert found.scores.equals(settling().scores)
    stage, done, total = reports[-1]
    assert (stage, done) == ("Measuring", total)
    assert any("settled targets dropped out: 75% of the work was saved" in n for n in found.notes)


def test_the_study_on_disk_says_what_was_measured(tmp_path: Path):
    first = study(CERTAIN, out=tmp_path / "s")
    opened = load_study(tmp_path / "s")
    assert opened.scores.equals(settling().scores)
    assert opened.responses.equals(first.responses)
    scoring = hm.Scoring(reference="base")
    assert opened.scores_with(scoring).equals(settling().scores_with(scoring))
    one, *_, other = opened.blocks()
    assert one.measured is None
    assert other.measured is not None
    rows = opened.responses.set_index("target").loc["3.weight", "outcome"]
    assert set(np.flatnonzero(other.measured)) == set(rows) - {-1}


@pytest.mark.parametrize(
    "settled",
    [
        7,
        [{"samples": 256}],
        [{"samples": 0, "clean": 1.0, "adversarial": 1.0, "targets": []}],
        [{"samples": 9999, "clean": 1.0, "adversarial": 1.0, "targets": ["1.weight"]}],
        [{"samples": 256, "clean": "good", "adversarial": 1.0, "targets": ["1.weight"]}],
        ["1.weight"],
    ],
)
def test_damage_is_one_sentence(tmp_path: Path, settled: object):
    made = settling()
    manifest = {**made.manifest, "settled": settled}
    handset.write(tmp_path / "s", (manifest, made.targets, made.responses))
    assert made.samples is not None
    made.samples.to_parquet(tmp_path / "s" / "samples.parquet")
    with pytest.raises(StudyError, match=r"is damaged.*`settled`"):
        hm.load_study(tmp_path / "s")


def test_a_stopped_study_is_opened_again_and_not_with_another_scoring(tmp_path):
    first = study(out=tmp_path / "s")
    assert first.scores.equals(study(out=tmp_path / "s").scores)
    assert hm.load_study(tmp_path / "s").scores.equals(first.scores)
    with pytest.raises(StudyError, match=r"until\.tolerance is 0\.2 here and 0\.05 there"):
        study(out=tmp_path / "s", scoring=hm.Scoring(reference="density", tolerance=0.2))


@pytest.mark.parametrize("until", ["soon", "", "0", "-0.5", 0.0, float("nan"), "inf"])
def test_other_aims_are_refused(until):
    with pytest.raises(SettingError, match="Expected `until` to be 'certain' or a number above 0"):
        hm.Sweep(until=until)


def test_aims_as_users_write_them():
    assert [hm.Sweep(until=u).until for u in ("certain", "±0.01", "0.01", 0.5)] == [
        "certain",
        0.01,
        0.01,
        0.5,
    ]
