"""Files of strangers, read within bounds: regular ones only, no larger than was agreed.

What lies at a path may be a pipe that nobody writes to, a device without an end, a link to either,
or a terabyte of zeros; none of them may hang or fill the memory of whoever opens a study.
"""

import errno
import itertools
import json
import os
import re
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from hashlib import file_digest
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np

MOST_DEPTH = 64  # of lists and tables within each other, in JSON
MOST_VALUES = 250_000  # of lists and tables in JSON, all together
MOST_DIGITS = 400  # of a number in JSON
MOST_NAMES = 200_000  # in a folder
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)  # a pipe without a writer
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
# Possessive, and up to the end where a text does not end: linear in time, whatever it is given.
_STRINGS = re.compile(r'"[^"\\]*+(?:\\.?[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
_DIGITS = re.compile(rf"\d{{{MOST_DIGITS + 1}}}")
_LEVELS, _STARTS = np.zeros(256, np.int8), np.zeros(256, bool)  # by letter
_LEVELS[[*b"[{"]], _LEVELS[[*b"]}"]] = 1, -1
_STARTS[[*b"[{,"]] = True


class UnreadableFile(OSError):  # noqa: N818 - an OSError like FileNotFoundError
    """A file that is no regular one, or larger than expected; as text, why in a few words."""

    def __str__(self) -> str:
        """Return the reason without the number of the error."""
        return str(self.strerror)


def read_bytes(path: Path, most: int, *, follow: bool = False) -> bytes:
    """Return the content of a regular file; a link at its place is not followed.

    Args:
        path: The file.
        most: Its largest size, in bytes.
        follow: Follow a link, for a file that the user has named and no stranger has.

    Raises:
        UnreadableFile: If it is a link, a folder, a pipe or a device, or is larger.
        OSError: If it cannot be read for another reason, as if it is not there.

    Example:
        >>> read_bytes(Path("/"), 10)
        Traceback (most recent call last):
        hormesis.storage.safe_read.UnreadableFile: it is a folder, not a file
    """
    with open_regular(path, most, follow=follow) as file:
        content = file.read(most + 1)
    if len(content) > most:  # it has grown meanwhile
        raise _too_large(path, most)
    return content


def digest(path: Path, size: int) -> str:
    """Return the SHA-256 of a regular file, in hexadecimal digits; memory holds little of it.

    Args:
        path: The file.
        size: How many bytes it has to have.

    Raises:
        UnreadableFile: If it has another size, or as ``read_bytes`` says.
        OSError: If it cannot be read for another reason.
    """
    with open_regular(path, size) as file:
        there = os.fstat(file.fileno()).st_size
        if there != size:
            said = f"it has {there:,} bytes in place of {size:,}"
            raise UnreadableFile(errno.EINVAL, said, str(path))
        return file_digest(file, "sha256").hexdigest()


@contextmanager
def open_regular(path: Path, most: int, *, follow: bool = False) -> Iterator[BufferedReader]:
    """Open a regular file to be read, for libraries that read from an open one.

    Args:
        path: The file.
        most: Its largest size, in bytes.
        follow: As ``read_bytes`` takes it.

    Raises:
        OSError: As ``read_bytes`` says.
    """
    if not follow and not hasattr(os, "O_NOFOLLOW") and path.is_symlink():  # Windows
        raise UnreadableFile(errno.ELOOP, "it is a link, not a file", str(path))
    try:
        handle = os.open(path, _FLAGS | (0 if follow else getattr(os, "O_NOFOLLOW", 0)))
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK) and not follow:
            raise UnreadableFile(error.errno, "it is a link, not a file", str(path)) from error
        if error.errno in (errno.ENXIO, errno.ENODEV):  # a socket
            raise UnreadableFile(error.errno, "it is not a regular file", str(path)) from error
        raise
    try:
        _check_regular(os.fstat(handle), path, most)
        with os.fdopen(handle, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(handle)


def _check_regular(found: os.stat_result, path: Path, most: int) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise UnreadableFile(errno.EISDIR, "it is a folder, not a file", str(path))
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableFile(errno.EINVAL, "it is not a regular file", str(path))
    if found.st_size > most:
        raise _too_large(path, most)


def _too_large(path: Path, most: int) -> UnreadableFile:
    return UnreadableFile(errno.EFBIG, f"it is larger than {most:,} bytes", str(path))


def names_in(folder: Path, most: int = MOST_NAMES) -> list[str]:
    """Return the names in a folder, in order; none if it is not there, or is no folder.

    Args:
        folder: The folder; a link to one is followed.
        most: How many there may be.

    Raises:
        UnreadableFile: If there are more.
        OSError: If it cannot be read for another reason.

    Example:
        >>> names_in(Path("/nowhere"))
        []
    """
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry in itertools.islice(entries, most + 1)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    if len(found) > most:
        raise UnreadableFile(errno.EFBIG, f"it holds more than {most:,} names", str(folder))
    return sorted(found)


def parse_json(content: bytes) -> Any:  # noqa: ANN401
    """Return what a JSON text says, if it is as harmless as ours are.

    Args:
        content: UTF-8.

    Raises:
        ValueError: If it is no JSON, is nested more deeply than 64 levels, holds more than 250,000
            values, a number of more than 400 digits, infinity or NaN, a text that is no valid
            Unicode, or a key twice.

    Example:
        >>> parse_json(b'{"format": 2}')
        {'format': 2}
        >>> parse_json(b'[NaN]')
        Traceback (most recent call last):
        ValueError: it holds NaN, which is no JSON
    """
    text = content.decode("utf-8")
    _check_shape(_STRINGS.sub("", text))
    try:
        said = json.loads(text, parse_constant=_refuse, object_pairs_hook=_table)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error}") from error
    try:
        json.dumps(said, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("it holds a text that is no valid Unicode") from error
    except ValueError as error:
        raise ValueError("it holds a number that is too large") from error
    return said


def _check_shape(bare: str) -> None:
    """Refuse nesting and numbers that a parser has to be protected from.

    Args:
        bare: A JSON text without its strings.
    """
    letters = np.frombuffer(bare.encode("utf-8", "replace"), np.uint8)
    if np.cumsum(_LEVELS[letters], dtype=np.int32).max(initial=0) > MOST_DEPTH:
        raise ValueError(f"it is nested more deeply than {MOST_DEPTH} levels")
    if np.count_nonzero(_STARTS[letters]) > MOST_VALUES:
        raise ValueError(f"it holds more than {MOST_VALUES:,} values")
    if _DIGITS.search(bare):
        raise ValueError(f"it holds a number of more than {MOST_DIGITS} digits")


def _refuse(constant: str) -> float:
    raise ValueError(f"it holds {constant}, which is no JSON")


def _table(pairs: Collection[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it holds a key twice")
    return found
