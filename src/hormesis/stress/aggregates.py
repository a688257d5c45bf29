"""What makes one score of the numbers of all samples, for metrics of a whole set.

Free of torch, so that a study can be read where no network can run. How the package's own are
worked out is in ``analysis.set_metrics``.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from hormesis.errors import SettingError

Aggregate = Callable[[np.ndarray, np.ndarray], Any]
"""Takes the numbers and the class numbers of all samples; returns one score."""
MACRO_F1, AUROC, CALIBRATION_ERROR = "macro_f1", "auroc", "calibration_error"
OWN_AGGREGATES = (MACRO_F1, AUROC, CALIBRATION_ERROR)
AGGREGATES: dict[str, Aggregate] = {}
"""Those of users, by the names of their metrics."""


def register_aggregate(name: str, aggregate: object) -> None:
    """Register what makes one score of the numbers of a metric.

    Args:
        name: Name of the metric. One of the same name is replaced.
        aggregate: The function.

    Raises:
        SettingError: If it cannot be called.

    Example:
        >>> register_aggregate("highest", lambda numbers, labels: numbers.max())
        >>> AGGREGATES.pop("highest")(np.array([1.0, 3.0]), np.array([0, 1])).item()
        3.0
    """
    if not callable(aggregate):
        raise SettingError(
            "Expected `aggregate` to be a function of the numbers and labels of all samples, got "
            f"{type(aggregate).__name__}."
        )
    AGGREGATES[name] = cast(Aggregate, aggregate)
