"""What a process of a cluster does: make its engine once, then measure one shard after the other.

Everything here runs on the workers. Nothing is written there: bytes go back to the driver.
"""

import pickle
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import nn

from hormesis.data.samples import Samples
from hormesis.engine.memory import room
from hormesis.engine.outcomes import Question
from hormesis.engine.plan import Removal
from hormesis.engine.shards import Task
from hormesis.errors import ModelError, StudyError
from hormesis.measure.shard_worker import Worker, equipped
from hormesis.settings.execution import Execution
from hormesis.settings.sweep import Sweep

# Of which another version might count otherwise.
PACKAGES = ("hormesis", "torch")


@dataclass(frozen=True)
class WorkerSpec:
    """All that a worker needs besides the tasks, small enough to lie on every node.

    Args:
        network: On the CPU, in evaluation mode.
        removals: Those of the plan.
        question: How cells are measured.
        sweep: Its precision and adversary.
        execution: Memory, and cores of a task.
        few: Two samples, to make the engine with.
        shard: Samples in the largest shard.
        batch: Samples measured at a time at most, as the driver has it.
        study: Identity of the study.
    """

    network: nn.Module
    removals: Sequence[Removal]
    question: Question
    sweep: Sweep
    execution: Execution
    few: Samples
    shard: int
    batch: int
    study: str


@dataclass(frozen=True)
class Place:
    """What a task has of its node.

    Args:
        share: Its share of the node's memory, or of a GPU's.
        cores: Threads that it computes with.
        gpu: Whether it has a GPU.
    """

    share: float | int
    cores: int
    gpu: bool


def versions() -> dict[str, str]:
    """Return what has to be the same on all nodes."""
    return {package: version(package) for package in PACKAGES}


def member(packed: bytes, wanted: dict[str, str], place: Place) -> Worker:
    """Return what measures shards in this process, its engine made.

    Args:
        packed: A ``WorkerSpec``, pickled by the driver.
        wanted: The driver's versions.
        place: What the process has of its node.

    Raises:
        StudyError: If this node has other versions than the driver, or no module of the user's.
        ModelError: If the network cannot be run here.
    """
    for package, there in versions().items():
        if there != wanted[package]:
            raise StudyError(
                f"The node {platform.node()} has {package} {there}, the driver {wanted[package]}: "
                "install the same version on all nodes."
            )
    try:
        kit: WorkerSpec = pickle.loads(packed)  # noqa: S301  (from the driver, whose code runs here anyway)
    except (ImportError, AttributeError) as error:
        raise StudyError(
            f"The node {platform.node()} cannot make the network ({error}): install the module it "
            "comes from on all nodes, or start Ray where it can be imported."
        ) from error
    torch.set_num_threads(place.cores)
    device = torch.device("cuda" if place.gpu else "cpu")
    if place.gpu and not torch.cuda.is_available():
        raise ModelError(
            f"PyTorch finds no GPU on the node {platform.node()}: install its CUDA version there, "
            "or pass `gpus_per_task` 0."
        )
    memory = kit.execution.memory or max(int(room(None, device) * place.share), 1)
    execution = Execution(num_workers=1, memory=memory)
    work = equipped(
        kit.network.to(device),
        kit.few,
        kit.removals,
        (kit.question, kit.sweep, execution),
        kit.shard,
    )
    return Worker(replace(work, batch=min(work.batch, kit.batch)), kit.study)


def measured(
    worker: Worker,
    task: Task,
    part: tuple[Float[ndarray, "samples ..."], Int[ndarray, " samples"]],
) -> bytes:
    """Return the file of a shard.

    Args:
        worker: What ``member`` has made.
        task: The shard.
        part: Inputs and labels of its samples.
    """
    inputs, labels = (torch.from_numpy(values.copy()) for values in part)  # they come read-only
    samples = replace(worker.work.samples, inputs=inputs, labels=labels, places=None)
    work = replace(worker.work, samples=samples, offset=task.first)
    return replace(worker, work=work)(task)
