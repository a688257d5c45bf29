"""Progress of long work: a bar with an ETA in a terminal, a line now and then in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from hormesis.errors import printable

Report = Callable[[str, int, int], None]
"""Called with the name of a stage, the work done and the work in total; where ``SENTENCE`` stands
for the total, the name is a sentence that is shown once."""
SENTENCE = -1

_SECONDS_BETWEEN_LINES = 30.0
_QUIET_SECONDS = 2.0


def silent(stage: str, done: int, total: int) -> None:
    """Show nothing."""


@contextmanager
def show_progress(*, enabled: bool = True) -> Iterator[Report]:
    """Show progress on standard error while the block runs.

    Args:
        enabled: If not, nothing is shown.

    Yields:
        What to call with stage, work done and work in total. Stages that last less than two seconds
        leave no line in a log.
    """
    console = Console(stderr=True)
    if not enabled:
        yield silent
    elif console.is_terminal or (console.is_jupyter and find_spec("ipywidgets")):
        yield from _bars(console)
    else:
        yield _Lines().report


def _bars(console: Console) -> Iterator[Report]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        tasks = {}

        def report(stage: str, done: int, total: int) -> None:
            if total == SENTENCE:
                progress.console.print(printable(stage), markup=False, highlight=False)
                return
            if stage not in tasks:
                tasks[stage] = progress.add_task(printable(stage), total=total)
            progress.update(tasks[stage], completed=done, total=total)

        yield report


class _Lines:
    """A line every half a minute, and one at the end of a stage."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
        self._printed: dict[str, float] = {}

    def report(self, stage: str, done: int, total: int) -> None:
        if total == SENTENCE:
            self._say(stage)
            return
        now = time.monotonic()
        started = self._started.setdefault(stage, now)
        last = self._printed.get(stage, started)
        seconds = now - started
        if done >= total and seconds >= _QUIET_SECONDS and last >= 0:
            self._printed[stage] = -1.0
            self._say(f"{stage}: done in {_clock(seconds)}")
        elif done < total and now - last >= _SECONDS_BETWEEN_LINES:
            self._printed[stage] = now
            left = f", {_clock(seconds / done * (total - done))} left" if done else ""
            self._say(f"{stage}: {done / total:.0%}{left}")

    def _say(self, line: str) -> None:
        print(printable(line), file=sys.stderr, flush=True)  # noqa: T201


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
