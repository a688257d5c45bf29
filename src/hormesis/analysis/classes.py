"""The classes of targets: their names, order, letters and meanings, in one place.

Tables, pages, pictures, findings and comparisons take them from here; how they look is in
``hormesis.report.views.palette``.
"""

from collections.abc import Iterable
from dataclasses import dataclass

FRAGILE = "fragile"
ROBUST = "robust"
ANTIFRAGILE = "antifragile"
UNCONFIRMED = "antifragile (unconfirmed)"
FIXED_ONLY = "fixed attack only"
MASKED = "masked"
AT_CHANCE = "at chance"
UNDECIDED = "undecided"
UNDEFINED = "undefined"
UNTESTED = "untested"


@dataclass(frozen=True)
class TargetClass:
    """How a class is shown, and what it says.

    Args:
        name: What tables call it.
        letter: Its mark where there is room for one letter only.
        meaning: What it says, in a line.
    """

    name: str
    letter: str
    meaning: str

    @property
    def slug(self) -> str:
        """Its name as style sheets take it.

        Example:
            >>> CLASSES["at chance"].slug
            'at-chance'
        """
        return self.name.replace("(", "").replace(")", "").replace(" ", "-")

    @property
    def short(self) -> str:
        """Its name where there is little room.

        Example:
            >>> CLASSES["antifragile (unconfirmed)"].short
            'unconfirmed'
        """
        return _SHORT.get(self.name, self.name)


_SHORT = {UNCONFIRMED: "unconfirmed", FIXED_ONLY: "fixed only"}
_KINDS = (
    TargetClass(FRAGILE, "F", "filtering it costs performance"),
    TargetClass(ROBUST, "R", "filtering it changes little"),
    TargetClass(
        ANTIFRAGILE,
        "A",
        "filtering it improves performance; under attack, stronger attacks have confirmed it",
    ),
    TargetClass(
        UNCONFIRMED,
        "U",
        "filtering it improves performance under the attack of the sweep, not confirmed by others",
    ),
    TargetClass(
        FIXED_ONLY,
        "X",
        "filtering it spoils the work of the given attack; attacks made anew undo that",
    ),
    TargetClass(
        MASKED,
        "M",
        "the attack found no gradient to follow, or one that leads astray: what it left right is "
        "no evidence",
    ),
    TargetClass(
        AT_CHANCE,
        "C",
        "the unfiltered network does no better than guessing: there is nothing to lose",
    ),
    TargetClass(UNDECIDED, "?", "its interval straddles a border of the classes"),
    TargetClass(UNTESTED, "×", "no removal changed anything"),
    TargetClass(
        UNDEFINED,
        "-",
        "the unfiltered network's performance is zero, by which it would be divided",
    ),
)
CLASSES = {kind.name: kind for kind in _KINDS}
"""Every class by its name, in the order in which they are listed."""

POINTS = (FRAGILE, ROBUST, ANTIFRAGILE)
"""The classes that a score has by its value alone."""

IMPROVING = (ANTIFRAGILE, UNCONFIRMED, FIXED_ONLY, MASKED)
"""The classes of scores above the border."""


def letter(name: str, point: str) -> str:
    """Return the mark of a class: a letter, or that of the estimate and a question mark.

    Args:
        name: The class.
        point: The class by the estimate alone.

    Example:
        >>> letter("fragile", "fragile"), letter("undecided", "robust"), letter("masked", "masked")
        ('F', 'r?', 'M')
    """
    return f"{point[0]}?" if name == UNDECIDED else CLASSES[name].letter


def legend(names: Iterable[str] = ()) -> str:
    """Return what letters mean: those of the usual classes, and of others that occur.

    Args:
        names: Classes that occur.

    Example:
        >>> legend(["robust", "masked"])
        'F fragile, R robust, A antifragile, M masked'
    """
    shown = {*POINTS, *names} - {UNDECIDED, UNTESTED, UNDEFINED}
    return ", ".join(f"{kind.letter} {name}" for name, kind in CLASSES.items() if name in shown)
