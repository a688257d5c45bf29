"""A study in a process of its own that dies, as by ``kill -9``, at a chosen moment."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

import hormesis as hm
from hormesis.engine.shards import ShardTask
from hormesis.measure.shard_worker import ShardWorker

# Everything that a study does to its folder.
EVENTS = (
    (os, "fsync"),
    (os, "write"),
    (os, "close"),
    (os, "link"),
    (os, "unlink"),
    (os, "rmdir"),
    (Path, "mkdir"),
    (Path, "replace"),
    (Path, "rename"),
    (Path, "unlink"),
)
SHARDS = 5
FILTERS = ("high_pass", "low_pass")


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        nn.init.zeros_(made.get_parameter("3.bias"))
    return made


def data(samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    inputs = torch.rand(samples, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        labels = network()(inputs).argmax(dim=1)
    labels[::7] = 1 - labels[::7]
    return inputs, labels


def analyze(out: Path, kind: str) -> hm.Study:
    """Analyse, go on or replace: ``usual``, ``until``, ``overwrite`` or ``extend``."""
    until = "certain" if kind == "until" else None
    extend = out if kind == "extend" else None
    return hm.analyze(
        network(),
        data(1500 if until else 32 * SHARDS),
        attack=hm.FGSM(0.05),
        sweep=hm.Sweep(thresholds=9 if extend else 5, filters=FILTERS, until=until),
        execution=hm.Execution(
            progress=False, engine="plain", overwrite=kind == "overwrite", extend=extend
        ),
        out=out,
    )


def run(out: Path, kind: str, at: int | float | None, log: Path) -> None:
    """Analyse until the process dies.

    Args:
        out: The study's folder.
        kind: See ``analyze``.
        at: Number of the event at which it dies, even numbers before and odd ones after it has its
            effect; or, if no whole number, the seconds after which it dies wherever it is.
        log: The places of the shards that are measured are added to this file, and the number of
            events at the end.
    """
    torch.set_num_threads(1)
    seen = 0

    def dying(event: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **options: Any) -> Any:
            nonlocal seen
            _die(at == seen)
            found = event(*given, **options)
            _die(at == seen + 1)
            seen += 2
            return found

        return counted

    measure = ShardWorker.__call__

    def noted(self: ShardWorker, task: ShardTask, tick: Any = None) -> bytes:
        with log.open("a") as file:
            file.write(f"{task.first}\n")
        return measure(self, task, tick)

    ShardWorker.__call__ = noted
    if isinstance(at, float):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, at)  # whose default action ends the process at once
    for owner, name in EVENTS:
        setattr(owner, name, dying(getattr(owner, name)))
    begun = time.monotonic()
    analyze(out, kind)
    taken = time.monotonic() - begun
    log.with_suffix(".events").write_text(f"{seen} {taken}")


def _die(now: bool) -> None:
    if now:
        os.kill(os.getpid(), signal.SIGKILL)
