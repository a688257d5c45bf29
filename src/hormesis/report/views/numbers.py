"""Numbers as JSON can hold them."""

import math
from collections.abc import Iterable

_DIGITS = 6


def finite_numbers(values: Iterable[float]) -> list[float | None]:
    """Return numbers with every digit, and None for NaN and infinities.

    Example:
        >>> finite_numbers([0.5, float("nan")])
        [0.5, None]
    """
    return [float(value) if math.isfinite(value) else None for value in values]


def rounded_numbers(values: Iterable[float]) -> list[float | None]:
    """Return numbers with six significant digits, and None for NaN and infinities.

    Example:
        >>> rounded_numbers([2 / 3, float("inf")])
        [0.666667, None]
    """
    return [float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None for value in values]
