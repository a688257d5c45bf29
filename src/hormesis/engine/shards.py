"""Shards: fixed blocks of samples, whatever the workers, the memory or the engine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import compress, pairwise
from math import prod

import torch
from jaxtyping import Bool
from numpy import ndarray

from hormesis.data.samples import Samples
from hormesis.data.trees import repeat_rows, select_rows
from hormesis.engine.engines import Engine
from hormesis.engine.memory import FEWEST, MOST
from hormesis.engine.outcomes import Block, MeasurementSpec, Outcomes
from hormesis.engine.plan import Removal

_VALUES = MOST * 3 * 32 * 32  # of inputs in a shard: larger inputs take longer
_FEW = 16  # samples that a shard of large inputs has nevertheless
_LEAST, _SHARDS = 32, 8  # a small study is cut into so many, for the cores to share


@dataclass(frozen=True)
class ShardTask:
    """One shard to be measured.

    Args:
        first: Place of its first sample in the order of the study.
        end: Place of the sample behind its last.
        wanted: Which removals of the plan are measured.
    """

    first: int
    end: int
    wanted: Bool[ndarray, " removals"]


@dataclass(frozen=True)
class ShardMeasurer:
    """What every shard of a study is measured with.

    Args:
        engine: What measures.
        samples: All samples, in the order of the study.
        removals: Those of the plan.
        spec: How they are measured.
        batch: Samples measured at a time at most; memory bounds it, and no result depends on it.
        device: Where the network is.
        offset: Place of the first of these samples in the order of the study.
    """

    engine: Engine
    samples: Samples
    removals: Sequence[Removal]
    spec: MeasurementSpec
    batch: int
    device: torch.device
    offset: int = 0

    def measure(
        self, task: ShardTask, tick: Callable[[int], None], *, clean: bool = True
    ) -> Outcomes:
        """Return the outcomes of a shard: one row for each removal that is wanted.

        Args:
            task: The shard.
            tick: Called after each removal with the number of samples it was measured on.
            clean: Measure clean samples too, see ``MeasurementSpec``.
        """
        spec = self.spec if clean else replace(self.spec, clean=False)
        removals = list(compress(self.removals, task.wanted))
        parts = []
        for first, end in pairwise(even_edges(task.first, task.end, self.batch)):
            rows = slice(first - self.offset, end - self.offset)
            block = block_of(self.samples, rows, first)
            count = len(block)
            block = doubled(block).to(self.device)
            outcomes = self.engine.measure(removals, block, spec, lambda count=count: tick(count))
            parts.append(outcomes.head(count))
        return Outcomes.concatenate(parts)

    def part_fingerprint(self, task: ShardTask) -> str:
        """Return the fingerprint of the samples of a shard."""
        return self.samples.part_fingerprint(task.first - self.offset, task.end - self.offset)

    def stressed_fingerprint(self, task: ShardTask) -> str:
        """Return the fingerprint of a shard's samples of a second data set; empty without one."""
        if self.samples.stressed is None:
            return ""
        return replace(self, samples=self.samples.stressed).part_fingerprint(task)


def block_of(samples: Samples, rows: slice, first: int) -> Block:
    """Return some samples as a block.

    Args:
        samples: The samples.
        rows: Which of them.
        first: Place of the first of them in the data set.
    """
    inputs, labels = select_rows((samples.inputs, samples.labels), rows)
    stressed = None if samples.stressed is None else block_of(samples.stressed, rows, first)
    return Block(inputs, labels, first, stressed)


def doubled(block: Block) -> Block:
    """Return a block of a single sample as two, which no network treats differently."""
    if len(block) > 1:
        return block
    return block.changed_by(lambda tree: repeat_rows(tree, 2))


def shard_edges(samples: int, shape: Sequence[int], looks: Sequence[int] = ()) -> list[int]:
    """Return where shards begin and end.

    They depend on the samples alone. Edges of a study lie on edges of a smaller one of the same
    data, but for its last, so that shards can be taken over.

    Args:
        samples: How many there are.
        shape: Shape of one input.
        looks: After how many samples scores are looked at; shards end there.

    Example:
        >>> shard_edges(5000, (3, 32, 32))[:4], shard_edges(5000, (3, 64, 64))[:4]
        ([0, 256, 512, 768], [0, 64, 128, 192])
        >>> shard_edges(180, (1, 32, 32))
        [0, 32, 64, 96, 128, 160, 180]
    """
    size = max(_FEW, min(MOST, _power_of_two(_VALUES // max(prod(shape), 1))))
    size = min(size, max(_LEAST, _power_of_two(samples // _SHARDS)))
    if not looks:
        return [*range(0, samples, size), samples]
    # Between two looks, shards are few and small enough for several workers to share.
    edges = [0]
    for first, end in pairwise((0, *looks, samples)):
        edges.extend(even_edges(first, end, min(size, MOST // 4))[1:])
    return edges


def even_edges(first: int, end: int, most: int) -> list[int]:
    """Return where parts of nearly equal sizes begin and end; only one sample alone is single.

    Example:
        >>> even_edges(0, 10, 4), even_edges(5, 6, 4)
        ([0, 3, 6, 10], [5, 6])
    """
    size = end - first
    count = max(-(-size // most), 1)
    count = min(count, max(size // FEWEST, 1))
    return [first + index * size // count for index in range(count + 1)]


def _power_of_two(number: int) -> int:
    return 1 << max(number.bit_length() - 1, 0)
