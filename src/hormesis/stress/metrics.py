"""How well a network does on each sample: accuracy, top-5, loss, or a function of the user's.

A metric is one ``Metric`` here, in ``NAMED_METRICS``, and one line in ``settings.choices.METRICS``.
Nothing else refers to its name: whether it is binary, how a guess scores and how rounding affects
it are properties of the object.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor
from torch.nn.functional import cross_entropy

from hormesis.errors import SettingError, unknown
from hormesis.settings.choices import METRICS, check_new_name
from hormesis.settings.factory import load_factory
from hormesis.stress.guessing import guessed_accuracy, guessed_loss, guessed_top5

PerSample = Callable[[Tensor, Tensor], Tensor]
Chance = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Metric:
    """A score that a network gets for each sample, averaged over samples later on.

    Args:
        name: What tables and the manifest call it.
        function: Takes logits ``[batch, classes]`` and labels ``[batch]``; returns one number a
            sample, ``[batch]``.
        higher_is_better: False for a loss or an error.
        binary: True if every number is 0 or 1, so that outcomes can be stored as bits.
        chance: Mean of a guess that never looks at the input, or a function that returns it from
            the labels of a study, ``[samples]``; None where that is not known.
        rank: Where a sample counts 1 if its true class is among so many largest logits, of equal
            ones the lower index first, that number. Rows that rounding may turn are then told
            exactly; those of other binary metrics wherever two of the six largest logits are close.
        help: What it is, in a line.

    Example:
        >>> margin = Metric("top score", lambda outputs, labels: outputs.amax(dim=1))
        >>> margin.measure(torch.tensor([[1.0, 2.0]]), torch.tensor([0]))
        tensor([2.])
    """

    name: str
    function: PerSample
    higher_is_better: bool = True
    binary: bool = False
    chance: float | int | Chance | None = None
    rank: int | None = None
    help: str = ""

    def chance_on(self, labels: Integer[np.ndarray, " samples"]) -> float | None:
        """Return the mean of a guess on samples of these classes; None where that is not known.

        Example:
            >>> accuracy.chance_on(np.array([0, 0, 0, 1]))
            0.75
        """
        chance = self.chance(labels) if callable(self.chance) else self.chance
        return None if chance is None else float(chance)

    def measure(
        self, outputs: Float[Tensor, " batch classes"], labels: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Return one number a sample, in 32-bit floating point and detached.

        Args:
            outputs: Logits.
            labels: True class of each sample.

        Raises:
            SettingError: If the function returns anything but one real number a sample, or, where
                ``binary`` is set, a number other than 0 and 1.
        """
        result = self.function(outputs, labels)
        expected = f"Expected the metric {self.name!r} to return "
        if not isinstance(result, Tensor) or result.is_complex():
            kind = result.dtype if isinstance(result, Tensor) else type(result).__name__
            raise SettingError(f"{expected}a tensor of real numbers, got {kind}.")
        if result.shape != labels.shape:
            raise SettingError(
                f"{expected}one number a sample, shape {list(labels.shape)}, got shape "
                f"{list(result.shape)}."
            )
        values = result.detach().to(torch.float32)
        if self.binary and not bool(((values == 0) | (values == 1)).all()):
            raise SettingError(f"{expected}0 or 1 for each sample, as `binary` says, got others.")
        return values


def accuracy_of(
    outputs: Float[Tensor, " batch classes"], labels: Int[Tensor, " batch"]
) -> Bool[Tensor, " batch"]:
    """Return whether the largest logit is that of the true class.

    Of equal largest logits the one with the lowest index counts, as in ``torch.argmax``. A row
    that holds a NaN is wrong.

    Args:
        outputs: Logits.
        labels: True class of each sample.

    Example:
        >>> accuracy_of(torch.tensor([[2.0, 2.0], [0.0, torch.nan]]), torch.tensor([0, 1]))
        tensor([ True, False])
    """
    return (outputs.argmax(dim=1) == labels) & ~outputs.isnan().any(dim=1)


