"""The method once more, as slow loops that can be checked by eye.

Written from the description of the method alone; nothing here comes from the package. Every
filtered network is a fresh deep copy, every sample set goes through it in one batch, and every
formula is spelled out.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

HIGH_PASS, LOW_PASS, PULSE_WAVE = "high_pass", "low_pass", "pulse_wave"
FILTERS = (HIGH_PASS, LOW_PASS, PULSE_WAVE)

Metric = Callable[[Tensor, Tensor], Tensor]
Keep = dict[str, Tensor]


@dataclass(frozen=True)
class OracleRow:
    """One filtered network: what was taken out and how each sample fared."""

    step: int
    alpha: float
    zeroed: int
    size: int
    clean: np.ndarray
    adversarial: np.ndarray

    @property
    def density(self) -> float:
        """The share of values kept."""
        return (self.size - self.zeroed) / self.size


@dataclass(frozen=True)
class OracleScores:
    """The three scores of one filter."""

    clean: float
    adversarial: float
    difference: float


def correct(outputs: Tensor, labels: Tensor) -> Tensor:
    """1 for every sample whose largest output is its label, else 0."""
    return (outputs.argmax(dim=1) == labels).double()


def minus_cross_entropy(outputs: Tensor, labels: Tensor) -> Tensor:
    """The log-probability of the label, one number a sample."""
    return -functional.cross_entropy(outputs, labels, reduction="none").double()


def thresholds(low: float, high: float, count: int, filter_name: str) -> list[float]:
    """Evenly spaced thresholds from end to end, in the order of the filter."""
    rising = [float(alpha) for alpha in np.linspace(low, high, count)]
    return rising[::-1] if filter_name == LOW_PASS else rising


def rounded(alpha: float, values: Tensor) -> Tensor:
    """The threshold as the number nearest to it that the tensor could hold."""
    return torch.tensor(alpha, dtype=torch.float64).to(values.dtype)


def kept(values: Tensor, filter_name: str, alpha: float, delta: float) -> Tensor:
    """True where the filter leaves a value, False where it puts zero."""
    if filter_name == HIGH_PASS:
        return values > rounded(alpha, values)
    if filter_name == LOW_PASS:
        return values < rounded(alpha, values)
    assert filter_name == PULSE_WAVE
    inside = (values >= rounded(alpha - delta, values)) & (values < rounded(alpha + delta, values))
    return ~inside


def fgsm(network: nn.Module, images: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    """One step of the sign of the loss's gradient, inside [0, 1] (Goodfellow et al., 2015)."""
    pixels = images.clone().requires_grad_(True)
    loss = functional.cross_entropy(network(pixels), labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, pixels)
    return (images + epsilon * gradient.sign()).clamp(0.0, 1.0)


def measured(network: nn.Module, images: Tensor, labels: Tensor, metric: Metric) -> np.ndarray:
    """The performance of every sample."""
    with torch.no_grad():
        return metric(network(images), labels).double().numpy()


def copy_in_evaluation_mode(network: nn.Module) -> nn.Module:
    """A copy that shares nothing with the network given, every module in evaluation mode."""
    return deepcopy(network).eval()


def filtered_copy(network: nn.Module, keep: Keep) -> nn.Module:
    """A copy with zero wherever ``keep`` is False."""
    copy = copy_in_evaluation_mode(network)
    parameters = dict(copy.named_parameters())
    with torch.no_grad():
        for name, mask in keep.items():
            parameters[name][~mask] = 0.0
    return copy


def local_masks(
    values: Tensor, filter_name: str, count: int, span: tuple[float, float] | None = None
) -> Iterator[tuple[float, Tensor]]:
    """Each threshold with the values that stay, over the tensor's own range by default."""
    low, high = span or (float(values.min()), float(values.max()))
    delta = (high - low) / (2 * count)
    for alpha in thresholds(low, high, count, filter_name):
        yield alpha, kept(values, filter_name, alpha, delta)


def local_keeps(
    network: nn.Module, name: str, filter_name: str, count: int
) -> Iterator[tuple[float, Keep]]:
    """One parameter filtered, everything else left alone."""
    values = dict(network.named_parameters())[name].detach()
    for alpha, mask in local_masks(values, filter_name, count):
        yield alpha, {name: mask}


def channel_keeps(
    network: nn.Module, name: str, channel: int, filter_name: str, count: int
) -> Iterator[tuple[float, Keep]]:
    """One output channel of a parameter filtered over its own range."""
    values = dict(network.named_parameters())[name].detach()
    for alpha, mask in local_masks(values[channel], filter_name, count):
        whole = torch.ones_like(values, dtype=torch.bool)
        whole[channel] = mask
        yield alpha, {name: whole}


