"""A study as it grows: begun, gone on with, every missing shard measured, finished.

Whatever ends it in between, a signal or a power cut, the folder holds an unfinished study with all
shards that were measured, and the same question goes on with it.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from hormesis.analysis.responses import with_unreached
from hormesis.analysis.stopping import Stopping
from hormesis.engine.audit import Audit, audited
from hormesis.engine.shards import Task, Work
from hormesis.engine.sweep import Measure, Sweeper
from hormesis.errors import StudyError
from hormesis.results.study import Study
from hormesis.storage.differences import first_difference
from hormesis.storage.files import (
    RESPONSES,
    SAMPLES,
    TARGETS,
    read_manifest,
    write_manifest,
    write_tables,
)
from hormesis.storage.folders import check_free, check_kind, is_study
from hormesis.storage.manifest_checks import checked_manifest, not_to_go_on_with
from hormesis.storage.outcomes import StoredOutcomes
from hormesis.storage.replacement import check_beside, successor
from hormesis.storage.schema import FINISHED, UNFINISHED
from hormesis.storage.shards import pack, unpack
from hormesis.storage.store import (
    FolderStore,
    MemoryStore,
    Span,
    Store,
    foreign_shards,
    whole_shards,
)
from hormesis.storage.validation import plainly
from hormesis.storage.verify import verify_study


@dataclass(frozen=True)
class Outline:
    """A study before anything of it was measured.

    Args:
        manifest: What was asked, and where shards begin and end.
        tables: Targets, cells and samples, by the names of their files.
    """

    manifest: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]

    @property
    def edges(self) -> list[int]:
        """Where shards begin and end."""
        return self.manifest["shards"]["edges"]

    @property
    def identity(self) -> str:
        """What shards say that belong to the study."""
        return self.manifest["study"]


def identified(question: Mapping[str, Any], attack: Mapping[str, Any], keys: list[str]) -> str:
    """Return the identity of a study, 32 hexadecimal digits: two of the same have the same shards.

    Args:
        question: What was asked.
        attack: As it is run, its magnitude a number.
        keys: What tells the removals apart, in the order of their rows.
    """
    return hashed({"question": question, "attack": attack, "removals": keys})


def hashed(said: object) -> str:
    """Return 32 hexadecimal digits that tell plain values from all others.

    Example:
        >>> len(hashed({"a": 1})), hashed({"a": 1}) == hashed({"a": 2})
        (32, False)
    """
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]


def begin(store: FolderStore, outline: Outline, *, fresh: bool) -> None:
    """Write what a study holds from the start; the manifest last, as it makes it a study.

    Args:
        store: Where its shards lie.
        outline: The study.
        fresh: Whether there is no manifest yet, so that shards may be another study's.

    Raises:
        StudyError: If they are, or nobody could open it, as where a name is too long.
    """
    folder = store.study
    if fresh and foreign_shards(store, outline.identity):
        raise StudyError(
            f"The folder {folder} holds shards of another study, whose manifest is gone: choose "
            "another one with `out`."
        )
    try:
        checked_manifest(plainly({"state": UNFINISHED, **outline.manifest}))
    except ValueError as error:
        raise StudyError(f"The study {folder} cannot be written: {error}.") from error
    seals = write_tables(folder, outline.tables)
    write_manifest(folder, {"state": UNFINISHED, **outline.manifest, "tables": seals})


def grow(
    outline: Outline,
    store: Store,
    stopping: Stopping,
    measure: Measure[bytes],
    sweeper: Sweeper,
    report: Callable[[int, int], None],
) -> None:
    """Measure every shard that is missing or damaged, until enough was seen.

    Args:
        outline: The study.
        store: Where its shards lie; those that are whole are not measured again.
        stopping: Counts them, in their order.
        measure: Measures one.
        sweeper: Measures many.
        report: Called with work done and in total.
    """
    spans = list(pairwise(outline.edges))
    there = set(whole_shards(store, outline.edges, outline.identity)[0])
    counted = _Counted(outline, store, stopping, there)
    counted.go_on()

    def tasks() -> Iterator[Task]:
        for span in spans:
            if stopping.done:
                return
            if span not in there:
                yield Task(*span, stopping.wanted)

    removals, total = len(stopping.wanted), outline.edges[-1]
    asked = stopping.until is not None
    before = removals * sum(end - first for first, end in there)
    for task, content in sweeper(
        measure,
        tasks(),
        ahead=0 if asked else None,
        progress=(before, removals * total),
        report=report,
    ):
        store.put(task.first, content)
        there.add((task.first, task.end))
        counted.go_on()
        if stopping.done:
            break
    if stopping.done:
        report(1, 1)  # what was saved will not be measured
    counted.leave_only_these()


@dataclass
class _Counted:
    """The shards that were counted, each in its turn, whenever it was measured."""

    outline: Outline
    store: Store
    stopping: Stopping
    there: set[Span]
    turn: int = 0

    def go_on(self) -> None:
        """Count what has its turn."""
        spans = list(pairwise(self.outline.edges))
        while self.turn < len(spans) and not self.stopping.done:
            span = spans[self.turn]
            if span not in self.there:
                return
            content = self.store.get(span[0]) or b""
            shard = unpack(f"shard {span[0]}", content)
            left = self.stopping.update(shard.outcomes)
            if self.stopping.until is not None:  # what does not count is not kept
                trimmed = pack(replace(shard, outcomes=left))
                if trimmed != content:
                    self.store.put(span[0], trimmed)
            self.turn += 1

    def leave_only_these(self) -> None:
        """Drop all shards that do not count: those of another study, and those behind the end."""
        kept = {first for first, _ in pairwise(self.outline.edges[: self.turn + 1])}
        for first in self.store.firsts():
            if first not in kept:
                self.store.drop(first)


def finish(outline: Outline, store: Store, stopping: Stopping, found: Mapping[str, Any]) -> Study:
    """Write the responses of a study whose shards are all there, and say that it is finished.

    Args:
        outline: The study.
        store: Where its shards lie.
        stopping: What counted them.
        found: What the manifest shall say besides.
    """
    responses = stopping.responses()
    targets = with_unreached(outline.tables[TARGETS], responses)
    said = {"state": FINISHED, **outline.manifest, **found}
    if isinstance(store, FolderStore):
        tables = {**outline.tables, TARGETS: targets, RESPONSES: responses}
        said["tables"] = write_tables(store.study, tables)
        write_manifest(store.study, said)
    return Study(
        said,
        targets,
        responses,
        store.study if isinstance(store, FolderStore) else None,
        store.contents if isinstance(store, MemoryStore) else {},
        outline.tables[SAMPLES],
    )


def audit_of(network: nn.Module, work: Work, store: Store, edges: Sequence[int]) -> Audit:
    """Compare some outcomes of a study that is measured with the plain loop.

    Args:
        network: In evaluation mode; the same afterwards.
        work: What it was measured with.
        store: Where its shards lie.
        edges: Where shards begin and end.
    """
    kept = set(store.firsts())
    spans = [span for span in pairwise(edges) if span[0] in kept]

    def read(span: Span) -> StoredOutcomes:
        return unpack(f"shard {span[0]}", store.get(span[0]) or b"").outcomes

    return audited(network, work, spans, read)


def place_of(
    out: Path, question: Mapping[str, Any], *, replaced: bool, extended: bool
) -> tuple[Path, dict[str, Any]]:
    """Return the folder to measure into, and the manifest of the study that it holds, if any.

    A study that is to be replaced stays until the new one, which grows beside it, is finished.

    Args:
        out: Where the study shall lie.
        question: What is asked.
        replaced: Whether a study that lies there is to be replaced.
        extended: Whether it is to be extended to another question.

    Raises:
        StudyError: If ``out`` holds something else, or a study of another question.
    """
    check_kind(out)
    if not is_study(out):
        check_free(out)
        return out, {}
    known = {} if replaced else read_manifest(out)
    asked = as_asked_before(question, known)
    difference = first_difference(asked, known.get("question", {}))
    if replaced or (extended and difference):
        check_free(out, overwrite=True)
        check_beside(out)
        return successor(out), _begun_before(successor(out), question)
    if difference:
        step = known.get("question", {}).get("attack", {}).get("step_size")
        same = f"go on with it by `step_size` {step}, " if "attack.step_size" in difference else ""
        raise StudyError(
            f"The folder {out} holds a study of another question ({difference}); {same}choose "
            "another one with `out`, take over what it shares with `extend`, or replace it with "
            "`overwrite`."
        )
    fault = not_to_go_on_with(known)
    if fault:
        raise StudyError(
            f"The manifest of {out} is damaged: {fault}; choose another folder with `out`, or "
            "replace the study with `overwrite`."
        )
    return out, known


def as_asked_before(question: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return a question in the words of a study that was begun when fewer of them were used.

    What its manifest does not spell out, its fingerprint of the network covers.

    Args:
        question: What is asked.
        known: The manifest of the study, or nothing.
    """
    network, before = question["network"], known.get("question", {}).get("network", {})
    if not known or "normalization" in before:
        return dict(question)
    spelled = {key: value for key, value in network.items() if key != "normalization"}
    return {**question, "network": spelled}


def _begun_before(folder: Path, question: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest of what grows in the place of another study, if it fits."""
    try:
        known = read_manifest(folder)
    except StudyError:
        return {}
    asked = as_asked_before(question, known)
    return {} if first_difference(asked, known.get("question", {})) else known


def is_whole(folder: Path, known: Mapping[str, Any]) -> bool:
    """Return whether a finished study has all its files; one of format 1 does not tell."""
    return "shards" not in known or not verify_study(folder).damaged
