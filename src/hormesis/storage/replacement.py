"""How a new study takes the place of an old one, such that one of them is there at any moment.

The new one grows beside the old one, as ``.NAME.next``. When it is finished, the old one becomes
``.NAME.old``, the new one takes its place, and the old one is deleted. The markers of both say
which part they play; a folder of such a name that plays none is the user's own, and is left alone.
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
    """Return the folder beside a study in which what shall replace it grows.

    Example:
        >>> successor(Path("studies/mine")).name
        '.mine.next'
    """
    return out.with_name(f".{out.name}.next")


def predecessor(out: Path) -> Path:
    """Return the folder beside a study in which the old one lies while it is replaced.

    Example:
        >>> predecessor(Path("studies/mine")).name
        '.mine.old'
    """
    return out.with_name(f".{out.name}.old")


def check_beside(out: Path) -> None:
    """Refuse to replace a study if what is needed beside it is something of the user's.

    Raises:
        StudyError: Naming it.
        OSError: If it cannot be read.
    """
    new, old = successor(out), predecessor(out)
    for folder, usable in ((new, _may_grow(new)), (old, _plays(old, OLD))):
        if os.path.lexists(folder) and not usable:
            raise StudyError(
                f"The folder {folder} is needed to replace {out}, but holds something else: move "
                "it away, or choose another folder with `out`."
            )
    if os.path.lexists(old):
        check_ours(old, LAYOUT)


def _plays(folder: Path, part: str) -> bool:
    there = owner(folder)
    return there is not None and (there.kind, there.part) == (STUDY, part)


def _is_empty(folder: Path) -> bool:
    """Return whether nothing is in a folder, but for what was being written when a process died."""
    return all(name.startswith(TEMPORARY) for name in entry_names(folder))


def _may_grow(folder: Path) -> bool:
    """Return whether a study may grow there: one has, or nothing lies there."""
    try:
        if _plays(folder, NEXT) or _is_empty(folder):
            return True
        # One that an earlier version began, which marked nothing.
        marked = owner(folder) is not None
        return not marked and is_own_study(folder) and first_foreign(folder, LAYOUT) is None
    except OSError:  # a link, or a file
        return False


def discard(folder: Path) -> None:
    """Delete what has grown in the place of another study, for a question that nobody asks now.

    Raises:
        StudyError: If it holds anything else, or is not marked as such.
        OSError: If it cannot be read.
    """
    if not os.path.lexists(folder) or _is_empty(folder):
        return
    if not _plays(folder, NEXT):
        raise StudyError(f"The folder {folder} holds a study of another question: move it away.")
    remove(folder, LAYOUT)


def recover(out: Path) -> None:
    """Bring to its end what a process that died in ``swap`` had begun.

    Args:
        out: The place of the study.
    """
    old, new = predecessor(out), successor(out)
    remove_remains(out.parent)
    with suppress(OSError, StudyError):
        if not _plays(old, OLD):
            return
        for _ in range(_PATIENCE):
            if os.path.lexists(out) or holder_of(old) is None:
                break
            time.sleep(0.01)  # it is not dead
        if not os.path.lexists(out):
            (new if _plays(new, NEXT) and is_study(new) else old).rename(out)
            sync_folder(out.parent)
            claim(out, STUDY)
        if os.path.lexists(old):
            remove(old, LAYOUT)


def folder_to_read(out: Path) -> Path:
    """Return where a study is to be read: in its place but after a death in ``swap``.

    Waits, but not for ever, while the study is away because another takes its place.

    Args:
        out: The place of the study.
    """
    try:
        place = Path(os.path.realpath(out))  # which takes a link to itself as it is
    except (OSError, RuntimeError, ValueError):  # links in a circle, a null byte
        return out
    old, new = predecessor(place), successor(place)
    for _ in range(_PATIENCE):
        if os.path.lexists(place) or not old.is_dir() or not (_is_kept(old) or _is_kept(new)):
            return out
        time.sleep(0.01)
    return new if _is_kept(new) else old  # as the next process to work there will decide


def folder_in_progress(folder: Path) -> Path:
    """Return where a study grows: beside the one that it is to replace, if there is one.

    Args:
        folder: The place of the study.
    """
    try:
        new = successor(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # links in a circle, a null byte
        return folder
    return new if _is_kept(new) else folder


def _is_kept(folder: Path) -> bool:
    return not folder.is_symlink() and is_study(folder)


def swap(out: Path, new: Path) -> None:
    """Put the study ``new`` in the place of ``out``, which stays as it was if that fails.

    Args:
        out: The place, with a study of ours, or nothing.
        new: A finished study beside it.

    Raises:
        StudyError: If anything but a study lies in the place, or beside it.
        OSError: If the folders cannot be renamed.
    """
    old = predecessor(out)
    check_beside(out)
    remove(old, LAYOUT)
    there = os.path.lexists(out)
    if there:
        check_replaceable(out)  # something may have been put there while the new one grew
        claim(out, STUDY, part=OLD)
    try:
        if there:
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
    with suppress(OSError):  # the next one to replace it tries again
        remove(old, LAYOUT)
