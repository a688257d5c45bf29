"""Every known metric by its name, and metrics of the user's.

A metric is one ``Metric``, in ``NAMED_METRICS``, and one line in ``settings.choices.METRICS``.
Nothing else refers to its name: whether it is binary, how a guess scores, how rounding affects it
and what an attack raises to lower it are properties of the object.

Example:
    >>> import hormesis as hm
    >>> hm.metrics.mse.measure(torch.tensor([[1.0], [3.0]]), torch.tensor([1.0, 1.0]))
    tensor([0., 4.])
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from hormesis.data.trees import count_rows, select_rows
from hormesis.errors import SettingError, unknown
from hormesis.settings.choices import METRICS, check_new_name
from hormesis.settings.factory import load_factory
from hormesis.stress.aggregates import Aggregate, register_aggregate
from hormesis.stress.class_metrics import (
    CLASS_METRICS,
    accuracy,
    accuracy_of,
    binary_accuracy,
    exact_match,
    loss,
    loss_of,
    multilabel_accuracy,
    top5,
    top5_of,
)
from hormesis.stress.dense_metrics import (
    DENSE_METRICS,
    mean_iou,
    next_token_accuracy,
    next_token_nll,
    perplexity,
    pixel_accuracy,
    token_accuracy,
    token_nll,
)
from hormesis.stress.metric import Chance, Metric, PerSample
from hormesis.stress.value_metrics import (
    VALUE_METRICS,
    absolute_error,
    cosine,
    kl,
    negative_mae,
    negative_mse,
    squared_error,
)
from hormesis.stress.whole_set_metrics import (
    WHOLE_SET_METRICS,
    auroc,
    calibration_error,
    macro_f1,
)

mse, mae = squared_error, absolute_error

__all__ = [
    "NAMED_METRICS",
    "Metric",
    "accuracy",
    "accuracy_of",
    "as_metric",
    "auroc",
    "binary_accuracy",
    "calibration_error",
    "cosine",
    "exact_match",
    "kl",
    "loss",
    "loss_of",
    "macro_f1",
    "mae",
    "mean_iou",
    "metric_named",
    "mse",
    "multilabel_accuracy",
    "negative_mae",
    "negative_mse",
    "next_token_accuracy",
    "next_token_nll",
    "per_sample",
    "perplexity",
    "pixel_accuracy",
    "register_metric",
    "set_metric",
    "token_accuracy",
    "token_nll",
    "top5",
    "top5_of",
]

_ALL = (*CLASS_METRICS, *VALUE_METRICS, *DENSE_METRICS, *WHOLE_SET_METRICS)
NAMED_METRICS = {item.name: item for item in _ALL}
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


def set_metric(
    name: str,
    statistic: PerSample,
    *,
    aggregate: Aggregate,
    higher_is_better: bool = True,
    chance: float | Chance | None = None,
    decides: str = "",
) -> Metric:
    """Register and return a metric of a whole set of samples, which is no mean over them.

    A study stores one number a sample and the name. It can be read wherever the metric is
    registered by that name; elsewhere its intervals cannot be worked out.

    Args:
        name: What tables and the manifest call it.
        statistic: Takes the outputs of a network and the labels of some samples; returns one number
            a sample, such as the predicted class.
        aggregate: Takes these numbers and the class numbers of all samples, as arrays; returns one
            score. It is called some 200 times for each removal, to leave out samples.
        higher_is_better: False for an error.
        chance: Score of a guess, see ``Metric``.
        decides: What the numbers hang on, see ``Metric``.

    Raises:
        SettingError: If the package has a metric of this name, or ``aggregate`` cannot be called.

    Example:
        >>> def balanced_accuracy(predicted, labels):
        ...     right = predicted == labels
        ...     return sum(right[labels == one].mean() for one in set(labels)) / len(set(labels))
        >>> def predicted_class(outputs, labels):
        ...     return outputs.argmax(dim=1).float()
        >>> set_metric("balanced", predicted_class, aggregate=balanced_accuracy).aggregate
        'balanced'
        >>> del NAMED_METRICS["balanced"], METRICS["balanced"]
    """
    register_aggregate(name, aggregate)
    return register_metric(
        Metric(
            name,
            statistic,
            higher_is_better=higher_is_better,
            chance=chance,
            decides=decides,
            aggregate=name,
        )
    )


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
        hormesis.errors.SettingError: Unknown metric 'acuracy'. Did you mean accuracy or ...
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


def per_sample(function: Callable[..., Tensor], **options: Any) -> Metric:  # noqa: ANN401
    """Return a metric from a function that makes one number of a whole batch.

    It is applied to each sample alone, as most functionals of torchmetrics need it.

    Args:
        function: Takes the outputs and the labels of a batch of one; returns a single number.
        options: Further arguments for it.

    Example:
        >>> metric = per_sample(torch.nn.functional.l1_loss)
        >>> metric.measure(torch.tensor([[1.0], [3.0]]), torch.tensor([[1.0], [1.0]]))
        tensor([0., 2.])
    """
    name = getattr(function, "__name__", type(function).__name__)
    return Metric(name, partial(_one_by_one, function, options))


def _one_by_one(
    function: Callable[..., Tensor],
    options: dict[str, Any],
    outputs: Tensor,
    labels: Any,  # noqa: ANN401
) -> Float[Tensor, " batch"]:
    values = []
    for row in range(count_rows(outputs)):
        alone = slice(row, row + 1)
        value = torch.as_tensor(
            function(select_rows(outputs, alone), select_rows(labels, alone), **options)
        )
        if value.numel() != 1:
            raise SettingError(
                "Expected a single number for a batch of one sample, got shape "
                f"{list(value.shape)}."
            )
        values.append(value.reshape(()))
    return torch.stack(values)
