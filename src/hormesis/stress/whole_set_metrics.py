"""Metrics of a whole set of samples: each sample gives a number, and all of them give the score.

What makes one score of the numbers is in ``analysis.set_metrics``, which needs no torch.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Integer
from torch import Tensor

from hormesis.data.trees import flat_rows
from hormesis.errors import SettingError
from hormesis.settings.choices import METRICS
from hormesis.stress.aggregates import AUROC, CALIBRATION_ERROR, MACRO_F1
from hormesis.stress.losses import class_numbers
from hormesis.stress.metric import ARGMAX, Metric


def predicted_class_of(outputs: Tensor, labels: Any) -> Float[Tensor, " batch"]:  # noqa: ANN401
    """Return the number of the class with the largest logit, of equal ones the lowest."""
    class_numbers(outputs, labels, "the metric 'macro_f1'")
    return outputs.argmax(dim=1).float()


def positive_score_of(outputs: Tensor, labels: Any) -> Float[Tensor, " batch"]:  # noqa: ANN401
    """Return by how much each sample leans to class 1: its logit, less that of class 0 if any."""
    truth = labels if isinstance(labels, Tensor) else None
    if truth is None or truth.ndim != 1 or not bool(((truth == 0) | (truth == 1)).all()):
        several = truth is not None and truth.ndim == 1 and not truth.is_floating_point()
        got = f"labels up to {int(truth.max())}" if several and truth is not None else "others"
        raise SettingError(
            f"Expected labels of two classes, 0 and 1, one a sample, for the metric 'auroc', got "
            f"{got}: use 'macro_f1' for more classes."
        )
    values = flat_rows(outputs)
    if values.shape[1] > 2:
        raise SettingError(
            f"Expected one or two logits for the metric 'auroc', got {values.shape[1]}: use "
            "'macro_f1' for more classes."
        )
    return (values[:, 1] - values[:, 0] if values.shape[1] == 2 else values[:, 0]).float()


def signed_confidence_of(outputs: Tensor, labels: Any) -> Float[Tensor, " batch"]:  # noqa: ANN401
    """Return the largest probability of each sample, negative if its class is not the true one."""
    truth = class_numbers(outputs, labels, "the metric 'calibration_error'")
    confidence, guessed = outputs.float().softmax(dim=1).max(dim=1)
    return confidence.where(guessed == truth, -confidence)


def guessed_macro_f1(labels: Integer[np.ndarray, " samples"]) -> float:
    """Return the macro F1 of always predicting the most frequent class.

    Example:
        >>> guessed_macro_f1(np.array([0, 0, 0, 1]))
        0.42857142857142855
    """
    counts = np.unique(labels, return_counts=True)[1]
    most = counts.max() / len(labels)
    return float(2 * most / (1 + most) / len(counts))


macro_f1 = Metric(
    "macro_f1",
    predicted_class_of,
    chance=guessed_macro_f1,
    help=METRICS["macro_f1"],
    decides=ARGMAX,
    aggregate=MACRO_F1,
)
auroc = Metric("auroc", positive_score_of, chance=0.5, help=METRICS["auroc"], aggregate=AUROC)
calibration_error = Metric(
    "calibration_error",
    signed_confidence_of,
    higher_is_better=False,
    help=METRICS["calibration_error"],
    decides=ARGMAX,
    aggregate=CALIBRATION_ERROR,
)
WHOLE_SET_METRICS = (macro_f1, auroc, calibration_error)
