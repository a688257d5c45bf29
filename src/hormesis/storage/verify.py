"""Verification of a study's folder: which files are valid, missing or damaged, and who holds it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from hormesis.errors import StudyError
from hormesis.storage.files import (
    CELLS,
    CONFIRMATION,
    OUTCOMES,
    REMOVALS,
    RESPONSES,
    SAMPLES,
    TARGETS,
    read_manifest,
    read_table,
)
from hormesis.storage.lock import Holder, holder_of
from hormesis.storage.replacement import folder_to_read
from hormesis.storage.shards import MOST_REMOVALS, most_bytes
from hormesis.storage.store import FolderStore, Span, shard_fault


@dataclass(frozen=True)
class Health:
    """The condition of every file of a study.

    Args:
        finished: Whether its manifest says that it is finished.
        whole: The spans of samples whose shards are valid.
        missing: The spans of samples that are still to be measured.
        damaged: What is wrong, by the name of the file.
        holder: Who works on it now, or None.
        pace: Seconds per shard in the last session, or None if unknown.
    """

    finished: bool
    whole: tuple[Span, ...]
    missing: tuple[Span, ...]
    damaged: Mapping[str, str] = field(default_factory=dict)
    holder: Holder | None = None
    pace: float | None = None

    @property
    def samples(self) -> int:
        """Number of samples in valid shards."""
        return sum(end - first for first, end in self.whole)

    @property
    def left(self) -> float | None:
        """Seconds until the study is finished, at the pace of the last session; None if unknown."""
        return None if self.pace is None else self.pace * len(self.missing)


def verify_study(folder: Path) -> Health:
    """Check every file of a study.

    Args:
        folder: Its folder.

    Raises:
        StudyError: If it is not a study, or its manifest is damaged.
    """
    folder = folder_to_read(folder)
    manifest = read_manifest(folder)
    if "shards" not in manifest:
        raise StudyError(
            f"The study {folder} is of format 1, which does not say what belongs to it: measure it "
            "again with `overwrite`."
        )
    finished = manifest.get("state") == "finished"
    whole, missing = list[Span](), list[Span]()
    damaged, removals = _damaged_tables(folder, manifest, finished)
    store = FolderStore(folder, most=most_bytes(removals))
    for span in _expected(manifest, finished):
        name = f"{OUTCOMES}/{store.path(span[0]).name}"
        fault = _fault(store, span, manifest["study"])
        (missing if fault is None or fault else whole).append(span)
        if fault or (fault is None and finished):
            damaged[name] = fault or "it is missing"
    pace = shard_pace(store, whole, manifest)
    return Health(finished, tuple(whole), tuple(missing), damaged, holder_of(folder), pace)


def _expected(manifest: Mapping[str, Any], finished: bool) -> list[Span]:
    edges = manifest["shards"]["edges"]
    if finished:  # a sweep may have needed fewer samples
        samples = int(manifest["base"]["samples"])
        edges = [*(edge for edge in edges if edge < samples), samples]
    return list(pairwise(edges))


def _damaged_tables(
    folder: Path, manifest: Mapping[str, Any], finished: bool
) -> tuple[dict[str, str], int]:
    """Return what is wrong with the tables, and the largest number of removals of a shard."""
    damaged, removals = {}, 0
    later = [RESPONSES, *({CONFIRMATION} & set(manifest.get("tables", {})))] if finished else []
    for name in (TARGETS, CELLS, SAMPLES, REMOVALS, *later):
        try:
            table = read_table(folder, name, (), manifest.get("tables", {}).get(name))
        except StudyError as error:
            damaged[name] = str(error).partition("damaged: ")[2].rstrip(".") or str(error)
        else:  # a row of cells or responses refers to a few removals
            removals = max(
                removals, {REMOVALS: 1, CELLS: 8, RESPONSES: 8}.get(name, 0) * len(table)
            )
    return damaged, removals or MOST_REMOVALS


def _fault(store: FolderStore, span: Span, study: str) -> str | None:
    """Return what is wrong with a shard: empty if it is valid, None if it is missing."""
    try:
        content = store.get(span[0])
    except OSError as error:
        return str(error.strerror)
    return None if content is None else shard_fault(content, span, study)


def shard_pace(store: FolderStore, whole: list[Span], manifest: Mapping[str, Any]) -> float | None:
    """Return the seconds per shard of the last session; None if unknown.

    Args:
        store: The shards.
        whole: The spans of those that are valid.
        manifest: Of the study.
    """
    began = manifest.get("run", {}).get("began")
    if not isinstance(began, float):
        return None
    try:
        written = [store.path(first).stat().st_mtime for first, _ in whole]
    except OSError:
        return None
    since = [moment for moment in written if moment >= began]
    return (max(since) - began) / len(since) if since else None


def format_seconds(seconds: float) -> str:
    """Return a duration in its two largest units.

    Example:
        >>> format_seconds(42.0), format_seconds(150.0), format_seconds(1e5)
        ('42 s', '2 min 30 s', '1 d 3 h')
    """
    left, parts = round(seconds), []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts or unit == "s":
            parts.append(f"{count} {unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0 ")) or "0 s"
