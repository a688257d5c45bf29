"""Atomic writes of a training's files, with a clear message when a write fails."""

import errno
import os
from pathlib import Path

from hormesis.errors import TrainingError
from hormesis.storage.atomic import write_file

UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ELOOP)
"""Error numbers of the system for a path that can never be written."""
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free some space"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "allow more open files, with `ulimit -n`,"),
    errno.EIO: "look after the disk",
}


def write(path: Path, content: bytes) -> None:
    """Write a file completely and flush it to disk, or leave it as it was before.

    Args:
        path: The file.
        content: Its bytes.

    Raises:
        TrainingError: If the disk is full or has errors, or too many files are open.
        OSError: If the path can never be written.
    """
    try:
        write_file(path, content)
    except OSError as error:
        if error.errno in UNWRITABLE:
            raise
        raise TrainingError(
            f"The file {path} cannot be written ({reason_of(error)}): {remedy_of(error)} and run "
            "the same command again, which continues from there."
        ) from error


def reason_of(error: OSError) -> str:
    """Return the reason of an error of the system, in a few words."""
    return os.strerror(error.errno) if error.errno else str(error)


def remedy_of(error: OSError) -> str:
    """Return what to do about an error of the system."""
    return _REMEDIES.get(error.errno or 0, "mend that")
