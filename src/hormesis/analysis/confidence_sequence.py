"""Confidence sequences: intervals that stay valid however often one looks.

I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy and A. Ramdas, "Time-uniform central limit
theory and asymptotic confidence sequences", Annals of Statistics 52 (2024), arXiv:2103.06476.

For samples drawn without replacement from a finite set, the running sum follows a Brownian bridge
instead of a Brownian motion. Divided by ``1 − n/N``, it is a Brownian motion again, at the time
``nN/(N − n)`` instead of ``n`` (J. L. Doob, 1949). I. Waudby-Smith and A. Ramdas, "Confidence
sequences for sampling without replacement", NeurIPS 2020, arXiv:2006.04347, make martingales of
such samples by the same weighting. The same boundary, with the standard error at that time, is
therefore valid at all looks, and the interval closes when all samples are seen.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

_TUNED = 0.1  # of the samples there are: where the sequence is to be tightest


@dataclass(frozen=True)
class ConfidenceSequence:
    """The boundary of an asymptotic confidence sequence (Theorem 2.2 of the paper).

    After ``t`` samples the interval is the estimate plus and minus its standard error times
    ``√(2 (tρ² + 1)/(tρ²) · log(√(tρ² + 1)/α))``. With probability ``1 − α``, and to the accuracy of
    the central limit theorem, the intervals contain the truth at all times at once, and so also at
    any time at which one chooses to stop.

    Args:
        samples: Number of samples seen, ``t``; an array if it differs between rows of a table.
        planned: Number of samples available. The sequence is tightest around a tenth of them.
        level: The confidence level ``1 − α``.
        finite: Whether the interval is for the mean of the available samples alone. Its standard
            error then has the factor ``√(1 − n/N)``, see ``InfluenceMoments.standard_errors``.

    Example:
        >>> round(float(ConfidenceSequence(1000, 10_000, 0.95).critical()), 3)
        3.035
        >>> round(float(ConfidenceSequence(5000, 10_000, 0.95, finite=True).critical()), 3)
        3.242
    """

    samples: int | Int[np.ndarray, " rows"]
    planned: int
    level: float
    finite: bool = False

    @property
    def _intrinsic(self) -> Float[np.ndarray, "*rows"]:
        """``t ρ²``, where ``ρ`` makes the boundary tightest at the tuned time (their section 2)."""
        alpha = 1 - self.level
        log = -2 * math.log(alpha)
        rate = (log + math.log(log + 1)) / max(_TUNED * self.planned, 1.0)
        seen = np.asarray(self.samples, dtype=float)
        if self.finite:
            seen = seen * self.planned / np.maximum(self.planned - seen, 0.5)
        return np.asarray(seen * rate)

    def critical(self) -> Float[np.ndarray, "*rows"]:
        """Return how many standard errors the interval extends to either side."""
        time = self._intrinsic
        bound = np.log(np.sqrt(time + 1) / (1 - self.level))
        return np.asarray(np.sqrt(2 * (time + 1) / time * bound))

    def p_value(self, distance: Float[np.ndarray, "*rows"]) -> Float[np.ndarray, "*rows"]:
        """Return the smallest ``α`` whose interval excludes a value at this distance.

        Args:
            distance: From the estimate, in standard errors; a negative one gives 1.
        """
        time = self._intrinsic
        with np.errstate(over="ignore"):  # what is too far for a number is infinitely far
            exponent = np.square(np.maximum(distance, 0)) * time / (2 * (time + 1))
        return np.minimum(1.0, np.sqrt(time + 1) * np.exp(-exponent))
