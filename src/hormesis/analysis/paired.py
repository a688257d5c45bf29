"""The difference that a removal makes to the performance, paired by sample, with an interval."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from hormesis.analysis.moments import InfluenceMoments


@dataclass(frozen=True)
class PairedDifference:
    """A mean difference over samples.

    Args:
        value: With the removal minus without it, in units of the metric.
        low: Lower end of its interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0

    @property
    def size(self) -> float:
        """Distance of the interval from zero, or 0."""
        return max(self.low, -self.high, 0.0)


def paired_difference(
    removed: Float[np.ndarray, " samples"],
    base: Float[np.ndarray, " samples"],
    alpha: float,
    *,
    binary: bool,
) -> PairedDifference:
    """Return the mean difference of two performances on the same samples.

    The interval is that of scores (``InfluenceMoments.standard_errors`` and ``with_intervals``): by
    Student's t, with a term for one more sample, and never shorter than by the rule of three if
    fewer than five samples carry the variance. What one sample can carry is 1 for outcomes of 0 and
    1, and otherwise the largest difference seen.

    Args:
        removed: Performance with the removal.
        base: Performance without it.
        alpha: Chance that the interval leaves out the truth.
        binary: Whether performances are 0 or 1.

    Returns:
        The difference. It is infinite, and certain, if a removal makes a performance infinite or no
        number.

    Example:
        >>> base, half = np.ones(40), np.arange(40.0) % 2
        >>> paired_difference(half, base, 0.05, binary=True).certain
        True
        >>> paired_difference(base, base, 0.05, binary=True).certain
        False
    """
    difference = removed.astype(np.float64) - base.astype(np.float64)
    if not np.isfinite(difference).all():
        sign = math.copysign(math.inf, np.nansum(np.nan_to_num(difference)))
        return PairedDifference(sign, sign, sign)
    mean, count = float(difference.mean()), len(difference)
    squares = np.square(difference - mean)
    most = 1.0 if binary else float(np.abs(difference).max())
    moments = InfluenceMoments(
        np.array([[squares.sum()]]),
        np.array([[np.square(squares).sum()]]),
        np.array([[most]]),
        count,
    )
    errors = moments.standard_errors()
    critical = float(stats.t.isf(alpha / 2, max(count - 1, 1)))
    half = max(critical * float(errors.below[0]), math.log(2 / alpha) * float(errors.unseen[0]))
    return PairedDifference(mean, mean - half, mean + half)