def global_keeps(
    network: nn.Module,
    names: Sequence[str],
    filter_name: str,
    count: int,
    span: tuple[float, float] | None = (-1.0, 1.0),
) -> Iterator[tuple[float, Keep]]:
    """All the parameters filtered at once, over ``span`` or (None) over their common range."""
    parameters = {name: dict(network.named_parameters())[name].detach() for name in names}
    lowest = min(float(values.min()) for values in parameters.values())
    highest = max(float(values.max()) for values in parameters.values())
    low, high = span or (lowest, highest)
    delta = (high - low) / (2 * count)
    for alpha in thresholds(low, high, count, filter_name):
        yield (
            alpha,
            {name: kept(values, filter_name, alpha, delta) for name, values in parameters.items()},
        )


def responses(
    network: nn.Module,
    samples: tuple[Tensor, Tensor, Tensor],
    keeps: Iterator[tuple[float, Keep]],
    *,
    size: int,
    metric: Metric = correct,
) -> list[OracleRow]:
    """Every filtered network on the clean and on the fixed adversarial images.

    ``samples`` are clean images, adversarial images (see ``fgsm``) and labels; ``size`` is the
    number of values the filter works on.
    """
    images, adversarial, labels = samples
    rows = []
    for step, (alpha, keep) in enumerate(keeps):
        filtered = filtered_copy(network, keep)
        rows.append(
            OracleRow(
                step=step,
                alpha=alpha,
                zeroed=sum(int((~mask).sum()) for mask in keep.values()),
                size=size,
                clean=measured(filtered, images, labels, metric),
                adversarial=measured(filtered, adversarial, labels, metric),
            )
        )
    return rows


def adaptive_responses(
    network: nn.Module,
    samples: tuple[Tensor, Tensor],
    keeps: Iterator[tuple[float, Keep]],
    *,
    size: int,
    epsilon: float,
) -> list[OracleRow]:
    """As ``responses``, the attack made anew against every filtered network."""
    images, labels = samples
    rows = []
    for step, (alpha, keep) in enumerate(keeps):
        filtered = filtered_copy(network, keep)
        adversarial = fgsm(filtered, images, labels, epsilon)
        rows.append(
            OracleRow(
                step=step,
                alpha=alpha,
                zeroed=sum(int((~mask).sum()) for mask in keep.values()),
                size=size,
                clean=measured(filtered, images, labels, correct),
                adversarial=measured(filtered, adversarial, labels, correct),
            )
        )
    return rows


def simpson(values: Sequence[float]) -> float:
    """The integral over [0, 1] of an odd number of evenly spaced values, 1-4-2-4-...-1."""
    assert len(values) >= 3
    assert len(values) % 2 == 1
    width = 1.0 / (len(values) - 1)
    total = 0.0
    for index in range(0, len(values) - 2, 2):
        total += width / 3 * (values[index] + 4 * values[index + 1] + values[index + 2])
    return total


def scores(
    rows: Sequence[OracleRow],
    unfiltered: tuple[float, float],
    *,
    base: str = "network",
    reference: str = "density",
) -> OracleScores:
    """The three scores of one filter.

    ``unfiltered`` is the network's own mean performance, clean and adversarial. ``base`` is
    "network" or "first" (the response at the first threshold); ``reference`` is "density" or
    "base".
    """
    clean = [float(np.mean(row.clean)) for row in rows]
    adversarial = [float(np.mean(row.adversarial)) for row in rows]
    bases = unfiltered if base == "network" else (clean[0], adversarial[0])
    line = [row.density if reference == "density" else 1.0 for row in rows]
    clean = [value / bases[0] for value in clean]
    adversarial = [value / bases[1] for value in adversarial]
    return OracleScores(
        clean=simpson([value - at for value, at in zip(clean, line, strict=True)]),
        adversarial=simpson([value - at for value, at in zip(adversarial, line, strict=True)]),
        difference=simpson([a - c for a, c in zip(adversarial, clean, strict=True)]),
    )


def combined(one_per_filter: Sequence[OracleScores]) -> OracleScores:
    """The mean over the three filters."""
    assert len(one_per_filter) == len(FILTERS)
    return OracleScores(
        clean=sum(one.clean for one in one_per_filter) / 3,
        adversarial=sum(one.adversarial for one in one_per_filter) / 3,
        difference=sum(one.difference for one in one_per_filter) / 3,
    )
