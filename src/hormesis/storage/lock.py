"""One process at a time works on a folder; a dead one holds it for nobody.

The holder keeps a file in the folder: locked by the system, which lets go of it when the process
ends in whatever way, and with its name written in it, whole from the first moment. Where a network
file system does not share the system's locks between machines, it still shares that file: its
holder touches it every few seconds, and another machine takes it for dead once it has not for a
minute.
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
from hormesis.storage.atomic import temporary_beside
from hormesis.storage.safe_read import UnreadableFile, parse_json, read_bytes

try:
    import fcntl
except ImportError:  # Windows: what is written in the file has to do, which is not kept open there,
    fcntl = None  # as what is open can be neither replaced nor deleted

LOCK = ".lock"
BEAT = 5.0  # seconds between two signs of life
STALE = 60.0  # seconds without one, after which a holder on another machine is dead
SETTLE = 0.5  # seconds in which two that take over at once see each other
TORN = 0.9  # seconds after which nobody is still writing what is half written
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_MOST_BYTES = 4096
# A link might lead to anything, and somebody may put a pipe there.
_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_FLAGS |= getattr(os, "O_BINARY", 0)  # without it, Windows changes the ends of lines
_NEW = _FLAGS | os.O_CREAT | os.O_EXCL
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_REMEDY = "as hormesis writes it there: delete it, or choose another folder with `out`"
Holder = Mapping[str, Any]


class Held:
    """A folder that this process holds, and shows that it does."""

    def __init__(self, path: Path, token: str) -> None:
        """Begin to show signs of life.

        Args:
            path: The lock file.
            token: What it says while it is ours.
        """
        self._path, self._token = path, token
        self._ended = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="lock", daemon=True)
        self._beating.start()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            try:
                if self._ours():
                    os.utime(self._path)
            except OSError:
                pass  # a file system that is away for a while

    def _ours(self) -> bool:
        return (_read(self._path) or {}).get("token") == self._token

    def check(self) -> None:
        """Make sure that nobody has taken the folder over, as after a sleep of this machine.

        Raises:
            StudyError: If somebody has.
        """
        there = _read(self._path)
        if there is not None and not self._ours():
            raise StudyError(
                f"The folder {self._path.parent} was taken over by {describe_holder(there)}, as "
                "this process gave no sign of life for a while: what it had measured is kept."
            )

    def end(self) -> None:
        """Let go."""
        self._ended.set()
        self._beating.join()
        if self._ours():
            self._path.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path, kind: type[HormesisError] = StudyError) -> Iterator[Held]:
    """Hold a folder while the block runs.

    Args:
        folder: A folder that exists.
        kind: What to raise.

    Raises:
        HormesisError: Of that kind, if another process holds the folder; it is named. Also if
            something lies in the place of the lock that is no lock.
        OSError: If the lock cannot be written, or a link lies in its place.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, locked(Path(folder)) as held:
        ...     held.check()
    """
    path = folder / LOCK
    while (taken := _laid(path) or _taken_over(path, kind)) is None:
        pass  # it came, or went, this very moment
    file, token = taken
    try:
        held = Held(path, token)
        try:
            yield held
        finally:
            held.end()
    finally:
        file.close()


def _laid(path: Path) -> tuple[FileIO, str] | None:
    """Lay a lock where there is none; return it, open, and its token. None if there is one."""
    if os.path.lexists(path):
        return None
    temporary, file, token = _signed(path)
    try:
        os.link(temporary, path)  # whole from the first moment
    except OSError as error:
        file.close()
        if isinstance(error, FileExistsError | FileNotFoundError):
            return None  # somebody was faster, and has tidied up too
        if error.errno not in _NO_LINKS:
            raise
        return _laid_in_place(path)
    finally:
        temporary.unlink(missing_ok=True)
    return file, token


def _laid_in_place(path: Path) -> tuple[FileIO, str] | None:
    """Do the same where the file system knows no second names."""
    try:
        os.close(os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o644))
    except FileExistsError:
        return None
    temporary, file, token = _signed(path)  # who sees the empty file waits for the name in it
    temporary.replace(path)
    return file, token


def _taken_over(path: Path, kind: type[HormesisError]) -> tuple[FileIO, str] | None:
    """Take the lock of a dead process over, whole at any moment; None if it is gone.

    Raises:
        HormesisError: Of that kind, if its process is not dead.
    """
    old = _opened(path, kind)
    if old is None:
        return None
    try:
        shared = _flocked(old)
        if shared is not False and not _is_at(path, old):
            return None
        holder = _alive(path, shared=shared)
        if holder is not None:
            raise kind(
                f"The folder {path.parent} is being worked on by {describe_holder(holder)}: wait "
                "for it to end, or choose another folder with `out`."
            )
        try:
            temporary, file, token = _signed(path)
        except OSError:  # a full disk: nobody holds the folder
            path.unlink(missing_ok=True)
            raise
        if not _replaced(path, old, temporary):
            file.close()
            return None
    finally:
        old.close()
    time.sleep(SETTLE)  # another machine may have had the same thought
    there = _read(path) or {}
    if there.get("token") != token:
        file.close()
        raise kind(f"The folder {path.parent} has just been taken by {describe_holder(there)}.")
    return file, token


def _replaced(path: Path, old: FileIO, new: Path) -> bool:
    """Put a lock in the place of an old one; return whether that one was still there."""
    try:
        if _is_at(path, old):
            _close_unlocked(old)
            new.replace(path)
            return True
    except FileNotFoundError:  # somebody was faster, and has tidied up too
        pass
    finally:
        new.unlink(missing_ok=True)
    return False


def _opened(path: Path, kind: type[HormesisError]) -> FileIO | None:
    """Return the lock that lies there, open; None if it is gone.

    Raises:
        HormesisError: Of that kind, if it is something that we did not write.
    """
    try:
        found = path.lstat()
        refused = hasattr(os, "O_NOFOLLOW")  # whether the system refuses to open a link
        if not stat.S_ISREG(found.st_mode) and not (refused and stat.S_ISLNK(found.st_mode)):
            raise kind(f"Expected {path} to be a file, {_REMEDY}.")
        if found.st_size > _MOST_BYTES:
            raise kind(f"Expected {path} to be no larger than {_MOST_BYTES} bytes, {_REMEDY}.")
        return FileIO(os.open(path, _FLAGS), "r+")
    except FileNotFoundError:
        return None


def _is_at(path: Path, file: FileIO) -> bool:
    """Return whether a file that is open is the one that lies at a path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False  # deleted by its holder, after we had opened it


