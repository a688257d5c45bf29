"""The network as it stands: some removals applied at once, and put back bit for bit at the end."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from hormesis.data.samples import Samples
from hormesis.engine.outcomes import MeasurementSpec, Outcomes
from hormesis.engine.plain import filtering
from hormesis.engine.plan import Removal
from hormesis.engine.progress import Report
from hormesis.engine.shards import ShardMeasurer, ShardTask, even_edges
from hormesis.engine.sweep import sweep
from hormesis.measure.shard_worker import make_measurer
from hormesis.settings.execution import Execution
from hormesis.stress.kinds import own_network

_BLOCK = 128  # samples that a worker measures at a time at most


@contextmanager
def standing(network: nn.Module, removals: Sequence[Removal]) -> Iterator[None]:
    """Filter a network by several removals, one on top of the other, while the block runs.

    Args:
        network: The network; the same afterwards, bit for bit.
        removals: What is removed, in order.
    """
    with ExitStack() as stack:
        for removal in removals:
            stack.enter_context(filtering(network, removal))
        yield


@contextmanager
def masked(network: nn.Module, masks: Mapping[str, Tensor]) -> Iterator[None]:
    """Zero what masks do not keep, while the block runs.

    Args:
        network: The user's own network; the same afterwards, bit for bit.
        masks: By the names of its parameters, True where a value is kept.
    """
    parameters = dict(network.named_parameters())
    originals = {name: parameters[name].detach().clone() for name in masks}
    try:
        with torch.no_grad():
            for name, keep in masks.items():
                parameters[name].masked_fill_(~keep.to(parameters[name].device), 0.0)
        yield
    finally:
        with torch.no_grad():
            for name, values in originals.items():
                parameters[name].copy_(values)


def zeroed_masks(network: nn.Module, removals: Sequence[Removal]) -> dict[str, Tensor]:
    """Return what removals leave of each parameter that they change: True where a value is kept.

    A value that is zero without them counts as kept.

    Args:
        network: As it is measured.
        removals: What is removed together.

    Returns:
        By the names of the user's own network, on the CPU; a parameter with several names once.
    """
    own = own_network(network)
    before = {name: value.detach().cpu().clone() for name, value in own.named_parameters()}
    with standing(network, removals):
        after = {name: value.detach().cpu().clone() for name, value in own.named_parameters()}
    masks = {name: ~((before[name] != 0) & (after[name] == 0)) for name in before}
    return {name: keep for name, keep in masks.items() if not bool(keep.all())}


def count_zeroed(masks: Mapping[str, Tensor]) -> int:
    """Return how many values masks do not keep."""
    return sum(int((~keep).sum()) for keep in masks.values())


def standing_measurer(
    network: nn.Module,
    samples: Samples,
    removals: Sequence[Removal],
    spec: MeasurementSpec,
    execution: Execution,
) -> ShardMeasurer:
    """Return what measures a network as it stands, and removals from it.

    Args:
        network: As it stands; it has to stand the same way whenever the measurer is used.
        samples: The samples.
        removals: Some of what will be removed, of every target.
        spec: How all are measured.
        execution: By which engine, and how many workers.
    """
    edges = even_edges(0, len(samples), _BLOCK)
    largest = max(end - first for first, end in pairwise(edges))
    return make_measurer(network, samples, removals, spec, execution, largest)


def measured_outcomes(
    measurer: ShardMeasurer, removals: Sequence[Removal], report: Report, stage: str
) -> Outcomes:
    """Return the outcomes of a network, and of each removal from it, on all samples.

    Args:
        measurer: See ``standing_measurer``.
        removals: What is removed, one at a time.
        report: Shows progress.
        stage: What it is called there.
    """
    measurer, count = replace(measurer, removals=removals), len(measurer.samples)
    wanted = np.ones(len(removals), dtype=bool)
    edges = even_edges(0, count, _BLOCK)
    parts = {
        task.first: outcomes
        for task, outcomes in sweep(
            measurer.measure,
            [ShardTask(first, end, wanted) for first, end in pairwise(edges)],
            workers=measurer.engine.workers,
            progress=(0, count * max(len(removals), 1)),
            report=lambda done, work: report(stage, done, work),
        )
    }
    return Outcomes.concatenate([parts[first] for first in sorted(parts)])
