"""Every colour and every mark, for pages, pictures and the terminal, in one place.

A thing has the same colour wherever it is drawn. Text stands out from each ground by at least
4.5 to 1, marks and lines by 3 to 1 (WCAG 2.2); colours that stand beside each other differ for
colour-blind readers, and none of them says anything alone: classes have marks and hatches, lines
have dashes. ``tests/report/test_colours.py`` measures all of this.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from hormesis.analysis import classes
from hormesis.analysis.classes import CLASSES


@dataclass(frozen=True)
class Colour:
    """One colour, as six hexadecimal digits after ``#``.

    Args:
        light: On light ground: paper, plots, and the page by day.
        dark: On dark ground.
    """

    light: str
    dark: str


@dataclass(frozen=True)
class Mark:
    """The shape that stands for a class.

    Args:
        marker: Matplotlib's name of it.
        path: The same as an SVG path, about as wide as a circle of radius 1.
    """

    marker: str
    path: str


@dataclass(frozen=True)
class ClassLook:
    """How a class is drawn.

    Args:
        colour: Its colour.
        mark: Its mark.
        terminal: Rich's name of its colour. It is one of the 16 that users choose together with
            the ground of their terminal, as no fixed colour stands out from every ground.
        filled: Whether marks and bars are filled with its colour; else they are outlined.
        hatch: Matplotlib's name of the hatch of its bars.
    """

    colour: Colour
    mark: Mark
    terminal: str
    filled: bool = False
    hatch: str = ""

    @property
    def fill(self) -> str:
        """Colour of the inside of its marks and bars on paper."""
        return self.colour.light if self.filled else PAPER

    @property
    def edge(self) -> str:
        """Colour of the outline and the hatch of its marks and bars on paper."""
        return PAPER if self.filled else self.colour.light


@dataclass(frozen=True)
class LineLook:
    """How a line is drawn.

    Args:
        colour: Its colour.
        dashes: Lengths of its dashes and gaps, in line widths; empty for none.
        marker: Matplotlib's name of the marks on it; empty for none.
    """

    colour: Colour
    dashes: tuple[float | int, ...] = ()
    marker: str = field(default="")

    @property
    def linestyle(self) -> str | tuple[int, tuple[float | int, ...]]:
        """Its dashes as Matplotlib takes them.

        Example:
            >>> LINES["clean"].linestyle, LINES["adversarial"].linestyle
            ('-', (0, (4, 1.5)))
        """
        return (0, self.dashes) if self.dashes else "-"


PAPER = "#ffffff"
PAGE = {
    "ground": Colour(PAPER, "#12161b"),
    "raised": Colour("#f6f7f9", "#1a1f26"),
    "zone": Colour("#eef0f3", "#1f252d"),
    "faint": Colour("#eceff2", "#222831"),
    "rule": Colour("#d9dde3", "#323a45"),
    "ink": Colour("#16191d", "#e8ebef"),
    "soft": Colour("#525a65", "#a4adb9"),
    "focus": Colour("#0a58ca", "#7db4ff"),
}
"""What is no data: grounds, letters, rules and the ring around what has the focus."""

_ORANGE = Colour("#a84f04", "#f2a65a")
_VIOLET = Colour("#4f2a8c", "#b9a5ec")
_SLATE = Colour("#5d6673", "#a4adb9")
_GREY = Colour("#68707b", "#98a1ad")
_DOWN = Mark("v", "M-1.1,-0.85H1.1L0,1.1Z")
_UP = Mark("^", "M-1.1,0.85H1.1L0,-1.1Z")
_SQUARE = Mark("s", "M-0.88,-0.88H0.88V0.88H-0.88Z")
_DIAMOND = Mark("D", "M0,-1.1L1.1,0L0,1.1L-1.1,0Z")
_CIRCLE = Mark("o", "M-0.9,0A0.9,0.9,0,1,1,0.9,0A0.9,0.9,0,1,1,-0.9,0Z")
_BAR = Mark("_", "M-1,0H1")
_CROSS = Mark("x", "M-0.75,-0.75L0.75,0.75M-0.75,0.75L0.75,-0.75")

CLASS_LOOKS = {
    classes.FRAGILE: ClassLook(_ORANGE, _DOWN, "yellow", True, "/////"),
    classes.ROBUST: ClassLook(_SLATE, _SQUARE, "default", True),
    classes.ANTIFRAGILE: ClassLook(_VIOLET, _UP, "magenta", True),
    classes.UNCONFIRMED: ClassLook(_VIOLET, _UP, "magenta", hatch="/////"),
    classes.FIXED_ONLY: ClassLook(Colour("#00696b", "#58c4c4"), _DIAMOND, "cyan", hatch="+++++"),
    classes.MASKED: ClassLook(
        Colour("#8b2f6b", "#eb9acb"), _SQUARE, "bright_magenta", hatch="|||||"
    ),
    classes.AT_CHANCE: ClassLook(_SLATE, _BAR, "dim", hatch="-----"),
    classes.UNDECIDED: ClassLook(_SLATE, _CIRCLE, "dim"),
    classes.UNTESTED: ClassLook(_SLATE, _CROSS, "dim", hatch="xxxxx"),
    classes.UNDEFINED: ClassLook(_SLATE, _CROSS, "dim", hatch="....."),
}
"""Every class of ``hormesis.analysis.classes``, by its name and in the same order."""

LINES = {
    "clean": LineLook(Colour("#0069a6", "#5db8f0")),
    "adversarial": LineLook(Colour("#b01e33", "#ff7361"), (4, 1.5)),
    "reference": LineLook(_GREY, (1, 1.2)),
}
"""The responses, and what they are compared with."""

_BLACK = Colour("#16191d", "#e8ebef")
FILTERS = {
    "high_pass": LineLook(_BLACK),
    "low_pass": LineLook(Colour("#00796b", "#4fc3b2"), (4, 1.5)),
    "pulse_wave": LineLook(Colour("#c25fa3", "#e58fc8"), (5, 1, 1, 1)),
    "square_wave": LineLook(Colour("#8a6400", "#d9b24c"), (2, 1)),
}
"""The package's own filters; those of users bring their own colours."""

