"""The automatic magnitude: it takes the accuracy half-way to chance."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from hormesis.data.bounds import Rebuild, clamp_to, perturbable_part, width_of
from hormesis.data.embedded import has_perturbation
from hormesis.data.samples import Samples
from hormesis.data.trees import Tree, in_batches, select_rows
from hormesis.errors import ModelError
from hormesis.models.adapter import outputs_of
from hormesis.models.eval_mode import evaluation_mode
from hormesis.settings.attacks import Attack
from hormesis.settings.threat import L2, LINF, norm_of
from hormesis.stress.attacks import perturb
from hormesis.stress.class_metrics import accuracy
from hormesis.stress.losses import Loss, cross_entropy
from hormesis.stress.metric import Metric

Change = Callable[[Tree, Tree, int], Tree]
"""Takes inputs, labels and the index of the first row; returns inputs."""

PRECISION = 0.02
"""Bisection ends when the two magnitudes that enclose the wanted one differ by this share."""

_SMALLEST = 2.0**-20  # of the width of the bounds; below it 32-bit inputs hardly change


@dataclass(frozen=True)
class EpsilonChoice:
    """The magnitude that was chosen, and what it does.

    Args:
        epsilon: Magnitude in input units.
        clean: Accuracy on the inputs as they are, 0 to 1; or the mean of another metric.
        adversarial: The same on the inputs perturbed by ``epsilon``.
        evaluations: Number of magnitudes tried; each attacks every sample once.
        unharmed: True if no magnitude up to the width of the bounds takes the accuracy half-way to
            chance; ``epsilon`` is then the largest one tried.
        chance: Accuracy of guessing, 0 to 1; None in studies that halved the accuracy, as was the
            rule before.
        metric: What was measured instead of the accuracy.
        higher_is_better: Whether more of it is better.
    """

    epsilon: float
    clean: float
    adversarial: float
    evaluations: int
    unharmed: bool = False
    chance: float | None = None
    metric: str = accuracy.name
    higher_is_better: bool = True

    def described(self) -> dict[str, Any]:
        """Return it as plain values; older studies have no entry on the metric."""
        values = asdict(self)
        if self.metric == accuracy.name:
            del values["metric"], values["higher_is_better"]
        return values

    @property
    def guesses(self) -> bool:
        """Whether the network does not do better than guessing, so that no magnitude means much."""
        if self.chance is None:
            return False
        return self.clean <= self.chance if self.higher_is_better else self.clean >= self.chance

    @property
    def floored(self) -> bool:
        """Whether no sample is right under attack, so that ratios to it are undefined."""
        return self.adversarial == 0

    def sentence(self) -> str:
        """Return the choice as one sentence for the user.

        Example:
            >>> EpsilonChoice(0.03, clean=0.9, adversarial=0.45, evaluations=8).sentence()
            'epsilon 0.03 takes accuracy from 90.0% to 45.0% (8 magnitudes tried).'
        """
        form = ".1%" if self.metric == accuracy.name else ".4g"
        text = (
            f"epsilon {self.epsilon:.4g} takes {self.metric} from {self.clean:{form}} to "
            f"{self.adversarial:{form}} ({self.evaluations} magnitudes tried)"
        )
        aim = "half-way to chance" if self.chance else "half of it"
        if self.guesses:
            return (
                f"{text}; guessing gives {self.chance:{form}}, so that no magnitude means anything."
            )
        if self.unharmed:
            return f"{text}; none leaves {aim}, so the network is unharmed by this attack."
        if self.floored:
            return f"{text}; no magnitude leaves about {aim}, so the network is floored."
        return f"{text}."


def halfway(clean: float, chance: float) -> float:
    """Return the adversarial accuracy that is aimed at: half-way between clean and guessing.

    Half of the clean accuracy would push a network of few classes below guessing, from where
    whatever is done to it brings it back.

    Args:
        clean: Accuracy on the inputs as they are, 0 to 1.
        chance: Accuracy of guessing, 0 to 1.

    Example:
        >>> halfway(0.96, 0.5), round(halfway(0.9912, 0.1135), 3)  # two classes; MNIST
        (0.73, 0.552)
    """
    return (clean + chance) / 2


def automatic_epsilon(
    network: nn.Module,
    samples: Samples,
    attack: Attack,
    *,
    batch: int,
    seed: int,
    chance: float = 0.0,
    progress: Callable[[int], None] | None = None,
    metric: Metric = accuracy,
    loss: Loss = cross_entropy,
) -> EpsilonChoice:
    """Return the magnitude at which adversarial accuracy is half-way between clean and chance.

    The search starts at 1/255 of the width of the bounds (in L2 of their diagonal, which is that
    width times the root of the number of values) and doubles the magnitude, never beyond that
    width, until accuracy is at most half-way; or halves it until accuracy is above. Then it
    bisects, on a logarithmic scale, until the two enclosing magnitudes differ by at most
    ``PRECISION``, or one of them meets the aim exactly. Of the two, the one whose accuracy is
    nearer to it is returned, but none below chance if the other is above; of equally near ones, the
    smaller. For a network that does not do better than guessing, there is nothing to aim at: the
    first magnitude is returned, and the choice says so in ``guesses``.

    Args:
        network: Maps inputs to logits; runs on the device of its first parameter.
        samples: Samples to attack; all of them are used.
        attack: The attack, whose own ``epsilon`` plays no part.
        batch: Samples a batch, at least 1; has no influence on the result but for rounding.
        seed: Seed of the random starts, at least 0.
        chance: Accuracy of guessing, 0 to 1; with 0, accuracy is halved.
        progress: Called after each magnitude with the number tried so far.
        metric: What is measured instead of the accuracy.
        loss: What the attack raises.

    Raises:
        ModelError: If the network gets none of the samples right.

    Example:
        >>> network = nn.Linear(2, 2, bias=False)
        >>> _ = nn.init.eye_(network.weight)
        >>> inputs = torch.tensor([[0.5, 0.3], [0.9, 0.1]])
        >>> from hormesis.settings.attacks import FGSM
        >>> samples = Samples(inputs, torch.tensor([0, 0]), (0.0, 1.0), classes=2, name="two")
        >>> choice = automatic_epsilon(network, samples, FGSM(), batch=2, seed=0)
        >>> 0.1 < choice.epsilon < 0.4, choice.adversarial
        (True, 0.5)
    """
    mean = partial(_mean, network, samples, metric, batch)
    clean = mean(lambda rows, labels, first: rows)
    if clean == 0 and metric.name == accuracy.name:
        raise ModelError(
            f"Expected a network that gets some of the {len(samples)} samples right, got none; "
            "train it or pass weights before choosing `epsilon` automatically."
        )
    tried: dict[float, float] = {}

    perturbed = _perturbed(network, samples, attack, seed, loss)

    def evaluate(epsilon: float) -> float:
        if epsilon not in tried:
            tried[epsilon] = sign * mean(perturbed(epsilon))
            if progress is not None:
                progress(len(tried))
        return tried[epsilon]

    sign = 1.0 if metric.higher_is_better else -1.0
    better, guessed = sign * clean, sign * chance
    width, aim = widest_change(samples, norm_of(attack)), halfway(better, guessed)
    if better <= guessed:
        epsilon, unharmed = width / 255, False
        evaluate(epsilon)
    else:
        ends = _bisect(evaluate, _bracket(evaluate, width, aim), aim)
        epsilon = min(ends, key=lambda end: (tried[end] < guessed, abs(tried[end] - aim), end))
        unharmed = tried[epsilon] > aim and epsilon == max(tried)
    left = sign * tried[epsilon]
    choice = EpsilonChoice(epsilon, clean, left, len(tried), unharmed, chance or None)
    return replace(choice, metric=metric.name, higher_is_better=metric.higher_is_better)


def widest_change(samples: Samples, norm: str) -> float:
    """Return the largest change that the bounds of samples allow for.

    Args:
        samples: The samples.
        norm: What changes are measured by.
    """
    width = width_of(samples.bounds, samples.inputs)
    if has_perturbation(samples.inputs):
        return width  # in L2 too it is a share of a sequence's norm
    values = perturbable_part(select_rows(samples.inputs, slice(0, 1)))
    return width * math.sqrt(values[0].numel()) if norm == L2 else width


def _perturbed(
    network: nn.Module, samples: Samples, attack: Attack, seed: int, loss: Loss
) -> Callable[[float], Change]:
    """Return, for each magnitude, a function that perturbs a batch by it.

    Where the direction is the same at every magnitude, one gradient serves them all: the sign of
    each change is read off a perturbation as wide as the bounds. Other attacks, and all in L2, run
    anew.
    """
    bounds = samples.bounds
    straight = attack.straight and norm_of(attack) == LINF
    directions: dict[int, Tensor] = {}
    attacked = partial(perturb, network, bounds=bounds, seed=seed, loss=loss)

    def direction(rows: Tree, labels: Tree, first: int) -> Tensor:
        values = perturbable_part(rows)
        if first not in directions:
            wide = replace(attack, epsilon=width_of(bounds, samples.inputs))
            moved = perturbable_part(attacked(rows, labels, wide, first=first))
            directions[first] = (moved - values).sign().to(torch.int8)
        return directions[first].to(values.dtype)

    def at(epsilon: float) -> Change:
        def change(rows: Tree, labels: Tree, first: int) -> Tree:
            if straight:
                values = direction(rows, labels, first) * epsilon
                return Rebuild(rows)(clamp_to(perturbable_part(rows) + values, bounds))
            strong = replace(attack, epsilon=epsilon)
            return attacked(rows, labels, strong, first=first)

        return change

    return at


def _bracket(evaluate: Callable[[float], float], width: float, aim: float) -> tuple[float, float]:
    """Return magnitudes below and above the wanted one; twice the same if there is no such pair."""
    low = high = width / 255
    if evaluate(low) > aim:
        while evaluate(high) > aim:
            if high >= width:
                return high, high
            low, high = high, min(2 * high, width)
        return low, high
    while evaluate(low) <= aim:
        if low <= _SMALLEST * width:
            return low, low
        low, high = low / 2, low
    return low, high


def _bisect(
    evaluate: Callable[[float], float], ends: tuple[float, float], aim: float
) -> tuple[float, float]:
    low, high = ends
    while high > (1 + PRECISION) * low and not math.isclose(evaluate(high), aim, abs_tol=1e-12):
        middle = math.sqrt(low * high)
        if evaluate(middle) > aim:
            low = middle
        else:
            high = middle
    return low, high


def _mean(
    network: nn.Module, samples: Samples, metric: Metric, batch: int, change: Change
) -> float:
    """Return the mean of a metric after ``change`` was made to the samples."""
    parameter = next(network.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    total = 0.0
    both = samples.inputs, samples.labels
    for first, (rows, labels) in in_batches(both, batch, device):
        changed = change(rows, labels, first)
        with evaluation_mode(network), torch.no_grad():
            scores = metric.measure(outputs_of(network, changed), labels)
        total += float(scores.double().sum())
    return total / len(samples)
