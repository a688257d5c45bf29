"""Replacement of an old study by a new one, such that one of them exists at any moment.

The new study is written beside the old one, as ``.NAME.next``. When it is finished, the old one is
renamed to ``.NAME.old``, the new one takes its name, and the old one is deleted. The markers of
both record their part. A folder of such a name without that marker is the user's own and is left
alone.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

from hormesis.errors import StudyError
from hormesis.storage.atomic import TEMPORARY, sync_folder
from hormesis.storage.folders import LAYOUT, check_replaceable, is_own_study, is_study
from hormesis.storage.lock import holder_of
from hormesis.storage.ownership import NEXT, OLD, STUDY, claim, owner
from hormesis.storage.removal import check_ours, entry_names, first_foreign, remove, remove_remains

_PATIENCE = 100  # hundredths of a second


def successor(out: Path) -> Path:
    """Return the folder beside a study in which its replacement is written.

    Example:
        >>> successor(Path("studies/mine")).name
        '.mine.next'
    """
    return out.with_name(f".{out.name}.next")


def predecessor(out: Path) -> Path:
    """Return the folder beside a study that holds the old one during the replacement.

    Example:
        >>> predecessor(Path("studies/mine")).name
        '.mine.old'
    """
    return out.with_name(f".{out.name}.old")


def check_beside(out: Path) -> None:
    """Refuse to replace a study if a folder needed beside it is the user's own.

    Raises:
        StudyError: Naming the folder.
        OSError: If it cannot be read.
    """
    new, old = successor(out), predecessor(out)
    for folder, usable in ((new, _is_usable(new)), (old, _has_part(old, OLD))):
        if os.path.lexists(folder) and not usable:
            raise StudyError(
                f"The folder {folder} is needed to replace {out}, but holds something else: move "
                "it away, or choose another folder with `out`."
            )
    if os.path.lexists(old):
        check_ours(old, LAYOUT)


def _has_part(folder: Path, part: str) -> bool:
    marker = owner(folder)
    return marker is not None and (marker.kind, marker.part) == (STUDY, part)


def _is_empty(folder: Path) -> bool:
    """Return whether a folder holds nothing but temporary files."""
    return all(name.startswith(TEMPORARY) for name in entry_names(folder))


def _is_usable(folder: Path) -> bool:
    """Return whether a new study may be written there: one was begun, or the folder is empty."""
    try:
        if _has_part(folder, NEXT) or _is_empty(folder):
            return True
        # An earlier version may have begun the study without a marker.
        marked = owner(folder) is not None
        return not marked and is_own_study(folder) and first_foreign(folder, LAYOUT) is None
    except OSError:  # it is a link or a file
        return False


def discard(folder: Path) -> None:
    """Delete an unfinished replacement of another question.

    Raises:
        StudyError: If the folder holds anything else, or is not marked as a replacement.
        OSError: If it cannot be read.
    """
    if not os.path.lexists(folder) or _is_empty(folder):
        return
    if not _has_part(folder, NEXT):
        raise StudyError(f"The folder {folder} holds a study of another question: move it away.")
    remove(folder, LAYOUT)


def recover(out: Path) -> None:
    """Complete a ``swap`` that a dead process had begun.

    Args:
        out: The study's folder.
    """
    old, new = predecessor(out), successor(out)
    remove_remains(out.parent)
    with suppress(OSError, StudyError):
        if not _has_part(old, OLD):
            return
        for _ in range(_PATIENCE):
            if os.path.lexists(out) or holder_of(old) is None:
                break
            time.sleep(0.01)  # its process is alive
        if not os.path.lexists(out):
            (new if _has_part(new, NEXT) and is_study(new) else old).rename(out)
            sync_folder(out.parent)
            claim(out, STUDY)
        if os.path.lexists(old):
            remove(old, LAYOUT)


def folder_to_read(out: Path) -> Path:
    """Return the folder to read a study from: its own, except after an interrupted ``swap``.

    Waits up to a second while the study is being replaced.

    Args:
        out: The study's folder.
    """
    try:
        path = Path(os.path.realpath(out))  # which leaves a link to itself unresolved
    except (OSError, RuntimeError, ValueError):  # links in a circle, a null byte
        return out
    old, new = predecessor(path), successor(path)
    for _ in range(_PATIENCE):
        if (
            os.path.lexists(path)
            or not old.is_dir()
            or not (_is_study_folder(old) or _is_study_folder(new))
        ):
            return out
        time.sleep(0.01)
    return (
        new if _is_study_folder(new) else old
    )  # the next process that writes there chooses the same


def folder_in_progress(folder: Path) -> Path:
    """Return the folder that a study is written to: the replacement's, if there is one.

    Args:
        folder: The study's folder.
    """
    try:
        new = successor(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # links in a circle, a null byte
        return folder
    return new if _is_study_folder(new) else folder


def _is_study_folder(folder: Path) -> bool:
    return not folder.is_symlink() and is_study(folder)


def swap(out: Path, new: Path) -> None:
    """Replace ``out`` by the study ``new``; ``out`` stays unchanged if that fails.

    Args:
        out: One of our studies, or a path where nothing exists.
        new: A finished study beside it.

    Raises:
        StudyError: If ``out``, or a folder needed beside it, is not a study.
        OSError: If the folders cannot be renamed.
    """
    old = predecessor(out)
    check_beside(out)
    remove(old, LAYOUT)
    exists = os.path.lexists(out)
    if exists:
        check_replaceable(out)  # files may have been added while the new study was written
        claim(out, STUDY, part=OLD)
    try:
        if exists:
            out.rename(old)
        new.rename(out)
        sync_folder(out.parent)
    except BaseException:
        if os.path.lexists(old) and not os.path.lexists(out):
            old.rename(out)
        with suppress(OSError, StudyError):
            claim(out, STUDY)
        raise
    claim(out, STUDY)
    with suppress(OSError):  # the next replacement tries again
        remove(old, LAYOUT)
