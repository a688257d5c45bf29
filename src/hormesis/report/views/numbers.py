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


def fraction_text(value: float) -> str:
    """Return a number as n/255 where that is the same number and shorter, else in full.

    Settings read both alike: magnitudes of attacks on images are steps of pixels.

    Example:
        >>> fraction_text(8 / 255), fraction_text(0.2), fraction_text(0.039)
        ('8/255', '0.2', '0.039')
    """
    plain = repr(float(value)).removesuffix(".0")
    nearest = round(255 * value) if math.isfinite(value) else 0
    fraction = f"{nearest}/255"
    return fraction if nearest / 255 == value and len(fraction) < len(plain) else plain