ARMS = {
    "selective": LineLook(Colour("#00703c", "#4fc98b"), marker="o"),
    "everything": LineLook(_BLACK, marker="s"),
    "fragile": LineLook(_ORANGE, (4, 1.5), "v"),
    "random-size": LineLook(Colour("#b565a7", "#dd9bd2"), (1, 1.2), "D"),
    "random-layers": LineLook(Colour("#2f86c9", "#7fbdf0"), (1, 1.2), "^"),
    "none": LineLook(Colour("#858c96", "#98a1ad"), (5, 1, 1, 1), "x"),
}
"""The arms of a retraining with controls."""

DIVERGING = "PuOr"
"""Matplotlib's name of the colours of scores: from fragile, orange, over white to antifragile."""
SEQUENTIAL, SEQUENTIAL_END = "viridis", 0.58
"""The colours of epochs or magnitudes, up to where they fade on white paper."""
MISSING_COLOUR = "#eeeeee"
BAND = "#e4e6ea"
"""Where scores count as robust, on paper."""
GUIDE = "#c4c8ce"
"""Lines that only lead the eye, and bars behind a curve, on paper."""
MIDDLE = 0.179
"""The luminance from which black and white stand out alike."""


def luminance(colour: Float[np.ndarray, "*rgb"]) -> float:
    """Return the relative luminance of a colour (WCAG 2.2), 0 for black and 1 for white.

    Args:
        colour: Red, green, blue, and whatever follows, 0 to 1.

    Example:
        >>> round(luminance(np.array([1.0, 0.0, 0.0])), 4)
        0.2126
    """
    sent = np.asarray(colour[:3])
    linear = np.where(sent <= 0.04045, sent / 12.92, ((sent + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def letters_on(colour: Float[np.ndarray, "*rgb"]) -> str:
    """Return ``black`` or ``white``, whichever stands out more: by at least 4.5 to 1.

    Args:
        colour: Red, green, blue, and whatever follows, 0 to 1.

    Example:
        >>> letters_on(np.array([0.9, 0.9, 0.9])), letters_on(np.array([0.2, 0.0, 0.3]))
        ('black', 'white')
    """
    return "white" if luminance(colour) < MIDDLE else "black"


def css_variables() -> str:
    """Return the page's colours as variables of its style sheet, for light and for dark.

    Example:
        >>> print(css_variables().splitlines()[0][:28])
        :root { --ground: #ffffff; -
    """
    colours = {
        **PAGE,
        **{CLASSES[name].slug: look.colour for name, look in CLASS_LOOKS.items()},
        **{name: look.colour for name, look in LINES.items()},
    }
    light = " ".join(f"--{name}: {colour.light};" for name, colour in colours.items())
    dark = " ".join(f"--{name}: {colour.dark};" for name, colour in colours.items())
    return f':root {{ {light} }}\n:root[data-theme="dark"] {{ {dark} }}\n'


def page_classes(*, attacked: bool = True) -> list[list[str | bool]]:
    """Return what a page needs to show classes.

    Args:
        attacked: Whether meanings mention attacks, also where they come after the main point.

    Returns:
        Name, letter, slug, meaning, path of the mark, and whether it is filled, of each class.

    Example:
        >>> page_classes()[0][:4]
        ['fragile', 'F', 'fragile', 'filtering it costs performance']
    """
    return [
        [
            name,
            CLASSES[name].letter,
            CLASSES[name].slug,
            CLASSES[name].meaning
            if attacked
            else CLASSES[name].meaning.partition("; under attack")[0],
            look.mark.path,
            look.filled,
        ]
        for name, look in CLASS_LOOKS.items()
    ]
