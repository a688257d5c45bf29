"""A lock that lets one process at a time work on a folder; the lock of a dead process is ignored.

The holder keeps a lock file in the folder. The operating system locks that file and releases it
when the process ends for any reason. The file is created complete and says who the holder is. A
network file system may not share system locks between machines, but it still shares the file: the
holder touches it every few seconds, and another machine considers the holder dead after a minute
without a touch.
"""

import errno
import json
import os
import secrets
import socket
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import Any

import psutil

from hormesis.errors import HormesisError, StudyError
from hormesis.storage.atomic import machine_id, temporary_beside
from hormesis.storage.safe_read import UnreadableFile, parse_json, read_bytes

try:
    import fcntl
except ImportError:  # Windows: only the content of the lock file counts. The file is not kept
    fcntl = None  # open, as an open file can be neither replaced nor deleted

LOCK = ".lock"
BEAT = 5.0  # seconds between two touches of the lock file
STALE = 60.0  # seconds without a touch after which a holder on another machine counts as dead
SETTLE = 0.5  # seconds after which two processes that take over at once notice each other
TORN = 0.9  # seconds after which a half-written file counts as abandoned
_MOST_BYTES = 4096
# A link might point to anything, and the file might be a pipe.
_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_FLAGS |= getattr(os, "O_BINARY", 0)  # without it, Windows changes line endings
_NEW = _FLAGS | os.O_CREAT | os.O_EXCL
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_REMEDY = "as hormesis writes it there: delete it, or choose another folder with `out`"
Holder = Mapping[str, Any]


class FolderLock:
    """The lock of a folder that this process holds. A thread touches the lock file regularly."""

    def __init__(self, path: Path, token: str) -> None:
        """Start the thread that touches the lock file.

        Args:
            path: The lock file.
            token: What the lock file says while it is ours.
        """
        self._path, self._token = path, token
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lock", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            try:
                if self._is_ours():
                    os.utime(self._path)
            except OSError:
                pass  # the file system is unavailable for a while

    def _is_ours(self) -> bool:
        return (_read(self._path) or {}).get("token") == self._token

    def check(self) -> None:
        """Make sure that nobody has taken over the folder, for example while this machine slept.

        Raises:
            StudyError: If another process has taken it over.
        """
        holder = _read(self._path)
        if holder is not None and not self._is_ours():
            raise StudyError(
                f"The folder {self._path.parent} was taken over by {describe_holder(holder)} "
                "because this process did not respond for a while; what it had measured is kept."
            )

    def release(self) -> None:
        """Release the folder."""
        self._ended.set()
        self._thread.join()
        if self._is_ours():
            self._path.unlink(missing_ok=True)


@contextmanager
def lock_folder(folder: Path, kind: type[HormesisError] = StudyError) -> Iterator[FolderLock]:
    """Lock a folder while the block runs.

    Args:
        folder: A folder that exists.
        kind: Class of the error to raise.

    Raises:
        HormesisError: Of that class, if another process holds the folder, which the message names,
            or if the lock file is something else.
        OSError: If the lock cannot be written, or is a link.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, lock_folder(Path(folder)) as lock:
        ...     lock.check()
    """
    path = folder / LOCK
    while (created := _create_lock(path) or _take_over(path, kind)) is None:
        pass  # the lock was created or deleted at this moment
    file, token = created
    try:
        lock = FolderLock(path, token)
        try:
            yield lock
        finally:
            lock.release()
    finally:
        file.close()


def _create_lock(path: Path) -> tuple[FileIO, str] | None:
    """Create a lock and return it, open, with its token; None if a lock exists."""
    if os.path.lexists(path):
        return None
    temporary, file, token = _write_lock(path)
    try:
        os.link(temporary, path)  # complete from the first moment
    except OSError as error:
        file.close()
        if isinstance(error, FileExistsError | FileNotFoundError):
            return None  # another process was faster and has cleaned up too
        if error.errno not in _NO_LINKS:
            raise
        return _create_in_place(path)
    finally:
        temporary.unlink(missing_ok=True)
    return file, token


def _create_in_place(path: Path) -> tuple[FileIO, str] | None:
    """Do the same on a file system without hard links."""
    try:
        os.close(os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o644))
    except FileExistsError:
        return None
    temporary, file, token = _write_lock(path)  # whoever sees the empty file waits for its content
    temporary.replace(path)
    return file, token


def _take_over(path: Path, kind: type[HormesisError]) -> tuple[FileIO, str] | None:
    """Take over the lock of a dead process, in one step; None if the lock is gone.

    Raises:
        HormesisError: Of that class, if its process is alive.
    """
    old = _open_lock(path, kind)
    if old is None:
        return None
    try:
        shared = _flock(old)
        if shared is not False and not _is_at(path, old):
            return None
        holder = _living_holder(path, shared=shared)
        if holder is not None:
            raise kind(
                f"The folder {path.parent} is being worked on by {describe_holder(holder)}: wait "
                "for it to end, or choose another folder with `out`."
            )
        try:
            temporary, file, token = _write_lock(path)
        except OSError:  # a full disk: nobody holds the folder
            path.unlink(missing_ok=True)
            raise
        if not _replace_lock(path, old, temporary):
            file.close()
            return None
    finally:
        old.close()
    time.sleep(SETTLE)  # another machine may do the same
    holder = _read(path) or {}
    if holder.get("token") != token:
        file.close()
        raise kind(f"The folder {path.parent} has just been taken by {describe_holder(holder)}.")
    return file, token


