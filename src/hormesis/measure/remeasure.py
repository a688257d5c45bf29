"""Some samples of a finished study measured again in another way, shard by shard.

Each step has a folder of its own within the study's: what was measured before a kill counts.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from hormesis.analysis.stopping import Stopping
from hormesis.data.samples import Samples, take
from hormesis.engine.outcomes import Block, Question
from hormesis.engine.plan import Plan, Removal
from hormesis.engine.progress import Report
from hormesis.engine.shards import Work, doubled, parts_of
from hormesis.measure.ray_pool import sweeper_of
from hormesis.measure.shard_worker import Worker, equipped
from hormesis.measure.study_writer import Outline, grow, hashed
from hormesis.results.study import Study
from hormesis.settings.choices import UNFILTERED
from hormesis.settings.execution import Execution
from hormesis.settings.sweep import Sweep
from hormesis.storage.files import CELLS, CONFIRMATION, OUTCOMES
from hormesis.storage.folders import LAYOUT, folder_within
from hormesis.storage.outcomes import StoredOutcomes
from hormesis.storage.removal import entry_names, remove_new
from hormesis.storage.store import FolderStore, MemoryStore, read_spans

STEPS = Path(CONFIRMATION).stem
"""In which folder of a study's its steps lie while they are measured."""
_SHARD = 128  # samples measured between two moments at which a kill does no harm


@dataclass(frozen=True)
class Subject:
    """What was measured, and how.

    Args:
        network: In evaluation mode; the same afterwards.
        samples: In the order of the study.
        plan: Its targets and removals.
        cells: Its table of cells.
        question: How they were measured, the attack's magnitude a number.
        asked: Sweep and run.
    """

    network: nn.Module
    samples: Samples
    plan: Plan
    cells: pd.DataFrame
    question: Question
    asked: tuple[Sweep, Execution]

    def cells_of(self, targets: Sequence[str]) -> tuple[pd.DataFrame, list[Removal]]:
        """Return the cells of some targets, controls apart, and the removals that they read."""
        cells = self.cells.drop(columns=["control"], errors="ignore")
        cells = cells.loc[cells["target"].isin(targets)].reset_index(drop=True)
        rows = sorted(set(cells["outcome"].tolist()) - {UNFILTERED})
        place = {row: number for number, row in enumerate(rows)} | {UNFILTERED: UNFILTERED}
        removals = [self.plan.removals[row] for row in rows]
        return cells.assign(outcome=cells["outcome"].map(place)), removals

    @property
    def every_target(self) -> list[str]:
        """The names of all swept targets."""
        return list(dict.fromkeys(self.cells["target"].tolist()))


@dataclass(frozen=True)
class Step:
    """One way in which cells are measured again.

    Args:
        name: Of its folder.
        stage: What the progress report calls it.
        cells: Table of cells.
        removals: What they read.
        question: How they are measured.
    """

    name: str
    stage: str
    cells: pd.DataFrame
    removals: Sequence[Removal]
    question: Question


@dataclass(frozen=True)
class Remeasuring:
    """What all steps have in common.

    Args:
        study: A finished study.
        subject: What it was measured on.
        most: Samples measured again at most, the first of the study's order.
        key: Tells these steps from those of other settings.
        report: Shows progress.
        check: Makes sure that the folder is still ours.
    """

    study: Study
    subject: Subject
    most: int
    key: str
    report: Report
    check: Callable[[], None]

    def blocks(self, step: Step) -> Callable[[], Iterator[StoredOutcomes]]:
        """Measure what of a step is not there yet, and return what reads its outcomes."""
        store, identity = self._store(step.name), self._identity(step)
        outline = Outline({"study": identity, "shards": {"edges": self.edges}}, {CELLS: step.cells})
        stopping = Stopping(
            pd.DataFrame({"target": "", "outcome": range(len(step.removals))}),
            self.study.scoring,
            None,
            len(self.samples),
            self.study.base.higher_is_better,
        )
        work = replace(self.work, removals=list(step.removals), question=step.question)
        worker = Worker(work, identity)
        sweeper = sweeper_of(self.subject.network, worker, self._asked, self._largest)
        grow(
            outline, store, stopping, worker, sweeper, lambda *done: self.report(step.stage, *done)
        )
        return lambda: read_spans(store, pairwise(self.edges), identity)

    @cached_property
    def samples(self) -> Samples:
        """What is measured again."""
        measured = int(self.study.manifest["base"]["samples"])
        return take(self.subject.samples, torch.arange(min(self.most, measured)))

    @cached_property
    def edges(self) -> list[int]:
        """Where shards begin and end."""
        return parts_of(0, len(self.samples), _SHARD)

    @cached_property
    def work(self) -> Work:
        """What measures, as an adaptive adversary needs it."""
        question = replace(self.subject.question, adaptive=True)
        removals = self.subject.cells_of(self.subject.every_target)[1]
        asked = question, *self._asked
        return equipped(self.subject.network, self.samples, removals, asked, self._largest)

    @property
    def _asked(self) -> tuple[Sweep, Execution]:
        sweep, execution = self.subject.asked
        return replace(sweep, adversary="adaptive"), replace(execution, extend=None)

    @property
    def _largest(self) -> int:
        return max(end - first for first, end in pairwise(self.edges))

    def _store(self, name: str) -> FolderStore | MemoryStore:
        if self.study.folder is None:
            return MemoryStore()
        outcomes = folder_within(self.study.folder, STEPS, name, OUTCOMES)
        return FolderStore(outcomes.parent, self.check)

    def _identity(self, step: Step) -> str:
        keys = [removal.key() for removal in step.removals]
        return hashed([self.key, *step.name.split("-"), *keys])


def time_of(again: Remeasuring, removals: Sequence[Removal], question: Question) -> float:
    """Return the seconds that removals and the unfiltered network take, for each sample."""
    work = again.work
    count = min(work.batch, len(again.samples))
    block = doubled(Block(again.samples.inputs[:count], again.samples.labels[:count]))
    began = time.monotonic()
    work.engine.measure(removals, block.to(work.device), question, lambda: None)
    return (time.monotonic() - began) / count


def forget_steps(study: Path, names: str) -> None:
    """Delete what was measured of some steps: what we have written, and through no link.

    Args:
        study: The folder of the study.
        names: What the names of the steps begin with.
    """
    folder, layout = study / STEPS, LAYOUT.within(STEPS)
    assert layout is not None
    with suppress(OSError):  # a link, or something of the user's lies in it
        kept = {name for name in entry_names(folder) if not name.startswith(names)}
        remove_new(folder, layout, kept=kept)
        folder.rmdir()
