"""The worker process of a cluster: it makes its engine once, then measures shard after shard.

Everything here runs on the workers. They write no files: bytes go back to the driver.
"""

import pickle
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import torch
from torch import nn

from hormesis.data.samples import Samples
from hormesis.data.stressed import with_trees
from hormesis.data.trees import as_tensors
from hormesis.engine.memory import room
from hormesis.engine.outcomes import MeasurementSpec
from hormesis.engine.plan import Removal
from hormesis.engine.shards import ShardTask
from hormesis.errors import ModelError, StudyError
from hormesis.measure.shard_worker import ShardWorker, make_measurer
from hormesis.models.devices import strict_arithmetic
from hormesis.settings.execution import Execution

# Packages whose versions must agree, as others might compute differently.
PACKAGES = ("hormesis", "torch")


@dataclass(frozen=True)
class WorkerSpec:
    """All that a worker needs besides the tasks, small enough to lie on every node.

    Args:
        network: On the CPU, in evaluation mode.
        removals: Those of the plan.
        spec: How cells are measured.
        memory: What one worker may take; None takes its share of what is free.
        few: Two samples, to make the engine with.
        shard: Samples in the largest shard.
        batch: Samples measured at a time at most, as the driver has it.
        study: Identity of the study.
    """

    network: nn.Module
    removals: Sequence[Removal]
    spec: MeasurementSpec
    memory: str | int | None
    few: Samples
    shard: int
    batch: int
    study: str


@dataclass(frozen=True)
class Resources:
    """What a worker has of its node.

    Args:
        share: Its share of the node's memory, or of a GPU's.
        cores: Threads that it computes with.
        gpu: Whether it has a GPU.
    """

    share: float | int
    cores: int
    gpu: bool


def versions() -> dict[str, str]:
    """Return the versions that must be the same on all nodes."""
    return {package: version(package) for package in PACKAGES}


@strict_arithmetic()
def make_worker(
    packed: bytes, driver_versions: dict[str, str], resources: Resources
) -> ShardWorker:
    """Return the worker that measures shards in this process.

    Args:
        packed: A ``WorkerSpec``, pickled by the driver.
        driver_versions: The versions of the driver.
        resources: What the process has of its node.

    Raises:
        StudyError: If this node has other versions than the driver, or no module of the user's.
        ModelError: If the network cannot be run here.
    """
    for package, own in versions().items():
        if own != driver_versions[package]:
            raise StudyError(
                f"The node {platform.node()} has {package} {own}, the driver "
                f"{driver_versions[package]}: install the same version on all nodes."
            )
    try:
        spec: WorkerSpec = pickle.loads(packed)  # noqa: S301  (from the driver, whose code runs here anyway)
    except (ImportError, AttributeError) as error:
        raise StudyError(
            f"The node {platform.node()} cannot make the network ({error}): install the module it "
            "comes from on all nodes, or start Ray where it can be imported."
        ) from error
    torch.set_num_threads(resources.cores)
    device = torch.device("cuda" if resources.gpu else "cpu")
    if resources.gpu and not torch.cuda.is_available():
        raise ModelError(
            f"PyTorch finds no GPU on the node {platform.node()}: install its CUDA version there, "
            "or pass `gpus_per_task` 0."
        )
    memory = spec.memory or max(int(room(None, device) * resources.share), 1)
    execution = Execution(num_workers=1, memory=memory)
    network = spec.network.to(device)
    measurer = make_measurer(network, spec.few, spec.removals, spec.spec, execution, spec.shard)
    return ShardWorker(replace(measurer, batch=min(measurer.batch, spec.batch)), spec.study)


@strict_arithmetic()
def measure_part(
    worker: ShardWorker,
    task: ShardTask,
    part: Any,  # noqa: ANN401
) -> bytes:
    """Return the file of a shard.

    Args:
        worker: What ``make_worker`` has made.
        task: The shard.
        part: The ``sample_trees`` of its samples, as arrays.
    """
    own = worker.measurer
    samples = with_trees(own.samples, as_tensors(part))
    return replace(worker, measurer=replace(own, samples=samples, offset=task.first))(task)
