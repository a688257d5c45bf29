"""Metrics of predicted numbers, and of how near outputs stay to the unfiltered network's own."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn.functional import cosine_similarity

from hormesis.data.trees import flat_rows
from hormesis.errors import SettingError
from hormesis.settings.choices import METRICS
from hormesis.stress.losses import (
    Loss,
    absolute_error_of,
    cross_entropy_of,
    mae,
    mse,
    squared_error_of,
)
from hormesis.stress.metric import Chance, Metric

Numbers = Shaped[np.ndarray, "samples ..."]


def guessed_squared_error(labels: Numbers) -> float:
    """Return the mean squared error of always predicting the mean label.

    Example:
        >>> guessed_squared_error(np.array([0.0, 2.0]))
        1.0
    """
    return float(np.asarray(labels, dtype=np.float64).var(axis=0).mean())


def guessed_absolute_error(labels: Numbers) -> float:
    """Return the mean absolute error of always predicting the median label.

    Example:
        >>> guessed_absolute_error(np.array([0.0, 1.0, 5.0]))
        1.6666666666666667
    """
    values = np.asarray(labels, dtype=np.float64)
    return float(np.abs(values - np.median(values, axis=0)).mean())


def cosine_of(outputs: Tensor, labels: Any) -> Float[Tensor, " batch"]:  # noqa: ANN401
    """Return the cosine of the angle between the outputs of each sample and its labels, -1 to 1.

    Args:
        outputs: Any numbers, flattened for each sample.
        labels: As many numbers, such as the unfiltered network's own outputs.

    Example:
        >>> import torch
        >>> cosine_of(torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0]]))
        tensor([1.])
    """
    _check_same_shape(outputs, labels, "cosine")
    return cosine_similarity(outputs.flatten(1).float(), labels.flatten(1).float(), dim=1)


def kl_agreement_of(outputs: Tensor, labels: Any) -> Float[Tensor, " batch"]:  # noqa: ANN401
    """Return exp(-KL) of the prediction of each sample from that of its labels, 0 to 1.

    Args:
        outputs: Logits, the classes along axis 1, or along the last axis of ``[batch, tokens,
            classes]``.
        labels: Logits of the same shape, such as the unfiltered network's own.

    Example:
        >>> import torch
        >>> kl_agreement_of(torch.zeros(1, 2), torch.zeros(1, 2))
        tensor([1.])
    """
    _check_same_shape(outputs, labels, "kl")
    axis = -1 if outputs.ndim == 3 else 1
    own, reference = outputs.float().log_softmax(axis), labels.float().log_softmax(axis)
    divergence = (reference.exp() * (reference - own)).sum(dim=axis)
    return (-flat_rows(divergence).mean(dim=1)).exp()


def _check_same_shape(outputs: Tensor, labels: Any, name: str) -> None:  # noqa: ANN401
    if not isinstance(labels, Tensor) or labels.shape != outputs.shape or outputs.ndim < 2:
        got = list(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
        raise SettingError(
            f"Expected outputs and labels of one shape [batch, ...] for the metric {name!r}, got "
            f"{list(outputs.shape)} and {got}."
        )


def own_prediction_loss_of(outputs: Tensor, labels: Any) -> Float[Tensor, " batch"]:  # noqa: ANN401
    """Return how far outputs are from the unfiltered network's own, in a form that can be raised.

    Where they are alike, a distance has no slope; so classifiers take the cross-entropy of the
    class that the network itself predicts, and others the distance from outputs 1 % smaller.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[0.0, 2.0]])
        >>> own_prediction_loss_of(logits, logits).item() < 0.13
        True
    """
    if outputs.ndim == 2 and outputs.shape[1] > 1:
        return cross_entropy_of(outputs, labels.argmax(dim=1))
    return (outputs - 0.99 * labels).square().flatten(1).mean(dim=1)


def _negated(error: Metric, guess: Chance) -> Metric:
    """Return minus an error, of which more is better."""
    name = f"negative_{error.name}"
    return Metric(
        name,
        partial(_minus, error.function),
        chance=partial(_minus, guess),
        help=METRICS[name],
        loss=error.loss,
    )


def _minus(function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401
    return -function(*arguments)


own_prediction = Loss("own_prediction", own_prediction_loss_of)
squared_error = Metric(
    "mse",
    squared_error_of,
    higher_is_better=False,
    chance=guessed_squared_error,
    help=METRICS["mse"],
    loss=mse,
)
absolute_error = Metric(
    "mae",
    absolute_error_of,
    higher_is_better=False,
    chance=guessed_absolute_error,
    help=METRICS["mae"],
    loss=mae,
)
negative_mse = _negated(squared_error, guessed_squared_error)
negative_mae = _negated(absolute_error, guessed_absolute_error)
cosine = Metric("cosine", cosine_of, help=METRICS["cosine"], loss=own_prediction, compares=True)
kl = Metric("kl", kl_agreement_of, help=METRICS["kl"], loss=own_prediction, compares=True)
VALUE_METRICS = (squared_error, absolute_error, negative_mse, negative_mae, cosine, kl)
