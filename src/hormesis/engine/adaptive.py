"""The adaptive adversary: every filtered network attacked anew, through what a filter changes.

The attack goes through PyTorch's own operations, in the network's order: its gradients, and with
them the perturbed inputs, are those of the plain loop bit for bit. The faster forms of layers
would turn the sign of small gradients; they only measure the inputs that the attack found.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from hormesis.data.trees import Tree, flat_rows
from hormesis.engine import recheck
from hormesis.engine.executor import Answer, PrefixExecutor, run_program, stages
from hormesis.engine.graph import EXPORT_ERRORS, Program
from hormesis.engine.outcomes import Block, MeasurementSpec, Outcomes, Result
from hormesis.engine.plain import attack_block, same
from hormesis.engine.plan import Removal
from hormesis.models.adapter import outputs_of
from hormesis.models.eval_mode import evaluation_mode


def measure(
    program: Program,
    literal: Program,
    network: nn.Module,
    removals: Sequence[Removal],
    block: Block,
    spec: MeasurementSpec,
    tick: Callable[[], None] = lambda: None,
) -> Outcomes:
    """Measure every removal on one block of samples, each with an attack of its own.

    The clean inputs pass the unfiltered prefix once. Behind it, one pass a removal gives both the
    clean logits and what the first gradient needs.

    Args:
        program: What perturbed inputs are measured with.
        literal: What is attacked; ``differentiates_as`` holds for it.
        network: The network; the same afterwards, bit for bit.
        removals: What is removed, one after the other, never together.
        block: At least two samples.
        spec: How they are measured.
        tick: Called after each removal.
    """
    labels, metric = block.labels, spec.metric
    check_rounding = partial(recheck.measure_rounding, network) if program.exact else _keep_rounding

    def scored(
        inputs: Tree, answer: Answer, removal: Removal | None, rounding: recheck.Rounding
    ) -> Tensor:
        logits = recheck.recheck_logits(
            network, removal, [inputs], answer, labels, metric, rounding=rounding
        )
        return metric.measure(logits, labels)

    with torch.inference_mode(False), torch.no_grad():
        with recheck.exclusive_access(network):
            inputs, base_idle = attack_block(network, block, spec)
        clean = _differentiable(block.inputs)
        with torch.enable_grad():  # rounding may depend on it, and `changed` compares bits
            base = _cut(run_program(literal, clean))
        answer = run_program(program, inputs)
        logit_scale = max(part.logits.abs().max().item() for part in (base, answer))
        base_rounding = check_rounding(None, inputs, answer, recheck.Rounding(logit_scale))
        unfiltered = (
            scored(block.inputs, base, None, base_rounding),
            scored(inputs, answer, None, base_rounding),
            False,
        )
        results: list[Result] = [unfiltered] * len(removals)
        idle = [base_idle] * len(removals)
        pending = stages(literal, removals)
        executor = PrefixExecutor(literal, pending, clean)
        for number, stage in enumerate(pending):
            with torch.enable_grad():
                executor.advance(stage, number)
            for row in stage.rows:
                if stage.reaches:
                    weights = removals[row].apply(literal.weights(stage.names))
                    with torch.enable_grad():
                        clean_answer = executor.answer(stage, weights)
                    seen = _Filtered(literal, weights, clean, clean_answer.logits)
                    inputs, idle[row] = attack_block(seen, block, spec)
                    adversarial_answer = run_program(program, inputs, weights)
                    pairs = ((clean_answer, base), (adversarial_answer, answer))
                    rounding = check_rounding(
                        removals[row], inputs, adversarial_answer, base_rounding
                    )
                    results[row] = (
                        scored(block.inputs, _cut(clean_answer), removals[row], rounding),
                        scored(inputs, adversarial_answer, removals[row], rounding),
                        not all(same(one.logits, other.logits) for one, other in pairs),
                    )
                tick()
    return Outcomes.of(unfiltered[:2], results, base_idle, idle)


def _keep_rounding(
    removal: Removal | None, inputs: Tree, answer: Answer, rounding: recheck.Rounding
) -> recheck.Rounding:
    """Return the rounding unchanged: a program in another data type is not exact anyway."""
    return rounding


def _cut(answer: Answer) -> Answer:
    """Return an answer without its graph."""
    return Answer(answer.logits.detach(), None if answer.before is None else answer.before.detach())


def _differentiable(inputs: Tree) -> Tree:
    """Return a copy of inputs whose floating-point tensors ask for a gradient."""

    def copied(leaf: Any) -> Any:  # noqa: ANN401
        if not isinstance(leaf, Tensor):
            return leaf
        return leaf.detach().clone().requires_grad_(leaf.is_floating_point())

    return tree_map(copied, inputs)


class _Filtered(nn.Module):
    """The filtered network as the attack sees it: its answer to the clean inputs is cached."""

    def __init__(
        self, program: Program, weights: Mapping[str, Tensor], clean: Tree, clean_answer: Tensor
    ) -> None:
        super().__init__()
        self._program, self._weights = program, weights
        self._clean, self._clean_answer = (clean,), (clean_answer,)  # out of reach of `.to(device)`

    def forward(self, inputs: Tree) -> Tensor:
        (clean,), (clean_answer,) = self._clean, self._clean_answer
        pairs = list(zip(tree_leaves(inputs), tree_leaves(clean), strict=True))
        floats = [pair for pair in pairs if pair[1].requires_grad]
        # With one perturbed tensor, the gradient of the prefix is shared between removals.
        if len(floats) == 1 and all(torch.equal(one, other) for one, other in pairs):
            return _CachedLogits.apply(*floats[0], clean_answer)
        return run_program(self._program, inputs, self._weights).logits


class _CachedLogits(torch.autograd.Function):
    """Logits that have been computed from equal inputs, with their gradient."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, clean: Tensor, clean_answer: Tensor) -> Tensor:  # noqa: ANN401
        ctx.pair = clean, clean_answer
        return clean_answer.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        clean, clean_answer = ctx.pair
        with torch.enable_grad():
            # The graph of the prefix is that of all removals.
            (gradient,) = torch.autograd.grad(clean_answer, clean, gradients, retain_graph=True)
        return gradient, None, None


def differentiates_as(network: nn.Module, literal: Program, example: Tree) -> bool:
    """Return whether a program's logits and gradients are those of the network, bit for bit.

    Args:
        network: The network.
        literal: Its program, as exported.
        example: At least two inputs.
    """
    answers = []
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        recheck.exclusive_access(network),
        evaluation_mode(network),
    ):
        for run in (
            lambda rows: outputs_of(network, rows),
            lambda rows: run_program(literal, rows).logits,
        ):
            rows = _differentiable(example)
            perturbed = [leaf for leaf in tree_leaves(rows) if leaf.requires_grad]
            try:
                logits = run(rows)
                chosen = flat_rows(logits).amin(dim=1).sum()
                answers.append((logits, *torch.autograd.grad(chosen, perturbed)))
            except EXPORT_ERRORS:
                return False
    return all(same(one, other) for one, other in zip(*answers, strict=True))
