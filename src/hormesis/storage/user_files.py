"""Files that people name: written beside their place, and put there whole or not at all."""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hormesis.errors import StudyError
from hormesis.storage import atomic

# Links of the system's to whatever a process has open, such as a pipe; all other links are
# replaced, as one that came with a folder might lead to anything.
_OPEN_FILES = ("/dev", "/dev/fd", "/proc/self/fd")


@contextmanager
def replacing_user_file(path: Path, what: str, flag: str = "`out`") -> Iterator[Path]:
    """Give a file to write, which takes the place of ``path`` if all goes well.

    What dead processes of ours have left beside it is deleted.

    Args:
        path: Where the file shall lie. A link there is replaced, not followed; a pipe or a device
            gets the content when it is whole.
        what: What is written, in a word.
        flag: What names the file.

    Raises:
        StudyError: If it cannot be written.
    """
    try:
        if _is_stream(path):
            with TemporaryDirectory(prefix=atomic.TEMPORARY) as folder:
                whole = Path(folder, f"content{path.suffix}")
                yield whole
                with whole.open("rb") as content, path.open("wb") as stream:
                    shutil.copyfileobj(content, stream)
        else:
            atomic.remove_leftovers(path.parent)
            with atomic.replacing(path) as beside:
                yield beside
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise StudyError(
            f"The {what} cannot be written to {path}: {reason}. Name another file with {flag}."
        ) from error


def _is_stream(path: Path) -> bool:
    """Return whether a path is a pipe, a device or what a process has open.

    Raises:
        OSError: If it is a folder, or cannot be reached.
    """
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode) and str(path.absolute().parent) in _OPEN_FILES:
            return True
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return not stat.S_ISREG(found.st_mode) and not stat.S_ISLNK(found.st_mode)
