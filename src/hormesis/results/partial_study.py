"""What an unfinished study says so far: its tables, from the shards that are there.

Samples are measured in random order, so that any shards of them stand for all.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from hormesis.analysis.chance import chose
from hormesis.analysis.responses import with_unreached
from hormesis.analysis.stopping import Stopping
from hormesis.errors import StudyError
from hormesis.storage.files import CELLS, TARGETS, read_table
from hormesis.storage.schema import manifest_of
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


def estimated(
    folder: Path, manifest: Mapping[str, Any], columns: tuple[str, ...]
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Return manifest, targets and responses of an unfinished study, from its shards so far.

    Args:
        folder: The study's folder.
        manifest: Its manifest.
        columns: What its table of targets has to have.

    Raises:
        StudyError: If it is damaged, or has no shard yet.
    """
    known = manifest_of(manifest)
    targets = read_table(folder, TARGETS, columns, known.tables.get(TARGETS))
    cells = read_table(folder, CELLS, CELL_COLUMNS, known.tables.get(CELLS))
    fault = cells_fault(cells, targets)
    if fault:
        raise StudyError(f"The tables of {folder} are damaged: {fault}.")
    edges, until = known.shards.edges, known.question.sweep.until
    store = FolderStore(folder, most=most_bytes(8 * len(cells)))
    whole, damaged = whole_shards(store, edges, known.study)
    if until is not None:  # which looks at the samples in their order
        whole = _beginning(whole)
    if not whole:
        raise StudyError(
            f"The study {folder} is unfinished and has no whole shard yet: the command that began "
            "it goes on with it."
        )
    metric, scoring = known.question.metric, known.scoring.as_scoring()
    chosen, better = chose(manifest["attack"], metric.name), metric.higher_is_better
    stopping = Stopping(cells, scoring, until, edges[-1], better, known.chance, chosen)
    for block in read_spans(store, whole, known.study):
        if len(block.clean) < count_removals(cells):
            raise StudyError(f"The study {folder} has outcomes of too few removals.")
        stopping.update(block)
    means = stopping.means
    base = {
        "clean": float(means.of("base_clean")),
        "adversarial": float(means.of("base_adversarial")),
        "higher_is_better": better,
        "samples": means.samples,
        "clean_error": means.error_of("base_clean"),
        "adversarial_error": means.error_of("base_adversarial"),
    }
    shards = {**manifest["shards"], "there": [list(span) for span in whole]}
    notes = [*known.notes, *_notes(means.samples, edges, len(whole), damaged)]
    found = {**manifest, "base": base, "shards": shards, "notes": notes}
    found["settled"] = [group.described() for group in stopping.settled_groups]
    responses = stopping.responses()
    return found, with_unreached(targets, responses), responses


def _beginning(spans: list[Span]) -> list[Span]:
    """Return the spans that follow on each other from the first sample."""
    end, found = 0, []
    for span in spans:
        if span[0] != end:
            break
        found.append(span)
        end = span[1]
    return found


def _notes(samples: int, edges: list[int], whole: int, damaged: list[Span]) -> list[str]:
    """Return what a reader has to know about the estimate, in sentences."""
    left_out = f", and {len(damaged)} damaged left out" if damaged else ""
    return [
        f"Unfinished: {samples} of {edges[-1]} samples so far ({whole} of "
        f"{len(list(pairwise(edges)))} shards{left_out}); the command that began it goes on."
    ]
