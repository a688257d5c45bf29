"""Checks of a metric of a whole set of samples, before anything is measured."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from hormesis.analysis.linearised import set_score
from hormesis.analysis.set_metrics import set_metric_of
from hormesis.data.samples import Samples
from hormesis.data.trees import Tree, in_batches, tensors_in
from hormesis.errors import DataError, SettingError
from hormesis.measure.shard_worker import device_of
from hormesis.models.adapter import outputs_of
from hormesis.models.eval_mode import evaluation_mode
from hormesis.settings.magnitudes import AUTO
from hormesis.settings.request import AnalysisRequest
from hormesis.stress.aggregates import AUROC, OWN_AGGREGATES
from hormesis.stress.losses import cross_entropy
from hormesis.stress.metric import Metric

_BATCH = 128  # samples whose numbers are computed at a time


def check_set_metric(network: nn.Module, samples: Samples, request: AnalysisRequest) -> None:
    """Refuse settings and labels that a metric of a whole set cannot be worked out with.

    Args:
        network: The network.
        samples: The samples.
        request: The request, whose metric may also be a mean over samples: then all is well.

    Raises:
        SettingError: If a setting needs a number that one sample has alone.
        DataError: If the labels are no class numbers, or too few of a class.
    """
    metric: Metric = request.metric
    if not metric.aggregate:
        return
    _check_settings(metric, request)
    labels, stressed = samples.labels, samples.stressed
    if stressed is not None and not same_labels(labels, stressed.labels):
        raise SettingError(
            f"The metric {metric.name!r} scores a whole set of samples by one label a place, and "
            "the stressed samples have other labels than the data: measure them as `data` of a "
            "study of their own, with `attack=None`, or choose a metric such as 'accuracy'."
        )
    if not samples.classes or not isinstance(labels, Tensor):
        kind = "none" if labels is None else str(getattr(labels, "dtype", type(labels).__name__))
        raise DataError(
            f"Expected class numbers as labels for the metric {metric.name!r} of a whole set, one "
            f"integer a sample, got {kind}: convert them, such as with `labels.long()`."
        )
    if metric.aggregate == AUROC:
        _check_two_classes(labels, metric)
    if metric.aggregate not in OWN_AGGREGATES:
        _try_on_all(network, samples, metric)


def same_labels(one: Tree, other: Tree) -> bool:
    """Return whether two sets of labels are equal.

    Example:
        >>> same_labels(torch.tensor([1, 2]), torch.tensor([1, 3]))
        False
    """
    pairs = zip(tensors_in(one), tensors_in(other), strict=True)
    return all(torch.equal(first, second) for first, second in pairs)


def _check_settings(metric: Metric, request: AnalysisRequest) -> None:
    scored = f"The metric {metric.name!r} scores a whole set of samples"
    if metric.binary:
        raise SettingError(f"{scored}, so that it cannot be `binary`: leave that out.")
    if request.sweep.until is not None:
        raise SettingError(
            f"{scored}, and `until` looks at samples as they come: leave it out, or measure fewer "
            "samples."
        )
    if request.confirmation.cross_check:
        raise SettingError(
            f"{scored}, and a cross-check compares them one by one: leave out `cross_check`, or "
            "choose a metric such as 'accuracy'."
        )
    if request.attack.epsilon == AUTO and request.loss.name != cross_entropy.name:
        raise SettingError(
            f"{scored}, by which 'auto' cannot choose the strength of an attack: give `epsilon` as "
            "a number."
        )


def _check_two_classes(labels: Tensor, metric: Metric) -> None:
    """Refuse labels for which the area under the curve, or its interval, does not exist."""
    counts = [int((labels == one).sum()) for one in (0, 1)]
    if sum(counts) < len(labels) or min(counts) < 2:
        raise DataError(
            f"Expected labels of 0 and 1, at least two samples of each, for the metric "
            f"{metric.name!r}, got {counts[0]} of class 0, {counts[1]} of class 1 and "
            f"{len(labels) - sum(counts)} of others."
        )


@torch.no_grad()
def _try_on_all(network: nn.Module, samples: Samples, metric: Metric) -> None:
    """Refuse a function of the user's that has no score for the unfiltered network."""
    rows = samples.inputs, samples.labels
    with evaluation_mode(network):
        parts = [
            metric.measure(outputs_of(network, inputs), labels).cpu().numpy()
            for _, (inputs, labels) in in_batches(rows, _BATCH, device_of(network))
        ]
    assert isinstance(samples.labels, Tensor)
    score = set_score(
        set_metric_of(metric.aggregate, samples.labels.numpy()), np.concatenate(parts)
    )
    if not math.isfinite(score):
        raise SettingError(
            f"Expected the aggregate of the metric {metric.name!r} to return a finite number for "
            f"the unfiltered network, got {score}."
        )
