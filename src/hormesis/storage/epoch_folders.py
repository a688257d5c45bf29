"""The folders of the studies of a training, one per epoch."""

import re
from pathlib import Path

from hormesis.errors import StudyError
from hormesis.storage.folders import is_study
from hormesis.storage.safe_read import names_in

_MEMBER = re.compile(r"epoch-(\d{4}|[1-9]\d{4,8})", re.ASCII)


def epoch_folders(folder: Path) -> dict[int, Path]:
    """Return the folders of studies by epoch, in order.

    Raises:
        StudyError: If the folder cannot be read, or holds too many names.
    """
    try:
        names = names_in(folder)
    except OSError as error:
        raise StudyError(f"The folder {folder} cannot be read: {error.strerror}.") from error
    folders = {
        int(match[1]): folder / name
        for name in names
        if (match := _MEMBER.fullmatch(name)) and is_study(folder / name)
    }
    return dict(sorted(folders.items()))


def epoch_folder(folder: Path, epoch: int) -> Path:
    """Return the folder of the study of one epoch.

    Example:
        >>> epoch_folder(Path("studies"), 3).name
        'epoch-0003'
    """
    return folder / f"epoch-{epoch:04d}"
