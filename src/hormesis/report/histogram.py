"""The distribution of a target's values, as far as a study knows it: by its own thresholds."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from hormesis.study import Study


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
    known = study.targets.loc[study.targets["target"] == target].iloc[0]
    for name in ("high_pass", "low_pass"):
        sweep = rows.loc[rows["filter"] == name].sort_values("alpha")
        edges = sweep["alpha"].to_numpy(float)
        if len(edges) < 2 or edges[0] == edges[-1]:
            continue
        removed = sweep["zeroed"].to_numpy(np.int64)
        # How many lie up to each threshold: the high pass counts those at it, the low pass not.
        up_to = removed if name == "high_pass" else int(known["size"]) - removed
        chosen = known["kind"] == "global" and study.manifest["question"]["sweep"]["span"]
        return _between(target, (edges, up_to), int(known["size"]), chosen=bool(chosen))
    return None


def _between(
    target: str,
    cumulative: tuple[Float[np.ndarray, " steps"], Int[np.ndarray, " steps"]],
    size: int,
    *,
    chosen: bool,
) -> Histogram:
    edges, up_to = cumulative
    counts = np.diff(up_to)
    below, above = int(up_to[0]), size - int(up_to[-1])
    if not chosen:  # the ends are the lowest and the highest value: nothing lies beyond
        counts[0] += below
        counts[-1] += above
        below = above = 0
    return Histogram(target, tuple(edges.tolist()), tuple(counts.tolist()), below, above)
