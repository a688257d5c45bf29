"""What an adversary may do: the norm that its changes are measured by, and what it aims at."""

from typing import Any

from hormesis.errors import SettingError, unknown

LINF, L2 = "linf", "l2"
NORMS = (LINF, L2)
"""The largest change of any value of a sample, and the root of the sum of all squared changes."""
NORM_NAMES = {LINF: "L∞", L2: "L2"}
EMBEDDED_UNITS = {
    LINF: "the root mean square of the embedding's values, in L∞",
    L2: "the norm of a sequence's embeddings, in L2",
}
"""What a magnitude is a share of where the embeddings of tokens are attacked."""
LEAST_LIKELY, NEXT = "least_likely", "next"
AIMS = (LEAST_LIKELY, NEXT)
"""Targets other than one class for all: of each sample the class with the smallest logit, and the
class behind the true one, where the first follows the last."""


def check_norm(norm: object) -> None:
    """Refuse anything but the name of a norm.

    Raises:
        SettingError: With the nearest name.

    Example:
        >>> check_norm("L2")
        Traceback (most recent call last):
        hormesis.errors.SettingError: Unknown norm 'L2'. Did you mean l2? Known: linf, l2.
    """
    if norm not in NORMS:
        raise SettingError(unknown("norm", str(norm), NORMS))


def as_target(target: object) -> int | str | None:
    """Return what an attack aims at: the number of a class, one of ``AIMS``, or None.

    Args:
        target: A whole number of at least 0, as a number or as text, a name, or None.

    Raises:
        SettingError: For anything else.

    Example:
        >>> as_target("3"), as_target("next"), as_target(None)
        (3, 'next', None)
    """
    if target is None or target in AIMS:
        return target  # pyright: ignore[reportReturnType]
    if isinstance(target, str) and target.strip().isascii() and target.strip().isdecimal():
        return int(target)
    if isinstance(target, int) and not isinstance(target, bool) and target >= 0:
        return target
    raise SettingError(
        "Expected `target` to be the number of a class, from 0 on, 'least_likely', 'next' or None, "
        f"got {target!r:.80}."
    )


def norm_of(attack: Any) -> str:  # noqa: ANN401  (an attack, which may lack the field)
    """Return the norm that the magnitude of an attack is measured by.

    Example:
        >>> norm_of(object())
        'linf'
    """
    return getattr(attack, "norm", LINF)


def target_of(attack: Any) -> int | str | None:  # noqa: ANN401
    """Return what an attack aims at; None if any other class will do."""
    return getattr(attack, "target", None)


def aim_text(target: int | str) -> str:
    """Return what an attack aims at, in words.

    Example:
        >>> aim_text(3), aim_text("next")
        ('class 3', 'the next class')
    """
    return f"class {target}" if isinstance(target, int) else f"the {target.replace('_', ' ')} class"
