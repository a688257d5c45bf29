"""Repeated measurement of some samples of a finished study in another way, shard by shard.

Each step has its own folder within the study's, so that a killed process can resume.
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

from hormesis.analysis.linearised import linearised_outcomes, measured_labels
from hormesis.analysis.set_metrics import set_metric_of
from hormesis.analysis.stopping import Stopping
from hormesis.data.samples import Samples, take
from hormesis.engine.outcomes import MeasurementSpec
from hormesis.engine.plan import Removal
from hormesis.engine.progress import Report
from hormesis.engine.shards import ShardMeasurer, block_of, doubled, even_edges
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
from hormesis.storage.store import FolderStore, MemoryStore, Span, read_spans

STEPS = Path(CONFIRMATION).stem
"""Folder within a study's for the steps while they are measured."""
_SHARD = 128  # samples of a shard, which are lost at most if the process is killed


@dataclass(frozen=True)
class Step:
    """One way in which cells are measured again.

    Args:
        name: Name of its folder.
        stage: Name in the progress report.
        cells: Table of cells.
        removals: The removals that they refer to.
        spec: How they are measured.
    """

    name: str
    stage: str
    cells: pd.DataFrame
    removals: Sequence[Removal]
    spec: MeasurementSpec


@dataclass(frozen=True)
class Remeasurement:
    """The common settings of all steps.

    Args:
        study: A finished study.
        planned: Its plan, the attack's magnitude a number.
        most: Largest number of samples to measure again, the first ones of the study.
        key: Identifies the settings of these steps.
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
        """Measure what is missing of a step, and return a function that reads its outcomes."""
        store, identity = self._store(step.name), self._step_identity(step)
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
        read = partial(read_spans, store, list(pairwise(self.edges)), identity)
        aggregate = self.study.metadata.metric.aggregate
        if not aggregate:
            return read
        metric = set_metric_of(aggregate, measured_labels(self.study.samples, [self._span]))
        outcomes = linearised_outcomes(read(), metric)
        return lambda: iter([outcomes])

    @cached_property
    def samples(self) -> Samples:
        """The samples that are measured again."""
        count = min(self.most, self.study.metadata.base.samples)
        return take(self.planned.samples, torch.arange(count))

    @cached_property
    def edges(self) -> list[int]:
        """Where shards begin and end."""
        return even_edges(0, len(self.samples), _SHARD)

    @cached_property
    def measurer(self) -> ShardMeasurer:
        """The measurer, with room for an adaptive adversary."""
        planned = self.planned
        removals = planned.cells_of(planned.swept_targets)[1]
        spec = replace(planned.spec, adaptive=True)
        return make_measurer(
            planned.network, self.samples, removals, spec, self._execution, self._largest
        )

    @property
    def _span(self) -> Span:
        return 0, len(self.samples)

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

    def _step_identity(self, step: Step) -> str:
        keys = [removal.key() for removal in step.removals]
        return hash_values([self.key, *step.name.split("-"), *keys])


def time_of(
    remeasurement: Remeasurement, removals: Sequence[Removal], spec: MeasurementSpec
) -> float:
    """Return the seconds per sample that removals and the unfiltered network take."""
    measurer, samples = remeasurement.measurer, remeasurement.samples
    count = min(measurer.batch, len(samples))
    block = doubled(block_of(samples, slice(0, count), 0))
    began = time.monotonic()
    measurer.engine.measure(removals, block.to(measurer.device), spec, lambda: None)
    return (time.monotonic() - began) / count


def remove_steps(study: Path, names: str) -> None:
    """Delete our files of some steps; links are not followed.

    Args:
        study: The folder of the study.
        names: Prefix of the names of the steps.
    """
    folder, layout = study / STEPS, LAYOUT.subfolder(STEPS)
    assert layout is not None
    with suppress(OSError):  # it is a link, or holds a file of the user
        kept = {name for name in entry_names(folder) if not name.startswith(names)}
        remove_new(folder, layout, kept=kept)
        folder.rmdir()
