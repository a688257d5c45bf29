"""The folder of a study: where it may be, what proves that it is ours, and how it is created."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hormesis.errors import StudyError
from hormesis.storage.atomic import TEMPORARY, make_folder, remove_leftovers, temporary_beside
from hormesis.storage.files import (
    CELLS,
    CONFIRMATION,
    MANIFEST,
    OUTCOMES,
    REMOVALS,
    RESPONSES,
    SAMPLES,
    TARGETS,
    read_manifest,
)
from hormesis.storage.lock import LOCK, drop_stale, holder_of
from hormesis.storage.ownership import MARKER, STUDY, claim, describe_kind, owner
from hormesis.storage.removal import (
    Layout,
    check_ours,
    entry_names,
    first_foreign,
    is_mount,
    remove_new,
)
from hormesis.storage.safe_read import parse_json, read_bytes
from hormesis.storage.shards import READ_ERRORS, check

PICTURE = "overview.png"
_TABLE_FILES = (TARGETS, CELLS, SAMPLES, REMOVALS, CONFIRMATION)
_TABLES = "|".join(name.replace(".", "[.]") for name in _TABLE_FILES)
_NAMES = rf"manifest[.]json|{_TABLES}|{RESPONSES}|{PICTURE.replace('.', '[.]')}"
_SHARD = r"[0-9]{8,}[.]safetensors"
# Names of temporary files of earlier versions.
_OLD_TEMPORARY = rf"[.](?:{_NAMES})[.]partial|[.]partial[.]overview[.]png|[.]now[.]\w+"
_SHARDS = {OUTCOMES: Layout(rf"{_SHARD}|[.]{_SHARD}[.]partial")}
_STEPS = {"[a-z]+-[a-z]+": Layout("", _SHARDS)}  # of a confirmation, while it is measured
_SUBFOLDERS = {**_SHARDS, Path(CONFIRMATION).stem: Layout("", _STEPS)}
LAYOUT = Layout(rf"{_NAMES}|{_OLD_TEMPORARY}|[.]lock", _SUBFOLDERS)
"""The names that we write into the folder of a study."""
_UNFINISHED_LAYOUT = Layout(
    rf"{_NAMES}|{_OLD_TEMPORARY}|[.]lock|manifest[.]json.+", _SUBFOLDERS
)  # a manifest that was renamed
_MOST_MANIFEST = 1 << 26
_MOST_SHARD = 1 << 27
_MOST_LOCK = 4096
_SHARDS_TO_CHECK = 8  # shards that are checked to recognise a study without a manifest
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_study(folder: Path) -> bool:
    """Return whether ``folder`` holds a study, finished or not."""
    try:
        return stat.S_ISREG((folder / MANIFEST).lstat().st_mode)
    except (OSError, ValueError):  # an invalid name, or a folder without permission
        return False


def resolve_out(out: Path) -> Path:
    """Return the path of a study with all links above it resolved.

    Raises:
        StudyError: If ``out`` itself is a link, or cannot be resolved.
    """
    try:
        target = out.readlink() if out.is_symlink() else None
        folder = out.resolve() if target is None else out
    except OSError as error:
        raise unwritable(out, error) from error
    except (RuntimeError, ValueError) as error:  # a loop of links above it, or a null byte
        invalid = OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        raise unwritable(out, invalid) from error
    if target is not None:
        raise StudyError(
            f"Expected `out` to be a folder, but {out} is a link, to {target}: name the folder "
            "itself."
        )
    return folder


def is_own_study(folder: Path) -> bool:
    """Return whether a folder is proved to be one of our studies.

    The proof is its marker. In a study of an earlier version, it is a manifest or a shard with a
    valid checksum.
    """
    marker = owner(folder)
    if marker is not None:
        return marker.kind == STUDY
    try:
        read_manifest(folder)
        if "sha256" in parse_json(read_bytes(folder / MANIFEST, _MOST_MANIFEST)):
            return True
    except (StudyError, OSError, ValueError):
        pass
    return _has_shard(folder)


def _has_shard(folder: Path) -> bool:
    """Return whether the folder holds a shard with a valid checksum."""
    for name in sorted(_entry_names(folder / OUTCOMES))[:_SHARDS_TO_CHECK]:
        with suppress(OSError, *READ_ERRORS):
            check(read_bytes(folder / OUTCOMES / name, _MOST_SHARD))
            return True
    return False


def _entry_names(folder: Path) -> list[str]:
    """Return the names in a folder, except temporary files; none if it cannot be read."""
    with suppress(OSError):
        return [name for name in entry_names(folder) if not name.startswith(TEMPORARY)]
    return []


def check_free(out: Path, *, overwrite: bool = False) -> None:
    """Refuse an output folder that cannot be written, or holds anything but a study to overwrite.

    Raises:
        StudyError: Naming the folder and the remedy.
    """
    try:
        exists = _exists(out)
        if exists:
            _check_existing(out, overwrite=overwrite)
        if exists and not overwrite:
            _check_writable(out)
        else:
            _check_writable(next(parent for parent in out.absolute().parents if _exists(parent)))
    except OSError as error:
        raise unwritable(out, error) from error


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _check_existing(out: Path, *, overwrite: bool) -> None:
    resolve_out(out)
    if not out.is_dir():
        raise StudyError(f"Expected `out` to be a folder, but {out} is a file.")
    check_kind(out)
    if not is_study(out):
        foreign = _foreign_name(out)
        if foreign is not None:
            raise StudyError(
                f"The folder {out} holds something else; choose another one with `out`. It holds "
                f"{foreign!r}."
            )
    elif not overwrite:
        raise StudyError(
            f"The folder {out} holds a study; choose another one with `out`, or replace it with "
            "`overwrite`."
        )
    else:
        check_replaceable(out)


def check_kind(out: Path) -> None:
    """Refuse a folder whose marker says that it holds anything but a study.

    Raises:
        StudyError: Naming what the folder holds.
    """
    marker = owner(out)
    if marker is not None and marker.kind != STUDY:
        raise StudyError(
            f"The folder {out} holds {describe_kind(marker.kind)}; choose another one with `out`."
        )


def check_replaceable(out: Path) -> None:
    """Refuse to replace a folder that is not proved to be a study, or holds other files too.

    Raises:
        StudyError: Naming what the folder holds.
        OSError: If it cannot be read.
    """
    if is_mount(out) or Path.cwd().is_relative_to(out.resolve()):
        raise StudyError(
            f"The folder {out} cannot be replaced, as it is a mount point or the current folder: "
            "name a folder within it with `out`."
        )
    if not is_own_study(out):
        raise StudyError(
            f"The folder {out} holds something else; choose another one with `out`. Its "
            f"{MANIFEST} is not that of a study."
        )
    check_ours(out, LAYOUT, remedy=", or choose another folder with `out`")


def _foreign_name(out: Path) -> str | None:
    """Return a file in a folder without a manifest that no unfinished study has, or None."""
    foreign = first_foreign(out, _UNFINISHED_LAYOUT)
    if foreign is not None or owner(out) is not None or _has_shard(out):
        return foreign
    names = sorted(name for name in _entry_names(out) if not _may_precede_marker(out / name))
    return next(iter(names), None)


def _may_precede_marker(path: Path) -> bool:
    """Return whether a file may exist before the marker does."""
    if path.name == OUTCOMES:
        return not _entry_names(path)
    if path.name not in (LOCK, MARKER):
        return False
    try:  # a power cut may have left only a part of it
        content = read_bytes(path, _MOST_LOCK)
    except OSError:
        return False
    return content[:1] in (b"", b"{", b"\0")


def _check_writable(folder: Path) -> None:
    remove_leftovers(folder)
    probe = temporary_beside(folder / "probe")
    os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    probe.unlink()


@contextmanager
def creating_folder(out: Path) -> Iterator[None]:
    """Make a folder with its parents; after an error, remove the new ones that are empty.

    Args:
        out: The folder of a study.

    Raises:
        StudyError: If the folder cannot be written, or the disk is full.
    """
    missing = list[Path]()
    try:
        missing = [path for path in (out, *out.absolute().parents) if not _exists(path)]
        make_folder(out.absolute())
        yield
    except BaseException as error:
        with suppress(OSError):  # somebody has added a file
            for folder in missing:
                folder.rmdir()
        if isinstance(error, OSError):
            raise unwritable(out, error) from error
        raise


@contextmanager
def creating_study(out: Path, *, part: str = "") -> Iterator[None]:
    """Make and mark the folder of a study; after an error, remove both unless it holds a shard.

    Only files that were added during the block are deleted.

    Args:
        out: The study's folder, locked by this process.
        part: ``next`` if the study replaces another one.

    Raises:
        StudyError: If the folder cannot be written, or the disk is full.
    """
    fresh, outcomes = not is_study(out), out / OUTCOMES
    with creating_folder(out):
        before = entry_names(out)
        try:
            claim(out, STUDY, part=part)
            remove_leftovers(out, alone=True)
            folder_within(out, OUTCOMES)
            yield
        except BaseException:
            if fresh and not any(name.endswith(".safetensors") for name in _entry_names(outcomes)):
                remove_new(out, LAYOUT, kept=before)
            raise


def folder_within(study: Path, *names: str) -> Path:
    """Make a nested folder within a study, following no link, and return it.

    Temporary files of dead processes are deleted.

    Args:
        study: The study's folder, locked by this process.
        names: The names of the nested folders, the outermost first.

    Raises:
        OSError: If one cannot be made, or is a link.
    """
    folder = study
    for name in names:
        folder /= name
        if folder.is_symlink():
            raise NotADirectoryError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder))
        make_folder(folder)
        remove_leftovers(folder, alone=True)
    return folder


def clean_up(out: Path) -> None:
    """Clean up after dead processes in the folder of a study.

    A stale lock and temporary files are deleted. A marker of an interrupted replacement is reset.
    """
    drop_stale(out)
    marker = owner(out)
    if marker is not None and marker.part and holder_of(out) is None:
        with suppress(OSError):
            claim(out, marker.kind)
    for folder in (out, out / OUTCOMES):
        if not folder.is_symlink():
            remove_leftovers(folder)


def unwritable(out: Path, error: OSError) -> StudyError:
    """Return the error of a study that cannot be written."""
    reason = error.strerror or (os.strerror(error.errno) if error.errno else error)
    if error.errno == errno.ELOOP and error.filename is not None:
        reason = f"{error.filename} is a link"
    remedy = "Free some space or choose" if error.errno in FULL else "Choose"
    return StudyError(
        f"The study {out} cannot be written: {reason}. {remedy} another folder with `out`."
    )
