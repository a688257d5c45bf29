"""Which folder the studies of a series may be written to."""

from pathlib import Path

from hormesis.errors import StudyError
from hormesis.storage.atomic import TEMPORARY
from hormesis.storage.folders import is_study, resolve_out
from hormesis.storage.ownership import SERIES, describe_kind, owner
from hormesis.storage.removal import entry_names
from hormesis.storage.series_folders import series_folders


def check_series_out(folder: Path) -> dict[int | float, Path]:
    """Refuse a folder with anything but the studies of a series.

    Args:
        folder: The folder, which need not exist.

    Returns:
        The studies that it holds, by epoch or magnitude.

    Raises:
        StudyError: If it holds something else.
    """
    if is_study(folder):
        raise StudyError(
            f"The folder {folder} holds a single study; choose another one with `out`."
        )
    resolve_out(folder)
    if folder.exists() and not folder.is_dir():
        raise StudyError(f"Expected a folder for the studies, got the file {folder}.")
    members, marker = series_folders(folder).members, owner(folder)
    if marker is not None and marker.kind != SERIES:
        raise StudyError(
            f"The folder {folder} holds {describe_kind(marker.kind)}; choose another with `out`."
        )
    if marker is None and not members:
        names = [name for name in entry_names(folder) if not name.startswith(TEMPORARY)]
        if names:
            raise StudyError(
                f"The folder {folder} holds something else; choose another with `out`. It holds "
                f"{min(names)!r}."
            )
    return members
