"""Every removal on every sample: blocks measured side by side, in the order of the samples."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

import torch

from hormesis.engine.outcomes import Block, Outcomes
from hormesis.inputs.samples import Samples
from hormesis.stress.halt import halting

BLOCK = 256
_VALUES = BLOCK * 3 * 64 * 64  # of inputs in a block: larger images come in smaller blocks
_FEWEST = 8
Measure = Callable[[Block, Callable[[], None]], Outcomes]


class _CancelledError(Exception):
    """Ends a worker whose result nobody waits for any more."""


def sweep(
    measure: Measure,
    samples: Samples,
    removals: int,
    *,
    workers: int = 1,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[tuple[int, Outcomes]]:
    """Measure all samples, block by block.

    Args:
        measure: Measures every removal on one block, see ``engines.Engine``.
        samples: All samples.
        removals: Number of removals, for the progress.
        workers: Blocks measured at a time, each by one thread.
        report: Called with work done and in total, in removals × samples.

    Yields:
        The place of a block's first sample, and its outcomes, in the order of the samples.
    """
    blocks = [
        Block(samples.inputs[first:end], samples.labels[first:end], first)
        for first, end in pairwise(_edges(len(samples), workers, block_size(samples)))
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


def block_size(samples: Samples) -> int:
    """Return how many samples are measured together at most, so that memory stays in bounds.

    Example:
        >>> labels = torch.tensor([0, 1])
        >>> [
        ...     block_size(Samples(torch.zeros(2, 3, side, side), labels, (0.0, 1.0), 2, "black"))
        ...     for side in (32, 64, 224)
        ... ]
        [256, 256, 20]
    """
    return max(_FEWEST, min(BLOCK, _VALUES // samples.inputs[0].numel()))


def _edges(samples: int, workers: int, most: int) -> list[int]:
    """Return where blocks begin and end: of nearly equal sizes, and never of a single sample.

    Many networks squeeze their output, and would treat a batch of one differently.
    """
    count = max(-(-samples // most), min(workers, samples // 2))
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
