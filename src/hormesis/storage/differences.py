"""Where two descriptions of plain values differ, in words."""

from collections.abc import Mapping
from typing import Any


def first_difference(asked: Any, stored: Any, where: str = "") -> str:  # noqa: ANN401
    """Return where two questions differ first, with both values; empty if they agree.

    A fingerprint says little to a reader: it is named only where nothing else differs. So is the
    size of a step, which follows from their number.

    Example:
        >>> first_difference({"sweep": {"seed": 1}}, {"sweep": {"seed": 2}})
        'sweep.seed is 1 here and 2 there'
    """
    found = _differences(asked, stored, where)
    plain = (line for line in found if "fingerprint" not in line and "step_size" not in line)
    return next(plain, found[0] if found else "")


def _differences(asked: Any, stored: Any, where: str) -> list[str]:  # noqa: ANN401
    if isinstance(asked, Mapping) and isinstance(stored, Mapping):
        return [
            line
            for key in sorted({*asked, *stored})
            for line in _differences(asked.get(key), stored.get(key), f"{where}.{key}".strip("."))
        ]
    if isinstance(asked, tuple | list) and isinstance(stored, tuple | list):
        asked, stored = list(asked), list(stored)
    if asked == stored:
        return []
    if where.endswith("fingerprint"):
        asked, stored = (f"{str(value)[:12]}..." for value in (asked, stored))
    return [f"{where} is {asked} here and {stored} there"]
