"""Some samples of a finished study measured again in another way, shard by shard.

Each step has a folder of its own within the study's: what was measured before a kill counts.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path

import pandas as pd
import torch

from hormesis.analysis.stopping import Stopping
from hormesis.data.samples import Samples, take
from hormesis.engine.outcomes import Block, MeasurementSpec
from hormesis.engine.plan import Removal
from hormesis.engine.progress import Report
from hormesis.engine.shards import ShardMeasurer, doubled, parts_of
from hormesis.measure.ray_pool import choose_sweeper
from hormesis.measure.shard_worker import ShardWorker, make_measurer
from hormesis.measure.study_plan import StudyPlan
from hormesis.measure.study_writer import StudyDraft, hash_values, measure_missing
from hormesis.results.study import Study
from hormesis.settings.execution import Execution
from hormesis.storage.files import CELLS, CONFIRMATION, OUTCOMES
from hormesis.storage.folders import LAYOUT, folder_within
from hormesis.storage.outcomes import StoredOutcomes
from hormesis.storage.removal import entry_names, remove_new
from hormesis.storage.store import FolderStore, MemoryStore, read_spans

STEPS = Path(CONFIRMATION).stem
"""In which folder of a study's its steps lie while they are measured."""
_SHARD = 128  # samples measured between two moments at which a kill does no harm


@dataclass(frozen=True)
class Step:
    """One way in which cells are measured again.

    Args:
        name: Of its folder.
        stage: What the progress report calls it.
        cells: Table of cells.
        removals: What they read.
        spec: How they are measured.
    """

    name: str
    stage: str
    cells: pd.DataFrame
    removals: Sequence[Removal]
    spec: MeasurementSpec


@dataclass(frozen=True)
class Remeasuring:
    """What all steps have in common.

    Args:
        study: A finished study.
        planned: What it was measured by, the attack's magnitude a number.
        most: Samples measured again at most, the first of the study's order.
        key: Tells these steps from those of other settings.
        report: Shows progress.
        check: Makes sure that the folder is still ours.
    """

    study: Study
    planned: StudyPlan
    most: int
    key: str
    report: Report
    check: Callable[[], None]

    def blocks(self, step: Step) -> Callable[[], Iterator[StoredOutcomes]]:
        """Measure what of a step is not there yet, and return what reads its outcomes."""
        store, identity = self._store(step.name), self._identity(step)
        draft = StudyDraft(
            {"study": identity, "shards": {"edges": self.edges}}, {CELLS: step.cells}
        )
        stopping = Stopping(
            pd.DataFrame({"target": "", "outcome": range(len(step.removals))}),
            self.study.scoring,
            None,
            len(self.samples),
            self.study.base.higher_is_better,
        )
        measurer = replace(self.measurer, removals=list(step.removals), spec=step.spec)
        worker = ShardWorker(measurer, identity)
        sweeper = choose_sweeper(self.planned.network, worker, self._execution, self._largest)
        show = partial(self.report, step.stage)
        measure_missing(draft, store, stopping, worker, sweeper, show)
        return lambda: read_spans(store, pairwise(self.edges), identity)

    @cached_property
    def samples(self) -> Samples:
        """What is measured again."""
        measured = int(self.study.manifest["base"]["samples"])
        return take(self.planned.samples, torch.arange(min(self.most, measured)))

    @cached_property
    def edges(self) -> list[int]:
        """Where shards begin and end."""
        return parts_of(0, len(self.samples), _SHARD)

    @cached_property
    def measurer(self) -> ShardMeasurer:
        """What measures, as an adaptive adversary needs it."""
        planned = self.planned
        removals = planned.cells_of(planned.swept_targets)[1]
        spec = replace(planned.spec, adaptive=True)
        return make_measurer(
            planned.network, self.samples, removals, spec, self._execution, self._largest
        )

    @property
    def _execution(self) -> Execution:
        return replace(self.planned.request.execution, extend=None)

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
        return hash_values([self.key, *step.name.split("-"), *keys])


def time_of(again: Remeasuring, removals: Sequence[Removal], spec: MeasurementSpec) -> float:
    """Return the seconds that removals and the unfiltered network take, for each sample."""
    measurer = again.measurer
    count = min(measurer.batch, len(again.samples))
    block = doubled(Block(again.samples.inputs[:count], again.samples.labels[:count]))
    began = time.monotonic()
    measurer.engine.measure(removals, block.to(measurer.device), spec, lambda: None)
    return (time.monotonic() - began) / count


def forget_steps(study: Path, names: str) -> None:
    """Delete what was measured of some steps: what we have written, and through no link.

    Args:
        study: The folder of the study.
        names: What the names of the steps begin with.
    """
    folder, layout = study / STEPS, LAYOUT.subfolder(STEPS)
    assert layout is not None
    with suppress(OSError):  # a link, or something of the user's lies in it
        kept = {name for name in entry_names(folder) if not name.startswith(names)}
        remove_new(folder, layout, kept=kept)
        folder.rmdir()
