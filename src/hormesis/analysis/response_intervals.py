"""Pointwise intervals of responses: of the mean performance at each threshold."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from jaxtyping import Float

from hormesis.storage.outcomes import StoredOutcomes, only_samples

KINDS = ("clean", "adversarial")
Values = Float[np.ndarray, " cells"]


def wilson(share: Values, samples: int, factor: float) -> tuple[Values, Values]:
    """Return the ends of Wilson's interval of shares, which stays within 0 and 1.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of
    the American Statistical Association 22 (1927). It has a width where all samples agree, too.

    Args:
        share: Shares of samples, 0 to 1.
        samples: Number of samples, at least 1.
        factor: Half-width in standard errors, see ``IntervalMethod.critical``.

    Example:
        >>> low, high = wilson(np.array([0.0, 0.5]), 10, 1.96)
        >>> low.round(3).tolist(), high.round(3).tolist()
        ([0.0, 0.237], [0.278, 0.763])
    """
    narrowed = 1 + factor**2 / samples
    middle = (share + factor**2 / (2 * samples)) / narrowed
    variance = share * (1 - share) / samples + factor**2 / (4 * samples**2)
    half = factor / narrowed * np.sqrt(variance)
    # Rounding must not leave a share of 0 or 1 outside its own interval.
    return np.clip(middle - half, 0.0, share), np.clip(middle + half, share, 1.0)


def around_mean(mean: Values, square: Values, samples: int, factor: float) -> tuple[Values, Values]:
    """Return the ends of an interval of means, ``factor`` standard errors to either side.

    Args:
        mean: Means over samples.
        square: Means of the squares.
        samples: Number of samples, at least 2.
        factor: Half-width in standard errors.

    Example:
        >>> low, high = around_mean(np.array([1.0]), np.array([2.0]), 5, 2.0)
        >>> low.tolist(), high.tolist()
        ([0.0], [2.0])
    """
    half = factor * np.sqrt(np.maximum(square - mean**2, 0.0) / (samples - 1))
    return mean - half, mean + half


def mean_squares(
    cells: pd.DataFrame, samples: int, blocks: Iterable[StoredOutcomes]
) -> dict[str, Values]:
    """Return the mean squares of the outcomes of cells, clean and adversarial.

    Args:
        cells: Responses measured on the same samples: column ``outcome``.
        samples: Number of those samples, which come first.
        blocks: The outcomes, block by block.

    Example:
        >>> losses = np.array([[1, 3]], dtype=np.float32)
        >>> block = StoredOutcomes(losses[0], losses[0], losses, 2 * losses, np.array([True]))
        >>> mean_squares(pd.DataFrame({"outcome": [0]}), 2, [block])["adversarial"]
        array([20.])
    """
    rows = cells["outcome"].to_numpy()
    sums = {kind: np.zeros(len(rows)) for kind in KINDS}
    seen = 0
    for block in blocks:
        if seen >= samples:
            break
        part = only_samples(block, 0, samples - seen)
        for kind in KINDS:
            # The last entry answers for the unfiltered network, whose row is -1.
            outcomes = np.vstack([getattr(part, kind), getattr(part, f"base_{kind}")])
            sums[kind] += np.square(outcomes.astype(np.float64)).sum(axis=1)[rows]
        seen += len(part.base_clean)
    return {kind: total / samples for kind, total in sums.items()}
