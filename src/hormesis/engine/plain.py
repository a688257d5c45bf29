"""The plain loop: filter, run the whole network, restore. The reference for every faster engine."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hormesis.engine.outcomes import Block, MeasurementSpec, Outcomes
from hormesis.engine.plan import Removal
from hormesis.models.eval_mode import evaluation_mode
from hormesis.models.networks import logits_of
from hormesis.stress.attacks import perturb_and_note


@contextmanager
def filtering(network: nn.Module, removal: Removal) -> Iterator[None]:
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
    spec: MeasurementSpec,
    tick: Callable[[], None] = lambda: None,
) -> Outcomes:
    """Measure every removal on one block of samples, one full forward pass after the other.

    Args:
        network: Any network; the same afterwards, bit for bit.
        removals: What is removed, one after the other, never together.
        block: The samples.
        spec: How they are measured.
        tick: Called after each removal.

    Returns:
        The outcome of each removal on each sample.
    """
    with evaluation_mode(network):
        adversarial, base_idle = attack_block(network, block, spec)
        base = _both(network, block, adversarial, spec)
        results, idle = [], []
        for removal in removals:
            with filtering(network, removal):
                if spec.adaptive:
                    adversarial, idle_samples = attack_block(network, block, spec)
                    idle.append(idle_samples)
                logits = _both(network, block, adversarial, spec)
            changed = any(not same(a, b) for a, b in zip(logits, base, strict=True))
            results.append((*_score(logits, block, spec), changed))
            tick()
    scores = _score(base, block, spec)
    return Outcomes.of(scores, results, base_idle, idle if spec.adaptive else None)


def _both(
    network: nn.Module, block: Block, adversarial: Tensor, spec: MeasurementSpec
) -> tuple[Tensor, ...]:
    """Return the logits of clean and of perturbed samples, or of one of them alone."""
    return tuple(_logits(network, part) for part in measured_inputs(block, adversarial, spec))


def measured_inputs(block: Block, perturbed: Tensor, spec: MeasurementSpec) -> tuple[Tensor, ...]:
    """Return the inputs that are measured: clean and perturbed ones, or one of them alone."""
    if not spec.stressed:
        return (block.inputs,)
    return (block.inputs, perturbed) if spec.clean else (perturbed,)


def _score(
    logits: tuple[Tensor, ...], block: Block, spec: MeasurementSpec
) -> tuple[Tensor, Tensor]:
    return both_scores([spec.metric.measure(part, block.labels) for part in logits], spec)


def both_scores(scores: Sequence[Tensor], spec: MeasurementSpec) -> tuple[Tensor, Tensor]:
    """Return clean and adversarial performance, of which zero is what was not measured.

    Args:
        scores: Of ``measured_inputs``, in their order.
        spec: What was measured.
    """
    if len(scores) == 2:
        return scores[0], scores[1]
    nothing = torch.zeros_like(scores[0])
    return (nothing, scores[0]) if spec.stressed else (scores[0], nothing)


def attack_block(network: nn.Module, block: Block, spec: MeasurementSpec) -> tuple[Tensor, Tensor]:
    """Return the perturbed inputs, and the samples on which the attack was idle.

    Args:
        network: The network to attack, filtered by each of the spec's surrogates in turn, if any.
        block: The samples.
        spec: The attack.
    """
    if not spec.stressed:
        nowhere = torch.zeros(2, len(block.labels), dtype=torch.bool, device=block.inputs.device)
        return block.inputs, nowhere
    if not spec.surrogates:
        return _perturb(network, block, spec)
    answers = []
    for removal in spec.surrogates:
        with filtering(network, removal):
            answers.append(_perturb(network, block, spec))
    rows = torch.arange(len(block.labels), device=block.inputs.device)
    whose = (block.first + rows) % len(answers)
    inputs = torch.stack([inputs for inputs, _ in answers])[whose, rows]
    return inputs, torch.stack([idle for _, idle in answers])[whose, :, rows].T


def _perturb(network: nn.Module, block: Block, spec: MeasurementSpec) -> tuple[Tensor, Tensor]:
    perturbed = perturb_and_note(
        network,
        block.inputs,
        block.labels,
        spec.attack,
        bounds=spec.bounds,
        seed=spec.seed,
        first=block.first,
    )
    return perturbed.inputs, perturbed.idle


def _logits(network: nn.Module, inputs: Tensor) -> Float[Tensor, "samples classes"]:
    with torch.inference_mode():
        return logits_of(network(inputs))


def same(one: Tensor, other: Tensor) -> bool:
    """Return whether two results agree bit for bit, NaN included."""
    return torch.equal(one.nan_to_num(), other.nan_to_num())
