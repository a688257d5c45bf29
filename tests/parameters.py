"""Which combinations of parameters the fast part of the suite tries."""

from collections.abc import Iterable
from itertools import product
from typing import Any

import pytest


def one_at_a_time(*axes: Iterable[Any]) -> list[Any]:
    """Return all combinations; those in which more than one value is not its axis' first are slow.

    Example:
        >>> [param.values for param in one_at_a_time("ab", "xy") if not param.marks]
        [('a', 'x'), ('a', 'y'), ('b', 'x')]
    """
    values = [list(axis) for axis in axes]
    usual = [axis[0] for axis in values]
    return [
        pytest.param(*case, marks=[pytest.mark.slow] if _other(case, usual) > 1 else [])
        for case in product(*values)
    ]


def _other(case: Iterable[Any], usual: Iterable[Any]) -> int:
    return sum(one is not first for one, first in zip(case, usual, strict=True))
