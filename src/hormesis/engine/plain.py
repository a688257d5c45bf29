"""The plain loop: filter, run the whole network, restore. The reference for every faster engine."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hormesis.engine.outcomes import Block, Outcomes, Question
from hormesis.engine.plan import Removal
from hormesis.models.eval_mode import evaluation_mode
from hormesis.models.networks import logits_of
from hormesis.stress.attacks import perturb_noted


@contextmanager
def filtered(network: nn.Module, removal: Removal) -> Iterator[None]:
    """Zero the values that ``removal`` names, in place, and put them back at the end.

    Everything that shares the storage sees the change. The values come back bit for bit, also
    after an error.
    """
    parameters = dict(network.named_parameters())
    replacements = removal.apply(parameters)
    originals = {name: parameters[name].detach().clone() for name in replacements}
    try:
        with torch.no_grad():
            for name, values in replacements.items():
                parameters[name].copy_(values)
        yield
    finally:
        with torch.no_grad():
            for name, values in originals.items():
                parameters[name].copy_(values)


def measure(
    network: nn.Module,
    removals: Sequence[Removal],
    block: Block,
    question: Question,
    tick: Callable[[], None] = lambda: None,
) -> Outcomes:
    """Measure every removal on one block of samples, one full forward pass after the other.

    Args:
        network: Any network; the same afterwards, bit for bit.
        removals: What is removed, one after the other, never together.
        block: The samples.
        question: How they are measured.
        tick: Called after each removal.

    Returns:
        The outcome of each removal on each sample.
    """
    with evaluation_mode(network):
        adversarial, base_idle = attacked(network, block, question)
        base = _both(network, block, adversarial, question)
        results, idle = [], []
        for removal in removals:
            with filtered(network, removal):
                if question.adaptive:
                    adversarial, nothing = attacked(network, block, question)
                    idle.append(nothing)
                logits = _both(network, block, adversarial, question)
            changed = any(not _same(a, b) for a, b in zip(logits, base, strict=True))
            results.append((*_scored(logits, block, question), changed))
            tick()
    scored = _scored(base, block, question)
    return Outcomes.of(scored, results, base_idle, idle if question.adaptive else None)


def _both(
    network: nn.Module, block: Block, adversarial: Tensor, question: Question
) -> tuple[Tensor, ...]:
    """Return the logits of clean and of perturbed samples, or of the latter alone."""
    inputs = (block.inputs, adversarial) if question.clean else (adversarial,)
    return tuple(_logits(network, part) for part in inputs)


def _scored(logits: tuple[Tensor, ...], block: Block, question: Question) -> tuple[Tensor, Tensor]:
    found = [question.metric.measure(part, block.labels) for part in logits]
    return (found[0] if question.clean else torch.zeros_like(found[-1])), found[-1]


def attacked(network: nn.Module, block: Block, question: Question) -> tuple[Tensor, Tensor]:
    """Return the inputs as the question's attack changes them, and where it was idle.

    Args:
        network: What is attacked, filtered by the question's surrogates in turn if there are any.
        block: The samples.
        question: The attack.
    """
    if not question.surrogates:
        return _perturbed(network, block, question)
    each = []
    for removal in question.surrogates:
        with filtered(network, removal):
            each.append(_perturbed(network, block, question))
    rows = torch.arange(len(block.labels), device=block.inputs.device)
    whose = (block.first + rows) % len(each)
    inputs = torch.stack([found for found, _ in each])[whose, rows]
    return inputs, torch.stack([idle for _, idle in each])[whose, :, rows].T


def _perturbed(network: nn.Module, block: Block, question: Question) -> tuple[Tensor, Tensor]:
    found = perturb_noted(
        network,
        block.inputs,
        block.labels,
        question.attack,
        bounds=question.bounds,
        seed=question.seed,
        first=block.first,
    )
    return found.inputs, found.idle


def _logits(network: nn.Module, inputs: Tensor) -> Float[Tensor, "samples classes"]:
    with torch.inference_mode():
        return logits_of(network(inputs))


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.nan_to_num(), other.nan_to_num())
