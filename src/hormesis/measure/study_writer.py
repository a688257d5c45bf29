"""Writing of a study: it is begun or resumed, missing shards are measured, then it is finished.

If a signal or a power cut interrupts it, the folder holds an unfinished study with all shards that
were measured, and the same question resumes it.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from hormesis.analysis.responses import with_unreached
from hormesis.analysis.stopping import Stopping
from hormesis.engine.shards import ShardTask
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
from hormesis.storage.manifest_checks import resume_fault, validate_manifest
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
from hormesis.storage.validation import plain_values
from hormesis.storage.verify import verify_study


@dataclass(frozen=True)
class StudyDraft:
    """A study before anything is measured.

    Args:
        manifest: The request, and where shards begin and end.
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
        """The identity of the study, which its shards record."""
        return self.manifest["study"]


def study_identity(question: Mapping[str, Any], attack: Mapping[str, Any], keys: list[str]) -> str:
    """Return the identity of a study, 32 hexadecimal digits; equal identities mean equal shards.

    Args:
        question: The request.
        attack: The attack as it is run, its magnitude a number.
        keys: The keys of the removals, in the order of their rows.
    """
    return hash_values({"question": question, "attack": attack, "removals": keys})


def hash_values(values: object) -> str:
    """Return a hash of plain values, 32 hexadecimal digits.

    Example:
        >>> len(hash_values({"a": 1})), hash_values({"a": 1}) == hash_values({"a": 2})
        (32, False)
    """
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


def begin(store: FolderStore, draft: StudyDraft, *, fresh: bool) -> None:
    """Write the tables and the manifest that a study starts with, the manifest last.

    Args:
        store: The store of its shards.
        draft: The study.
        fresh: Whether there is no manifest yet, so that existing shards may be another study's.

    Raises:
        StudyError: If they are, or the manifest would be invalid, such as with too long a name.
    """
    folder = store.study
    if fresh and foreign_shards(store, draft.identity):
        raise StudyError(
            f"The folder {folder} holds shards of another study, whose manifest is gone: choose "
            "another one with `out`."
        )
    try:
        validate_manifest(plain_values({"state": UNFINISHED, **draft.manifest}))
    except ValueError as error:
        raise StudyError(f"The study {folder} cannot be written: {error}.") from error
    seals = write_tables(folder, draft.tables)
    write_manifest(folder, {"state": UNFINISHED, **draft.manifest, "tables": seals})


def measure_missing(
    draft: StudyDraft,
    store: Store,
    stopping: Stopping,
    measure: Measure[bytes],
    sweeper: Sweeper,
    report: Callable[[int, int], None],
) -> None:
    """Measure every missing or damaged shard, until enough samples are measured.

    Args:
        draft: The study.
        store: The store of its shards; valid ones are not measured again.
        stopping: Counts the shards, in order.
        measure: Measures one shard.
        sweeper: Measures many shards.
        report: Called with work done and in total.
    """
    whole = set(whole_shards(store, draft.edges, draft.identity)[0])
    counter = _Counter(draft, store, stopping, whole)
    counter.advance()

    def tasks() -> Iterator[ShardTask]:
        for span in pairwise(draft.edges):
            if stopping.done:
                return
            if span not in whole:
                yield ShardTask(*span, stopping.wanted)

    removals, total = len(stopping.wanted), draft.edges[-1]
    before = removals * sum(end - first for first, end in whole)
    for task, content in sweeper(
        measure,
        tasks(),
        ahead=None if stopping.until is None else 0,
        progress=(before, removals * total),
        report=report,
    ):
        store.put(task.first, content)
        whole.add((task.first, task.end))
        counter.advance()
        if stopping.done:
            break
    if stopping.done:
        report(1, 1)  # the remaining samples are not needed
    counter.drop_others()


