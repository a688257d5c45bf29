"""Metrics of many predictions a sample: of pixels, and of the tokens of a sequence."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from hormesis.errors import SettingError
from hormesis.settings.choices import METRICS
from hormesis.stress.guessing import guessed_accuracy, guessed_loss
from hormesis.stress.losses import (
    IGNORED,
    class_numbers,
    mean_over_positions,
    next_token_cross_entropy,
    next_token_cross_entropy_of,
    token_cross_entropy,
    token_cross_entropy_of,
    token_numbers,
)
from hormesis.stress.metric import ARGMAX, Metric

Labels = Shaped[np.ndarray, "samples ..."]


def pixel_accuracy_of(outputs: Tensor, labels: Any) -> Float[Tensor, " batch"]:  # noqa: ANN401
    """Return the share of the pixels of each sample whose largest logit is that of their class.

    Args:
        outputs: Logits ``[batch, classes, *positions]``.
        labels: Class of each pixel, ``[batch, *positions]``; those labelled -100 do not count.

    Example:
        >>> logits = torch.tensor([[[2.0, 0.0], [1.0, 1.0]]])
        >>> pixel_accuracy_of(logits, torch.tensor([[0, 0]]))
        tensor([0.5000])
    """
    truth = class_numbers(outputs, labels, "the metric 'pixel_accuracy'")
    right = outputs.argmax(dim=1) == truth
    return mean_over_positions(right.float(), truth != IGNORED)


def mean_iou_of(outputs: Tensor, labels: Any) -> Float[Tensor, " batch"]:  # noqa: ANN401
    """Return the intersection over union of each sample, a mean over the classes in it.

    Classes that neither the labels nor the predictions of a sample hold do not count.

    Args:
        outputs: Logits ``[batch, classes, *positions]``.
        labels: Class of each pixel, ``[batch, *positions]``; those labelled -100 do not count.

    Example:
        >>> logits = torch.tensor([[[2.0, 0.0], [1.0, 1.0]]])
        >>> mean_iou_of(logits, torch.tensor([[0, 0]]))  # class 0: 1/2, class 1: 0/1
        tensor([0.2500])
    """
    truth = class_numbers(outputs, labels, "the metric 'mean_iou'")
    if truth.ndim < 2:
        raise SettingError(
            "Expected a class at each of several positions of a sample for the metric 'mean_iou', "
            "got one class a sample: use 'accuracy' or 'macro_f1'."
        )
    truth = truth.flatten(1)
    guessed = outputs.argmax(dim=1).flatten(1)
    counted = (truth != IGNORED).float()
    truth = truth.clamp_min(0)
    empty = outputs.new_zeros((len(outputs), outputs.shape[1]), dtype=torch.float32)
    both = empty.scatter_add(1, truth, counted * (guessed == truth))
    union = empty.scatter_add(1, truth, counted).scatter_add(1, guessed, counted) - both
    present = union > 0
    overlap = torch.where(present, both / union.clamp_min(1.0), torch.zeros_like(both))
    return overlap.sum(dim=1) / present.sum(dim=1).clamp_min(1)


def token_accuracy_of(
    outputs: Tensor,
    labels: Any,  # noqa: ANN401
    *,
    ahead: int = 0,
) -> Float[Tensor, " batch"]:
    """Return the share of the tokens of each sequence whose largest logit is right.

    Args:
        outputs: Logits ``[batch, tokens, classes]``.
        labels: Class of each token, ``[batch, tokens]``; those labelled -100 do not count.
        ahead: 0 if the logits at a token score that token, 1 if they score the next one.

    Example:
        >>> logits = torch.tensor([[[2.0, 0.0], [1.0, 3.0]]])
        >>> token_accuracy_of(logits, torch.tensor([[0, 0]]))
        tensor([0.5000])
    """
    truth = token_numbers(outputs, labels, "the accuracy of tokens")[:, ahead:]
    right = outputs[:, : outputs.shape[1] - ahead].argmax(dim=2) == truth
    return mean_over_positions(right.float(), truth != IGNORED)


def perplexity_of(outputs: Tensor, labels: Any) -> Float[Tensor, " batch"]:  # noqa: ANN401
    """Return the perplexity of each sequence: exp of the mean cross-entropy of its next tokens.

    Args:
        outputs: Logits ``[batch, tokens, classes]``; those at a token score the one behind it.
        labels: The tokens themselves, ``[batch, tokens]``; those labelled -100 do not count.

    Example:
        >>> perplexity_of(torch.zeros(1, 3, 4), torch.tensor([[0, 1, 2]])).round(decimals=3)
        tensor([4.])
    """
    return next_token_cross_entropy_of(outputs, labels).exp()


def _over_positions(guess: Callable[[Labels], float], ahead: int = 0) -> Callable[[Labels], float]:
    return partial(_guess_positions, guess, ahead)


def _guess_positions(guess: Callable[[Labels], float], ahead: int, labels: Labels) -> float:
    """Return the score of a guess on all positions that count, together."""
    counted = labels[:, ahead:].reshape(-1) if labels.ndim > 1 else labels
    counted = counted[counted != IGNORED]
    return guess(counted) if len(counted) else float("nan")


pixel_accuracy = Metric(
    "pixel_accuracy",
    pixel_accuracy_of,
    chance=_over_positions(guessed_accuracy),
    help=METRICS["pixel_accuracy"],
    decides=ARGMAX,
)
mean_iou = Metric("mean_iou", mean_iou_of, help=METRICS["mean_iou"], decides=ARGMAX)
token_accuracy = Metric(
    "token_accuracy",
    token_accuracy_of,
    chance=_over_positions(guessed_accuracy),
    help=METRICS["token_accuracy"],
    loss=token_cross_entropy,
    decides=ARGMAX,
    class_axis=-1,
)
next_token_accuracy = Metric(
    "next_token_accuracy",
    partial(token_accuracy_of, ahead=1),
    chance=_over_positions(guessed_accuracy, 1),
    help=METRICS["next_token_accuracy"],
    loss=next_token_cross_entropy,
    decides=ARGMAX,
    class_axis=-1,
)
token_nll = Metric(
    "token_nll",
    token_cross_entropy_of,
    higher_is_better=False,
    chance=_over_positions(guessed_loss),
    help=METRICS["token_nll"],
    loss=token_cross_entropy,
)
next_token_nll = Metric(
    "next_token_nll",
    next_token_cross_entropy_of,
    higher_is_better=False,
    chance=_over_positions(guessed_loss, 1),
    help=METRICS["next_token_nll"],
    loss=next_token_cross_entropy,
)
perplexity = Metric(
    "perplexity",
    perplexity_of,
    higher_is_better=False,
    help=METRICS["perplexity"],
    loss=next_token_cross_entropy,
)
DENSE_METRICS = (
    *(pixel_accuracy, mean_iou, token_accuracy, next_token_accuracy),
    *(token_nll, next_token_nll, perplexity),
)
