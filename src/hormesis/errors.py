"""Every error a user can meet; each message is one sentence with the culprit and the remedy."""

import difflib
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path


class HormesisError(Exception):
    """The base of all errors of this package; the command line prints it and exits with 2.

    Example:
        >>> import hormesis as hm
        >>> try:
        ...     hm.load_study("nowhere")
        ... except hm.HormesisError as error:
        ...     print(error)
        The folder nowhere is no study: it has no manifest.json.
    """


class SettingError(HormesisError, ValueError):
    """A setting has a value that cannot be used."""


class ModelError(HormesisError, ValueError):
    """A network, or its checkpoint, cannot be built, read or measured."""


class DataError(HormesisError, ValueError):
    """A data set is missing, damaged or does not fit its declaration."""


class AttackError(HormesisError, RuntimeError):
    """An attack returned something that its threat model forbids."""


class StudyError(HormesisError, ValueError):
    """A study folder cannot be written or read."""


class TrainingError(HormesisError, RuntimeError):
    """A training cannot continue, or its folder cannot be written or read."""


class MissingExtraError(HormesisError, ImportError):
    """An optional package is needed and not installed."""


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return `` Did you mean ...?`` with the nearest choices, or an empty text.

    Example:
        >>> did_you_mean("hi_pass", ["high_pass", "pulse_wave"]), did_you_mean("x", ["high_pass"])
        (' Did you mean high_pass?', '')
    """
    near = difflib.get_close_matches(name, list(choices), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(near)}?" if near else ""


RECIPES = "docs/recipes.md"  # of this package's documentation
_LONG_LIST = 200  # characters of known names that a sentence still holds beside the nearest
_LONG_QUOTE = 160  # characters of somebody else's error


def unknown(noun: str, name: str, choices: Iterable[str]) -> str:
    """Return the sentence that refuses a name and offers the nearest choices.

    A long list of known names is left out where some are near.

    Args:
        noun: What the name is of, for example ``"model"``.
        name: The unknown name.
        choices: The known names.

    Example:
        >>> unknown("filter", "hi_pass", ["high_pass", "low_pass"])
        "Unknown filter 'hi_pass'. Did you mean high_pass or low_pass? Known: high_pass, low_pass."
    """
    names = list(choices)
    near, known = did_you_mean(name, names), ", ".join(names)
    listed = f" Known: {known}." if not near or len(known) <= _LONG_LIST else ""
    return f"Unknown {noun} {name!r}.{near}{listed}"


def recipe(anchor: str) -> str:
    """Return where a refusal has its recipe, for the end of a sentence.

    Args:
        anchor: Of a heading of the page.

    Example:
        >>> recipe("several-inputs")
        ' (docs/recipes.md#several-inputs)'
    """
    return f" ({RECIPES}#{anchor})"


def quoted(error: BaseException) -> str:
    r"""Return the kind and the first line of an error as the end of a sentence.

    It also says where the error was raised, or the last place of the user's own on the way there.

    Example:
        >>> quoted(ValueError("no such place\nin two lines"))
        'ValueError: no such place.'
    """
    lines = str(error).strip().splitlines() or ["it says no more"]
    text = " ".join(lines[0].split())[:_LONG_QUOTE]
    return f"{type(error).__name__}: {text.rstrip('.:')}{_place(error)}."


_OTHERS = (
    "site-packages",
    "dist-packages",
    str(Path(__file__).parent),
    str(Path(os.__file__).parent),
)


def _place(error: BaseException) -> str:
    """Return the file and line of the user's own code that an error came through last, if any."""
    place, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<") and not any(part in file for part in _OTHERS):
            place = f" ({Path(file).name}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return place


# Letters that reverse the direction of the text after them, so that it reads as another text.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    r"""Return a text with its control characters escaped; line ends stay.

    Example:
        >>> printable("fc\x1b[2J.weight")
        'fc\\x1b[2J.weight'
    """
    return "".join(
        letter.encode("ascii", "backslashreplace").decode()
        if letter in _TURNING
        else f"\\x{ord(letter):02x}"
        if unicodedata.category(letter) == "Cc" and letter != "\n"
        else letter
        for letter in text
    )
