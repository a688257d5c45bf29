"""Estimates from an unfinished study: its tables, computed from the shards so far.

Samples are measured in random order, so that any subset of the shards represents all samples.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hormesis.analysis.chance import chose
from hormesis.analysis.linearised import linearised_outcomes, measured_labels, set_means
from hormesis.analysis.responses import Means, with_unreached
from hormesis.analysis.set_metrics import set_metric_of
from hormesis.analysis.stopping import Stopping
from hormesis.errors import StudyError
from hormesis.storage.files import CELLS, SAMPLES, TARGETS, read_table
from hormesis.storage.outcomes import StoredOutcomes
from hormesis.storage.schema import Manifest, manifest_of
from hormesis.storage.shards import most_bytes
from hormesis.storage.store import FolderStore, Span, read_spans, whole_shards
from hormesis.storage.table_checks import cells_fault, count_removals

CELL_COLUMNS = (
    "target",
    "filter",
    "step",
    "alpha",
    "zeroed",
    "density",
    "progress",
    "lower",
    "upper",
    "outcome",
)


def estimate_study(
    folder: Path, manifest: Mapping[str, Any], columns: tuple[str, ...]
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Return manifest, targets and responses of an unfinished study, from its shards so far.

    Args:
        folder: The study's folder.
        manifest: Its manifest.
        columns: The columns that its table of targets must have.

    Raises:
        StudyError: If it is damaged, or has no shard yet.
    """
    metadata = manifest_of(manifest)
    targets = read_table(folder, TARGETS, columns, metadata.tables.get(TARGETS))
    cells = read_table(folder, CELLS, CELL_COLUMNS, metadata.tables.get(CELLS))
    fault = cells_fault(cells, targets)
    if fault:
        raise StudyError(f"The tables of {folder} are damaged: {fault}.")
    edges, until = metadata.shards.edges, metadata.question.sweep.until
    store = FolderStore(folder, most=most_bytes(8 * len(cells)))
    whole, damaged = whole_shards(store, edges, metadata.study)
    if until is not None:  # such a sweep counts samples in order
        whole = _leading_spans(whole)
    if not whole:
        raise StudyError(
            f"The study {folder} is unfinished and has no whole shard yet: the command that began "
            "it goes on with it."
        )
    metric, scoring = metadata.question.metric, metadata.scoring.as_scoring()
    chosen, better = chose(manifest["attack"], metric.name), metric.higher_is_better
    stopping = Stopping(
        cells,
        scoring,
        until,
        edges[-1],
        better,
        metadata.chance,
        chosen,
        stressed=metadata.stressed,
        stressed_chance=metadata.stressed_chance,
    )

    def blocks() -> Iterator[StoredOutcomes]:
        for block in read_spans(store, whole, metadata.study):
            if len(block.clean) < count_removals(cells):
                raise StudyError(f"The study {folder} has outcomes of too few removals.")
            yield block

    if metadata.metric.aggregate:
        stopping.means = _set_means(folder, metadata, blocks(), whole)
    else:
        for block in blocks():
            stopping.update(block)
    means = stopping.means
    base = means.described_base(higher_is_better=better)
    shards = {**manifest["shards"], "there": [list(span) for span in whole]}
    notes = [*metadata.notes, *_notes(means.samples, edges, len(whole), damaged)]
    settled = [group.described() for group in stopping.settled_groups]
    estimate = {**manifest, "base": base, "shards": shards, "notes": notes, "settled": settled}
    responses = stopping.responses()
    return estimate, with_unreached(targets, responses), responses


def _set_means(
    folder: Path, metadata: Manifest, blocks: Iterator[StoredOutcomes], spans: list[Span]
) -> Means:
    """Return the scores of the samples so far together, for a metric of a whole set."""
    samples = read_table(folder, SAMPLES, ("place", "label"), metadata.tables.get(SAMPLES))
    metric = set_metric_of(metadata.metric.aggregate, measured_labels(samples, spans))
    means = set_means(linearised_outcomes(blocks, metric), stressed=metadata.stressed)
    if np.isnan(means.of("base_clean")):
        raise StudyError(
            f"The study {folder} is unfinished, and of the samples so far there is no "
            f"{metadata.question.metric.name}: the command that began it goes on with it."
        )
    return means


def _leading_spans(spans: list[Span]) -> list[Span]:
    """Return the consecutive spans from the first sample on."""
    end, leading = 0, []
    for span in spans:
        if span[0] != end:
            break
        leading.append(span)
        end = span[1]
    return leading


def _notes(samples: int, edges: list[int], whole: int, damaged: list[Span]) -> list[str]:
    """Return notes on the estimate, in sentences."""
    left_out = f", and {len(damaged)} damaged left out" if damaged else ""
    return [
        f"Unfinished: {samples} of {edges[-1]} samples so far ({whole} of "
        f"{len(list(pairwise(edges)))} shards{left_out}); the command that began it goes on."
    ]
