"""A process that has imported everything, and forks at the door of a command for every request.

Reads requests from standard input and answers on standard output, one JSON object a line. Runs with
``LD_PRELOAD``. What a child runs is the real command line: the words are parsed once, and the
process is forked where ``hormesis.cli.app`` calls the command. Only the pixels of pictures are
those of an empty one: to draw them takes longer than all the rest, and touches no file.
"""

import gc
import importlib
import json
import os
import pkgutil
import signal
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from faults.shim import Fault, Shim

Request = dict[str, Any]


class OtherWords(BaseException):
    """The next request is for another command line."""


def prepare() -> None:
    """Import all that a command may need, while no thread runs."""
    import matplotlib
    import pandas as pd
    import torch

    import hormesis

    torch.set_num_threads(1)
    for module in pkgutil.walk_packages(hormesis.__path__, "hormesis."):
        if not module.name.endswith(("__main__", "remote")):
            importlib.import_module(module.name)
    importlib.import_module("tiny")
    importlib.import_module("lightning.pytorch")
    matplotlib.use("agg")
    leave_pictures_empty()
    pd.DataFrame({"a": [1], "b": ["x"]}).to_parquet(None, index=False)


def leave_pictures_empty() -> None:
    """Let every picture be one of a few pixels, under whatever name or in whatever file."""
    from matplotlib.figure import Figure

    from hormesis.report.plots import overview, retraining, style

    save = Figure.savefig

    def saved(self: Figure, place: Any, **options: Any) -> None:
        save(Figure(figsize=(0.1, 0.1)), place, **{**options, "dpi": 10, "bbox_inches": None})

    Figure.savefig = saved  # pyright: ignore[reportAttributeAccessIssue]
    saved(Figure(), BytesIO(), format="png")
    for module in (overview, retraining):
        for name in ("draw_overview", "draw_arms"):
            if hasattr(module, name):
                setattr(module, name, lambda _, path: style.save(Figure(), path, dpi=10))


class Server:
    """Answers requests, one after the other."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._shim, self._asked = Shim(), Request()
        self._known = set[str]()
        self._child = False

    def serve(self) -> None:
        """Answer until there are no more requests."""
        from hormesis.cli import app

        found = app.command_function
        app.command_function = lambda name: self._forking(found(name))
        self._answer({"threads": len(list(Path("/proc/self/task").iterdir()))})
        self._next()
        while self._asked:
            code = 1
            try:
                code = app.main(list(self._asked["words"]))
            except OtherWords:
                continue
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            except BaseException:
                sys.excepthook(*sys.exc_info())  # pyright: ignore[reportArgumentType]
            self._leave(code)

    def _forking(self, command: Callable[[Any], int | None]) -> Callable[[Any], int | None]:
        def forked(given: Any) -> int | None:
            words = self._asked["words"]
            while self._asked and self._asked["words"] == words:
                begun = time.monotonic()
                pid = os.fork()
                if pid == 0:
                    self._begin()
                    return command(given)
                code = _waited(pid, self._asked["seconds"])
                seconds = time.monotonic() - begun
                self._learn(Path(self._asked["learnt"]))
                self._answer({"code": code, "seconds": seconds, **self._shim.found()})
                self._next()
            raise OtherWords

        return forked

    def _begin(self) -> None:
        """Become a process of its own."""
        asked, self._child = self._asked, True
        for name, place in (("said", 1), ("errors", 2)):
            handle = os.open(asked[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(handle, place)
            os.close(handle)
        os.chdir(asked["root"])
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
        sys.argv = ["hormesis", *asked["words"]]
        self._known = set(sys.modules)
        if asked["quiet"]:
            summary: Any = importlib.import_module("hormesis.report.text.summary")
            summary.print_summary = _silent
        self._shim.arm(asked["root"], Fault(*asked["fault"]), asked["at"], asked["journal"])

    def _leave(self, code: int) -> None:
        if not self._child:
            raise RuntimeError(f"not a command: {self._asked['words']}")
        self._shim.disarm()
        sys.stdout.flush()
        sys.stderr.flush()
        Path(self._asked["learnt"]).write_text("\n".join(sys.modules.keys() - self._known))
        os._exit(code)

    def _learn(self, path: Path) -> None:
        """Import what a child had to import, so that the next one need not."""
        if not path.is_file():
            return
        for name in path.read_text().split():
            if name not in sys.modules:
                try:
                    importlib.import_module(name)
                except Exception:
                    continue
        path.unlink()
        gc.collect()
        gc.freeze()  # nothing of this is garbage: children need not look

    def _answer(self, said: Request) -> None:
        print(json.dumps(said), file=self._answers, flush=True)

    def _next(self) -> None:
        line = sys.stdin.readline()
        self._asked = json.loads(line) if line else {}


def _silent(*_: Any, **__: Any) -> None:
    """Stand for what prints a study."""


def _waited(pid: int, seconds: float) -> int | None:
    """Return how a child ended: its code, minus a signal, or None if it had to be killed."""
    until = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        time.sleep(0.002)


if __name__ == "__main__":
    prepare()
    Server().serve()
