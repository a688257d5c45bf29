"""Rules for plain values from a file: of what kind they are, how large, how long."""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

LONGEST = 4096  # letters of a name, a path or a version
LARGEST = 1e30  # of a number that is drawn, added or multiplied: float32 holds it
MOST = 1 << 53  # of a count: what every reader of JSON holds exactly


@runtime_checkable
class Rule(Protocol):
    """What a value has to be."""

    def wrong(self, value: object, place: str) -> Iterator[str]:
        """Yield the places of what is wrong.

        Args:
            value: As it was read from JSON.
            place: Where it lies, such as ``question.data.samples``.
        """
        ...


@dataclass(frozen=True)
class Number:
    """A finite number, whole or not; a truth value is none.

    Args:
        least: The smallest one allowed.
        most: The largest one allowed.
        open: Whether the ends themselves are not allowed.
    """

    least: float | int = -LARGEST
    most: float | int = LARGEST
    open: bool = False

    def wrong(self, value: object, place: str) -> Iterator[str]:
        """Yield the place if it is another value."""
        ends = (self.least, self.most) if self.open else ()
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield place
            return
        if not self.least <= value <= self.most or value in ends:
            yield place


@dataclass(frozen=True)
class Whole:
    """A whole number; a truth value is none."""

    least: int = 0
    most: int = MOST

    def wrong(self, value: object, place: str) -> Iterator[str]:
        """Yield the place if it is another value."""
        if type(value) is not int or not self.least <= value <= self.most:
            yield place


@dataclass(frozen=True)
class Flag:
    """A truth value."""

    def wrong(self, value: object, place: str) -> Iterator[str]:
        """Yield the place if it is another value."""
        if type(value) is not bool:
            yield place


@dataclass(frozen=True)
class Text:
    """A text without control characters; a line may end, and a tab may stand, in it.

    Args:
        longest: How many letters it may have.
        among: What it may be; anything, if that is empty.
    """

    longest: int = LONGEST
    among: tuple[str, ...] = ()

    def wrong(self, value: object, place: str) -> Iterator[str]:
        """Yield the place if it is another value."""
        short = isinstance(value, str) and len(value) <= self.longest and is_plain(value)
        if not short or (self.among and value not in self.among):
            yield place


@dataclass(frozen=True)
class Exactly:
    """One value, such as None."""

    value: object = None

    def wrong(self, value: object, place: str) -> Iterator[str]:
        """Yield the place if it is another value."""
        if value is not self.value:
            yield place


@dataclass(frozen=True)
class Either:
    """One of several kinds of values."""

    rules: tuple[Rule, ...]

    def wrong(self, value: object, place: str) -> Iterator[str]:
        """Yield the place if none of the rules holds."""
        if not any(_holds(rule, value) for rule in self.rules):
            yield place


@dataclass(frozen=True)
class Many:
    """A list.

    Args:
        of: What each of its values is.
        least: How many there are at least.
        most: How many there are at most.
    """

    of: Rule
    least: int = 0
    most: int = 1_000_000

    def wrong(self, value: object, place: str) -> Iterator[str]:
        """Yield the place if it is no such list, or one of its values is wrong."""
        long = isinstance(value, list) and self.least <= len(value) <= self.most
        if not isinstance(value, list) or not long or not all(_holds(self.of, v) for v in value):
            yield place


@dataclass(frozen=True)
class Named:
    """A table of any keys, with values of one kind."""

    of: Rule
    most: int = 1000

    def wrong(self, value: object, place: str) -> Iterator[str]:
        """Yield the place if it is no such table, or the places of its wrong values."""
        if not isinstance(value, dict) or len(value) > self.most:
            yield place
            return
        for name, one in value.items():
            if not _holds(_KEY, name) or not _holds(self.of, one):
                yield f"{place}.{plain(str(name), 64)}"


@dataclass(frozen=True)
class Table:
    """A table of known keys; others are let pass, as later versions write them.

    Args:
        entries: The rule of each key; one that ends in a question mark may be missing.
    """

    entries: Mapping[str, Rule]

    def wrong(self, value: object, place: str) -> Iterator[str]:
        """Yield the places of what is missing or wrong."""
        if not isinstance(value, dict):
            yield place
            return
        for key, rule in self.entries.items():
            name = key.removesuffix("?")
            where = f"{place}.{name}" if place else name
            if name in value:
                yield from rule.wrong(value[name], where)
            elif name == key:
                yield where


_KEY = Text()


def _holds(rule: Rule, value: object) -> bool:
    return next(rule.wrong(value, ""), None) is None


def either(*rules: Rule) -> Either:
    """Return the rule that one of several holds.

    Example:
        >>> list(either(Flag(), Exactly(None)).wrong(3, "control"))
        ['control']
    """
    return Either(rules)


def is_plain(text: str) -> bool:
    """Return whether a text is valid Unicode without control characters but tabs and line ends."""
    if text.isprintable():
        return True
    return not any(
        unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\t\n\r" for letter in text
    )


def plain(text: str, longest: int = LONGEST) -> str:
    r"""Return a text as ``Text`` lets it pass: what it does not, is spelled out or cut off.

    Example:
        >>> plain("a\x1b[2Jb\udcff"), plain("a" * 5000)[-3:]
        ('a\\x1b[2Jb\\udcff', '...')
    """
    if not is_plain(text):
        text = "".join(
            letter
            if is_plain(letter)
            else letter.encode("ascii", "backslashreplace").decode()
            if ord(letter) > 127
            else f"\\x{ord(letter):02x}"
            for letter in text
        )
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def plainly(value: Any) -> Any:  # noqa: ANN401
    """Return plain values with every text of them as ``plain`` has it."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, list | tuple):
        return [plainly(one) for one in value]
    if isinstance(value, Mapping):
        return {plainly(key): plainly(one) for key, one in value.items()}
    return value
