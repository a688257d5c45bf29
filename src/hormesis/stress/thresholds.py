"""The thresholds over which a filter sweeps."""

from collections.abc import Iterator

import numpy as np
import torch

from hormesis.stress.filters import Threshold, filter_named


def thresholds(
    name: str, minimum: float, maximum: float, count: int, dtype: torch.dtype = torch.float32
) -> Iterator[Threshold]:
    """Yield the thresholds of one filter, in the order in which its sweep runs.

    They lie evenly on ``[minimum, maximum]``, from low to high, for a low-pass filter from high to
    low. The window around each is ``(maximum - minimum) / count`` wide, which is less than the
    distance between thresholds, so that neighbouring windows do not touch (METHOD, 2).

    Each is a number that ``dtype`` can hold: comparing the weights with it then gives the same mask
    in any precision, and the ends of the range are met exactly.

    Args:
        name: Name of the filter.
        minimum: Low end of the range, in units of the weights.
        maximum: High end of the range.
        count: Number of thresholds, at least 2.
        dtype: Data type of the weights.

    Example:
        >>> [t.alpha for t in thresholds("low_pass", -1.0, 1.0, 3)]
        [1.0, 0.0, -1.0]
        >>> [(t.lower, t.upper) for t in thresholds("pulse_wave", -1.5, 1.5, 3)]
        [(-2.0, -1.0), (-0.5, 0.5), (1.0, 2.0)]
    """
    grid = np.linspace(minimum, maximum, count)
    half = (maximum - minimum) / (2 * count)
    edges = torch.from_numpy(np.stack([grid, grid - half, grid + half])).to(dtype).double()
    order = range(count - 1, -1, -1) if filter_named(name).descending else range(count)
    for step, index in enumerate(order):
        alpha, lower, upper = edges[:, index].tolist()
        yield Threshold(name, step, alpha, lower, upper)
