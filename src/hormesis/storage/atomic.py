"""Atomic writes: a file is written completely or not at all, and survives a power cut.

A file is written under a temporary name in the folder of its target, flushed to disk and renamed;
then the folder is flushed too. No link is followed. Every temporary name starts with the same
prefix and names the process that made it, so that a later process can recognise the leftovers of a
dead one.
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
"""Prefix of the names of all temporary files."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_BINARY = getattr(os, "O_BINARY", 0)  # without it, Windows changes line endings
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | _BINARY
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_counter = itertools.count()


def write_file(path: Path, content: bytes) -> None:
    """Write a file completely or, after any failure, leave it as it was before.

    Args:
        path: The file. An existing file or link is replaced; a link is not followed.
        content: Its bytes.

    Raises:
        OSError: If it cannot be written; no temporary file is left behind.

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
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(handle, rest) :]
        finally:
            os.close(handle)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces ``path`` if the block succeeds.

    For libraries that write files by name; the temporary name keeps the suffix.

    Args:
        path: The file to write.

    Raises:
        OSError: If it cannot be written, or the block wrote no file; no temporary file is left.
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
    """Return a unique path in the folder of ``path``.

    Example:
        >>> temporary_beside(Path("studies/report.html")).name.startswith(TEMPORARY)
        True
    """
    suffix = path.suffix if len(path.suffix.encode(errors="surrogateescape")) <= 16 else ""
    unique = f"{next(_counter)}-{secrets.token_hex(4)}"
    return path.with_name(f"{TEMPORARY}{_short_machine_id()}-{os.getpid()}-{unique}{suffix}")


def _sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Flush the entries of a folder to disk, where the system supports it.

    Raises:
        OSError: If the disk reports an error.
    """
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows cannot open folders
    handle = os.open(folder, _FOLDER)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (
            errno.EINVAL,
            errno.ENOTSUP,
            errno.EBADF,
        ):  # on some network file systems
            raise
    finally:
        os.close(handle)


def make_folder(folder: Path) -> list[Path]:
    """Make a folder and its parents, and flush every new entry to disk.

    Args:
        folder: The folder; it may exist already.

    Returns:
        The folders that were made, the innermost first.

    Raises:
        OSError: If it cannot be made, or is a file.
    """
    missing = list[Path]()
    for path in (folder, *folder.parents):
        if path.is_dir():
            break
        missing.append(path)
    made = list[Path]()
    for path in reversed(missing):
        with suppress(FileExistsError):
            path.mkdir()
            made.insert(0, path)
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        sync_folder(path.parent)
    return made


def remove_leftovers(folder: Path, *, alone: bool = False) -> None:
    """Delete the temporary files of dead processes in a folder; links are not followed.

    Args:
        folder: The folder; its subfolders are not searched.
        alone: Whether the caller holds the lock, so that nobody else writes there. Otherwise only
            files of processes are deleted that are known to be dead on this machine.
    """
    for path in leftovers(folder, alone=alone):
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108 - never a folder, never through a link


def leftovers(folder: Path, *, alone: bool = False) -> list[Path]:
    """Return the temporary files of dead processes in a folder.

    Args:
        folder: The folder; the list is empty if it cannot be read.
        alone: See ``remove_leftovers``.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(TEMPORARY)]
    except OSError:
        return []
    return [folder / name for name in names if alone or _is_dead(name)]


def _is_dead(name: str) -> bool:
    """Return whether a temporary file was made on this machine by a process that has ended."""
    machine, _, rest = name.removeprefix(TEMPORARY).partition("-")
    pid = rest.partition("-")[0]
    if machine != _short_machine_id() or not pid.isdecimal() or len(pid) > 9:
        return False
    return int(pid) != os.getpid() and not psutil.pid_exists(int(pid))


def _short_machine_id() -> str:
    return sha256(machine_id().encode()).hexdigest()[:8]


def machine_id() -> str:
    """Return an identifier of the running kernel since its start, the same in its containers."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return socket.gethostname()
