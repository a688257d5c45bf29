"""The thresholds over which a filter sweeps."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float

from hormesis.errors import SettingError
from hormesis.stress.filters import Threshold, filter_named


def thresholds(
    name: str, minimum: float, maximum: float, count: int, dtype: torch.dtype = torch.float32
) -> Iterator[Threshold]:
    """Return the thresholds of one filter, in the order in which its sweep runs.

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
    return _thresholds(name, np.stack([grid, grid - half, grid + half]), dtype)


def listed_thresholds(
    name: str, alphas: Sequence[float], dtype: torch.dtype = torch.float32
) -> Iterator[Threshold]:
    """Yield the given thresholds of one filter, in the order in which its sweep runs.

    The window around each is as wide as it would be for as many even thresholds that lie the
    smallest distance ``d`` between any two apart: ``d · (A − 1)/A``, so that windows do not touch.

    Args:
        name: Name of the filter.
        alphas: The thresholds in ascending order, at least 2.
        dtype: Data type of the weights.

    Raises:
        SettingError: If two of them are the same number in this data type.

    Example:
        >>> [t.alpha for t in listed_thresholds("low_pass", (-1.0, 0.0, 3.0))]
        [3.0, 0.0, -1.0]
    """
    grid, count = np.array(alphas), len(alphas)
    if len(torch.from_numpy(grid).to(dtype).unique()) < count:
        raise SettingError(
            f"Expected `thresholds` to differ, but two of them are the same number in the weights' "
            f"type {dtype}: leave one out."
        )
    half = float(np.diff(grid).min()) * (count - 1) / (2 * count)
    yield from _thresholds(name, np.stack([grid, grid - half, grid + half]), dtype)


def quantile_thresholds(
    name: str, ordered: Float[np.ndarray, " size"], count: int, dtype: torch.dtype = torch.float32
) -> Iterator[Threshold]:
    """Yield thresholds that lie evenly in the share of values up to them.

    The window around each holds the share ``1/A`` of the values, at the ends half of it.

    Args:
        name: Name of the filter.
        ordered: All values of a target in ascending order.
        count: Number of thresholds, at least 2.
        dtype: Data type of the weights.

    Example:
        >>> values = np.array([0.0, 1.0, 2.0, 10.0, 100.0])
        >>> [t.alpha for t in quantile_thresholds("high_pass", values, 3)]
        [0.0, 2.0, 100.0]
    """
    shares = np.linspace(0.0, 1.0, count)
    low, high = float(ordered[0]), float(ordered[-1])
    beyond = (high - low) / (2 * count)  # the lowest and the highest value lie in a window, too
    half = 1 / (2 * count)
    edges = (shares, np.clip(shares - half, 0, 1), np.clip(shares + half, 0, 1))
    grid = np.stack([np.quantile(ordered, edge, method="inverted_cdf") for edge in edges])
    grid = grid.astype(np.float64)
    grid[1, 0], grid[2, -1] = low - beyond, high + beyond
    yield from _thresholds(name, grid, dtype)


def log_thresholds(
    name: str, ordered: Float[np.ndarray, " size"], count: int, dtype: torch.dtype = torch.float32
) -> Iterator[Threshold]:
    """Yield thresholds that lie evenly on a log scale, from the smallest magnitude above zero.

    Windows are even on that scale as well.

    Args:
        name: Name of the filter.
        ordered: The magnitudes of all values of a target in ascending order.
        count: Number of thresholds, at least 2.
        dtype: Data type of the weights.

    Example:
        >>> values = np.array([0.0, 0.01, 0.5, 1.0])
        >>> [round(t.alpha, 6) for t in log_thresholds("high_pass", values, 3)]
        [0.01, 0.1, 1.0]
    """
    positive = ordered[ordered > 0].astype(np.float64)
    first, last = np.log(positive[0]), np.log(positive[-1])
    half = (last - first) / (2 * count)
    logs = np.linspace(first, last, count)
    grid = np.exp(np.stack([logs, logs - half, logs + half]))
    grid[0, 0], grid[0, -1] = positive[0], positive[-1]
    yield from _thresholds(name, grid, dtype)


def _thresholds(
    name: str, edges: Float[np.ndarray, "three count"], dtype: torch.dtype
) -> Iterator[Threshold]:
    """Yield thresholds from their values, low ends and high ends, all in ascending order."""
    exact = torch.from_numpy(edges).to(dtype).double()
    count = edges.shape[1]
    low, high = exact[0, 0].item(), exact[0, -1].item()
    order = range(count - 1, -1, -1) if filter_named(name).descending else range(count)
    for step, index in enumerate(order):
        alpha, lower, upper = exact[:, index].tolist()
        yield Threshold(name, step, alpha, lower, upper, low, high)
