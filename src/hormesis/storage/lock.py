"""One process at a time works on a folder; a dead one holds it for nobody.

The holder keeps a file in the folder: locked by the system, which lets go of it when the process
ends in whatever way, and with its name written in it. Where a network file system does not share
the system's locks between machines, it still shares that file: its holder touches it every few
seconds, and another machine takes it for dead once it has not for a minute.
"""

import errno
import json
import os
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from hormesis.errors import HormesisError, StudyError

try:
    import fcntl
except ImportError:  # Windows: what is written in the file has to do
    fcntl = None

LOCK = ".lock"
BEAT = 5.0  # seconds between two signs of life
STALE = 60.0  # seconds without one, after which a holder on another machine is dead
SETTLE = 0.5  # seconds in which two that take over at once see each other
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)  # a link might lead to anything
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
                f"The folder {self._path.parent} was taken over by {spelled_holder(there)}, as "
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
        HormesisError: Of that kind, if another process holds the folder; it is named.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder, locked(Path(folder)) as held:
        ...     held.check()
    """
    path = folder / LOCK
    handle, new, shared = _opened(path)
    try:
        holder = None if new else _alive(path, shared=shared)
        if holder is not None:
            raise kind(
                f"The folder {folder} is being worked on by {spelled_holder(holder)}: wait for it "
                "to end, or choose another folder with `out`."
            )
        try:
            token = _signed(handle)
        except OSError:  # a full disk: half a name would hold the folder for a while
            path.unlink(missing_ok=True)
            raise
        if not new:  # another machine may have had the same thought
            time.sleep(SETTLE)
            there = _read(path) or {}
            if there.get("token") != token:
                raise kind(f"The folder {folder} has just been taken by {spelled_holder(there)}.")
        held = Held(path, token)
        try:
            yield held
        finally:
            held.end()
    finally:
        os.close(handle)


def _opened(path: Path) -> tuple[int, bool, bool | None]:
    """Return the lock file, open; whether it is new; and whether the system let us lock it.

    The last is None where the file system knows no such locks.
    """
    while True:
        try:
            handle, new = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o644), True
        except FileExistsError:
            try:
                handle, new = os.open(path, _FLAGS), False
            except FileNotFoundError:
                continue
        shared = _flocked(handle)
        try:
            if shared is False or os.fstat(handle).st_ino == path.stat().st_ino:
                return handle, new and shared is not False, shared
        except FileNotFoundError:
            pass  # deleted by its holder, after we had opened it
        os.close(handle)


def _flocked(handle: int) -> bool | None:
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True


def _alive(path: Path, *, shared: bool | None) -> Holder | None:
    """Return who holds the folder, or None if whoever did is dead."""
    there = _read(path)
    if shared is False:
        return there or {}
    if there is None:  # nobody, unless another machine is just about to sign
        time.sleep(SETTLE)
        there = _read(path)
    if there is None:
        return None
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
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".now.") as now:
        try:
            return os.fstat(now.fileno()).st_mtime - path.stat().st_mtime
        except FileNotFoundError:
            return STALE


def _signed(handle: int) -> str:
    """Write who holds the folder, and return what tells this holder from all others."""
    token = secrets.token_hex(8)
    said = {
        "token": token,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "machine": _machine(),
        "since": time.time(),
    }
    content = json.dumps(said).encode()
    os.pwrite(handle, content, 0)
    os.ftruncate(handle, len(content))
    os.fsync(handle)
    return token


def _machine() -> str:
    """Return what processes under one kernel have in common, containers included."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return socket.gethostname()


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
    """Return what a lock file says: nothing if it is being written, None if it is not there."""
    try:
        text = path.read_text()
    except OSError:
        return None
    try:
        said = json.loads(text)
        types = (("token", str), ("host", str), ("pid", int), ("machine", str), ("since", float))
        if all(isinstance(said[name], kind) for name, kind in types):
            return said
    except (ValueError, TypeError, KeyError):
        pass
    return {} if text else None


def spelled_holder(holder: Holder) -> str:
    """Return who holds a folder, in words."""
    if not holder or not 0 < holder["since"] < 2**33:
        return "another process"
    since = datetime.fromtimestamp(holder["since"]).strftime("%d %b %H:%M")
    return f"process {holder['pid']} on {holder['host'][:64]!r}, since {since}"
