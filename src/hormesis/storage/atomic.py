"""Files that are written whole or not at all, and are still there after a power cut.

A file is written under a temporary name in the folder of its target, brought to the disk, renamed,
and the folder is brought to the disk as well. No link is followed on the way. Every temporary name
begins with the same letters and says which process made it, so that a later one can tell what a
dead process has left behind.
"""

import errno
import itertools
import os
import secrets
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import psutil

TEMPORARY = ".hormesis-tmp-"
"""What the name of every temporary file begins with."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_BINARY = getattr(os, "O_BINARY", 0)  # without it, Windows changes the ends of lines
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | _BINARY
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_counter = itertools.count()


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or, after any failure, as it was before.

    Args:
        path: Where it shall lie; what lies there is replaced, a link too, not written through.
        content: Its bytes.

    Raises:
        OSError: If it cannot be written; nothing is left behind.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_file(Path(folder, "a.txt"), b"whole")
        ...     Path(folder, "a.txt").read_bytes()
        b'whole'
    """
    with replacing(path) as temporary:
        handle = os.open(temporary, _NEW, 0o666)
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(handle, left) :]
        finally:
            os.close(handle)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to, which takes the place of ``path`` if the block succeeds.

    For libraries that write files by name; the temporary name keeps the suffix.

    Args:
        path: Where the file shall lie.

    Raises:
        OSError: If it cannot be written, or the block wrote no file; nothing is left behind.
    """
    temporary = temporary_beside(path)
    try:
        yield temporary
        _sync_file(temporary)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def temporary_beside(path: Path) -> Path:
    """Return a name in the folder of ``path`` that nobody else uses.

    Example:
        >>> temporary_beside(Path("studies/report.html")).name.startswith(TEMPORARY)
        True
    """
    suffix = path.suffix if len(path.suffix.encode(errors="surrogateescape")) <= 16 else ""
    unique = f"{next(_counter)}-{secrets.token_hex(4)}"
    return path.with_name(f"{TEMPORARY}{_machine()}-{os.getpid()}-{unique}{suffix}")


def _sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can.

    Raises:
        OSError: If the disk reports an error.
    """
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows opens no folder
    handle = os.open(folder, _FOLDER)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # some network systems
            raise
    finally:
        os.close(handle)


def make_folder(folder: Path) -> list[Path]:
    """Make a folder and its parents, and bring every new name to the disk.

    Args:
        folder: May be there already.

    Returns:
        The folders that were made, the innermost first.

    Raises:
        OSError: If it cannot be made, or something else lies there.
    """
    missing = list[Path]()
    for each in (folder, *folder.parents):
        if each.is_dir():
            break
        missing.append(each)
    made = list[Path]()
    for each in reversed(missing):
        with suppress(FileExistsError):
            each.mkdir()
            made.insert(0, each)
        if not each.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(each))
        sync_folder(each.parent)
    return made


def remove_leftovers(folder: Path, *, alone: bool = False) -> None:
    """Delete the temporary files that dead processes have left in a folder; links are not followed.

    Args:
        folder: Where to look, not in the folders within it.
        alone: Whether the caller knows that nobody else writes there, as it holds the lock; else
            only files of processes are deleted of which this machine knows that they are dead.
    """
    for path in left_behind(folder, alone=alone):
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108 - never a folder, never through a link


def left_behind(folder: Path, *, alone: bool = False) -> list[Path]:
    """Return what dead processes have left in a folder under temporary names.

    Args:
        folder: Where to look; nothing is found if it cannot be read.
        alone: See ``remove_leftovers``.
    """
    try:
        with os.scandir(folder) as found:
            names = [one.name for one in found if one.name.startswith(TEMPORARY)]
    except OSError:
        return []
    return [folder / name for name in names if alone or _is_dead(name)]


def _is_dead(name: str) -> bool:
    """Return whether a temporary file was made on this machine by a process that has ended."""
    machine, _, rest = name.removeprefix(TEMPORARY).partition("-")
    pid = rest.partition("-")[0]
    if machine != _machine() or not pid.isdecimal() or len(pid) > 9:
        return False
    return int(pid) != os.getpid() and not psutil.pid_exists(int(pid))


def _machine() -> str:
    """Return eight digits that the processes under one kernel, since it was started, share."""
    try:
        said = _BOOT.read_text()
    except OSError:
        said = socket.gethostname()
    return sha256(said.encode()).hexdigest()[:8]
