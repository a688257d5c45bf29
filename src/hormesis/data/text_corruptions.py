"""Corruptions of texts, before they become tokens."""

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hormesis.data.severity import USUAL, check_severity, severity_in
from hormesis.errors import SettingError, unknown

_TYPOS, _DROPPED = 8, 9  # keep these draws apart from others made with the same seed
TEXT_KINDS = {
    "typos": (0.01, 0.02, 0.05, 0.1, 0.2),
    "dropped_words": (0.02, 0.05, 0.1, 0.2, 0.4),
}
"""The rate of each corruption of texts at the five severities; the third is the default."""


@dataclass(frozen=True)
class TextCorruption:
    """One corruption of texts, at one severity, as the command line names it.

    Args:
        kind: One of ``TEXT_KINDS``.
        severity: From 1 to 5.
        seed: Seed of what is drawn at random, at least 0.

    Raises:
        SettingError: For a value outside these.

    Example:
        >>> TextCorruption("dropped_words", 5).apply(["the quick brown fox"])
        ['the brown fox']
    """

    kind: str
    severity: int = USUAL
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field."""
        if self.kind not in TEXT_KINDS:
            raise SettingError(unknown("corruption of texts", self.kind, TEXT_KINDS))
        check_severity(self.severity, self.seed)

    @property
    def name(self) -> str:
        """What tables, manifests and the command line call it."""
        return f"{self.kind}:{self.severity}"

    @property
    def rate(self) -> float:
        """The share of the letters, or of the words, that are changed."""
        return TEXT_KINDS[self.kind][self.severity - 1]

    def apply(self, texts: Sequence[str], places: Sequence[int] | None = None) -> list[str]:
        """Return corrupted texts; one of which nothing would be left stays as it is.

        Args:
            texts: The texts.
            places: The index of each in its data set; by default its place in the list.
        """
        change, draws = (
            (_mistyped, _TYPOS) if self.kind == "typos" else (_with_fewer_words, _DROPPED)
        )
        changed = _each(texts, self.rate, (draws, self.seed), change, places)
        return [new if new.strip() else old for new, old in zip(changed, texts, strict=True)]


def text_corruption(name: str) -> TextCorruption | None:
    """Return the corruption of texts that the command line names; None for another name.

    Args:
        name: One of ``TEXT_KINDS``, or with its severity as in ``typos:2``; 3 by default.

    Raises:
        SettingError: For another severity.

    Example:
        >>> text_corruption("typos:2").rate, text_corruption("other.jsonl")
        (0.02, None)
    """
    kind = name.partition(":")[0]
    if kind not in TEXT_KINDS:
        return None
    return TextCorruption(kind, severity_in(name))


def typos(texts: Sequence[str], rate: float | int = 0.05, *, seed: int = 0) -> list[str]:
    """Return texts with slips of the fingers.

    A letter is left out, typed twice, swapped with the next character or replaced by another
    letter, one as often as the other. The typos of a text depend on the seed and on its place in
    the list alone.

    Args:
        texts: Any texts.
        rate: Share of the letters that are mistyped, from 0 to 1.
        seed: Seed of the typos, at least 0.

    Raises:
        SettingError: For a rate outside these bounds, or anything but texts.

    Example:
        >>> typos(["the quick brown fox", "jumps over the lazy dog"], 0.2)
        ['the quick mrowwn fox', 'jumsp ove thh elaiy rog']
    """
    return _each(texts, rate, (_TYPOS, seed), _mistyped)


def dropped_words(texts: Sequence[str], rate: float | int = 0.1, *, seed: int = 0) -> list[str]:
    """Return texts without some of their words; at least one stays.

    Args:
        texts: Any texts; words are what lies between blanks.
        rate: Share of the words that are dropped, from 0 to 1.
        seed: Seed of the choice, at least 0; it depends on the place of a text alone, too.

    Raises:
        SettingError: For a rate outside these bounds, or anything but texts.

    Example:
        >>> dropped_words(["the quick brown fox", "jumps over the lazy dog"], 0.3)
        ['the brown fox', 'jumps dog']
    """
    return _each(texts, rate, (_DROPPED, seed), _with_fewer_words)


def _each(
    texts: Sequence[str],
    rate: float | int,
    seed: tuple[int, int],
    change: Callable[[str, float | int, np.random.Generator], str],
    places: Sequence[int] | None = None,
) -> list[str]:
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise SettingError("Expected a list of texts to corrupt, got something else.")
    if not 0 <= rate <= 1:
        raise SettingError(f"Expected `rate` from 0 to 1, got {rate!r}.")
    return [
        change(text, rate, np.random.default_rng((*seed, place)))
        for place, text in zip(places or range(len(texts)), texts, strict=True)
    ]


def _mistyped(text: str, rate: float | int, generator: np.random.Generator) -> str:
    typed: list[str] = []
    characters = list(text)
    while characters:
        character = characters.pop(0)
        if not character.isalpha() or generator.random() >= rate:
            typed.append(character)
            continue
        slip = int(generator.integers(4 if characters else 3))
        if slip == 1:
            typed += [character, character]
        elif slip == 2:
            others = string.ascii_lowercase.replace(character.lower(), "")
            other = others[int(generator.integers(len(others)))]
            typed.append(other.upper() if character.isupper() else other)
        elif slip == 3:
            typed += [characters.pop(0), character]
    return "".join(typed)


def _with_fewer_words(text: str, rate: float | int, generator: np.random.Generator) -> str:
    words = text.split()
    if not words:
        return text
    kept = generator.random(len(words)) >= rate
    if not kept.any():
        kept[int(generator.integers(len(words)))] = True
    if kept.all():
        return text
    return " ".join(word for word, stays in zip(words, kept, strict=True) if stays)