@dataclass
class _Counter:
    """Counts shards in their order, whenever they are measured."""

    draft: StudyDraft
    store: Store
    stopping: Stopping
    whole: set[Span]
    turn: int = 0

    def advance(self) -> None:
        """Count all shards whose turn has come."""
        spans = list(pairwise(self.draft.edges))
        while self.turn < len(spans) and not self.stopping.done:
            span = spans[self.turn]
            if span not in self.whole:
                return
            content = self.store.get(span[0]) or b""
            shard = unpack(f"shard {span[0]}", content)
            left = self.stopping.update(shard.outcomes)
            if self.stopping.until is not None:  # drop samples that do not count
                trimmed = pack(replace(shard, outcomes=left))
                if trimmed != content:
                    self.store.put(span[0], trimmed)
            self.turn += 1

    def drop_others(self) -> None:
        """Delete all shards that do not count: of another study, or after the last counted one."""
        kept = {first for first, _ in pairwise(self.draft.edges[: self.turn + 1])}
        for first in self.store.firsts():
            if first not in kept:
                self.store.drop(first)


def finish(
    draft: StudyDraft, store: Store, stopping: Stopping, results: Mapping[str, Any]
) -> Study:
    """Write the responses of a study whose shards are complete, and mark it as finished.

    Args:
        draft: The study.
        store: The store of its shards.
        stopping: The counted shards.
        results: Further entries of the manifest.
    """
    responses = stopping.responses()
    targets = with_unreached(draft.tables[TARGETS], responses)
    manifest = {"state": FINISHED, **draft.manifest, **results}
    folder, contents = None, {}
    if isinstance(store, FolderStore):
        folder, tables = store.study, {**draft.tables, TARGETS: targets, RESPONSES: responses}
        manifest["tables"] = write_tables(folder, tables)
        write_manifest(folder, manifest)
    elif isinstance(store, MemoryStore):
        contents = store.contents
    return Study(manifest, targets, responses, folder, contents, draft.tables[SAMPLES])


def read_outcomes(store: Store, span: Span) -> StoredOutcomes:
    """Return the outcomes of a valid shard."""
    return unpack(f"shard {span[0]}", store.get(span[0]) or b"").outcomes


def folder_to_write(
    out: Path, question: Mapping[str, Any], *, replaced: bool, extended: bool
) -> tuple[Path, dict[str, Any]]:
    """Return the folder to measure into, and the manifest of the study in it, if any.

    A study that is replaced stays until the new one, which is written beside it, is finished.

    Args:
        out: The study's folder.
        question: The request.
        replaced: Whether to overwrite an existing study.
        extended: Whether to extend an existing study to another question.

    Raises:
        StudyError: If ``out`` holds something else, or a study of another question.
    """
    check_kind(out)
    if not is_study(out):
        check_free(out)
        return out, {}
    existing = {} if replaced else read_manifest(out)
    difference = first_difference(match_wording(question, existing), existing.get("question", {}))
    if replaced or (extended and difference):
        check_free(out, overwrite=True)
        check_beside(out)
        return successor(out), _unfinished_manifest(successor(out), question)
    if difference:
        step = existing.get("question", {}).get("attack", {}).get("step_size")
        same = f"resume it with `step_size` {step}, " if "attack.step_size" in difference else ""
        raise StudyError(
            f"The folder {out} holds a study of another question ({difference}); {same}choose "
            "another one with `out`, reuse its outcomes with `extend`, or replace it with "
            "`overwrite`."
        )
    fault = resume_fault(existing)
    if fault:
        raise StudyError(
            f"The manifest of {out} is damaged: {fault}; choose another folder with `out`, or "
            "replace the study with `overwrite`."
        )
    return out, existing


def match_wording(question: Mapping[str, Any], existing: Mapping[str, Any]) -> dict[str, Any]:
    """Drop entries of a question that an existing study of an earlier version does not record.

    Its fingerprint of the network covers them.

    Args:
        question: The request.
        existing: The manifest of the study, or an empty one.
    """
    network, before = question["network"], existing.get("question", {}).get("network", {})
    if not existing or "normalization" in before:
        return dict(question)
    spelled = {key: value for key, value in network.items() if key != "normalization"}
    return {**question, "network": spelled}


def _unfinished_manifest(folder: Path, question: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest of an unfinished replacement, if it is of the same question."""
    try:
        existing = read_manifest(folder)
    except StudyError:
        return {}
    difference = first_difference(match_wording(question, existing), existing.get("question", {}))
    return {} if difference else existing


def is_whole(folder: Path, existing: Mapping[str, Any]) -> bool:
    """Return whether a finished study has all its files; format 1 does not record them."""
    return "shards" not in existing or not verify_study(folder).damaged
