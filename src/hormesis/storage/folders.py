"""Where a study may lie, what proves that it is ours, and how it is begun."""

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
_EVERY = (TARGETS, CELLS, SAMPLES, REMOVALS, CONFIRMATION)
_TABLES = "|".join(name.replace(".", "[.]") for name in _EVERY)
_NAMES = rf"manifest[.]json|{_TABLES}|{RESPONSES}|{PICTURE.replace('.', '[.]')}"
_SHARD = r"[0-9]{8,}[.]safetensors"
# Names that earlier versions gave to files while they wrote them.
_BEFORE = rf"[.](?:{_NAMES})[.]partial|[.]partial[.]overview[.]png|[.]now[.]\w+"
_SHARDS = {OUTCOMES: Layout(rf"{_SHARD}|[.]{_SHARD}[.]partial")}
_STEPS = {"[a-z]+-[a-z]+": Layout("", _SHARDS)}  # of a confirmation, while it is measured
_WITHIN = {**_SHARDS, Path(CONFIRMATION).stem: Layout("", _STEPS)}
LAYOUT = Layout(rf"{_NAMES}|{_BEFORE}|[.]lock", _WITHIN)
"""The names that we write into the folder of a study."""
_BEGUN = Layout(rf"{_NAMES}|{_BEFORE}|[.]lock|manifest[.]json.+", _WITHIN)  # a manifest moved away
_MOST_MANIFEST = 1 << 26
_MOST_SHARD = 1 << 27
_MOST_LOCK = 4096
_LOOKED_AT = 8  # shards that may prove a study without a manifest
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_study(folder: Path) -> bool:
    """Return whether ``folder`` holds a study, finished or not."""
    try:
        return stat.S_ISREG((folder / MANIFEST).lstat().st_mode)
    except (OSError, ValueError):  # a name that no file has, or a folder that may not be entered
        return False


def resolve_out(out: Path) -> Path:
    """Return where a study lies, without links on the way.

    Raises:
        StudyError: If ``out`` itself is a link, or leads nowhere.
    """
    try:
        leads = out.readlink() if out.is_symlink() else None
        place = out.resolve() if leads is None else out
    except OSError as error:
        raise unwritable(out, error) from error
    except (RuntimeError, ValueError) as error:  # links in a circle above it, a null byte
        invalid = OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        raise unwritable(out, invalid) from error
    if leads is not None:
        raise StudyError(
            f"Expected `out` to be a folder, but {out} is a link, to {leads}: name the folder "
            "itself."
        )
    return place


def is_own_study(folder: Path) -> bool:
    """Return whether something in a folder proves that it is a study of ours.

    That is its marker; where an earlier version made it, its manifest with a checksum that fits, or
    such a shard.
    """
    there = owner(folder)
    if there is not None:
        return there.kind == STUDY
    try:
        read_manifest(folder)
        if "sha256" in parse_json(read_bytes(folder / MANIFEST, _MOST_MANIFEST)):
            return True
    except (StudyError, OSError, ValueError):
        pass
    return _has_shard(folder)


def _has_shard(folder: Path) -> bool:
    """Return whether a shard is there whose checksum fits."""
    for name in sorted(_names_in(folder / OUTCOMES))[:_LOOKED_AT]:
        with suppress(OSError, *READ_ERRORS):
            check(read_bytes(folder / OUTCOMES / name, _MOST_SHARD))
            return True
    return False


def _names_in(folder: Path) -> list[str]:
    """Return the names in a folder, but for leftovers; none if it cannot be read."""
    with suppress(OSError):
        return [name for name in entry_names(folder) if not name.startswith(TEMPORARY)]
    return []


def check_free(out: Path, *, overwrite: bool = False) -> None:
    """Refuse an output folder that cannot be written, or holds anything but a study to overwrite.

    Raises:
        StudyError: Naming the folder and the remedy.
    """
    try:
        there = _lies(out)
        if there:
            _check_there(out, overwrite=overwrite)
        if there and not overwrite:
            _check_writable(out)
        else:
            _check_writable(next(one for one in out.absolute().parents if _lies(one)))
    except OSError as error:
        raise unwritable(out, error) from error


