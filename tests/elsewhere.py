"""Another system than Linux, as far as a fresh process can pretend to be one.

What the system lacks is taken away, and what it refuses is refused, after the libraries have been
imported: those come in a build for each system, Hormesis does not.
"""

import importlib
import os
import pkgutil
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

LIBRARIES = (
    *("torch", "torchvision", "pandas", "pyarrow.parquet", "scipy.stats", "sklearn"),
    *("matplotlib.pyplot", "yaml", "rich.progress", "PIL.Image", "safetensors.torch"),
    *("lightning", "torch.fx", "torch.export"),
)
NOT_ON_MACOS = (
    *("sched_getaffinity", "sched_setaffinity", "posix_fallocate", "posix_fadvise", "fdatasync"),
    *("memfd_create", "eventfd", "pipe2", "copy_file_range", "getrandom", "O_PATH", "O_TMPFILE"),
)
NOT_ON_WINDOWS = (
    *NOT_ON_MACOS,
    *("fork", "forkpty", "pread", "pwrite", "preadv", "pwritev", "readv", "writev", "sendfile"),
    *("O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "O_CLOEXEC", "O_SYNC", "O_DSYNC", "O_NOCTTY"),
    *("getuid", "geteuid", "getgid", "getegid", "getpgid", "setsid", "killpg", "nice", "uname"),
    *("chown", "fchown", "lchown", "fchmod", "mkfifo", "mknod", "statvfs", "fstatvfs", "sync"),
    *("sysconf", "getloadavg", "waitid", "wait", "wait4", "lockf", "fchdir", "chroot"),
)
MODULES_NOT_ON_WINDOWS = ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog")
SIGNALS_NOT_ON_WINDOWS = ("SIGHUP", "SIGKILL", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM")
_PROCESSES = ("/proc/", "/sys/")


def _without(module: Any, names: tuple[str, ...]) -> None:
    for name in names:
        if hasattr(module, name):
            delattr(module, name)


def _refuse_proc(event: str, arguments: tuple[Any, ...]) -> None:
    """Have no files about processes; an audit hook."""
    if event == "open" and isinstance(arguments[0], str) and arguments[0].startswith(_PROCESSES):
        raise FileNotFoundError(2, os.strerror(2), arguments[0])


def _refuse_opened(event: str, arguments: tuple[Any, ...]) -> None:
    """Neither open a folder nor rename or delete what is open or mapped; an audit hook."""
    if event == "open" and isinstance(arguments[0], str) and Path(arguments[0]).is_dir():
        raise PermissionError(13, os.strerror(13), arguments[0])
    changed = {"os.remove": arguments[:1], "os.rmdir": arguments[:1], "os.rename": arguments[:2]}
    for path in map(os.fsdecode, changed.get(event, ())):
        place = os.path.realpath(path)
        if any(each == place or each.startswith(f"{place}{os.sep}") for each in _in_use()):
            raise PermissionError(13, os.strerror(13), path)


def _in_use() -> list[str]:
    mapped = [each.path for each in psutil.Process().memory_maps()]
    return mapped + [each.path for each in psutil.Process().open_files()]


def pretend(system: str, folder: Path) -> None:
    """Be another system from now on: ``macos`` or ``windows``."""
    for name in LIBRARIES:
        importlib.import_module(name)
    (folder / "processes").symlink_to("/proc")
    psutil.PROCFS_PATH = str(folder / "processes")  # it asks the system itself there
    _without(os, NOT_ON_MACOS)
    sys.addaudithook(_refuse_proc)
    if system == "windows":
        _without(os, NOT_ON_WINDOWS)
        _without(signal, SIGNALS_NOT_ON_WINDOWS)
        _without(select, ("poll", "epoll"))
        for functions in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
            functions.clear()
        for name in MODULES_NOT_ON_WINDOWS:
            sys.modules[name] = None  # pyright: ignore[reportArgumentType] - there is no such
        sys.addaudithook(_refuse_opened)


def import_everything() -> list[str]:
    """Import every module of Hormesis but the entry point, and return their names."""
    package = importlib.import_module("hormesis")
    found = pkgutil.walk_packages(package.__path__, "hormesis.")
    names = sorted(one.name for one in found if not one.name.endswith("__main__"))
    for name in names:
        importlib.import_module(name)
    return names


def hold(folder: Path) -> None:
    """Hold a folder, be refused it, let go, and take it over from a process that has died."""
    lock = importlib.import_module("hormesis.storage.lock")
    errors = importlib.import_module("hormesis.errors")
    with lock.lock_folder(folder) as held:
        held.check()
        with pytest.raises(errors.StudyError, match="is being worked on"), lock.lock_folder(folder):
            pass
        kept = (folder / lock.LOCK).read_text(encoding="utf-8")
    assert not (folder / lock.LOCK).exists()
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    kept = kept.replace(f'"pid": {os.getpid()}', f'"pid": {dead.pid}')
    (folder / lock.LOCK).write_text(kept, encoding="utf-8")
    with lock.lock_folder(folder):
        pass
    assert [*folder.iterdir()] == []


def commands(folder: Path) -> list[list[str]]:
    """Return commands that write, go on, overwrite, read and draw."""
    study = str(folder / "study")
    analyze = [
        *("analyze", "--model", "my.nets:build", "--data", "my.sets:held_out", "--epsilon", "0.1"),
        *("--thresholds", "3", "--no-progress"),
    ]
    return [
        [*analyze, "--engine", "plain", "--out", str(folder / "plain")],
        [*analyze, "--out", study],
        [*analyze, "--out", study],
        [*analyze, "--out", study, "--overwrite"],
        [*analyze, "--out", str(folder / "other"), "--extend", study, "--epsilon", "0.2"],
        ["verify", study],
        ["show", str(folder / "plain")],
        ["report", study, "--out", str(folder / "report.html")],
    ]


def main(system: str, home: str) -> None:
    """Pretend, import, hold a folder, and run the commands."""
    folder = Path(home)
    pretend(system, folder)
    sys.stdout.write(f"{len(import_everything())} modules\n")
    (folder / "held").mkdir()
    hold(folder / "held")
    run = importlib.import_module("hormesis.cli.app").main
    for words in commands(folder):
        code = run(words)
        assert code == 0, (words, code)


if __name__ == "__main__":
    main(*sys.argv[1:])
