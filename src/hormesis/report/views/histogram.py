"""The distribution of a target's values between the thresholds of a study."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from hormesis.results.study import Study
from hormesis.stress.filters import ABOVE, BELOW, OTHERS, WINDOW, display_filter

_SIDES = (BELOW, ABOVE, WINDOW, OTHERS)  # the former tell more about the distribution


@dataclass(frozen=True)
class Histogram:
    """How many of a target's values lie between neighbouring thresholds.

    Args:
        target: Name of the target.
        edges: The thresholds in ascending order, in units of the weights (of their absolute values
            where magnitudes were compared).
        counts: Number of values from each to the next; one less than ``edges``.
        below: Number of values below the lowest threshold, itself included; more than 0 only where
            the span of the thresholds was chosen.
        above: Number of values above the highest threshold, likewise.
    """

    target: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    below: int = 0
    above: int = 0


def weight_histogram(study: Study, target: str) -> Histogram | None:
    """Return the distribution of a target's values over its thresholds. Needs no network.

    A high-pass filter at ``α`` removes every value up to ``α``, so that what it removes between two
    thresholds is what lies there; a low-pass filter the same from above.

    Args:
        study: Any study.
        target: Name of a swept target.

    Returns:
        None where neither of these filters was swept, or all thresholds coincide.
    """
    rows = study.responses.loc[study.responses["target"] == target]
    description = study.targets.loc[study.targets["target"] == target].iloc[0]
    names = rows["filter"].unique()
    for name in sorted(names, key=lambda name: _SIDES.index(display_filter(name).removes)):
        if display_filter(name).removes not in (BELOW, ABOVE):
            break
        sweep = rows.loc[rows["filter"] == name].sort_values("alpha")
        removed = sweep["zeroed"].to_numpy(np.int64)
        histogram = between_thresholds(
            target,
            (sweep["alpha"].to_numpy(float), size_up_to(name, removed, int(description["size"]))),
            int(description["size"]),
            chosen=description["kind"] == "global" and span_chosen(study),
        )
        if histogram is not None:
            return histogram
    return None


def span_chosen(study: Study) -> bool:
    """Return whether the thresholds of a global analysis were chosen, not taken from the values."""
    return study.metadata.question.sweep.span is not None


def size_up_to(
    filter_name: str, removed: Int[np.ndarray, " steps"], size: int
) -> Int[np.ndarray, " steps"]:
    """Return how many values lie up to each threshold, from how many a filter removes at each.

    The high pass counts those at the threshold, the low pass not.

    Args:
        filter_name: A filter that removes what lies below or above its threshold.
        removed: At each threshold.
        size: Number of all values.
    """
    return removed if display_filter(filter_name).removes == BELOW else size - removed


def between_thresholds(
    target: str,
    cumulative: tuple[Float[np.ndarray, " steps"], Int[np.ndarray, " steps"]],
    size: int,
    *,
    chosen: bool,
) -> Histogram | None:
    """Return the distribution from how many values lie up to each threshold.

    Args:
        target: Name of the target.
        cumulative: Thresholds in ascending order, and the number of values up to each.
        size: Number of all values.
        chosen: Whether the span of the thresholds was chosen, so that values may lie beyond.

    Returns:
        None for fewer than two thresholds, or where all coincide.
    """
    edges, up_to = cumulative
    if len(edges) < 2 or edges[0] == edges[-1]:
        return None
    counts = np.diff(up_to)
    below, above = int(up_to[0]), size - int(up_to[-1])
    if not chosen:  # the ends are the lowest and the highest value: nothing lies beyond
        counts[0] += below
        counts[-1] += above
        below = above = 0
    return Histogram(target, tuple(edges.tolist()), tuple(counts.tolist()), below, above)
