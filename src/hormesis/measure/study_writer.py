"""A study as it is written: begun, gone on with, every missing shard measured, finished.

Whatever ends it in between, a signal or a power cut, the folder holds an unfinished study with all
shards that were measured, and the same question goes on with it.
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


def study_identity(question: Mapping[str, Any], attack: Mapping[str, Any], keys: list[str]) -> str:
    """Return the identity of a study, 32 hexadecimal digits: two of the same have the same shards.

    Args:
        question: What was asked.
        attack: As it is run, its magnitude a number.
        keys: What tells the removals apart, in the order of their rows.
    """
    return hash_values({"question": question, "attack": attack, "removals": keys})


def hash_values(values: object) -> str:
    """Return 32 hexadecimal digits that tell plain values from all others.

    Example:
        >>> len(hash_values({"a": 1})), hash_values({"a": 1}) == hash_values({"a": 2})
        (32, False)
    """
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


def begin(store: FolderStore, draft: StudyDraft, *, fresh: bool) -> None:
    """Write what a study holds from the start; the manifest last, as it makes it a study.

    Args:
        store: Where its shards lie.
        draft: The study.
        fresh: Whether there is no manifest yet, so that shards may be another study's.

    Raises:
        StudyError: If they are, or nobody could open it, as where a name is too long.
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
    """Measure every shard that is missing or damaged, until enough was seen.

    Args:
        draft: The study.
        store: Where its shards lie; those that are whole are not measured again.
        stopping: Counts them, in their order.
        measure: Measures one.
        sweeper: Measures many.
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
        report(1, 1)  # what was saved will not be measured
    counter.drop_others()


@dataclass
class _Counter:
    """The shards that were counted, each in its turn, whenever it was measured."""

    draft: StudyDraft
    store: Store
    stopping: Stopping
    whole: set[Span]
    turn: int = 0

    def advance(self) -> None:
        """Count what has its turn."""
        spans = list(pairwise(self.draft.edges))
        while self.turn < len(spans) and not self.stopping.done:
            span = spans[self.turn]
            if span not in self.whole:
                return
            content = self.store.get(span[0]) or b""
            shard = unpack(f"shard {span[0]}", content)
            left = self.stopping.update(shard.outcomes)
            if self.stopping.until is not None:  # what does not count is not kept
                trimmed = pack(replace(shard, outcomes=left))
                if trimmed != content:
                    self.store.put(span[0], trimmed)
            self.turn += 1

    def drop_others(self) -> None:
        """Drop all shards that do not count: those of another study, and those behind the end."""
        kept = {first for first, _ in pairwise(self.draft.edges[: self.turn + 1])}
        for first in self.store.firsts():
            if first not in kept:
                self.store.drop(first)


def finish(
    draft: StudyDraft, store: Store, stopping: Stopping, results: Mapping[str, Any]
) -> Study:
    """Write the responses of a study whose shards are all there, and say that it is finished.

    Args:
        draft: The study.
        store: Where its shards lie.
        stopping: What counted them.
        results: What the manifest shall say besides.
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
    """Return the outcomes of a shard that is there and whole."""
    return unpack(f"shard {span[0]}", store.get(span[0]) or b"").outcomes


def folder_to_write(
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
    begun = {} if replaced else read_manifest(out)
    difference = first_difference(match_wording(question, begun), begun.get("question", {}))
    if replaced or (extended and difference):
        check_free(out, overwrite=True)
        check_beside(out)
        return successor(out), _begun_manifest(successor(out), question)
    if difference:
        step = begun.get("question", {}).get("attack", {}).get("step_size")
        same = f"go on with it by `step_size` {step}, " if "attack.step_size" in difference else ""
        raise StudyError(
            f"The folder {out} holds a study of another question ({difference}); {same}choose "
            "another one with `out`, take over what it shares with `extend`, or replace it with "
            "`overwrite`."
        )
    fault = resume_fault(begun)
    if fault:
        raise StudyError(
            f"The manifest of {out} is damaged: {fault}; choose another folder with `out`, or "
            "replace the study with `overwrite`."
        )
    return out, begun


def match_wording(question: Mapping[str, Any], begun: Mapping[str, Any]) -> dict[str, Any]:
    """Return a question in the words of a study that was begun when fewer of them were used.

    What its manifest does not spell out, its fingerprint of the network covers.

    Args:
        question: What is asked.
        begun: The manifest of the study, or nothing.
    """
    network, before = question["network"], begun.get("question", {}).get("network", {})
    if not begun or "normalization" in before:
        return dict(question)
    spelled = {key: value for key, value in network.items() if key != "normalization"}
    return {**question, "network": spelled}


def _begun_manifest(folder: Path, question: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest of what grows in the place of another study, if it fits."""
    try:
        begun = read_manifest(folder)
    except StudyError:
        return {}
    difference = first_difference(match_wording(question, begun), begun.get("question", {}))
    return {} if difference else begun


def is_whole(folder: Path, begun: Mapping[str, Any]) -> bool:
    """Return whether a finished study has all its files; one of format 1 does not tell."""
    return "shards" not in begun or not verify_study(folder).damaged
