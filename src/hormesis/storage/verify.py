"""How the folder of a study is: what is there, missing or damaged, and who works on it."""

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
    """What a look at every file of a study found.

    Args:
        finished: Whether its manifest says that it is.
        whole: Of which samples the shards are that are there.
        missing: Of which samples shards are still to be measured.
        damaged: What is wrong, by the name of the file.
        holder: Who works on it at this moment, or None.
        pace: Seconds that a shard took in the last session, or None if that cannot be told.
    """

    finished: bool
    whole: tuple[Span, ...]
    missing: tuple[Span, ...]
    damaged: Mapping[str, str] = field(default_factory=dict)
    holder: Holder | None = None
    pace: float | None = None

    @property
    def samples(self) -> int:
        """Number of samples of the shards that are there."""
        return sum(end - first for first, end in self.whole)

    @property
    def left(self) -> float | None:
        """Seconds until the study is finished at the pace of the last session, if known."""
        return None if self.pace is None else self.pace * len(self.missing)


def verify_study(folder: Path) -> Health:
    """Look at every file of a study.

    Args:
        folder: Its folder.

    Raises:
        StudyError: If it is no study, or its manifest is damaged.
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
        wrong = _wrong(store, span, manifest["study"])
        (missing if wrong is None or wrong else whole).append(span)
        if wrong or (wrong is None and finished):
            damaged[name] = wrong or "it is missing"
    pace = _pace(store, whole, manifest)
    return Health(finished, tuple(whole), tuple(missing), damaged, holder_of(folder), pace)


def _expected(manifest: Mapping[str, Any], finished: bool) -> list[Span]:
    edges = manifest["shards"]["edges"]
    if finished:  # perhaps before all samples were needed
        samples = int(manifest["base"]["samples"])
        edges = [*(edge for edge in edges if edge < samples), samples]
    return list(pairwise(edges))


def _damaged_tables(
    folder: Path, manifest: Mapping[str, Any], finished: bool
) -> tuple[dict[str, str], int]:
    """Return what is wrong with the tables, and how many removals a shard may have at most."""
    damaged, removals = {}, 0
    later = [RESPONSES, *({CONFIRMATION} & set(manifest.get("tables", {})))] if finished else []
    for name in (TARGETS, CELLS, SAMPLES, REMOVALS, *later):
        try:
            table = read_table(folder, name, (), manifest.get("tables", {}).get(name))
        except StudyError as error:
            damaged[name] = str(error).partition("damaged: ")[2].rstrip(".") or str(error)
        else:  # cells and responses name a few removals a row
            removals = max(
                removals, {REMOVALS: 1, CELLS: 8, RESPONSES: 8}.get(name, 0) * len(table)
            )
    return damaged, removals or MOST_REMOVALS


def _wrong(store: FolderStore, span: Span, study: str) -> str | None:
    """Return what is wrong with a shard, nothing if it is whole, None if it is not there."""
    try:
        content = store.get(span[0])
    except OSError as error:
        return str(error.strerror)
    return None if content is None else shard_fault(content, span, study)


def _pace(store: FolderStore, whole: list[Span], manifest: Mapping[str, Any]) -> float | None:
    """Return how many seconds a shard took, of those that the last session has written."""
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
    """Return a duration in the two units that matter.

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
