"""Every removal on every sample: blocks measured side by side, in the order of the samples."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice, pairwise
from typing import TypeVar

import torch

from hormesis.engine.memory import FEWEST, MOST
from hormesis.engine.outcomes import Block
from hormesis.inputs.samples import Samples
from hormesis.stress.halt import halting

Found = TypeVar("Found")
Measure = Callable[[Block, Callable[[], None]], Found]


class _CancelledError(Exception):
    """Ends a worker whose result nobody waits for any more."""


def sweep(
    measure: Measure[Found],
    samples: Samples,
    removals: int,
    *,
    workers: int = 1,
    most: int = MOST,
    ahead: int | None = None,
    cuts: Sequence[int] = (),
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[tuple[int, Found]]:
    """Measure all samples, block by block.

    Args:
        measure: Measures one block, and calls what it is given after each removal; of those that it
            leaves out, the progress is told at the end of the block.
        samples: All samples.
        removals: Number of removals, for the progress.
        workers: Blocks measured at a time, each by one thread.
        most: Samples in a block at most, at least 2.
        ahead: Blocks that wait for a worker besides those under way, by default as many as there
            are workers; 0 where what a block measures depends on the results before it.
        cuts: Samples after which a block ends, ascending, at least 2 apart.
        report: Called with work done and in total, in removals × samples.

    Yields:
        The place of a block's first sample, and what was measured, in the order of the samples.
    """
    edges = _edges(len(samples), workers, most, cuts)
    waiting = (
        Block(samples.inputs[first:end], samples.labels[first:end], first)
        for first, end in pairwise(edges)
    )
    progress = _Progress(removals * len(samples), report)
    with _one_thread_each(workers), ThreadPoolExecutor(workers) as pool:

        def begun(count: int) -> Iterator[tuple[Block, Future[Found]]]:
            for block in islice(waiting, count):
                yield block, pool.submit(progress.measured, measure, block, removals)

        try:
            jobs = deque(begun(workers + (workers if ahead is None else ahead)))
            while jobs:
                block, job = jobs.popleft()
                yield block.first, job.result()
                jobs.extend(begun(1))
        except BaseException:
            progress.cancel()
            pool.shutdown(cancel_futures=True)
            raise


def _edges(samples: int, workers: int, most: int, cuts: Sequence[int] = ()) -> list[int]:
    """Return where blocks begin and end: of nearly equal sizes, and never of a single sample.

    Many networks squeeze their output, and would treat a batch of one differently.
    """
    found = [0]
    for first, end in pairwise((0, *cuts, samples)):
        size = end - first
        share = -(-workers * size // samples)  # so that there are blocks for all workers
        count = max(-(-size // most), min(share, size // FEWEST))
        found.extend(first + (place + 1) * size // count for place in range(count))
    return found


class _Progress:
    """Counts work over threads, and tells them when to stop."""

    def __init__(self, total: int, report: Callable[[int, int], None]) -> None:
        self._done, self._total = 0, total
        self._report = report
        self._lock = threading.Lock()
        self._cancelled = False

    def measured(self, measure: Measure[Found], block: Block, removals: int) -> Found:
        """Measure a block in the thread that calls this, unless and until nobody waits for it."""
        left = removals

        def tick() -> None:
            nonlocal left
            left -= 1
            self._add(len(block.labels))

        with halting(self._check):
            found = measure(block, tick)
        if left:
            self._add(left * len(block.labels))
        return found

    def _check(self) -> None:
        if self._cancelled:
            raise _CancelledError

    def _add(self, work: int) -> None:
        self._check()
        with self._lock:
            self._done += work
            self._report(self._done, self._total)

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
