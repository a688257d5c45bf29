"""Every removal on every sample: blocks measured side by side, in the order of the samples."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

from hormesis.engine.outcomes import Block, Outcomes
from hormesis.inputs.samples import Samples

BLOCK = 256
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
        measure: Measures every removal on one block, see ``measure_with``.
        samples: All samples.
        removals: Number of removals, for the progress.
        workers: Blocks measured at a time, each by one thread.
        report: Called with work done and in total, in removals × samples.

    Yields:
        The place of a block's first sample, and its outcomes, in the order of the samples.
    """
    size = min(BLOCK, -(-len(samples) // workers))
    blocks = [
        Block(samples.inputs[first : first + size], samples.labels[first : first + size], first)
        for first in range(0, len(samples), size)
    ]
    progress = _Progress(removals * len(samples), report)
    with _one_thread_each(workers), ThreadPoolExecutor(workers) as pool:
        try:
            jobs = deque(pool.submit(measure, block, progress.ticker(block)) for block in blocks)
            for block in blocks:
                yield block.first, jobs.popleft().result()
        except BaseException:
            progress.cancel()
            pool.shutdown(cancel_futures=True)
            raise


class _Progress:
    """Counts work over threads, and tells them when to stop."""

    def __init__(self, total: int, report: Callable[[int, int], None]) -> None:
        self._done, self._total = 0, total
        self._report = report
        self._lock = threading.Lock()
        self._cancelled = False

    def ticker(self, block: Block) -> Callable[[], None]:
        def tick() -> None:
            if self._cancelled:
                raise _CancelledError
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
