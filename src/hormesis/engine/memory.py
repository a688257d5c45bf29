"""How many samples are measured together, so that memory stays under what was promised."""

import gc
import math
import os
import weakref
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hormesis.data.bounds import is_uniform
from hormesis.data.trees import Tree, device_of_rows, select_rows, shape_of_rows
from hormesis.engine.outcomes import Block, MeasurementSpec, Outcomes
from hormesis.engine.plan import Removal
from hormesis.errors import SettingError
from hormesis.settings.attacks import shortest
from hormesis.settings.custom_attack import CustomAttack
from hormesis.settings.execution import in_bytes
from hormesis.settings.magnitudes import AUTO
from hormesis.stress.filters import HIGH_PASS, Threshold

MOST = 256  # samples in a block; more are no faster
_VALUES = 2 * MOST * 3 * 32 * 32  # of inputs in a block: more fall out of a processor's cache
_FEW = 16  # samples that a block of large inputs has nevertheless
FEWEST = 2  # many networks squeeze their output, and would treat a batch of one differently
# Tensors are not all: allocators round up and keep what was freed, and kernels have buffers.
_SLACK = 1.3
_BUFFERS = 64 * 2**20
_OUTCOME = 16  # bytes for each removal and sample, with the copy that puts them together
_CGROUP = Path("/sys/fs/cgroup")
_ALL = Threshold(HIGH_PASS.name, 0, math.inf, math.inf, math.inf)  # above which no value lies
Measure = Callable[[Sequence[Removal], Block, MeasurementSpec, Callable[[], None]], Outcomes]


@dataclass(frozen=True)
class Footprint:
    """What one worker takes while it measures a block.

    Args:
        fixed: Bytes that each allocation takes whatever the number of samples, in the order in
            which they are made; what is freed counts as negative.
        sample: The same, for each sample of the block.
        outcomes: Bytes for each sample's outcomes.
        kept: Samples of a shard, whose outcomes are kept until all its parts are measured.
    """

    fixed: Float[np.ndarray, " events"]
    sample: Float[np.ndarray, " events"]
    outcomes: int = 0
    kept: int = 0

    def of(self, samples: int) -> float:
        """Return the bytes for a block of so many samples, at its fullest."""
        held = np.cumsum(self.fixed + samples * self.sample)
        return (
            _BUFFERS
            + _SLACK * float(held.max(initial=0.0))
            + max(samples, self.kept) * self.outcomes
        )


def footprint(
    measure: Measure, removals: Sequence[Removal], block: Block, spec: MeasurementSpec
) -> Footprint:
    """Measure what a block takes, on two of its samples and on the same two twice.

    Each filtered parameter is met once, with all of its values gone, and an attack takes one step:
    none needs more than another. A removal of few values would do less work on samples whose logits
    it leaves as they were.

    Args:
        measure: An engine.
        removals: What it shall measure.
        block: At least one sample.
        spec: How it shall measure; the attack's magnitude plays no part.
    """
    firsts: dict[object, Removal] = {}
    for removal in removals:
        names = frozenset(part.parameter for part in removal.target.parts)
        if removal.replacement is None:
            removal = replace(removal, threshold=_ALL, count=removal.target.size)
        firsts.setdefault(names, removal)
    spec = _dry(spec)

    def run(count: int, some: Sequence[Removal]) -> Outcomes:
        return measure(some, _repeated(block, count), spec, lambda: None)

    every = list(firsts.values())
    run(FEWEST, every[:1])  # the first run makes what later ones find
    few, more = (allocations(lambda n=n: run(n, every)) for n in (FEWEST, 2 * FEWEST))
    outcomes = _OUTCOME * len(removals)
    if len(few) != len(more) or (np.sign(few) != np.sign(more)).any():
        # What is made depends on the samples: twice as many never take more than twice as much.
        most = np.cumsum(more).max(initial=0.0) / (2 * FEWEST)
        return Footprint(np.zeros(1), np.array([most]), outcomes)
    sample = (more - few) / FEWEST
    return Footprint(few - FEWEST * sample, sample, outcomes)


def _dry(spec: MeasurementSpec) -> MeasurementSpec:
    """Return how a block is measured to see what it takes, not what comes out.

    The attack takes one step as wide as the inputs' bounds: bytes depend on neither.
    """
    # Rows that rounding might decide are few, and never the same in two blocks.
    spec = replace(spec, metric=replace(spec.metric, binary=False, rank=None, decides=""))
    if spec.attack.epsilon is None:  # there is nothing that has a magnitude
        return spec
    width = spec.bounds[1] - spec.bounds[0] if is_uniform(spec.bounds) else 1.0
    if isinstance(spec.attack, CustomAttack) and spec.attack.epsilon != AUTO:
        return spec  # it cannot be made weaker
    return replace(spec, attack=replace(shortest(spec.attack), epsilon=width))


