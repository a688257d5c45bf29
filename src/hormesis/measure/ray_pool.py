"""The missing shards, measured by the nodes of a Ray cluster.

Each member of a crew is a process somewhere in the cluster that makes its engine once and then
measures shard after shard. The network lies once on every node, in Ray's object store; the samples
of a shard travel with it. Bytes come back here, and this process alone writes. A member that is
lost, with its node or alone, is replaced where there is room, and its shard is measured again.
"""

import logging
import math
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, no_type_check

import torch
from torch import nn

from hormesis.data.samples import Samples, take
from hormesis.engine.shards import Task
from hormesis.engine.sweep import Measure, Report, Sweeper
from hormesis.engine.sweep import sweep as by_threads
from hormesis.errors import HormesisError, MissingExtraError, SettingError, StudyError
from hormesis.measure.ray_address import JOIN, knock, same_signals, within
from hormesis.measure.ray_worker import Place, WorkerSpec, versions
from hormesis.measure.shard_worker import Worker
from hormesis.settings.choices import RAY
from hormesis.settings.execution import Execution
from hormesis.settings.sweep import Sweep

ATTEMPTS = 4  # of a shard, whose member is lost every time
LOSSES = 10  # of members in a row that were lost before they could start
_SECONDS = 5.0  # between two looks at what nodes there are
# What Ray prints on standard output, among our tables, of nodes and processes that are lost.
_CHATTER = "Raylet is terminated|marked dead|died or was killed|workers \\(tasks / actors\\) killed"


def imported() -> Any:  # noqa: ANN401  (a module)
    """Return Ray.

    Raises:
        MissingExtraError: If it is not installed.
    """
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", _CHATTER)  # read where Ray is imported
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(
            "The engine 'ray' needs Ray: run `pip install 'hormesis[ray]'`."
        ) from error
    return ray


@contextmanager
def connected(execution: Execution) -> Iterator[None]:
    """Be connected to the cluster of a run while the block runs; a connection that is there stays.

    Args:
        execution: Its address; None takes what ``RAY_ADDRESS`` names, or starts Ray here.

    Raises:
        MissingExtraError: If Ray is not installed.
        StudyError: If there is no cluster at that address, or it runs another version.
    """
    with (
        nullcontext()
        if execution.engine != RAY or imported().is_initialized()
        else _session(execution)
    ):
        yield