def _replace_lock(path: Path, old: FileIO, new: Path) -> bool:
    """Replace an old lock, and return whether it still existed."""
    try:
        if _is_at(path, old):
            _close_unlocked(old)
            new.replace(path)
            return True
    except FileNotFoundError:  # another process was faster and has cleaned up too
        pass
    finally:
        new.unlink(missing_ok=True)
    return False


def _open_lock(path: Path, kind: type[HormesisError]) -> FileIO | None:
    """Open the existing lock; None if it is gone.

    Raises:
        HormesisError: Of that class, if we did not write the file.
    """
    try:
        status = path.lstat()
        is_refused_link = hasattr(os, "O_NOFOLLOW") and stat.S_ISLNK(status.st_mode)  # by `open`
        if not stat.S_ISREG(status.st_mode) and not is_refused_link:
            raise kind(f"Expected {path} to be a file, {_REMEDY}.")
        if status.st_size > _MOST_BYTES:
            raise kind(f"Expected {path} to be no larger than {_MOST_BYTES} bytes, {_REMEDY}.")
        return FileIO(os.open(path, _FLAGS), "r+")
    except FileNotFoundError:
        return None


def _is_at(path: Path, file: FileIO) -> bool:
    """Return whether an open file is the one at a path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False  # deleted by its holder after we opened it


def _flock(file: FileIO) -> bool | None:
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True


def _close_unlocked(file: FileIO) -> None:
    """Close a lock file on systems without locks, where an open file cannot be replaced."""
    if fcntl is None:
        file.close()


def _living_holder(path: Path, *, shared: bool | None) -> Holder | None:
    """Return who holds the folder, or None if the holder is dead."""
    holder = _read(path)
    if shared is False:
        return holder or {}
    for _ in range(2):
        if not holder:  # nobody, unless another process is about to write its entry
            time.sleep(SETTLE)
            holder = _read(path)
    if not holder:
        return holder if holder is not None and _age(path) < TORN else None
    if holder.get("machine") == machine_id():
        return None if shared else _if_running(holder)
    return holder if _age(path) < STALE else None


def _if_running(holder: Holder) -> Holder | None:
    """Return the holder if its process is still the one that wrote the lock."""
    try:
        process = psutil.Process(holder["pid"])
        if process.status() == psutil.STATUS_ZOMBIE:  # dead, but not yet reaped by its parent
            return None
        return holder if process.create_time() <= holder["since"] + 1 else None
    except (psutil.Error, ValueError, OverflowError):
        return None


def _age(path: Path) -> float:
    """Return the seconds since the last touch, by the clock of the file system."""
    probe = temporary_beside(path)
    handle = os.open(probe, _NEW, 0o600)
    try:
        return os.fstat(handle).st_mtime - path.lstat().st_mtime
    except FileNotFoundError:
        return STALE
    finally:
        os.close(handle)
        probe.unlink(missing_ok=True)


def _write_lock(path: Path) -> tuple[Path, FileIO, str]:
    """Write the holder's entry to a temporary file beside the lock, locked by the system.

    Returns:
        The path; the open file; and the token that identifies this holder.
    """
    token = secrets.token_hex(8)
    entry = {
        "token": token,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "machine": machine_id(),
        "since": time.time(),
    }
    temporary = temporary_beside(path)
    file = FileIO(os.open(temporary, _NEW, 0o644), "r+")
    try:
        content = memoryview(json.dumps(entry).encode())
        while content:  # write what fits, then raise the error of a full disk
            content = content[os.write(file.fileno(), content) :]
        os.fsync(file)
        _flock(file)
        _close_unlocked(file)
    except BaseException:
        file.close()
        temporary.unlink(missing_ok=True)
        raise
    return temporary, file, token


def drop_stale(folder: Path) -> None:
    """Delete the lock of a dead process from a folder that nobody holds."""
    if os.path.lexists(folder / LOCK) and holder_of(folder) is None:
        with suppress(OSError, HormesisError), lock_folder(folder):
            pass


def read_holder(folder: Path) -> Holder | None:
    """Return who last wrote the lock file of a folder, dead or alive; None without a lock."""
    return _read(folder / LOCK)


def holder_of(folder: Path) -> Holder | None:
    """Return who holds a folder now, as far as a reader can tell; None if nobody does.

    Nothing is locked or changed.
    """
    holder = read_holder(folder)
    if not holder:
        return None
    if holder["machine"] == machine_id():
        return _if_running(holder)
    try:
        age = time.time() - (folder / LOCK).stat().st_mtime
    except OSError:
        return None
    return holder if age < STALE else None


def _read(path: Path) -> Holder | None:
    """Return the entry of a lock: {} if it cannot be read, None if it is empty or missing."""
    try:
        content = read_bytes(path, _MOST_BYTES)
    except UnreadableFile:  # a pipe, a device or a link names no holder
        return {}
    except OSError:
        return None
    try:
        entry = parse_json(content)
        types = (("token", str), ("host", str), ("pid", int), ("machine", str), ("since", float))
        if all(isinstance(entry[name], kind) for name, kind in types):
            return entry
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return {} if content else None


def describe_holder(holder: Holder) -> str:
    """Describe who holds a folder."""
    if not holder or not 0 < holder["since"] < 2**33:
        return "another process"
    since = datetime.fromtimestamp(holder["since"]).strftime("%d %b %H:%M")
    return f"process {holder['pid']} on {holder['host'][:64]!r}, since {since}"
