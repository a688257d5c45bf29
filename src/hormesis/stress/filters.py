"""Synaptic filters: which values of a parameter are kept at a threshold."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hormesis.errors import SettingError, unknown


@dataclass(frozen=True)
class Threshold:
    """One position of a filter's sweep.

    Args:
        filter: ``"high_pass"``, ``"low_pass"`` or ``"pulse_wave"``.
        step: Position in the sweep, from 0; its progress is ``step / (count - 1)``.
        alpha: The threshold, in units of the weights.
        lower: Lowest value that a pulse wave removes; other filters ignore it.
        upper: Lowest value above ``lower`` that a pulse wave keeps again; others ignore it.
    """

    filter: str
    step: int
    alpha: float
    lower: float
    upper: float


def keep_above(values: Float[Tensor, "*shape"], alpha: float) -> Bool[Tensor, "*shape"]:
    """Keep the values that lie above ``alpha``: the ideal high-pass filter ``h1`` (METHOD, 2).

    Args:
        values: Values of a parameter, in units of the weights.
        alpha: Threshold, in the same units.

    Returns:
        True where a value is kept, False where it is to be zeroed.

    Example:
        >>> keep_above(torch.tensor([-1.0, 0.0, 2.0]), alpha=0.0)
        tensor([False, False,  True])
    """
    return values > alpha


def keep_below(values: Float[Tensor, "*shape"], alpha: float) -> Bool[Tensor, "*shape"]:
    """Keep the values that lie below ``alpha``: the ideal low-pass filter ``h2`` (METHOD, 2).

    Args:
        values: Values of a parameter, in units of the weights.
        alpha: Threshold, in the same units.

    Returns:
        True where a value is kept, False where it is to be zeroed.

    Example:
        >>> keep_below(torch.tensor([-1.0, 0.0, 2.0]), alpha=0.0)
        tensor([ True, False, False])
    """
    return values < alpha


def keep_outside(
    values: Float[Tensor, "*shape"], lower: float, upper: float
) -> Bool[Tensor, "*shape"]:
    """Keep the values outside ``[lower, upper)``: the pulse wave filter ``h3`` (METHOD, 2).

    Args:
        values: Values of a parameter, in units of the weights.
        lower: Lowest value removed, in the same units.
        upper: Lowest value above ``lower`` that is kept again.

    Returns:
        True where a value is kept, False where it is to be zeroed.

    Example:
        >>> keep_outside(torch.tensor([-1.0, 0.0, 2.0]), lower=0.0, upper=2.0)
        tensor([ True, False,  True])
    """
    return (values < lower) | (values >= upper)


def keep(values: Float[Tensor, "*shape"], threshold: Threshold) -> Bool[Tensor, "*shape"]:
    """Apply the filter that ``threshold`` names.

    Args:
        values: Values of a parameter, in units of the weights.
        threshold: One position of a sweep.

    Returns:
        True where a value is kept, False where it is to be zeroed.

    Raises:
        SettingError: If the filter is not known.

    Example:
        >>> end = Threshold("low_pass", step=0, alpha=2.0, lower=1.5, upper=2.5)
        >>> keep(torch.tensor([-1.0, 2.0]), end)
        tensor([ True, False])
    """
    if threshold.filter == "high_pass":
        return keep_above(values, threshold.alpha)
    if threshold.filter == "low_pass":
        return keep_below(values, threshold.alpha)
    if threshold.filter == "pulse_wave":
        return keep_outside(values, threshold.lower, threshold.upper)
    raise SettingError(unknown("filter", threshold.filter, ("high_pass", "low_pass", "pulse_wave")))


def thresholds(
    name: str, minimum: float, maximum: float, count: int, dtype: torch.dtype = torch.float32
) -> Iterator[Threshold]:
    """Yield the thresholds of one filter, in the order in which its sweep runs.

    They lie evenly on ``[minimum, maximum]``, from low to high, for a low-pass filter from high to
    low. The pulse is ``(maximum - minimum) / count`` wide, which is less than the distance between
    thresholds, so that neighbouring windows do not touch (METHOD, 2).

    Each is a number that ``dtype`` can hold: comparing the weights with it then gives the same mask
    in any precision, and the ends of the range are met exactly.

    Args:
        name: ``"high_pass"``, ``"low_pass"`` or ``"pulse_wave"``.
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
    order = range(count - 1, -1, -1) if name == "low_pass" else range(count)
    for step, place in enumerate(order):
        alpha, lower, upper = edges[:, place].tolist()
        yield Threshold(name, step, alpha, lower, upper)
