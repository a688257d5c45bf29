"""A guard on the suite: no test writes, deletes or renames anything that is not its own.

Python says through its audit events what it is about to do; what lies elsewhere is refused before
it is done, also to root, and the test fails. Processes that a test starts are not watched, nor is
what libraries do without Python.
"""

import getpass
import os
import stat
import tempfile
import threading
from typing import Any

import pytest

# Which arguments of an event are the names, and of which folder they are relative.
_CHANGES = {
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, -1),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.utime": ((0, 3),),
    "shutil.rmtree": ((0, -1),),
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CACHES = {"__pycache__", ".pytest_cache", ".hypothesis", ".ruff_cache"}
# Where libraries keep what they have worked out; and where Ray keeps its sessions.
_LIBRARIES = (
    "~/.cache",
    "~/.config/matplotlib",
    "~/.triton",
    "/dev/shm",
    "/proc",  # where nobody can put a file, as tests of refusals want it
    "/tmp/ray",
    os.path.join(tempfile.gettempdir(), f"torchinductor_{getpass.getuser()}"),
)
# Caught by no `except Exception` of what is tested.
Harm = pytest.fail.Exception
found: list[str] = []
over = threading.Event()  # after the last test, libraries remove what they have made while imported
roots = [os.path.realpath(os.path.expanduser(folder)) for folder in _LIBRARIES]


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse what would harm; an audit hook."""
    if over.is_set():
        return
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, str | bytes | os.PathLike) and flags & _WRITING:
            _check(event, os.path.realpath(os.fsdecode(path)), opened=True)
    elif event in _CHANGES:
        for place, folder in _CHANGES[event]:
            path = arguments[place]
            if isinstance(path, str | bytes | os.PathLike):
                above = arguments[folder] if folder >= 0 and len(arguments) > folder else -1
                _check(event, _placed(os.fsdecode(path), above))


def _placed(name: str, above: int | None) -> str:
    """Return where a name lies; it is not followed itself, as it is what would be changed."""
    if above is not None and above >= 0 and not os.path.isabs(name):
        name = os.path.join(os.readlink(f"/proc/self/fd/{above}"), name)
    folder, last = os.path.split(os.path.abspath(name))
    return os.path.join(os.path.realpath(folder), last)


def _check(event: str, path: str, *, opened: bool = False) -> None:
    if any(path == root or path.startswith(f"{root}{os.sep}") for root in roots):
        return
    if _CACHES & set(path.split(os.sep)):
        return
    if opened and _is_device(path):
        return  # written to, as /dev/full is; never deleted
    found.append(f"{event} of {path}")
    raise Harm(f"This test would harm what is not its own: {found[-1]}.")


def _is_device(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
