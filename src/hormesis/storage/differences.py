"""The first difference between two questions, in words."""

from collections.abc import Mapping
from typing import Any


def first_difference(requested: Any, stored: Any, where: str = "") -> str:  # noqa: ANN401
    """Return the first entry in which two questions differ, with both values; empty if they agree.

    Fingerprints and step sizes are named only if nothing else differs: a fingerprint tells a reader
    little, and a step size usually follows from the number of steps.

    Example:
        >>> first_difference({"sweep": {"seed": 1}}, {"sweep": {"seed": 2}})
        'sweep.seed is 1 here and 2 there'
    """
    differences = _differences(requested, stored, where)
    plain = (line for line in differences if "fingerprint" not in line and "step_size" not in line)
    return next(plain, differences[0] if differences else "")


def _differences(requested: Any, stored: Any, where: str) -> list[str]:  # noqa: ANN401
    if isinstance(requested, Mapping) and isinstance(stored, Mapping):
        return [
            line
            for key in sorted({*requested, *stored})
            for line in _differences(
                requested.get(key), stored.get(key), f"{where}.{key}".strip(".")
            )
        ]
    if isinstance(requested, tuple | list) and isinstance(stored, tuple | list):
        requested, stored = list(requested), list(stored)
    if requested == stored:
        return []
    if where.endswith("fingerprint"):
        requested, stored = (f"{str(value)[:12]}..." for value in (requested, stored))
    return [f"{where} is {requested} here and {stored} there"]
