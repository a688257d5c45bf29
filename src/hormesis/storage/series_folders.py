"""The folders of a series: one study for each epoch of a training, or for each magnitude."""

import re
from dataclasses import dataclass
from pathlib import Path

from hormesis.errors import StudyError
from hormesis.storage.folders import is_study
from hormesis.storage.safe_read import names_in

EPOCH, EPSILON = "epoch", "epsilon"
AXES = (EPOCH, EPSILON)
"""What varies from study to study; also the name of a column of all tables of a series."""

_NAMES = {
    EPOCH: re.compile(r"epoch-(\d{4}|[1-9]\d{4,8})", re.ASCII),
    EPSILON: re.compile(r"epsilon-((?:\d+\.)?\d+(?:e[+-]?\d+)?)", re.ASCII),
}


@dataclass(frozen=True)
class SeriesFolders:
    """The studies in the folder of a series.

    Args:
        axis: One of ``AXES``.
        members: Their folders by epoch or magnitude, in order; empty if there is no study.
    """

    axis: str
    members: dict[int | float, Path]


def series_folders(folder: Path) -> SeriesFolders:
    """Return the folders of the studies of a series.

    Raises:
        StudyError: If the folder cannot be read, or holds too many names, or studies both of epochs
            and of magnitudes.
    """
    try:
        names = names_in(folder)
    except OSError as error:
        raise StudyError(f"The folder {folder} cannot be read: {error.strerror}.") from error
    found: dict[str, dict[int | float, Path]] = {axis: {} for axis in AXES}
    for axis, form in _NAMES.items():
        for name in names:
            if (match := form.fullmatch(name)) and is_study(folder / name):
                found[axis][int(match[1]) if axis == EPOCH else float(match[1])] = folder / name
    held = [axis for axis in AXES if found[axis]]
    if len(held) > 1:
        raise StudyError(
            f"The folder {folder} holds studies of epochs and of magnitudes: move one kind into a "
            "folder of its own."
        )
    axis = held[0] if held else EPOCH
    return SeriesFolders(axis, dict(sorted(found[axis].items())))


def member_folder(folder: Path, axis: str, place: float | int) -> Path:
    """Return the folder of one study of a series.

    Args:
        folder: The folder of the series.
        axis: One of ``AXES``.
        place: The epoch, or the magnitude.

    Example:
        >>> member_folder(Path("studies"), "epoch", 3).name
        'epoch-0003'
        >>> member_folder(Path("studies"), "epsilon", 0.03).name
        'epsilon-0.03'
    """
    return folder / (f"epoch-{int(place):04d}" if axis == EPOCH else f"epsilon-{float(place)!r}")
