"""The files of a training, written whole, with a sentence for what keeps them from it."""

import errno
import os
from pathlib import Path

from hormesis.errors import TrainingError
from hormesis.storage.atomic import write_file

UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ELOOP)
"""What the system says of a place that cannot be written at all."""
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free some space"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "allow more open files, with `ulimit -n`,"),
    errno.EIO: "look after the disk",
}


def write(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole, down to the disk, or as it was before.

    Args:
        path: Where it shall lie.
        content: Its bytes.

    Raises:
        TrainingError: If the disk is full or has errors, or too many files are open.
        OSError: If the place cannot be written at all.
    """
    try:
        write_file(path, content)
    except OSError as error:
        if error.errno in UNWRITABLE:
            raise
        raise TrainingError(
            f"The file {path} cannot be written ({reason_of(error)}): {remedy_of(error)} and run "
            "the same command again, which goes on from there."
        ) from error


def reason_of(error: OSError) -> str:
    """Return what the system says, in a few words."""
    return os.strerror(error.errno) if error.errno else str(error)


def remedy_of(error: OSError) -> str:
    """Return what to do about an error of the system."""
    return _REMEDIES.get(error.errno or 0, "mend that")
