"""The stores of shards, a folder or memory, and checks of the shards in them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from hormesis.errors import StudyError
from hormesis.storage.atomic import write_file
from hormesis.storage.files import OUTCOMES
from hormesis.storage.outcomes import StoredOutcomes
from hormesis.storage.shards import (
    MOST_REMOVALS,
    check,
    file_of,
    firsts_in,
    most_bytes,
    read_shard,
    unpack,
)

Span = tuple[int, int]
"""Index of a shard's first sample, and of the first sample after it."""
_REMEDY = "; the command that made the study measures them again."


@dataclass(frozen=True)
class MemoryStore:
    """Shards of a study that is kept in memory."""

    contents: dict[int, bytes] = field(default_factory=dict)

    def put(self, first: int, content: bytes) -> None:
        """Store a shard."""
        self.contents[first] = content

    def get(self, first: int) -> bytes | None:
        """Return a shard, or None if it is missing."""
        return self.contents.get(first)

    def drop(self, first: int) -> None:
        """Delete a shard."""
        self.contents.pop(first, None)

    def firsts(self) -> list[int]:
        """Return the index of the first sample of each shard, in order."""
        return sorted(self.contents)


@dataclass(frozen=True)
class FolderStore:
    """Shards as files.

    Args:
        study: The folder of the study.
        check: Called before every write, to make sure that this process still holds the folder.
        most: Largest size of a shard in bytes, see ``most_bytes``; larger files are not read.
    """

    study: Path
    check: Callable[[], None] = lambda: None
    most: int = most_bytes(MOST_REMOVALS)

    def path(self, first: int) -> Path:
        """Return the file of a shard.

        Example:
            >>> FolderStore(Path("study")).path(256).name
            '00000256.safetensors'
        """
        return file_of(self.study / OUTCOMES, first)

    def put(self, first: int, content: bytes) -> None:
        """Write a shard."""
        self.check()
        write_file(self.path(first), content)

    def get(self, first: int) -> bytes | None:
        """Read a shard, or return None if it is missing."""
        return read_shard(self.study / OUTCOMES, first, self.most)

    def drop(self, first: int) -> None:
        """Delete a shard."""
        self.check()
        self.path(first).unlink(missing_ok=True)

    def firsts(self) -> list[int]:
        """Return the index of the first sample of each shard, in order.

        Raises:
            StudyError: If their folder cannot be read.
        """
        folder = self.study / OUTCOMES
        try:
            return firsts_in(folder)
        except OSError as error:
            raise StudyError(
                f"The outcomes in {folder} cannot be read: {error.strerror}."
            ) from error


Store = FolderStore | MemoryStore
"""A store of shards, as bytes by the index of their first sample."""


def whole_shards(store: Store, edges: Sequence[int], study: str) -> tuple[list[Span], list[Span]]:
    """Return the spans of valid shards, and of damaged ones; all others are missing.

    Args:
        store: The shards.
        edges: Where shards begin and end.
        study: Identity of the study that they should belong to.
    """
    whole, damaged = list[Span](), list[Span]()
    for span in pairwise(edges):
        try:
            content = store.get(span[0])
            wrong = None if content is None else shard_fault(content, span, study)
        except OSError as error:
            content, wrong = b"", error.strerror or str(error)
        if content is not None:
            (damaged if wrong else whole).append(span)
    return whole, damaged


def foreign_shards(store: Store, study: str) -> int:
    """Return the number of valid shards that belong to another study."""
    count = 0
    for first in store.firsts():
        try:
            count += check(store.get(first) or b"").get("study", "") != study
        except (KeyError, ValueError, TypeError, OSError):
            continue
    return count


def shard_fault(content: bytes, span: Span, study: str) -> str:
    """Return what is wrong with a shard, in a few words; an empty string if it is valid.

    Args:
        content: The bytes of its file.
        span: The samples that it should hold.
        study: Identity of the study that it should belong to.
    """
    try:
        metadata = check(content)
        first, samples = int(metadata["first"]), int(metadata["samples"])
    except (KeyError, ValueError, TypeError) as error:
        return f"{error}"
    if metadata.get("study", "") != study:
        return "it belongs to another study"
    # A sweep that chooses when to stop may stop within a shard.
    if first != span[0] or not 0 < samples <= span[1] - span[0]:
        return f"it holds samples {first} to {first + samples}"
    return ""


def merge_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Merge neighbouring spans.

    Example:
        >>> merge_spans([(0, 4), (4, 8), (12, 16)])
        ((0, 8), (12, 16))
    """
    merged = list[Span]()
    for first, end in spans:
        if merged and merged[-1][1] == first:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((first, end))
    return tuple(merged)


def read_spans(store: Store, spans: Iterable[Span], study: str) -> Iterator[StoredOutcomes]:
    """Yield the outcomes of some shards, in order.

    Raises:
        StudyError: If a shard is missing, damaged, or of another study.
    """
    removals = None
    for span in spans:
        name = _name(store, span[0])
        content = _read(store, span[0])
        if content is None:
            raise StudyError(f"The outcomes {name} are missing{_REMEDY}")
        wrong = shard_fault(content, span, study)
        if wrong:
            raise StudyError(f"The outcomes in {name} are damaged: {wrong}{_REMEDY}")
        block = unpack(name, content).outcomes
        if removals not in (None, len(block.clean)):
            raise StudyError(f"The outcomes in {name} are damaged: it has other removals{_REMEDY}")
        removals = len(block.clean)
        yield block


def read_blocks(store: Store) -> Iterator[StoredOutcomes]:
    """Yield the outcomes of a study of format 1, whose manifest does not list its shards.

    Raises:
        StudyError: If there are no shards, or one is damaged or missing.
    """
    samples, removals = 0, None
    for first in store.firsts():
        name = _name(store, first)
        shard = unpack(name, _read(store, first) or b"")
        block = shard.outcomes
        removals = len(block.clean) if removals is None else removals
        if shard.first != samples or len(block.clean) != removals:
            raise StudyError(
                f"The outcomes in {name} do not follow on those before it: a file is missing, or "
                "is from another study."
            )
        samples += shard.samples
        yield block
    if not samples:
        raise StudyError(f"The study {getattr(store, 'study', '')} has no outcomes.")


def _read(store: Store, first: int) -> bytes | None:
    try:
        return store.get(first)
    except OSError as error:
        raise StudyError(
            f"The outcomes in {_name(store, first)} cannot be read: {error.strerror}."
        ) from error


def _name(store: Store, first: int) -> str:
    return str(store.path(first)) if isinstance(store, FolderStore) else f"of shard {first}"
