"""How results show themselves: what draws them stands above them, and is registered from there.

``hormesis`` itself registers what ``study.plot`` and a notebook show; results know only the names.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_DISPLAYS: dict[str, Callable[[Any], Any]] = {}


def register_display(name: str, display: Callable[[Any], Any]) -> None:
    """Register what shows a result.

    Args:
        name: The result and how it is shown, such as ``"study.plot"``.
        display: Takes the result; returns an accessor of pictures, or HTML.
    """
    _DISPLAYS[name] = display


def make_display(name: str, result: object) -> Any:  # noqa: ANN401
    """Return what was registered under a name, made for a result.

    Args:
        name: As it was registered.
        result: A study, or a series of them.
    """
    return _DISPLAYS[name](result)


@dataclass(frozen=True)
class Display:
    """An attribute of a result's class that is made when it is asked for.

    Args:
        name: As it was registered.
    """

    name: str

    def __get__(self, result: object, owner: type) -> Any:  # noqa: ANN401
        """Return the display of a result; of its class, the attribute itself."""
        return self if result is None else make_display(self.name, result)
