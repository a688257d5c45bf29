"""A pool of Ray actors that measure the missing shards on the nodes of a cluster.

Each actor is a process somewhere in the cluster that makes its engine once and then measures shard
after shard. The network is stored once on every node, in Ray's object store; the samples of a shard
are sent with it. Only this process writes the results. An actor that is lost, alone or with its
node, is replaced where there is room, and its shard is measured again. Ray can do this too
(``max_restarts``, ``max_task_retries``), but uses up all its retries within seconds of the death of
a node, before it notices the death.
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
from typing import Any, NamedTuple, no_type_check

import torch
from torch import nn

from hormesis.data.samples import Samples, take
from hormesis.data.stressed import sample_trees
from hormesis.data.trees import as_arrays
from hormesis.engine.shards import ShardTask
from hormesis.engine.sweep import Measure, Report, Sweeper
from hormesis.engine.sweep import sweep as by_threads
from hormesis.errors import HormesisError, MissingExtraError, SettingError, StudyError
from hormesis.measure.ray_address import JOIN, knock, run_with_timeout, same_signals
from hormesis.measure.ray_worker import Resources, WorkerSpec, versions
from hormesis.measure.shard_worker import ShardWorker
from hormesis.settings.choices import RAY
from hormesis.settings.execution import Execution

ATTEMPTS = 4  # at one shard, if its actor is lost every time
LOSSES = 10  # of actors in a row before they could start
_SECONDS = 5.0  # between two checks of the nodes
# Messages on lost nodes and processes that Ray would print among our tables.
_CHATTER = "Raylet is terminated|marked dead|died or was killed|workers \\(tasks / actors\\) killed"


def import_ray() -> Any:  # noqa: ANN401  (a module)
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
def ray_connection(execution: Execution) -> Iterator[None]:
    """Connect to the cluster of a run while the block runs; an existing connection stays open.

    Args:
        execution: With the address; None takes ``RAY_ADDRESS``, or starts Ray on this machine.

    Raises:
        MissingExtraError: If Ray is not installed.
        StudyError: If there is no cluster at that address, or it runs another version.
    """
    with (
        nullcontext()
        if execution.engine != RAY or import_ray().is_initialized()
        else _session(execution)
    ):
        yield


@contextmanager
def _session(execution: Execution) -> Iterator[None]:
    ray = import_ray()

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
                run_with_timeout(JOIN, join)
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


def pickle_spec(spec: object) -> bytes:
    """Pickle what every node needs.

    Args:
        spec: A ``WorkerSpec``.

    Raises:
        SettingError: If network, performance or attack cannot be sent.
    """
    try:
        return import_ray().cloudpickle.dumps(spec)
    except Exception as error:  # objects of the user may raise anything
        raise SettingError(
            "The network, the performance or the attack cannot be sent to other machines "
            f"({_line(error)}): leave out open files, locks and connections, or measure it with "
            "engine 'auto'."
        ) from error


class _Job(NamedTuple):
    """The work of an actor: it starts, or measures a shard."""

    actor: Any
    task: ShardTask | None = None


@dataclass
class ActorPool:
    """The processes that measure.

    Args:
        spec: What each of them needs.
        samples: All samples, in the order of the study.
        execution: What each of them gets, and how many there are at most.
    """

    spec: WorkerSpec
    samples: Samples
    execution: Execution
    _busy: dict[Any, _Job] = field(default_factory=dict)
    _idle: deque[Any] = field(default_factory=deque)
    _losses: int = 0
    _looked: float = -math.inf

    def sweep(
        self,
        measure: Measure[bytes],
        tasks: Iterable[ShardTask],
        *,
        ahead: int | None = None,
        progress: tuple[int, int] = (0, 1),
        report: Report = lambda done, total: None,
    ) -> Iterator[tuple[ShardTask, bytes]]:
        """Measure shards; see ``engine.sweep.sweep``.

        Args:
            measure: The function of the driver; unused here.
            tasks: The shards; taken only as actors become idle.
            ahead: 0 if a task depends on earlier results, which are then awaited.
            progress: Work done before, and in total.
            report: Called with work done and in total.

        Raises:
            StudyError: If a shard, or every actor, is lost again and again.
        """
        waiting = iter(tasks)
        retries = deque(islice(waiting, 1))  # the first one, and later those that were lost
        if not retries:
            return
        ray = import_ray()
        shared = ray.put((pickle_spec(self.spec), versions()))
        tried: dict[int, int] = {}
        done, total = progress
        try:
            while True:
                self._start_actors(ray, shared)
                self._assign(retries, waiting)
                if self._idle and all(job.task is None for job in self._busy.values()):
                    break  # no tasks are left
                results = []
                for task, content in self._results(ray):
                    if content is None:
                        tried[task.first] = tried.get(task.first, 1) + 1
                        if tried[task.first] > ATTEMPTS:
                            raise StudyError(_lost_again(task))
                        retries.append(task)
                    else:
                        results.append((task, content))
                if ahead != 0:  # no actor is idle while results are counted
                    self._assign(retries, waiting)
                for task, content in results:
                    done += len(task.wanted) * (task.end - task.first)
                    report(done, total)
                    yield task, content
        finally:
            for actor in (*self._idle, *(job.actor for job in self._busy.values())):
                ray.kill(actor)  # even if it is busy
            self._idle.clear()
            self._busy.clear()

    def _start_actors(self, ray: Any, shared: Any) -> None:  # noqa: ANN401
        """Start as many actors as there is room for in the cluster."""
        if time.monotonic() - self._looked < _SECONDS:
            return
        self._looked = time.monotonic()
        rooms = [_fit(node["Resources"], self.execution) for node in ray.nodes() if node["Alive"]]
        shards = -(-len(self.samples) // self.spec.shard)
        wanted = min(self.execution.num_workers or sum(rooms), shards)  # some wait for room
        if not any(rooms):
            raise StudyError(
                f"No node of the cluster has {self.execution.cpus_per_task:g} CPU(s) "
                f"and {self.execution.gpus_per_task or 0:g} GPU(s) for a task: lower "
                "`cpus_per_task` or `gpus_per_task`, or start nodes that have them."
            )
        resources = _resources(self.execution, max(rooms))
        kind = ray.remote(_actor_class())
        for _ in range(len(self._busy) + len(self._idle), wanted):
            actor = kind.options(
                num_cpus=self.execution.cpus_per_task,
                num_gpus=self.execution.gpus_per_task or 0,
                scheduling_strategy="SPREAD",
            ).remote()
            self._busy[actor.start.remote([shared], resources)] = _Job(actor)

    def _assign(self, retries: deque[ShardTask], waiting: Iterator[ShardTask]) -> None:
        """Give a shard to every idle actor, those that were lost first."""
        while self._idle:
            task = retries.popleft() if retries else next(waiting, None)
            if task is None:
                return
            actor = self._idle.popleft()
            rows = slice(task.first, task.end)
            part = as_arrays(sample_trees(self.samples, rows))
            self._busy[actor.measure.remote(task, part)] = _Job(actor, task)

    def _results(self, ray: Any) -> Iterator[tuple[ShardTask, bytes | None]]:  # noqa: ANN401
        """Yield the shards that are ready, without bytes if their actor was lost."""
        first, _ = ray.wait(list(self._busy), num_returns=1, timeout=_SECONDS)
        ready, _ = ray.wait(list(self._busy), num_returns=len(self._busy), timeout=0)
        for result in {*first, *ready}:
            job = self._busy.pop(result)
            try:
                content = ray.get(result)
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, HormesisError):
                    raise error.cause from error
                raise
            except ray.exceptions.RayError as error:  # of the actor, its node or the network
                self._looked = -math.inf
                self._losses += job.task is None
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
                self._idle.append(job.actor)
            if job.task is not None:
                yield job.task, content


def make_pool(
    network: nn.Module, worker: ShardWorker, execution: Execution, shard: int
) -> ActorPool:
    """Return a pool that measures what a worker of this process would.

    Args:
        network: In evaluation mode.
        worker: Measures here.
        execution: What each task gets.
        shard: Samples in the largest shard.
    """
    measurer = worker.measurer
    if execution.gpus_per_task is None:
        execution = replace(execution, gpus_per_task=float(measurer.device.type == "cuda"))
    spec = WorkerSpec(
        network if measurer.device.type == "cpu" else deepcopy(network).cpu(),
        measurer.removals,
        measurer.spec,
        execution.memory,
        take(measurer.samples, torch.arange(min(2, len(measurer.samples)))),
        shard,
        measurer.batch,
        worker.study,
    )
    return ActorPool(spec, measurer.samples, execution)


def choose_sweeper(
    network: nn.Module, worker: ShardWorker, execution: Execution, shard: int
) -> Sweeper:
    """Return the function that measures many shards: by threads, or by the actors of a cluster.

    Args:
        network: In evaluation mode.
        worker: Measures one.
        execution: Where shards are measured.
        shard: Samples in the largest shard.
    """
    if execution.engine != RAY:
        return partial(by_threads, workers=worker.measurer.engine.workers)
    return make_pool(network, worker, execution, shard).sweep


def _actor_class() -> type:
    """Return the class of the actors, which travels by value: a node may lack this package."""

    @no_type_check  # what the suite's checks would wrap around the methods cannot travel
    class ShardActor:
        def start(self, shared: list[Any], resources: Any) -> str | None:  # noqa: ANN401
            import platform

            import ray

            try:
                from hormesis.measure.ray_worker import make_worker, measure_part
            except ImportError as error:
                return (
                    f"The node {platform.node()} cannot import hormesis ({error}): install it on "
                    "all nodes, in the environment that Ray was started in."
                )
            packed, versions = ray.get(shared[0])
            self.measure_part = measure_part
            self.worker = make_worker(packed, versions, resources)
            return None

        def measure(self, task: Any, part: Any) -> bytes:  # noqa: ANN401
            return self.measure_part(self.worker, task, part)

    return ShardActor


def _fit(resources: dict[str, float], execution: Execution) -> int:
    """Return how many tasks a node has room for.

    Example:
        >>> _fit({"CPU": 16.0, "GPU": 2.0}, Execution(engine="ray", gpus_per_task=0.5))
        4
    """
    needs = {"CPU": execution.cpus_per_task, "GPU": execution.gpus_per_task or 0}
    fits = [resources.get(kind, 0) / need for kind, need in needs.items() if need]
    return int(min(fits) + 1e-9)


def _resources(execution: Execution, neighbours: int) -> Resources:
    gpus = execution.gpus_per_task or 0
    share = min(gpus, 1) if gpus else 1 / neighbours
    return Resources(share, max(1, int(execution.cpus_per_task)), gpus > 0)


def _lost_again(task: ShardTask) -> str:
    return (
        f"The shard of samples {task.first} to {task.end} was lost {ATTEMPTS} times with the "
        "process that measured it: give a task more memory (fewer tasks on a node, or `memory`), "
        "and run the same command again, which goes on from here."
    )


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip().rstrip(".:")
