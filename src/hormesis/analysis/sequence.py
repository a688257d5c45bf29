"""Confidence sequences: intervals that may be looked at again and again.

I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy and A. Ramdas, "Time-uniform central limit
theory and asymptotic confidence sequences", Annals of Statistics 52 (2024), arXiv:2103.06476.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

_TUNED = 0.1  # of the samples there are: where the sequence is to be tightest


@dataclass(frozen=True)
class Sequence:
    """The boundary of an asymptotic confidence sequence (Theorem 2.2 of the paper).

    After ``t`` samples the interval is the estimate plus and minus its standard error times
    ``√(2 (tρ² + 1)/(tρ²) · log(√(tρ² + 1)/α))``. It holds the truth at all times at once with a
    probability of ``1 − α``, as far as the central limit theorem does, and so also at whatever time
    one chooses to stop.

    Args:
        samples: How many were seen, ``t``; an array where rows of a table have seen different
            numbers of samples.
        planned: How many there are. The sequence is tightest around a tenth of them.
        level: The confidence level ``1 − α`` it is tuned for.

    Example:
        >>> round(float(Sequence(1000, 10_000, 0.95).critical()), 3)
        3.035
    """

    samples: int | Int[np.ndarray, " rows"]
    planned: int
    level: float

    @property
    def _intrinsic(self) -> Float[np.ndarray, "*rows"]:
        """``t ρ²``, where ``ρ`` makes the boundary tightest at the tuned time (their section 2)."""
        alpha = 1 - self.level
        log = -2 * math.log(alpha)
        rate = (log + math.log(log + 1)) / max(_TUNED * self.planned, 1.0)
        return np.asarray(self.samples * rate)

    def critical(self) -> Float[np.ndarray, "*rows"]:
        """Return how many standard errors the interval extends to either side."""
        time = self._intrinsic
        bound = np.log(np.sqrt(time + 1) / (1 - self.level))
        return np.asarray(np.sqrt(2 * (time + 1) / time * bound))

    def p_value(self, distance: Float[np.ndarray, "*rows"]) -> Float[np.ndarray, "*rows"]:
        """Return the smallest ``α`` whose sequence leaves out what lies so far away.

        Args:
            distance: From the estimate, in standard errors; a negative one gives 1.
        """
        time = self._intrinsic
        exponent = np.square(np.maximum(distance, 0)) * time / (2 * (time + 1))
        return np.minimum(1.0, np.sqrt(time + 1) * np.exp(-exponent))
