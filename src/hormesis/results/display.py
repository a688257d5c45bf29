"""Displays of results, such as ``study.plot``, registered by name.

Plots and HTML are made in ``report``, which results cannot import; ``hormesis`` registers them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_DISPLAYS: dict[str, Callable[[Any], Any]] = {}


def register_display(name: str, display: Callable[[Any], Any]) -> None:
    """Register a display of results.

    Args:
        name: Kind of result and of display, such as ``"study.plot"``.
        display: Takes the result; returns an accessor of plots, or HTML.
    """
    _DISPLAYS[name] = display


def make_display(name: str, result: object) -> Any:  # noqa: ANN401
    """Return the display of a result.

    Args:
        name: The registered name.
        result: A study or a series.
    """
    return _DISPLAYS[name](result)


@dataclass(frozen=True)
class Display:
    """A class attribute that makes the display of a result on access.

    Args:
        name: The registered name.
    """

    name: str

    def __get__(self, result: object, owner: type) -> Any:  # noqa: ANN401
        """Return the display of a result, or the attribute itself on the class."""
        return self if result is None else make_display(self.name, result)