def _flocked(file: FileIO) -> bool | None:
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True


def _close_unlocked(file: FileIO) -> None:
    """Close a lock that is only read by others, so that it can be replaced and deleted."""
    if fcntl is None:
        file.close()


def _alive(path: Path, *, shared: bool | None) -> Holder | None:
    """Return who holds the folder, or None if whoever did is dead."""
    there = _read(path)
    if shared is False:
        return there or {}
    for _ in range(2):
        if not there:  # nobody, unless somebody is just about to sign
            time.sleep(SETTLE)
            there = _read(path)
    if not there:
        return there if there is not None and _age(path) < TORN else None
    if there.get("machine") == _machine():
        return None if shared else _running(there)
    return there if _age(path) < STALE else None


def _running(there: Holder) -> Holder | None:
    """Return the holder, if its process is still the one that signed."""
    try:
        process = psutil.Process(there["pid"])
        if process.status() == psutil.STATUS_ZOMBIE:  # dead, which its parent has not noticed yet
            return None
        return there if process.create_time() <= there["since"] + 1 else None
    except (psutil.Error, ValueError, OverflowError):
        return None


def _age(path: Path) -> float:
    """Return for how many seconds there was no sign of life, by the file system's own clock."""
    now = temporary_beside(path)
    handle = os.open(now, _NEW, 0o600)
    try:
        return os.fstat(handle).st_mtime - path.lstat().st_mtime
    except FileNotFoundError:
        return STALE
    finally:
        os.close(handle)
        now.unlink(missing_ok=True)


def _signed(path: Path) -> tuple[Path, FileIO, str]:
    """Write who holds the folder, into a file beside the lock that the system has locked.

    Returns:
        The file; the same, open where the system locks it; and what tells this holder from all
        others.
    """
    token = secrets.token_hex(8)
    said = {
        "token": token,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "machine": _machine(),
        "since": time.time(),
    }
    temporary = temporary_beside(path)
    file = FileIO(os.open(temporary, _NEW, 0o644), "r+")
    try:
        content = memoryview(json.dumps(said).encode())
        while content:  # as much as there is room for, then the error
            content = content[os.write(file.fileno(), content) :]
        os.fsync(file)
        _flocked(file)
        _close_unlocked(file)
    except BaseException:
        file.close()
        temporary.unlink(missing_ok=True)
        raise
    return temporary, file, token


def _machine() -> str:
    """Return what processes under one kernel have in common, containers included."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return socket.gethostname()


def drop_stale(folder: Path) -> None:
    """Delete the lock of a dead process from a folder that nobody holds, if there is one."""
    if os.path.lexists(folder / LOCK) and holder_of(folder) is None:
        with suppress(OSError, HormesisError), locked(folder):
            pass


def read_holder(folder: Path) -> Holder | None:
    """Return who wrote the lock file of a folder last, dead or alive; None if there is none."""
    return _read(folder / LOCK)


def holder_of(folder: Path) -> Holder | None:
    """Return who holds a folder at this moment, as far as a reader can tell; None if nobody does.

    Nothing is locked or changed.
    """
    there = read_holder(folder)
    if not there:
        return None
    if there["machine"] == _machine():
        return _running(there)
    try:
        age = time.time() - (folder / LOCK).stat().st_mtime
    except OSError:
        return None
    return there if age < STALE else None


def _read(path: Path) -> Holder | None:
    """Return what a lock says: nothing if it cannot be read, None if it is empty or not there."""
    try:
        content = read_bytes(path, _MOST_BYTES)
    except UnreadableFile:  # a pipe, a device, a link: nothing that says who
        return {}
    except OSError:
        return None
    try:
        said = parse_json(content)
        types = (("token", str), ("host", str), ("pid", int), ("machine", str), ("since", float))
        if all(isinstance(said[name], kind) for name, kind in types):
            return said
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return {} if content else None


def describe_holder(holder: Holder) -> str:
    """Return who holds a folder, in words."""
    if not holder or not 0 < holder["since"] < 2**33:
        return "another process"
    since = datetime.fromtimestamp(holder["since"]).strftime("%d %b %H:%M")
    return f"process {holder['pid']} on {holder['host'][:64]!r}, since {since}"
