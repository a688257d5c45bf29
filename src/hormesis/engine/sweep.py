"""Every removal on every sample: blocks measured side by side, in the order of the samples."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

import torch

from hormesis.engine.memory import FEWEST, MOST
from hormesis.engine.outcomes import Block, Outcomes
from hormesis.inputs.samples import Samples
from hormesis.stress.halt import halting

Measure = Callable[[Block, Callable[[], None]], Outcomes]


class _CancelledError(Exception):
    """Ends a worker whose result nobody waits for any more."""


def sweep(
    measure: Measure,
    samples: Samples,
    removals: int,
    *,
    workers: int = 1,
    most: int = MOST,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[tuple[int, Outcomes]]:
    """Measure all samples, block by block.

    Args:
        measure: Measures every removal on one block, and calls what it is given after each.
        samples: All samples.
        removals: Number of removals, for the progress.
        workers: Blocks measured at a time, each by one thread.
        most: Samples in a block at most, at least 2.
        report: Called with work done and in total, in removals × samples.

    Yields:
        The place of a block's first sample, and its outcomes, in the order of the samples.
    """
    blocks = [
        Block(samples.inputs[first:end], samples.labels[first:end], first)
        for first, end in pairwise(_edges(len(samples), workers, most))
    ]
    progress = _Progress(removals * len(samples), report)
    with _one_thread_each(workers), ThreadPoolExecutor(workers) as pool:
        try:
            jobs = deque(pool.submit(progress.measured, measure, block) for block in blocks)
            for block in blocks:
                yield block.first, jobs.popleft().result()
        except BaseException:
            progress.cancel()
            pool.shutdown(cancel_futures=True)
            raise


def _edges(samples: int, workers: int, most: int) -> list[int]:
    """Return where blocks begin and end: of nearly equal sizes, and never of a single sample.

    Many networks squeeze their output, and would treat a batch of one differently.
    """
    count = max(-(-samples // most), min(workers, samples // FEWEST))
    return [place * samples // count for place in range(count + 1)]


class _Progress:
    """Counts work over threads, and tells them when to stop."""

    def __init__(self, total: int, report: Callable[[int, int], None]) -> None:
        self._done, self._total = 0, total
        self._report = report
        self._lock = threading.Lock()
        self._cancelled = False

    def measured(self, measure: Measure, block: Block) -> Outcomes:
        """Measure a block in the thread that calls this, unless and until nobody waits for it."""
        with halting(self._check):
            return measure(block, self._ticker(block))

    def _check(self) -> None:
        if self._cancelled:
            raise _CancelledError

    def _ticker(self, block: Block) -> Callable[[], None]:
        def tick() -> None:
            self._check()
            with self._lock:
                self._done += len(block.labels)
                self._report(self._done, self._total)

        return tick

    def cancel(self) -> None:
        self._cancelled = True


@contextmanager
def _one_thread_each(workers: int) -> Iterator[None]:
    """Let each of several workers compute with one thread; one worker alone may use all."""
    threads = torch.get_num_threads()
    try:
        if workers > 1:
            torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(threads)