def top5_of(
    outputs: Float[Tensor, " batch classes"], labels: Int[Tensor, " batch"]
) -> Bool[Tensor, " batch"]:
    """Return whether the true class is among those of the five largest logits.

    Of equal logits those with lower indices come first. A row that holds a NaN is wrong.

    Args:
        outputs: Logits, of at least six classes.
        labels: True class of each sample.

    Raises:
        SettingError: For five classes or fewer, where every sample would be right.

    Example:
        >>> top5_of(torch.arange(7.0).repeat(2, 1), torch.tensor([1, 2]))
        tensor([False,  True])
    """
    classes = outputs.shape[1]
    if classes < 6:
        raise SettingError(
            f"Expected at least 6 classes for the metric 'top5', got {classes}; use "
            "'accuracy' instead."
        )
    own = outputs.gather(1, labels[:, None].long())
    index = torch.arange(classes, device=outputs.device)
    before = (outputs > own) | ((outputs == own) & (index < labels[:, None]))
    return (before.sum(dim=1) < 5) & ~outputs.isnan().any(dim=1)


def loss_of(
    outputs: Float[Tensor, " batch classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Return the cross-entropy of each sample, in nats, at least 0; lower is better.

    Args:
        outputs: Logits; NaN or infinite ones may give a loss that is NaN or infinite.
        labels: True class of each sample.

    Example:
        >>> loss_of(torch.zeros(1, 2), torch.tensor([0])).exp().round(decimals=4)
        tensor([2.])
    """
    return cross_entropy(outputs, labels.long(), reduction="none")


accuracy = Metric(
    "accuracy",
    accuracy_of,
    binary=True,
    chance=guessed_accuracy,
    rank=1,
    help=METRICS["accuracy"],
)
top5 = Metric("top5", top5_of, binary=True, chance=guessed_top5, rank=5, help=METRICS["top5"])
loss = Metric("loss", loss_of, higher_is_better=False, chance=guessed_loss, help=METRICS["loss"])
NAMED_METRICS = {item.name: item for item in (accuracy, top5, loss)}
"""Every known metric by its name."""
_BUILT_IN = frozenset(NAMED_METRICS)


def register_metric(new: Metric) -> Metric:
    """Register a metric by its name, for ``analyze`` and the command line.

    Args:
        new: The metric. It replaces one of the same name, unless that is one of the package's own.

    Returns:
        The metric itself.

    Raises:
        SettingError: If the package has a metric of this name.

    Example:
        >>> register_metric(Metric("loss", loss_of))
        Traceback (most recent call last):
        hormesis.errors.SettingError: Expected another `name` than 'loss', which is taken.
    """
    check_new_name(new.name, _BUILT_IN)
    NAMED_METRICS[new.name], METRICS[new.name] = new, new.help
    return new


def metric_named(name: str) -> Metric:
    """Return the metric that the command line or a configuration file names.

    Args:
        name: One of ``NAMED_METRICS``, or ``module:function`` for a function of logits and labels
            or a ``Metric`` of the user's.

    Raises:
        SettingError: For an unknown name, with the nearest known ones.

    Example:
        >>> metric_named("accuracy").binary
        True
        >>> metric_named("acuracy")
        Traceback (most recent call last):
        hormesis.errors.SettingError: Unknown metric 'acuracy'. Did you mean accuracy? \
Known: accuracy, top5, loss, module:function.
    """
    if ":" in name:
        return _to_metric(load_factory(name, "metric"), name)
    if name not in NAMED_METRICS:
        raise SettingError(unknown("metric", name, [*NAMED_METRICS, "module:function"]))
    return NAMED_METRICS[name]


def as_metric(value: Metric | str | PerSample) -> Metric:
    """Return a metric from an object, a name or a function.

    Args:
        value: A ``Metric``, the name of one, or a function of logits and labels that returns
            one number a sample; higher is then taken to be better, and its name is the function's.

    Raises:
        SettingError: For an unknown name, or a value that cannot be called.

    Example:
        >>> as_metric("loss").higher_is_better
        False
        >>> as_metric(torch.dot).name
        'dot'
    """
    if isinstance(value, str):
        return metric_named(value)
    return _to_metric(value, getattr(value, "__name__", type(value).__name__))


def _to_metric(value: object, name: str) -> Metric:
    if isinstance(value, Metric):
        return value
    if not callable(value):
        raise SettingError(
            "Expected a metric to be a name or a function of outputs and labels, got "
            f"{type(value).__name__}."
        )
    return Metric(name, cast(PerSample, value))
