"""The fast engine: for each removal, only what depends on the filtered parameters runs again."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hormesis.engine import plain, ties
from hormesis.engine.graph import EXPORT_ERRORS, NotExportable, Program, export, lower
from hormesis.engine.outcomes import Block, Outcomes, Question
from hormesis.engine.plan import Removal
from hormesis.engine.rewrite import rewrite
from hormesis.engine.walk import Answer, Stage, Walk, same, stages, together, whole
from hormesis.inputs.models import logits_of
from hormesis.stress.attacks import perturb
from hormesis.stress.guard import evaluating

# Largest difference, in units of the largest logit, that the program of a network may show.
_FAITHFUL = 1e-3


def compile_network(
    network: nn.Module, example: Float[Tensor, " batch *shape"], *, fast: bool = True
) -> Program:
    """Return the program that ``measure`` runs in place of the network.

    Args:
        network: Any network; it is copied and not changed.
        example: At least one input, on the network's device.
        fast: Rewrite layers so that they take less time; the results differ by rounding only.

    Raises:
        NotExportable: With the reason; the plain loop can still measure such a network.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> program = compile_network(network, torch.zeros(1, 2))
        >>> len(program.descendants["0.weight"]) > len(program.descendants["2.weight"])
        True
    """
    _refuse_shared_memory(network)
    exported = export(network, example)
    if fast:
        rewrite(exported)
    program = lower(exported, network, example)
    _check_faithful(program, network, example)
    return program


def measure(
    program: Program,
    network: nn.Module,
    removals: Sequence[Removal],
    block: Block,
    question: Question,
    tick: Callable[[], None] = lambda: None,
) -> Outcomes:
    """Measure every removal on one block of samples; the outcomes are those of the plain loop.

    The network itself is attacked, so that the inputs are those of the plain loop bit for bit, and
    rules on rows that rounding might decide (see ``ties.undecided``). An adaptive adversary
    therefore costs as much as in the plain loop, and only the forward passes after it less.

    A removal counts as ``changed`` if a logit of the program differs, bit for bit, from that of the
    same program unfiltered. Several threads may measure at once with one program and network.

    Args:
        program: What ``compile_network`` made of the network.
        network: The network; the same afterwards, bit for bit.
        removals: What is removed, one after the other, never together.
        block: The samples.
        question: How they are measured.
        tick: Called after each removal.

    Returns:
        The outcome of each removal on each sample, in the order of ``removals``.
    """
    if len(block.labels) < (2 if question.adaptive else 1):  # a program takes no batch of one
        with ties.lent(network):
            return plain.measure(network, removals, block, question, tick)
    if question.adaptive:
        network = copy.deepcopy(network)  # attacked for each removal: no thread should wait
    work = _Work(program, network, block, question)
    results: list[_Result | None] = [None] * len(removals)
    with torch.inference_mode():
        base = work.base()
        todo = stages(program, removals)
        walk = Walk(program, todo, work.walked(base))
        for number, stage in enumerate(todo):
            walk.advance(stage, number)
            for row in stage.rows:
                results[row] = work.removal(walk, stage, removals[row], base)
                tick()
    return _collected(base, [result for result in results if result is not None])


@dataclass(frozen=True)
class _Result:
    """Logits of one removal, clean rows first, and what follows from them."""

    inputs: Tensor
    logits: Tensor
    clean: Tensor
    adversarial: Tensor
    usual: float  # largest absolute logit of the unfiltered network
    changed: bool = False


@dataclass(frozen=True)
class _Work:
    """The measurement of one block."""

    program: Program
    network: nn.Module
    block: Block
    question: Question

    def base(self) -> _Result:
        inputs = torch.cat([self.block.inputs, self.attacked(None)])
        count = len(self.block.labels)
        # With an adaptive adversary the two halves run apart, here and for each removal: rounding
        # may depend on the size of the batch, and `changed` compares bits.
        parts = inputs.split(count) if self.question.adaptive else (inputs,)
        answer = together([whole(self.program, part) for part in parts])
        return self.result(inputs, answer, None, usual=answer.logits.abs().max().item())

    def walked(self, base: _Result) -> Tensor:
        """Return the batch whose prefix all removals share."""
        return self.block.inputs if self.question.adaptive else base.inputs

    def removal(self, walk: Walk, stage: Stage, removal: Removal, base: _Result) -> _Result:
        if not stage.reaches:
            return base
        weights = removal.apply(self.program.weights(stage.names))
        inputs, answer = base.inputs, walk.answer(stage, weights)
        if self.question.adaptive:
            attacked = self.attacked(removal)
            inputs = torch.cat([self.block.inputs, attacked])
            answer = together([answer, whole(self.program, attacked, weights)])
        if same(answer.logits, base.logits):
            return base
        return replace(self.result(inputs, answer, removal, usual=base.usual), changed=True)

    def attacked(self, removal: Removal | None) -> Tensor:
        with ties.lent(self.network, removal):
            return perturb(
                self.network,
                self.block.inputs,
                self.block.labels,
                self.question.attack,
                bounds=self.question.bounds,
                seed=self.question.seed,
                first=self.block.first,
            )

    def result(
        self, inputs: Tensor, answer: Answer, removal: Removal | None, *, usual: float
    ) -> _Result:
        labels = self.block.labels
        performance = self.question.performance
        rows = ties.undecided(
            answer.logits,
            torch.cat([labels, labels]),
            performance,
            before=answer.before,
            usual=usual,
        )
        settled = answer.logits
        if rows.any():
            settled = answer.logits.clone()
            settled[rows] = ties.settle(self.network, removal, inputs[rows])
        clean, adversarial = settled.split(len(labels))
        return _Result(
            inputs,
            answer.logits,
            performance.measure(clean, labels),
            performance.measure(adversarial, labels),
            usual,
        )


def _collected(base: _Result, results: Sequence[_Result]) -> Outcomes:
    nothing = torch.zeros(0, len(base.clean))
    return Outcomes(
        base_clean=base.clean,
        base_adversarial=base.adversarial,
        clean=torch.stack([result.clean for result in results]) if results else nothing,
        adversarial=torch.stack([result.adversarial for result in results]) if results else nothing,
        changed=torch.tensor([result.changed for result in results], dtype=torch.bool),
    )


def _refuse_shared_memory(network: nn.Module) -> None:
    """Refuse parameters that overlap in memory: filtering one would change the other unseen."""
    spans = sorted(
        (tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes, name)
        for name, tensor in (*network.named_parameters(), *network.named_buffers())
        if tensor.nbytes
    )
    for (_, end, one), (start, _, other) in pairwise(spans):
        if start < end:
            raise NotExportable(f"its tensors {one!r} and {other!r} share memory")


def _check_faithful(program: Program, network: nn.Module, example: Tensor) -> None:
    """Refuse a program that computes anything but the network's logits."""
    rows = example.repeat(2, *([1] * (example.ndim - 1)))
    with ties.lent(network), evaluating(network), torch.inference_mode():
        expected = logits_of(network(rows))
        try:
            found = whole(program, rows).logits
        except EXPORT_ERRORS as error:
            raise NotExportable(f"its program does not run: {error}") from error
    scale = expected.abs().amax().clamp_min(torch.finfo(expected.dtype).tiny)
    if found.shape != expected.shape or not (found - expected).abs().amax() <= _FAITHFUL * scale:
        raise NotExportable("its program computes other logits than the network")