@contextmanager
def _session(execution: Execution) -> Iterator[None]:
    ray = imported()

    def join() -> None:
        ray.init(
            address=execution.address,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
        )

    try:
        knock(execution.address)
        with same_signals():
            if execution.address or os.environ.get("RAY_ADDRESS"):
                within(JOIN, join)
            else:
                join()  # starts Ray here, which it does on the main thread only
    except (OSError, RuntimeError, ValueError) as error:
        where = f"at {execution.address}" if execution.address else "on this machine"
        raise StudyError(
            f"There is no Ray cluster {where} that can be used ({_line(error)}): start one with "
            "`ray start --head`, or check `address`."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def packed(kit: object) -> bytes:
    """Return what goes to every node.

    Args:
        kit: A ``WorkerSpec``.

    Raises:
        SettingError: If network or performance cannot be sent.
    """
    try:
        return imported().cloudpickle.dumps(kit)
    except Exception as error:  # anything may come out of objects that are not ours
        raise SettingError(
            f"The network or the performance cannot be sent to other machines ({_line(error)}): "
            "leave out open files, locks and connections, or measure it with engine 'auto'."
        ) from error


@dataclass
class ActorPool:
    """The processes that measure.

    Args:
        kit: What each of them needs.
        samples: All samples, in the order of the study.
        execution: What each of them gets, and how many there are at most.
    """

    kit: WorkerSpec
    samples: Samples
    execution: Execution
    _busy: dict[Any, tuple[Any, Task | None]] = field(default_factory=dict)
    _idle: deque[Any] = field(default_factory=deque)
    _losses: int = 0
    _looked: float = -math.inf

    def sweep(
        self,
        measure: Measure[bytes],
        tasks: Iterable[Task],
        *,
        ahead: int | None = None,
        progress: tuple[int, int] = (0, 1),
        report: Report = lambda done, total: None,
    ) -> Iterator[tuple[Task, bytes]]:
        """Measure shards; see ``engine.sweep.sweep``.

        Args:
            measure: What the driver would measure with, and does not need here.
            tasks: The shards; no more are asked for than there are idle members.
            ahead: 0 where a task depends on the results before it, which then are waited for.
            progress: Work that was done before, and in total.
            report: Called with work done and in total.

        Raises:
            StudyError: If a shard, or every member, is lost again and again.
        """
        waiting = iter(tasks)
        again = deque(islice(waiting, 1))
        if not again:
            return
        ray = imported()
        shared = ray.put((packed(self.kit), versions()))
        tried: dict[int, int] = {}
        done, total = progress
        try:
            while True:
                self._recruit(ray, shared)
                self._set_to_work(again, waiting)
                if self._idle and all(task is None for _, task in self._busy.values()):
                    break  # nothing was left to be given to them
                found = []
                for task, content in self._results(ray):
                    if content is None:
                        tried[task.first] = tried.get(task.first, 1) + 1
                        if tried[task.first] > ATTEMPTS:
                            raise StudyError(_lost_again(task))
                        again.append(task)
                    else:
                        found.append((task, content))
                if ahead != 0:  # no member is idle while what was found is counted
                    self._set_to_work(again, waiting)
                for task, content in found:
                    done += len(task.wanted) * (task.end - task.first)
                    report(done, total)
                    yield task, content
        finally:
            self._dismiss(ray)

    def _recruit(self, ray: Any, shared: Any) -> None:  # noqa: ANN401
        """Start as many members as there is room for in the cluster."""
        if time.monotonic() - self._looked < _SECONDS:
            return
        self._looked = time.monotonic()
        rooms = [_fit(node["Resources"], self.execution) for node in ray.nodes() if node["Alive"]]
        shards = -(-len(self.samples) // self.kit.shard)
        wanted = min(self.execution.num_workers or sum(rooms), shards)  # some wait for room
        if not any(rooms):
            raise StudyError(
                f"No node of the cluster has {self.execution.cpus_per_task:g} CPU(s) "
                f"and {self.execution.gpus_per_task or 0:g} GPU(s) for a task: lower "
                "`cpus_per_task` or `gpus_per_task`, or start nodes that have them."
            )
        place = _place(self.execution, max(rooms))
        kind = ray.remote(_member_class())
        there = len({id(member) for member, _ in self._busy.values()}) + len(self._idle)
        for _ in range(there, wanted):
            member = kind.options(
                num_cpus=self.execution.cpus_per_task,
                num_gpus=self.execution.gpus_per_task or 0,
                scheduling_strategy="SPREAD",
            ).remote()
            self._busy[member.start.remote([shared], place)] = (member, None)

    def _set_to_work(self, again: deque[Task], waiting: Iterator[Task]) -> None:
        """Give a shard to every idle member, those that were lost first."""
        while self._idle:
            task = again.popleft() if again else next(waiting, None)
            if task is None:
                return
            member = self._idle.popleft()
            rows = slice(task.first, task.end)
            part = self.samples.inputs[rows].numpy(), self.samples.labels[rows].numpy()
            self._busy[member.measure.remote(task, part)] = (member, task)

    def _results(self, ray: Any) -> Iterator[tuple[Task, bytes | None]]:  # noqa: ANN401
        """Yield the shards that are ready, without bytes if their member was lost."""
        first, _ = ray.wait(list(self._busy), num_returns=1, timeout=_SECONDS)
        ready, _ = ray.wait(list(self._busy), num_returns=len(self._busy), timeout=0)
        for result in {*first, *ready}:
            member, task = self._busy.pop(result)
            try:
                content = ray.get(result)
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, HormesisError):
                    raise error.cause from error
                raise
            except ray.exceptions.RayError as error:  # of the member, its node or the network
                self._looked = -math.inf
                self._losses += task is None
                if self._losses >= LOSSES:
                    raise StudyError(
                        f"The processes of the cluster are lost before they start ({_line(error)}):"
                        " look into Ray's logs."
                    ) from error
                content = None
            else:
                self._losses = 0
                if isinstance(content, str):
                    raise StudyError(content)
                self._idle.append(member)
            if task is not None:
                yield task, content

    def _dismiss(self, ray: Any) -> None:  # noqa: ANN401
        """End all members, whatever they are at."""
        for member in (*self._idle, *(member for member, _ in self._busy.values())):
            ray.kill(member)
        self._idle.clear()
        self._busy.clear()


def crew_of(
    network: nn.Module, worker: Worker, asked: tuple[Sweep, Execution], shard: int
) -> ActorPool:
    """Return a crew that measures what a worker of this process would.

    Args:
        network: In evaluation mode.
        worker: Measures here.
        asked: Its precision and adversary, and what each task gets.
        shard: Samples in the largest shard.
    """
    sweep, execution = asked
    work = worker.work
    if execution.gpus_per_task is None:
        execution = replace(execution, gpus_per_task=float(work.device.type == "cuda"))
    here = network if work.device.type == "cpu" else deepcopy(network).cpu()
    few = take(work.samples, torch.arange(min(2, len(work.samples))))
    kit = WorkerSpec(
        here, work.removals, work.question, sweep, execution, few, shard, work.batch, worker.study
    )
    return ActorPool(kit, work.samples, execution)


def sweeper_of(
    network: nn.Module, worker: Worker, asked: tuple[Sweep, Execution], shard: int
) -> Sweeper:
    """Return what measures many shards: threads of this machine, or a crew of a cluster.

    Args:
        network: In evaluation mode.
        worker: Measures one.
        asked: Precision and adversary, and where shards are measured.
        shard: Samples in the largest shard.
    """
    if asked[1].engine != RAY:
        return partial(by_threads, workers=worker.work.engine.workers)
    return crew_of(network, worker, asked, shard).sweep


def _member_class() -> type:
    """Return the class of the members, which travels by value: a node may lack this package."""

    @no_type_check  # what the suite's checks would wrap around the methods cannot travel
    class Member:
        def start(self, shared: list[Any], place: Any) -> str | None:  # noqa: ANN401
            import platform

            import ray

            try:
                from hormesis.measure.ray_worker import measured, member
            except ImportError as error:
                return (
                    f"The node {platform.node()} cannot import hormesis ({error}): install it on "
                    "all nodes, in the environment that Ray was started in."
                )
            packed, versions = ray.get(shared[0])
            self.measured, self.worker = measured, member(packed, versions, place)
            return None

        def measure(self, task: Any, part: Any) -> bytes:  # noqa: ANN401
            return self.measured(self.worker, task, part)

    return Member


def _fit(resources: dict[str, float], execution: Execution) -> int:
    """Return how many tasks a node has room for.

    Example:
        >>> _fit({"CPU": 16.0, "GPU": 2.0}, Execution(engine="ray", gpus_per_task=0.5))
        4
    """
    needs = {"CPU": execution.cpus_per_task, "GPU": execution.gpus_per_task or 0}
    fits = [resources.get(kind, 0) / need for kind, need in needs.items() if need]
    return int(min(fits) + 1e-9)


def _place(execution: Execution, neighbours: int) -> Place:
    gpus = execution.gpus_per_task or 0
    share = min(gpus, 1) if gpus else 1 / neighbours
    return Place(share, max(1, int(execution.cpus_per_task)), gpus > 0)


def _lost_again(task: Task) -> str:
    return (
        f"The shard of samples {task.first} to {task.end} was lost {ATTEMPTS} times with the "
        "process that measured it: give a task more memory (fewer tasks on a node, or `memory`), "
        "and run the same command again, which goes on from here."
    )


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip().rstrip(".:")
