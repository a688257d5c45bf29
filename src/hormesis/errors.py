"""Every error a user can meet, each a single sentence that names the culprit and the remedy."""

import difflib
import unicodedata
from collections.abc import Iterable


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
    """A training cannot go on, or its folder cannot be written or read."""


class MissingExtraError(HormesisError, ImportError):
    """An optional package is needed for what was asked."""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return `` Did you mean ...?`` with the nearest known names, or nothing.

    Example:
        >>> did_you_mean("hi_pass", ["high_pass", "pulse_wave"]), did_you_mean("x", ["high_pass"])
        (' Did you mean high_pass?', '')
    """
    near = difflib.get_close_matches(given, list(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def unknown(what: str, given: str, known: Iterable[str]) -> str:
    """Return the sentence that refuses a name and offers the nearest known ones.

    Args:
        what: The kind of thing named, for example ``"model"``.
        given: The name that came.
        known: The names that would do.

    Example:
        >>> unknown("filter", "hi_pass", ["high_pass", "low_pass"])
        "Unknown filter 'hi_pass'. Did you mean high_pass or low_pass? Known: high_pass, low_pass."
    """
    names = list(known)
    return f"Unknown {what} {given!r}.{did_you_mean(given, names)} Known: {', '.join(names)}."


# Letters that turn the direction of what follows, so that a reader sees another text.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    r"""Return a text with its control characters spelled out; line ends stay.

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
