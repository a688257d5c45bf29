"""Where the class of a target turns along a series of studies."""

import math

import numpy as np
import pandas as pd

from hormesis.analysis.scores import classify

COLUMNS = ("target", "filter", "score", "before", "after", "last", "next", "at", "certain")


def class_turns(scores: pd.DataFrame, axis: str, tolerance: float) -> pd.DataFrame:
    """Return where classes change from one study of a series to the next.

    The classes compared are those of the scores as numbers, whatever became of a claim.

    Args:
        scores: Those of all studies: the axis, ``target``, ``filter``, ``score``, ``value``,
            ``class`` and ``point``.
        axis: Name of the column that orders the studies, with numbers in ascending order.
        tolerance: Largest absolute score of a robust target.

    Returns:
        One row for each turn, in the order of the scores: ``target``, ``filter`` and ``score``;
        ``before`` and ``after``, the classes; ``last`` and ``next``, the places on the axis between
        which it turns; ``at``, where the straight line between the two scores leaves the first
        class; and ``certain``, whether the intervals on both sides agree with the classes.

    Example:
        >>> rows = [(0.1, -0.02, "robust"), (0.2, -0.1, "fragile")]
        >>> table = pd.DataFrame([("w", "high_pass", "adversarial", *row, row[2]) for row in rows],
        ...     columns=["target", "filter", "score", "epsilon", "value", "class", "point"])
        >>> class_turns(table, "epsilon", 0.05)[["before", "after", "at"]].values.tolist()
        [['robust', 'fragile', 0.1375]]
    """
    rows = []
    for _, group in scores.groupby(["target", "filter", "score"], sort=False):
        part = group.sort_values(axis, kind="stable")
        names = tuple(part[["target", "filter", "score"]].iloc[0])
        places, values = part[axis].tolist(), part["value"].to_numpy(float)
        classes = [classify(value, tolerance) for value in values.tolist()]
        certain = (part["class"] == part["point"]).tolist()
        for left in range(len(part) - 1):
            right = left + 1
            if classes[left] == classes[right] or np.isnan(values[left : right + 1]).any():
                continue
            at = _crossing(places[left : right + 1], values[left : right + 1], tolerance)
            sure = certain[left] and certain[right]
            ends = (classes[left], classes[right], places[left], places[right])
            rows.append((*names, *ends, at, sure))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _crossing(places: list[float], values: np.ndarray, tolerance: float) -> float:
    """Return where the line between two points leaves the class of the first."""
    start, end = values.tolist()
    border = math.copysign(tolerance, end if abs(start) <= tolerance else start)
    return places[0] + (places[1] - places[0]) * (border - start) / (end - start)
