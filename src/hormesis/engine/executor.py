"""The unfiltered prefix, run once, and the suffix of each target behind it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils._pytree import tree_leaves

from hormesis.data.trees import Tree
from hormesis.engine.graph import Program, Schedule, schedule
from hormesis.engine.plan import Removal


@dataclass(frozen=True)
class Stage:
    """All removals that filter the same parameters.

    Args:
        names: The parameters.
        rows: Indices of the removals.
        suffix: What depends on the parameters.
        needs: Slots that the suffix reads and does not compute, constants apart.
        start: Number of calls of the program that the prefix must have passed.
        reaches: Whether the logits depend on the parameters.
    """

    names: tuple[str, ...]
    rows: tuple[int, ...]
    suffix: Schedule
    needs: frozenset[int]
    start: int
    reaches: bool


@dataclass(frozen=True)
class Answer:
    """A program's answer to a batch.

    Args:
        logits: Its outputs that are measured, logits or others, one row a sample.
        before: Where a ReLU lies behind each logit: its largest input over all positions.
    """

    logits: Float[Tensor, " batch *shape"]
    before: Float[Tensor, " batch classes"] | None

    def of(self, rows: Int[Tensor, " rows"]) -> "Answer":
        """Return the answer to some rows of the batch."""
        return Answer(self.logits[rows], None if self.before is None else self.before[rows])


_ROWS, _REMOVALS = 4, 6  # on which a program is compared with its network, in every stage


def spread_indices(rows: int) -> Int[Tensor, " few"]:
    """Return a few indices, spread evenly over so many rows.

    Example:
        >>> spread_indices(10).tolist(), spread_indices(2).tolist()
        ([0, 3, 6, 9], [0, 1])
    """
    return torch.arange(min(rows, _ROWS)) * (rows - 1) // max(min(rows, _ROWS) - 1, 1)


def checked_rows(stage: "Stage", removals: Sequence[Removal]) -> list[int]:
    """Return some removals of a stage: spread evenly, and the one that takes most away.

    Example:
        >>> checked_rows(Stage((), (), Schedule(()), frozenset(), 0, reaches=True), [])
        []
    """
    if not stage.reaches or not stage.rows:
        return []
    last, few = len(stage.rows) - 1, min(len(stage.rows), _REMOVALS)
    chosen = {stage.rows[last * index // max(few - 1, 1)] for index in range(few)}
    most = max(stage.rows, key=lambda row: removals[row].count)
    return sorted({*chosen, most})


def _answer(program: Program, values: Sequence[Any]) -> Answer:
    if program.before is None:
        return Answer(values[program.output], None)
    before: Tensor = values[program.before]
    return Answer(values[program.output], before.flatten(2).amax(2) if before.ndim > 2 else before)


def stages(program: Program, removals: Sequence[Removal]) -> list[Stage]:
    """Return the removals by their parameters, in the order in which the prefix reaches them."""
    rows: dict[tuple[str, ...], list[int]] = {}
    for row, removal in enumerate(removals):
        names = tuple(dict.fromkeys(part.parameter for part in removal.target.parts))
        rows.setdefault(names, []).append(row)
    grouped = [_stage(program, names, tuple(group)) for names, group in rows.items()]
    return sorted(grouped, key=lambda stage: stage.start)


def _stage(program: Program, names: tuple[str, ...], rows: tuple[int, ...]) -> Stage:
    indices = _descendants(program, names)
    calls = [program.calls[index] for index in indices]
    own = {call.out for call in calls}
    computed = {call.out: index for index, call in enumerate(program.calls) if call.live}
    read = {slot for call in calls for slot in call.reads} - own
    needs = frozenset(slot for slot in read if slot in computed or slot in program.inputs)
    start = max((computed[slot] + 1 for slot in needs if slot in computed), default=0)
    return Stage(names, rows, schedule(program, indices), needs, start, program.output in own)


def _descendants(program: Program, names: Iterable[str]) -> frozenset[int]:
    # A parameter that the forward pass never uses has no place in the program.
    return frozenset().union(*(program.descendants.get(name, frozenset()) for name in names))


class PrefixExecutor:
    """One batch on its way through the unfiltered network.

    It runs ahead only as far as the next stage needs, and keeps only what that stage and later
    ones read; memory is bounded by the widest place of the network, not by its depth.

    Args:
        program: The network.
        pending: The stages, sorted by ``start``; to be visited in this order.
        inputs: The batch.
    """

    def __init__(self, program: Program, pending: Sequence[Stage], inputs: Tree) -> None:
        """Place the batch at the input."""
        self._program = program
        self._values = _start(program, inputs)
        self._passed = 0
        self._last_stage = {slot: n for n, stage in enumerate(pending) for slot in stage.needs}
        end = pending[-1].start if pending else 0
        self._last_call = {
            slot: index
            for index, call in enumerate(program.calls[:end])
            if call.live
            for slot in call.reads
        }

    def advance(self, stage: Stage, number: int) -> None:
        """Run the prefix up to a stage, the ``number``-th of those to visit."""
        for index in range(self._passed, stage.start):
            call = self._program.calls[index]
            if call.live:
                Schedule(((call, ()),)).run(self._values)
                for slot in call.reads:
                    self._free(slot, index, number)
        self._passed = max(self._passed, stage.start)
        for slot in tuple(self._last_stage):
            self._free(slot, self._passed - 1, number)

    def answer(self, stage: Stage, weights: Mapping[str, Float[Tensor, "..."]]) -> Answer:
        """Return the answer with some parameters replaced; the executor itself stays where it is.

        Args:
            stage: The stage that was last advanced to; it must reach the logits.
            weights: A value for each of the stage's parameters.
        """
        values = list(self._values)
        _replace(self._program, values, weights)
        stage.suffix.run(values)
        return _answer(self._program, values)

    def filtered(self, stage: Stage, removal: Removal) -> Answer:
        """Return the answer with the parameters of a stage filtered."""
        return self.answer(stage, removal.apply(self._program.weights(stage.names)))

    def _free(self, slot: int, index: int, number: int) -> None:
        """Drop a value that neither a later call nor this or a later stage reads."""
        if self._program.constants[slot] is not None:
            return
        if self._last_call.get(slot, -1) <= index and self._last_stage.get(slot, -1) < number:
            self._values[slot] = None


def run_program(
    program: Program,
    inputs: Tree,
    weights: Mapping[str, Float[Tensor, "..."]] | None = None,
) -> Answer:
    """Return the answer of the whole network, with some parameters replaced or none.

    Args:
        program: The network.
        inputs: The batch, of at least two rows.
        weights: Other values for some parameters.
    """
    weights = weights or {}
    live = {index for index, call in enumerate(program.calls) if call.live}
    values = _start(program, inputs)
    _replace(program, values, weights)
    schedule(program, live | _descendants(program, weights)).run(values)
    return _answer(program, values)


def _start(program: Program, inputs: Tree) -> list[Any]:
    values = list(program.constants)
    for slot, leaf in zip(program.inputs, tree_leaves(inputs), strict=True):
        values[slot] = leaf
    return values


def _replace(program: Program, values: list[Any], weights: Mapping[str, Tensor]) -> None:
    for name, weight in weights.items():
        if name in program.parameters:
            values[program.parameters[name]] = weight
