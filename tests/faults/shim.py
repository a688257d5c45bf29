"""The library that makes file operations fail, from Python."""

import ctypes
import errno
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# What operations do, as shim.c counts them.
OPEN_READ, OPEN_WRITE, CREATE, READ, WRITE, TRUNCATE, SYNC, RENAME = (1 << bit for bit in range(8))
LINK, UNLINK, MKDIR, RMDIR, LIST, META, CLOSE, LOOK = (1 << bit for bit in range(8, 16))
_NAMES = (
    *("open to read", "open to write", "create", "read", "write", "truncate", "sync", "rename"),
    *("link", "unlink", "mkdir", "rmdir", "list", "change", "close", "look"),
)
CHANGES = CREATE | WRITE | TRUNCATE | RENAME | LINK | UNLINK | MKDIR | RMDIR
_SOURCES = ("shim", "operations", "trap")
_ALL = (1 << 15) - 1
_KILL, _HALF = -1, -2


@dataclass(frozen=True)
class Fault:
    """What happens to one operation.

    Args:
        name: What tables call it.
        classes: Which operations it may happen to; its places are counted among these alone.
        action: As ``faults_arm`` takes it.
        sticky: Whether all later operations of these classes fail too, as on a full disk.
    """

    name: str
    classes: int
    action: int
    sticky: bool = False

    @property
    def is_error(self) -> bool:
        return self.action > 0


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("kill", CHANGES, _KILL),
        Fault("kill in a write", WRITE, _HALF),
        Fault("EIO", _ALL, errno.EIO),
        Fault(
            "ENOSPC",
            CREATE | WRITE | TRUNCATE | SYNC | RENAME | LINK | MKDIR,
            errno.ENOSPC,
            sticky=True,
        ),
        Fault("EMFILE", OPEN_READ | OPEN_WRITE | CREATE | LIST, errno.EMFILE),
        Fault("EPERM", CHANGES & ~WRITE | OPEN_WRITE | META, errno.EPERM),
    )
}
NOTHING = Fault("nothing", CHANGES, 0)
EVERYTHING = Fault("everything", _ALL, 0)


def named(operation: int) -> str:
    """Return what kind of operation it was."""
    return _NAMES[operation.bit_length() - 1] if operation else "none"


def missing() -> str:
    """Return why the library cannot be used here, or nothing."""
    if sys.platform != "linux":
        return "file operations are intercepted on Linux alone"
    if not (shutil.which("cc") or shutil.which("gcc")):
        return "there is no C compiler"
    return ""


def built(folder: Path) -> Path:
    """Compile the library into a folder, and return its file."""
    made = folder / "faults.so"
    compiler = shutil.which("cc") or shutil.which("gcc") or "cc"
    sources = [str(Path(__file__).with_name(f"{name}.c")) for name in _SOURCES]
    words = [compiler, "-O1", "-Wall", "-shared", "-fPIC", "-o", str(made), *sources]
    subprocess.run([*words, "-ldl", "-lpthread"], check=True)
    return made


class Shim:
    """The library, in a process that it was preloaded into."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(os.environ["LD_PRELOAD"])
        self._library.faults_counted.restype = ctypes.c_long
        self._library.faults_fired.restype = ctypes.c_long

    def arm(self, root: str, fault: Fault, at: int, journal: str = "") -> None:
        """Count from now on, and let the fault happen at one place; at none if that is below 0."""
        given = root.encode(), ctypes.c_uint(fault.classes), fault.action, ctypes.c_long(at)
        self._library.faults_arm(*given, int(fault.sticky), journal.encode())

    def disarm(self) -> None:
        """Count no longer."""
        self._library.faults_disarm()

    def found(self) -> dict[str, int | str]:
        """Return how much was counted, how often a fault happened, and first to what."""
        library = self._library
        return {
            "counted": library.faults_counted(),
            "fired": library.faults_fired(),
            "operation": named(library.faults_class()),
        }
