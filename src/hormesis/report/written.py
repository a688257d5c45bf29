"""Files that people name: written beside their place, and put there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hormesis.errors import StudyError


@contextmanager
def replacing(path: Path, what: str, flag: str = "`out`") -> Iterator[Path]:
    """Give a file to write, which takes the place of ``path`` if all goes well.

    Args:
        path: Where the file shall lie; a pipe or a device there is written to as it is.
        what: What is written, in a word.
        flag: What names the file.

    Raises:
        StudyError: If it cannot be written.
    """
    partial = path.parent / f".{path.stem}.{os.getpid()}.partial{path.suffix}"
    special = path.exists() and not path.is_file()  # a pipe, a device or a folder
    try:
        yield path if special else partial
        if not special:
            partial.replace(path)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise StudyError(
            f"The {what} cannot be written to {path}: {reason}. Name another file with {flag}."
        ) from error
    finally:
        if partial.is_file():
            partial.unlink()