def allocations(run: Callable[[], object]) -> Float[np.ndarray, " events"]:
    """Return the bytes of storage that tensors take and give back while ``run`` runs, in order.

    Example:
        >>> values = torch.zeros(1000)
        >>> allocations(lambda: ((values + 1) * 2).sum()).tolist()
        [4000.0, 4000.0, -4000.0, 4.0, -4000.0, -4.0]
    """
    gc.collect()
    gc.disable()  # when it would run depends on what ran before
    try:
        with _Storage() as storage:
            run()
    finally:
        gc.enable()
    return np.array(storage.events, dtype=np.float64)


class _Storage(TorchDispatchMode):
    """Notes new storage, and when it is freed."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[int] = []
        self.alive: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._see(leaf.untyped_storage())
        return result

    def _see(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key not in self.alive:
            self.alive.add(key)
            self.events.append(size)
            weakref.finalize(storage, self._freed, key, size)

    def _freed(self, key: int, size: int) -> None:
        self.alive.discard(key)
        self.events.append(-size)


def _repeated(block: Block, count: int) -> Block:
    rows = torch.arange(count, device=block.device) % min(FEWEST, len(block))
    return block.changed_by(lambda tree: select_rows(tree, rows), 0)


def most_samples(inputs: Tree) -> int:
    """Return how many samples like these a block holds at most, whatever the memory.

    Example:
        >>> [most_samples(torch.zeros(1, 3, side, side)) for side in (32, 64, 224)]
        [256, 128, 16]
    """
    if device_of_rows(inputs).type != "cpu":
        return MOST
    return max(_FEW, min(MOST, _VALUES // max(prod(shape_of_rows(inputs)), 1)))


def allot_memory(taken: Footprint, room: int, workers: int, most: int = MOST) -> tuple[int, int]:
    """Return how many workers measure at a time, and how many samples each.

    Args:
        taken: What a worker takes.
        room: Bytes for all workers.
        workers: The number of workers asked for; fewer where they would not fit.
        most: Samples in a block at most, see ``most_samples``.

    Raises:
        SettingError: If not even one worker with two samples fits.

    Example:
        >>> taken = Footprint(fixed=np.array([100.0]), sample=np.array([10.0]))
        >>> allot_memory(taken, room=2**28, workers=2), allot_memory(taken, room=2**27, workers=2)
        ((2, 256), (1, 256))
    """
    while workers > 1 and taken.of(FEWEST) > room / workers:
        workers -= 1
    samples = bisect_right(range(most + 1), room / workers, key=taken.of) - 1
    if samples < FEWEST:
        lacking = taken.of(FEWEST) - room
        raise SettingError(
            f"Expected `memory` to hold {FEWEST} samples at a time, which need "
            f"{_spelled(taken.of(FEWEST))} besides the network and the data: promise at least "
            f"{_spelled(lacking)} more, or take smaller inputs."
        )
    return workers, samples


def room(memory: str | int | None, device: torch.device) -> int:
    """Return how many bytes a measurement may still take.

    Args:
        memory: What was promised for all that the process holds, on the device where there is one;
            None promises half of what is free.
        device: Where the network is.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return (
            free // 2 if memory is None else in_bytes(memory) - torch.cuda.memory_reserved(device)
        )
    if memory is None:
        return _free() // 2
    return in_bytes(memory) - psutil.Process(os.getpid()).memory_info().rss


def _free() -> int:
    """Return the bytes that are free, for this machine and for its container."""
    free = psutil.virtual_memory().available
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        if limit != "max":
            free = min(free, int(limit) - int((_CGROUP / "memory.current").read_text()))
    except (OSError, ValueError):
        pass  # no container, or one that does not say
    return max(free, 0)


def _spelled(size: float) -> str:
    """Return a number of bytes, rounded up to what a reader can type."""
    unit, name = (2**30, "GiB") if size >= 2**30 else (2**20, "MiB")
    return f"{-(-size // (unit / 100)) / 100:.2f} {name}"


def halving(measure: Measure) -> Measure:
    """Return the measurement such that a block for which a GPU has no memory is halved.

    Raises:
        SettingError: Then, if two samples do not fit either.
    """

    def measured(
        removals: Sequence[Removal], block: Block, spec: MeasurementSpec, tick: Callable[[], None]
    ) -> Outcomes:
        try:
            return measure(removals, block, spec, tick)
        except torch.OutOfMemoryError as error:
            half = len(block) // 2
            if half < FEWEST:
                raise SettingError(
                    f"The device has no memory for {len(block)} samples: use another "
                    "`device`, or free what other programs hold there."
                ) from error
        torch.cuda.empty_cache()
        parts = block.part(0, half), block.part(half, len(block))
        # The progress has counted some removals of the whole block: the parts add nothing to it.
        return Outcomes.concatenate(
            [measured(removals, part, spec, lambda: None) for part in parts]
        )

    return measured
