"""Atomic writes of files that the user names, including pipes and devices."""

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

# Folders whose links lead to the open files of a process, such as pipes. All other links are
# replaced, not followed, as they might lead to anything.
_OPEN_FILES = ("/dev", "/dev/fd", "/proc/self/fd")


@contextmanager
def replacing_user_file(path: Path, what: str, flag: str = "`out`") -> Iterator[Path]:
    """Yield a temporary file that replaces ``path`` if the block succeeds.

    Temporary files of dead processes beside it are deleted.

    Args:
        path: The file to write. A link is replaced, not followed; a pipe or a device receives the
            content when it is complete.
        what: What is written, in a word, for messages.
        flag: The option that names the file, for messages.

    Raises:
        StudyError: If it cannot be written.
    """
    try:
        if _is_stream(path):
            with TemporaryDirectory(prefix=atomic.TEMPORARY) as folder:
                temporary = Path(folder, f"content{path.suffix}")
                yield temporary
                with temporary.open("rb") as content, path.open("wb") as stream:
                    shutil.copyfileobj(content, stream)
        else:
            atomic.remove_leftovers(path.parent)
            with atomic.replacing(path) as temporary:
                yield temporary
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise StudyError(
            f"The {what} cannot be written to {path}: {reason}. Name another file with {flag}."
        ) from error


def _is_stream(path: Path) -> bool:
    """Return whether a path is a pipe, a device or an open file of a process.

    Raises:
        OSError: If it is a folder, or cannot be accessed.
    """
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode) and str(path.absolute().parent) in _OPEN_FILES:
            return True
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return not stat.S_ISREG(status.st_mode) and not stat.S_ISLNK(status.st_mode)