def _lies(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _check_there(out: Path, *, overwrite: bool) -> None:
    resolve_out(out)
    if not out.is_dir():
        raise StudyError(f"Expected `out` to be a folder, but {out} is a file.")
    check_kind(out)
    if not is_study(out):
        there = _stranger(out)
        if there is not None:
            raise StudyError(
                f"The folder {out} holds something else; choose another one with `out`. It holds "
                f"{there!r}."
            )
    elif not overwrite:
        raise StudyError(
            f"The folder {out} holds a study; choose another one with `out`, or replace it with "
            "`overwrite`."
        )
    else:
        check_replaceable(out)


def check_kind(out: Path) -> None:
    """Refuse a folder that its marker says to be anything but a study.

    Raises:
        StudyError: It says what the folder holds.
    """
    there = owner(out)
    if there is not None and there.kind != STUDY:
        raise StudyError(
            f"The folder {out} holds {describe_kind(there.kind)}; choose another one with `out`."
        )


def check_replaceable(out: Path) -> None:
    """Refuse to replace what is not proved to be a study, or holds anything besides one.

    Raises:
        StudyError: Naming what lies there.
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


def _stranger(out: Path) -> str | None:
    """Return what lies in a folder without a manifest that is no study begun, or None."""
    there = first_foreign(out, _BEGUN)
    if there is not None or owner(out) is not None or _has_shard(out):
        return there
    names = sorted(name for name in _names_in(out) if not _may_be_begun(out / name))
    return next(iter(names), None)


def _may_be_begun(path: Path) -> bool:
    """Return whether this may be there before the marker is."""
    if path.name == OUTCOMES:
        return not _names_in(path)
    if path.name not in (LOCK, MARKER):
        return False
    try:  # also what a power cut left of one
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
    """Make a folder; after an error, take away what is empty of it and was made for it.

    Args:
        out: Where a study shall lie.

    Raises:
        StudyError: If the folder cannot be written, or the disk is full.
    """
    missing = list[Path]()
    try:
        missing = [one for one in (out, *out.absolute().parents) if not _lies(one)]
        make_folder(out.absolute())
        yield
    except BaseException as error:
        with suppress(OSError):  # somebody has put something there
            for folder in missing:
                folder.rmdir()
        if isinstance(error, OSError):
            raise unwritable(out, error) from error
        raise


@contextmanager
def creating_study(out: Path, *, part: str = "") -> Iterator[None]:
    """Make and mark the folder of a study; after an error, if no shard is there, take back both.

    Only what the block has put there is deleted.

    Args:
        out: Where the study shall lie; nobody else works there.
        part: ``next`` if it grows in the place of another.

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
            if fresh and not any(name.endswith(".safetensors") for name in _names_in(outcomes)):
                remove_new(out, LAYOUT, kept=before)
            raise


def folder_within(study: Path, *names: str) -> Path:
    """Make a folder of ours within that of a study, through no link, and return it.

    Temporary files that dead processes have left there are deleted.

    Args:
        study: Its folder; nobody else works there.
        names: Of the folder within it, of the one within that, and so on.

    Raises:
        OSError: If it cannot be made, or one of them is a link.
    """
    place = study
    for name in names:
        place /= name
        if place.is_symlink():
            raise NotADirectoryError(errno.ELOOP, os.strerror(errno.ELOOP), str(place))
        make_folder(place)
        remove_leftovers(place, alone=True)
    return place


def clean_up(out: Path) -> None:
    """Bring to its end what dead processes have left in the folder of a study.

    A lock and temporary files are deleted; a marker that says that the study is on its way to its
    place, or away from it, is told that it stands there.
    """
    drop_stale(out)
    there = owner(out)
    if there is not None and there.part and holder_of(out) is None:
        with suppress(OSError):
            claim(out, there.kind)
    for folder in (out, out / OUTCOMES):
        if not folder.is_symlink():
            remove_leftovers(folder)


def unwritable(out: Path, error: OSError) -> StudyError:
    """Return what to tell of a study that cannot be written."""
    reason = error.strerror or (os.strerror(error.errno) if error.errno else error)
    if error.errno == errno.ELOOP and error.filename is not None:
        reason = f"{error.filename} is a link"
    remedy = "Free some space or choose" if error.errno in FULL else "Choose"
    return StudyError(
        f"The study {out} cannot be written: {reason}. {remedy} another folder with `out`."
    )
