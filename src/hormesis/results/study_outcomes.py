"""The per-sample outcomes behind a study's responses."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path

import pandas as pd

from hormesis.analysis.bootstrap import Resample, resampled_means
from hormesis.analysis.linearised import (
    linearised_outcomes,
    measured_labels,
    resampled_set_scores,
)
from hormesis.analysis.set_metrics import SetMetric, set_metric_of
from hormesis.errors import StudyError
from hormesis.storage.files import read_manifest
from hormesis.storage.outcomes import StoredOutcomes, concatenate
from hormesis.storage.schema import Manifest
from hormesis.storage.shards import most_bytes
from hormesis.storage.store import (
    FolderStore,
    MemoryStore,
    Span,
    Store,
    read_blocks,
    read_spans,
)


@dataclass(frozen=True)
class StudyOutcomes:
    """The outcomes of a study, as they are stored and as they are averaged.

    Args:
        store: Its shards; None if none were kept.
        metadata: Its manifest.
        removals: How many removals its responses refer to.
        samples: Column ``label``, in the order of measurement; None if unknown.
    """

    store: Store | None
    metadata: Manifest
    removals: int
    samples: pd.DataFrame | None

    @property
    def spans(self) -> tuple[Span, ...]:
        """The samples of the shards behind the responses, see ``Study.spans``."""
        shards, samples = self.metadata.shards, self.metadata.base.samples
        if not shards.edges:
            return ((0, samples),)
        if shards.measured:
            return tuple(shards.measured)
        return tuple(pairwise([*(edge for edge in shards.edges if edge < samples), samples]))

    def blocks(self) -> Iterator[StoredOutcomes]:
        """Yield outcomes that average to the responses, block by block.

        Raises:
            StudyError: If there are none, or a file is damaged or missing.
        """
        if self.metadata.metric.aggregate:
            yield self._linearised
        else:
            yield from self._stored_blocks()

    @property
    def resample(self) -> Resample:
        """What works out the performance on bootstrap samples."""
        if not self.metadata.metric.aggregate:
            return partial(resampled_means, self._stored_blocks)
        return partial(resampled_set_scores, concatenate(list(self._stored_blocks())), self._metric)

    @cached_property
    def _linearised(self) -> StoredOutcomes:
        return linearised_outcomes(self._stored_blocks(), self._metric)

    @property
    def _metric(self) -> SetMetric:
        labels = measured_labels(self.samples, self.spans)
        return set_metric_of(self.metadata.metric.aggregate, labels)

    def _stored_blocks(self) -> Iterator[StoredOutcomes]:
        """Yield what is stored, after checking that it is all there."""
        store, samples, read = self.store, self.metadata.base.samples, 0
        if store is None:
            raise StudyError("The study keeps no outcomes: analyse with `out` to write them.")
        blocks = self._shards(store) if self.metadata.shards.edges else read_blocks(store)
        for block in blocks:
            if len(block.clean) < self.removals:
                raise StudyError(f"The study{self._folder} has outcomes of too few removals.")
            read += len(block.base_clean)
            yield block
        if read != samples:
            raise StudyError(
                f"The study{self._folder} has the outcomes of {read} samples out of {samples}."
            )

    def _shards(self, store: Store) -> Iterator[StoredOutcomes]:
        identity = self.metadata.study
        try:
            yield from read_spans(store, self.spans, identity)
        except StudyError as error:
            replaced = isinstance(store, FolderStore) and (
                read_manifest(store.study).get("study") != identity
            )
            if not replaced:
                raise
            raise StudyError(
                f"The study{self._folder} was replaced by another one: open it again."
            ) from error

    @property
    def _folder(self) -> str:
        return f" {self.store.study}" if isinstance(self.store, FolderStore) else ""


def store_of(folder: Path | None, packed: Mapping[int, bytes], responses: int) -> Store | None:
    """Return the shards of a study; None if none were kept.

    Args:
        folder: Its folder, if it has one.
        packed: The shards of a study in memory.
        responses: Number of its responses, which bounds the size of a shard.
    """
    if packed:
        return MemoryStore(dict(packed))
    return None if folder is None else FolderStore(folder, most=most_bytes(8 * responses))
