"""Magnitudes of attacks: numbers, fractions such as 8/255, and ``"auto"``."""

import math
from collections.abc import Iterable
from numbers import Real

from hormesis.errors import SettingError

AUTO = "auto"
_FEWEST_EVEN = 51  # 51/255 is 0.2, the first of them that is as short as a decimal


def parse_epsilon(text: str) -> float | str:
    """Return the magnitude that ``text`` names, in input units, or ``"auto"``.

    Args:
        text: A number (``"0.03"``), a fraction (``"8/255"``) or ``"auto"``, which asks for the
            magnitude at which adversarial accuracy is half-way between clean accuracy and that of
            guessing.

    Returns:
        A finite number above 0, or ``"auto"``.

    Raises:
        SettingError: For anything else.

    Example:
        >>> parse_epsilon("0.03")
        0.03
        >>> parse_epsilon("51/255")
        0.2
        >>> parse_epsilon("auto")
        'auto'
    """
    if text.strip() == AUTO:
        return AUTO
    above, slash, below = text.partition("/")
    try:
        value = float(above) / float(below) if slash else float(above)
    except (ValueError, ZeroDivisionError):
        raise SettingError(_refusal(text)) from None
    if not 0 < value < math.inf:
        raise SettingError(_refusal(text))
    return value


def _refusal(value: object) -> str:
    return (
        "Expected `epsilon` to be a number above 0 in input units, such as 0.03 or 8/255, or "
        f"'auto', got {value!r}."
    )


def as_epsilon(epsilon: object) -> float | str:
    """Return a magnitude from a number or a text (see ``parse_epsilon``).

    Raises:
        SettingError: For anything but a finite number above 0, a text of one, or ``"auto"``.

    Example:
        >>> as_epsilon(1), as_epsilon("51/255")
        (1.0, 0.2)
    """
    if isinstance(epsilon, str):
        return parse_epsilon(epsilon)
    if isinstance(epsilon, bool) or not isinstance(epsilon, Real):
        raise SettingError(_refusal(epsilon))
    value = float(epsilon)
    if not 0 < value < math.inf:
        raise SettingError(_refusal(epsilon))
    return value


def as_step_size(size: object, *, name: str = "step_size") -> float:
    """Return the size of a step as a share of the magnitude.

    Args:
        size: Size of the step.
        name: Name of the setting.

    Raises:
        SettingError: For anything but a finite number above 0.

    Example:
        >>> as_step_size(1)
        1.0
    """
    if isinstance(size, bool) or not isinstance(size, Real) or not 0 < float(size) < math.inf:
        raise SettingError(
            f"Expected `{name}`, a share of `epsilon`, to be a number above 0, got {size}."
        )
    return float(size)


def check_epsilons(epsilons: Iterable[float | int | str]) -> tuple[float, ...]:
    """Return magnitudes in ascending order.

    Raises:
        SettingError: For fewer than two, for one that is none, and for ``"auto"``.

    Example:
        >>> check_epsilons(("51/255", 0.1))
        (0.1, 0.2)
    """
    values = sorted({as_epsilon(epsilon) for epsilon in epsilons}, key=str)
    if AUTO in values:
        raise SettingError(
            "Expected `epsilon` to be numbers such as 4/255,8/255 where there are several, got "
            "'auto'."
        )
    numbers = sorted(value for value in values if isinstance(value, float))
    if len(numbers) < 2:
        raise SettingError(
            f"Expected at least two different magnitudes, got {len(numbers) or 'none'}: "
            "`hormesis.analyze` takes one."
        )
    return tuple(numbers)


def short_epsilon(epsilon: float | int) -> str:
    """Return a magnitude as it was most likely typed.

    Args:
        epsilon: A magnitude in input units, above 0.

    Example:
        >>> short_epsilon(8 / 255), short_epsilon(0.2), short_epsilon(0.05)
        ('8/255', '0.2', '0.05')
    """
    levels = epsilon * 255
    whole = round(levels)
    if 0 < whole < _FEWEST_EVEN and abs(levels - whole) < 1e-9 * whole:
        return f"{whole}/255"
    return f"{epsilon:.4g}"
