"""What a replacement is: values in place of a target's own, at levels from mild to strong.

The functions that change values are in ``stress``; nothing here needs torch.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any

from hormesis.errors import SettingError
from hormesis.settings.choices import COMBINED, MOST_DRAWS, MOST_THRESHOLDS

Levels = Sequence[float | int]
_DRAW = "_draw_"  # between the name of a replacement and the number of a further draw


@dataclass(frozen=True)
class Replacement:
    """An internal stress that replaces values instead of removing them.

    Args:
        name: What tables, flags and the manifest call it; letters, digits and ``_``.
        help: What it does, in a line.
        change: Takes a copy of the values of one tensor, on the CPU, and a
            ``hormesis.stress.replacing.Level``, and returns as many values in their place. It draws
            with the generator of the level alone.
        levels: From mild to strong, at least one, each a finite number.
        unit: What a level is, in a word or two, for the axes of pictures.
        least: Lowest level that makes sense.
        most: Highest level.
        whole: Whether levels are whole numbers.
        draws: How often each level is drawn; 0 where nothing is drawn at random.
        settings: Further settings, as plain values for the manifest; ``change`` finds them in the
            level.
        prepare: Takes a ``hormesis.stress.replacing.Preparation`` and returns one tensor for each
            part of the target, computed before anything is measured; ``change`` finds its own in
            the level. None where nothing has to be prepared.
        source: What ``prepare`` needs besides, such as the weights of a checkpoint.

    Raises:
        SettingError: For a level or a number of draws outside these bounds.

    Example:
        >>> halved = Replacement("halved", "halves all values", lambda values, at: values / 2, (1,))
        >>> halved.levels, halved.sweep_names
        ((1.0,), ('halved',))
    """

    name: str
    help: str
    change: Callable[[Any, Any], Any]
    levels: tuple[float | int, ...]
    unit: str = "level"
    least: float | int = -math.inf
    most: float | int = math.inf
    whole: bool = False
    draws: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    prepare: Callable[[Any], Any] | None = None
    source: Any = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check every field."""
        if not self.name.isidentifier() or self.name == COMBINED or _DRAW in self.name:
            raise SettingError(
                f"Expected the `name` of a replacement to be letters, digits and _, got "
                f"{self.name!r}."
            )
        object.__setattr__(self, "levels", check_levels(self.levels))
        for level in self.levels:
            if not self.least <= level <= self.most or (self.whole and level != int(level)):
                raise SettingError(
                    f"Expected the `levels` of {self.name!r} to be {self._expected}, got {level:g}."
                )
        number = isinstance(self.draws, int) and not isinstance(self.draws, bool)
        if not number or not 0 <= self.draws <= MOST_DRAWS:
            raise SettingError(
                f"Expected `draws` to be from 0 to {MOST_DRAWS}, got {self.draws!r}."
            )

    @property
    def _expected(self) -> str:
        kind = "whole numbers" if self.whole else "numbers"
        if math.isinf(self.least):
            return kind
        most = "" if math.isinf(self.most) else f" to {self.most:g}"
        return f"{kind} from {self.least:g}{most}"

    @property
    def sweep_names(self) -> tuple[str, ...]:
        """The names of its sweeps in tables: its own, and one for every further draw.

        Example:
            >>> Replacement("cut", "cuts", lambda values, at: values, (1,), draws=2).sweep_names
            ('cut', 'cut_draw_2')
        """
        return self.name, *(f"{self.name}{_DRAW}{draw}" for draw in range(2, self.draws + 1))

    def with_levels(self, levels: tuple[float | int, ...] | None) -> "Replacement":
        """Return the replacement at other levels; None keeps its own."""
        return self if levels is None else replace(self, levels=levels)

    def described(self) -> dict[str, Any]:
        """Return what its numbers depend on, as plain values for the manifest."""
        drawn = {"draws": self.draws} if self.draws else {}
        return {"levels": list(self.levels), "unit": self.unit, **drawn, **self.settings}


def check_levels(levels: object) -> tuple[float, ...]:
    """Return levels as numbers.

    Raises:
        SettingError: For levels that are no numbers, none, too many, or one twice.

    Example:
        >>> check_levels((8, 4))
        (8.0, 4.0)
        >>> check_levels((0.1, "much"))
        Traceback (most recent call last):
        hormesis.errors.SettingError: Expected `levels` to be finite numbers, got 'much'.
    """
    if not isinstance(levels, tuple | list):
        raise SettingError(f"Expected `levels` to be a tuple of numbers, got {levels!r:.80}.")
    for level in levels:
        number = isinstance(level, Real) and not isinstance(level, bool)
        if not number or not math.isfinite(level):
            raise SettingError(f"Expected `levels` to be finite numbers, got {level!r:.80}.")
    if not 1 <= len(levels) <= MOST_THRESHOLDS:
        raise SettingError(
            f"Expected `levels` to be from 1 to {MOST_THRESHOLDS} numbers, got {len(levels)}."
        )
    if len(set(levels)) < len(levels):
        raise SettingError(f"Expected `levels` to differ, got {', '.join(map(str, levels))}.")
    return tuple(float(level) for level in levels)


def is_draw_of(sweep: str, name: str) -> bool:
    """Return whether a sweep is of a replacement, whichever draw of it.

    Example:
        >>> is_draw_of("noise_draw_2", "noise"), is_draw_of("noises", "noise")
        (True, False)
    """
    return sweep.partition(_DRAW)[0] == name


def draws_of(names: list[str]) -> bool:
    """Return whether sweeps are the several draws of one replacement.

    Example:
        >>> draws_of(["noise", "noise_draw_2"]), draws_of(["noise", "shuffle"]), draws_of(["noise"])
        (True, False, False)
    """
    expected = (names[0], *(f"{names[0]}{_DRAW}{draw}" for draw in range(2, len(names) + 1)))
    return len(names) > 1 and tuple(names) == expected
