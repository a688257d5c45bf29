"""The missing shards, measured side by side by the threads of this machine."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import torch

from hormesis.engine.shards import ShardTask
from hormesis.stress.cancellation import halting

Result = TypeVar("Result")
Measure = Callable[[ShardTask, Callable[[int], None]], Result]
Report = Callable[[int, int], None]


Sweeper = Callable[..., Iterator[tuple[ShardTask, bytes]]]
"""Whatever measures shards, threads here or a cluster: called as ``sweep`` is, without ``workers``.
It yields each shard and its bytes as soon as it has them, in any order."""


class _CancelledError(Exception):
    """Ends a worker whose result nobody waits for any more."""


def sweep(
    measure: Measure[Result],
    tasks: Iterable[ShardTask],
    *,
    workers: int = 1,
    ahead: int | None = None,
    progress: tuple[int, int] = (0, 1),
    report: Report = lambda done, total: None,
) -> Iterator[tuple[ShardTask, Result]]:
    """Measure shards.

    Args:
        measure: Measures one shard, and calls its second argument with the number of samples
            after each removal.
        tasks: The shards; the next one is taken when it is about to wait for a worker.
        workers: Shards measured at a time, each by one thread.
        ahead: Shards that wait for a worker besides those under way, by default as many as there
            are workers; 0 where a task depends on the results before it.
        progress: Work that was done before, and in total, in removals × samples.
        report: Called with work done and in total.

    Yields:
        Each shard and what was measured, as soon as it is.
    """
    waiting = iter(tasks)
    counted = _Progress(*progress, report)
    most = workers + (workers if ahead is None else ahead)
    jobs: dict[Future[Result], ShardTask] = {}
    with _one_thread_each(workers), ThreadPoolExecutor(workers) as pool:
        try:
            while True:
                for task in islice(waiting, most - len(jobs)):
                    jobs[pool.submit(counted.measure_task, measure, task)] = task
                if not jobs:
                    break
                finished, _ = wait(jobs, return_when=FIRST_COMPLETED)
                for job in sorted(finished, key=lambda job: jobs[job].first):
                    task = jobs.pop(job)
                    yield task, job.result()
        except BaseException:
            counted.cancel()
            pool.shutdown(cancel_futures=True)
            raise


class _Progress:
    """Counts work over threads, and tells them when to stop."""

    def __init__(self, done: int, total: int, report: Report) -> None:
        self._done, self._total = done, total
        self._report = report
        self._lock = threading.Lock()
        self._cancelled = False

    def measure_task(self, measure: Measure[Result], task: ShardTask) -> Result:
        """Measure a shard in the thread that calls this, unless and until nobody waits for it."""
        left = len(task.wanted) * (task.end - task.first)

        def tick(samples: int) -> None:
            nonlocal left
            left -= samples
            self._add(samples)

        with halting(self._check):
            result = measure(task, tick)
        if left:
            self._add(left)
        return result

    def _check(self) -> None:
        if self._cancelled:
            raise _CancelledError

    def _add(self, work: int) -> None:
        self._check()
        with self._lock:
            self._done += work
            self._report(self._done, self._total)

    def cancel(self) -> None:
        """End all workers at their next step."""
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
