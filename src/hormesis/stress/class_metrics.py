"""Metrics of classifiers: accuracy, top-5, loss, and those of one logit or several labels."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy as cross_entropy_function

from hormesis.data.trees import flat_rows
from hormesis.errors import SettingError
from hormesis.settings.choices import METRICS
from hormesis.stress.guessing import guessed_accuracy, guessed_loss, guessed_top5
from hormesis.stress.losses import binary_cross_entropy, class_numbers, numbers_like
from hormesis.stress.metric import SIGN, Metric


def accuracy_of(
    outputs: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]
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
    outputs: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]
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
    outputs: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Return the cross-entropy of each sample, in nats, at least 0; lower is better.

    Args:
        outputs: Logits; NaN or infinite ones may give a loss that is NaN or infinite.
        labels: True class of each sample.

    Example:
        >>> loss_of(torch.zeros(1, 2), torch.tensor([0])).exp().round(decimals=4)
        tensor([2.])
    """
    return cross_entropy_function(outputs, labels.long(), reduction="none")


def for_classes(function: Callable[[Any, Any], Tensor], name: str) -> Callable[..., Tensor]:
    """Return a function of logits and class numbers that refuses anything else in a sentence.

    Args:
        function: Takes logits ``[batch, classes, *positions]`` and class numbers.
        name: Name of the metric, for messages.
    """

    @wraps(function)
    def checked(outputs: Tensor, labels: Any) -> Tensor:  # noqa: ANN401
        return function(outputs, class_numbers(outputs, labels, f"the metric {name!r}"))

    return checked


def binary_accuracy_of(outputs: Tensor, labels: Any) -> Bool[Tensor, " batch"]:  # noqa: ANN401
    """Return whether the single logit of each sample has the sign of its label.

    Args:
        outputs: ``[batch]`` or ``[batch, 1]``; above 0 says 1.
        labels: 0 or 1 for each sample.

    Example:
        >>> binary_accuracy_of(torch.tensor([[2.0], [0.5]]), torch.tensor([1, 0]))
        tensor([ True, False])
    """
    if outputs[:1].numel() != 1:
        raise SettingError(
            f"Expected a single logit for the metric 'binary_accuracy', got outputs of shape "
            f"{list(outputs.shape)}: use 'accuracy' for several classes, 'multilabel_accuracy' for "
            "several labels."
        )
    return _right_signs(outputs, labels, "binary_accuracy")[:, 0]


def multilabel_accuracy_of(outputs: Tensor, labels: Any) -> Float[Tensor, " batch"]:  # noqa: ANN401
    """Return the share of the labels of each sample that are right.

    Args:
        outputs: A logit for each label, ``[batch, labels]``; above 0 says 1.
        labels: 0 or 1 for each.

    Example:
        >>> multilabel_accuracy_of(torch.tensor([[2.0, -1.0]]), torch.tensor([[1, 1]]))
        tensor([0.5000])
    """
    return _right_signs(outputs, labels, "multilabel_accuracy").float().mean(dim=1)


def exact_match_of(outputs: Tensor, labels: Any) -> Bool[Tensor, " batch"]:  # noqa: ANN401
    """Return whether all labels of a sample are right, see ``multilabel_accuracy_of``.

    Example:
        >>> exact_match_of(torch.tensor([[2.0, -1.0]]), torch.tensor([[1, 1]]))
        tensor([False])
    """
    return _right_signs(outputs, labels, "exact_match").all(dim=1)


def _right_signs(outputs: Tensor, labels: Any, name: str) -> Bool[Tensor, "batch labels"]:  # noqa: ANN401
    truth = numbers_like(outputs, labels, f"the metric {name!r}")
    if not bool(((truth == 0) | (truth == 1)).all()):
        raise SettingError(f"Expected labels of 0 and 1 for the metric {name!r}, got others.")
    right = ((outputs > 0) == (truth == 1)) & ~outputs.isnan()
    return flat_rows(right)


def guessed_share_of_labels(labels: Any) -> float:  # noqa: ANN401  (an array)
    """Return the mean share that is right if every label has its more frequent value."""
    shares = labels.reshape(len(labels), -1).mean(axis=0)
    return float(abs(shares - 0.5).mean() + 0.5)


accuracy = Metric(
    "accuracy",
    for_classes(accuracy_of, "accuracy"),
    binary=True,
    chance=guessed_accuracy,
    rank=1,
    help=METRICS["accuracy"],
)
top5 = Metric(
    "top5",
    for_classes(top5_of, "top5"),
    binary=True,
    chance=guessed_top5,
    rank=5,
    help=METRICS["top5"],
)
loss = Metric(
    "loss",
    for_classes(loss_of, "loss"),
    higher_is_better=False,
    chance=guessed_loss,
    help=METRICS["loss"],
)
binary_accuracy = Metric(
    "binary_accuracy",
    binary_accuracy_of,
    binary=True,
    chance=guessed_accuracy,
    help=METRICS["binary_accuracy"],
    loss=binary_cross_entropy,
    decides=SIGN,
)
multilabel_accuracy = Metric(
    "multilabel_accuracy",
    multilabel_accuracy_of,
    chance=guessed_share_of_labels,
    help=METRICS["multilabel_accuracy"],
    loss=binary_cross_entropy,
    decides=SIGN,
)
exact_match = Metric(
    "exact_match",
    exact_match_of,
    binary=True,
    help=METRICS["exact_match"],
    loss=binary_cross_entropy,
    decides=SIGN,
)
CLASS_METRICS = (accuracy, top5, loss, binary_accuracy, multilabel_accuracy, exact_match)
