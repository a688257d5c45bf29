"""The plain loop: filter, run the whole network, restore. The reference for every faster engine."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hormesis.data.trees import Tree, join_rows, select_rows
from hormesis.engine.outcomes import Block, MeasurementSpec, Outcomes
from hormesis.engine.plan import Removal
from hormesis.models.adapter import outputs_of
from hormesis.models.eval_mode import evaluation_mode
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
        attacked, base_idle = attack_block(network, block, spec)
        base = _outputs(network, spec.parts(block.inputs, attacked))
        results, idle = [], []
        for removal in removals:
            with filtering(network, removal):
                if spec.adaptive:
                    attacked, idle_samples = attack_block(network, block, spec)
                    idle.append(idle_samples)
                outputs = _outputs(network, spec.parts(block.inputs, attacked))
            changed = any(not same(a, b) for a, b in zip(outputs, base, strict=True))
            results.append((*_score(outputs, block, spec), changed))
            tick()
    scores = _score(base, block, spec)
    return Outcomes.of(scores, results, base_idle, idle if spec.adaptive else None)


@torch.inference_mode()
def _outputs(network: nn.Module, parts: Sequence[Tree]) -> tuple[Tensor, ...]:
    """Return the outputs for clean samples, for perturbed ones, or for both."""
    return tuple(outputs_of(network, part) for part in parts)


def _score(outputs: Sequence[Tensor], block: Block, spec: MeasurementSpec) -> tuple[Tensor, Tensor]:
    labels = spec.parts(block.labels, block.stressed_labels)
    return spec.pair([spec.metric.measure(*part) for part in zip(outputs, labels, strict=True)])


def attack_block(network: nn.Module, block: Block, spec: MeasurementSpec) -> tuple[Tree, Tensor]:
    """Return the perturbed inputs, and the samples on which the attack was idle.

    Args:
        network: The network to attack, filtered by each of the spec's surrogates in turn, if any.
        block: The samples.
        spec: The attack; without one, the inputs are returned as they are, or those of a second
            data set.
    """
    if not spec.stressed or spec.given:
        inputs = block.inputs if block.stressed is None else block.stressed.inputs
        return inputs, torch.zeros(2, len(block), dtype=torch.bool, device=block.device)
    if not spec.surrogates:
        return _perturb(network, block, spec)
    answers = []
    for removal in spec.surrogates:
        with filtering(network, removal):
            answers.append(_perturb(network, block, spec))
    count = len(block)
    rows = torch.arange(count, device=block.device)
    whose = (block.first + rows) % len(answers)
    inputs = select_rows(join_rows([inputs for inputs, _ in answers]), whose * count + rows)
    return inputs, torch.stack([idle for _, idle in answers])[whose, :, rows].T


def _perturb(network: nn.Module, block: Block, spec: MeasurementSpec) -> tuple[Tree, Tensor]:
    perturbed = perturb_and_note(
        network,
        block.inputs,
        block.labels,
        spec.attack,
        bounds=spec.bounds,
        seed=spec.seed,
        first=block.first,
        loss=spec.loss,
    )
    return perturbed.inputs, perturbed.idle


def same(one: Tensor, other: Tensor) -> bool:
    """Return whether two results agree bit for bit, NaN included."""
    if torch.equal(one, other):
        return True
    if bool((one.sum() + other.sum()).isfinite()):
        return False  # as all are, which takes no copies to see
    return torch.equal(one.nan_to_num(), other.nan_to_num())
