"""Safe reading of untrusted files: only regular files, up to a size limit.

A path may lead to a pipe without a writer, an endless device, a link to either, or a terabyte of
zeros. None of them may hang the process that opens a study, or fill its memory.
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
# Possessive, and matches unterminated strings to the end: linear in time for any input.
_STRINGS = re.compile(r'"[^"\\]*+(?:\\.?[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
_DIGITS = re.compile(rf"\d{{{MOST_DIGITS + 1}}}")
_LEVELS, _STARTS = np.zeros(256, np.int8), np.zeros(256, bool)  # by letter
_LEVELS[[*b"[{"]], _LEVELS[[*b"]}"]] = 1, -1
_STARTS[[*b"[{,"]] = True


class UnreadableFile(OSError):  # noqa: N818 - an OSError like FileNotFoundError
    """A file that is not a regular file, or is too large; its text is the reason in a few words."""

    def __str__(self) -> str:
        """Return the reason without the error number."""
        return str(self.strerror)


def read_bytes(path: Path, most: int, *, follow: bool = False) -> bytes:
    """Return the content of a regular file; a link is not followed.

    Args:
        path: The file.
        most: Its largest size, in bytes.
        follow: Whether to follow a link, for files that the user has named.

    Raises:
        UnreadableFile: If it is a link, a folder, a pipe or a device, or is larger.
        OSError: If it cannot be read for another reason, such as a missing file.

    Example:
        >>> read_bytes(Path("/"), 10)
        Traceback (most recent call last):
        hormesis.storage.safe_read.UnreadableFile: it is a folder, not a file
    """
    with open_regular(path, most, follow=follow) as file:
        size = os.fstat(file.fileno()).st_size  # room for `most` may be more than there is
        content = file.read(min(size, most) + 1)
        if size < len(content) <= most:
            content += file.read(most + 1 - len(content))
    if len(content) > most:  # the file has grown meanwhile
        raise _too_large(path, most)
    return content


def digest(path: Path, size: int) -> str:
    """Return the SHA-256 of a regular file, in hexadecimal digits, reading it in small pieces.

    Args:
        path: The file.
        size: Its expected size, in bytes.

    Raises:
        UnreadableFile: If it has another size, or as ``read_bytes`` says.
        OSError: If it cannot be read for another reason.
    """
    with open_regular(path, size) as file:
        actual = os.fstat(file.fileno()).st_size
        if actual != size:
            reason = f"it has {actual:,} bytes instead of {size:,}"
            raise UnreadableFile(errno.EINVAL, reason, str(path))
        return file_digest(file, "sha256").hexdigest()


@contextmanager
def open_regular(path: Path, most: int, *, follow: bool = False) -> Iterator[BufferedReader]:
    """Open a regular file for reading, for libraries that read from an open file.

    Args:
        path: The file.
        most: Its largest size, in bytes.
        follow: See ``read_bytes``.

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


def _check_regular(status: os.stat_result, path: Path, most: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise UnreadableFile(errno.EISDIR, "it is a folder, not a file", str(path))
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableFile(errno.EINVAL, "it is not a regular file", str(path))
    if status.st_size > most:
        raise _too_large(path, most)


def _too_large(path: Path, most: int) -> UnreadableFile:
    return UnreadableFile(errno.EFBIG, f"it is larger than {most:,} bytes", str(path))


def names_in(folder: Path, most: int = MOST_NAMES) -> list[str]:
    """Return the sorted names in a folder; none if it does not exist or is not a folder.

    Args:
        folder: The folder; a link is followed.
        most: The largest number of names.

    Raises:
        UnreadableFile: If there are more.
        OSError: If it cannot be read for another reason.

    Example:
        >>> names_in(Path("/nowhere"))
        []
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in itertools.islice(entries, most + 1)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    if len(names) > most:
        raise UnreadableFile(errno.EFBIG, f"it holds more than {most:,} names", str(folder))
    return sorted(names)


def parse_json(content: bytes) -> Any:  # noqa: ANN401
    """Parse a JSON text within the limits that all our files keep.

    Args:
        content: UTF-8.

    Raises:
        ValueError: If it is not JSON, is nested more deeply than 64 levels, or holds more than
            250,000 values, a number of more than 400 digits, infinity or NaN, invalid Unicode, or
            a key twice.

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
        values = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error}") from error
    try:
        json.dumps(values, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("it holds a text that is no valid Unicode") from error
    except ValueError as error:
        raise ValueError("it holds a number that is too large") from error
    return values


def _check_shape(bare: str) -> None:
    """Refuse nesting and numbers that would overload a parser.

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


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"it holds {constant}, which is no JSON")


def _unique_keys(pairs: Collection[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("it holds a key twice")
    return table
