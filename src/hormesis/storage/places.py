"""Where a study may lie, and how a new one takes the place of an old one."""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hormesis.errors import StudyError
from hormesis.storage.files import CELLS, MANIFEST, OUTCOMES, REMOVALS, RESPONSES, SAMPLES, TARGETS

_FILES = (TARGETS, CELLS, SAMPLES, REMOVALS, RESPONSES, "overview.png")
_PATIENCE = 100  # hundredths of a second
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_study(folder: Path) -> bool:
    """Return whether ``folder`` holds a study, finished or not."""
    try:
        return (folder / MANIFEST).is_file()
    except OSError:  # a name that is too long, or a folder that may not be entered
        return False


def check_free(out: Path, *, overwrite: bool = False) -> None:
    """Refuse an output folder that cannot be written, or holds anything but a study to overwrite.

    Raises:
        StudyError: Naming the folder and the remedy.
    """
    try:
        if out.exists():
            _check_replaceable(out, overwrite=overwrite)
        parent = next(folder for folder in out.absolute().parents if folder.exists())
        tempfile.TemporaryDirectory(prefix=".hormesis-", dir=parent).cleanup()
    except OSError as error:
        raise unwritable(out, error) from error


def _check_replaceable(out: Path, *, overwrite: bool) -> None:
    if not out.is_dir():
        raise StudyError(f"Expected `out` to be a folder, but {out} is a file.")
    if not is_study(out):
        if all(_is_of_a_beginning(path) for path in out.iterdir()):
            return
        raise StudyError(f"The folder {out} holds something else; choose another one with `out`.")
    if not overwrite:
        raise StudyError(
            f"The folder {out} holds a study; choose another one with `out`, or replace it with "
            "`overwrite`."
        )
    if os.path.ismount(out) or Path.cwd().is_relative_to(out.resolve()):
        raise StudyError(
            f"The folder {out} cannot be replaced, as it is a mount point or the current folder: "
            "name a folder within it with `out`."
        )


def _is_of_a_beginning(path: Path) -> bool:
    """Return whether this may be there before the manifest is, or without it if that is lost."""
    if path.name == OUTCOMES:
        return path.is_dir() and all(one.name.endswith(".safetensors") for one in path.iterdir())
    return path.name.startswith((".", MANIFEST)) or path.name in _FILES


@contextmanager
def opened(out: Path) -> Iterator[None]:
    """Make a folder; after an error, take away what is empty of it and was made for it.

    Args:
        out: Where a study shall lie.

    Raises:
        StudyError: If the folder cannot be written, or the disk is full.
    """
    made = [folder for folder in (out, *out.absolute().parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException as error:
        for folder in made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        if isinstance(error, OSError):
            raise unwritable(out, error) from error
        raise


@contextmanager
def begun(out: Path) -> Iterator[None]:
    """Make the folder of a study; take it away again after an error if no shard was written.

    Args:
        out: Where the study shall lie; nobody else works there.

    Raises:
        StudyError: If the folder cannot be written, or the disk is full.
    """
    fresh = not is_study(out)
    with opened(out):
        try:
            (out / OUTCOMES).mkdir(exist_ok=True)
            yield
        except BaseException:
            if fresh and not any((out / OUTCOMES).glob("*.safetensors")):
                clear(out)
            raise


def clear(folder: Path) -> None:
    """Delete what a study's folder holds, the manifest first."""
    (folder / MANIFEST).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


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


def recover(out: Path) -> None:
    """Bring to its end what a process that died in ``swap`` had begun."""
    old, new = predecessor(out), successor(out)
    try:
        if old.exists() and not out.exists():
            (new if is_study(new) else old).rename(out)
    except OSError:
        return  # somebody else did
    shutil.rmtree(old, ignore_errors=True)


def standing(out: Path) -> Path:
    """Return where a study is to be read: in its place but after a death in ``swap``.

    Waits, but not for ever, while the study is away because another takes its place.

    Args:
        out: The place of the study.
    """
    place = out.resolve()
    old, new = predecessor(place), successor(place)
    for _ in range(_PATIENCE):
        if place.exists() or not old.exists():
            return out
        time.sleep(0.01)
    return new if is_study(new) else old  # as the next process to work there will decide


def swap(out: Path, new: Path) -> None:
    """Put the study ``new`` in the place of ``out``, which stays as it was if that fails."""
    old = predecessor(out)
    shutil.rmtree(old, ignore_errors=True)
    try:
        if out.exists():
            out.rename(old)
        new.rename(out)
    except BaseException:
        if old.exists() and not out.exists():
            old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def unwritable(out: Path, error: OSError) -> StudyError:
    """Return what to tell of a study that cannot be written."""
    reason = os.strerror(error.errno) if error.errno else error
    remedy = "Free some space or choose" if error.errno in FULL else "Choose"
    return StudyError(
        f"The study {out} cannot be written: {reason}. {remedy} another folder with `out`."
    )
