"""Which parameters are filtered."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from hormesis.errors import SettingError, did_you_mean
from hormesis.settings.choices import (
    GRANULARITIES,
    GROUPINGS,
    KINDS,
    SCOPES,
    check_several,
)
from hormesis.settings.option import check_choices, option

_PART = re.compile(r"(?P<pattern>.+)@(?P<axis>-?\d{1,9}):(?P<index>\d{1,9})/(?P<of>\d{1,9})")
_EXPECTED_GROUPS = (
    "Expected `groups` to be a mapping of names to patterns, such as {'block 3': ['layer3.*']}, or "
    f"some of {', '.join(GROUPINGS)}"
)
_LONGEST = 4096  # characters of a name or a pattern, as in a study's manifest


@dataclass(frozen=True)
class PartPattern:
    """One of several equal slices of each parameter that a pattern matches, see ``part``.

    Args:
        pattern: Name pattern with ``*`` and ``?``.
        axis: Axis that is divided; negative ones count from the last.
        of: Number of equal slices.
        index: Which of them, from 0.

    Example:
        >>> str(PartPattern("blocks.*.attn.qkv.weight", axis=0, of=3, index=1))
        'blocks.*.attn.qkv.weight@0:1/3'
    """

    pattern: str
    axis: int
    of: int
    index: int

    def __post_init__(self) -> None:
        """Check every field."""
        _check_text("pattern", self.pattern)
        for name in ("axis", "of", "index"):
            value = getattr(self, name)
            if type(value) is not int:
                raise SettingError(
                    f"Expected `{name}` of a part to be a whole number, got {value!r}."
                )
        if not 0 <= self.index < self.of:
            raise SettingError(
                f"Expected `index` of a part to be between 0 and `of` - 1 = {self.of - 1}, got "
                f"{self.index}."
            )

    def __str__(self) -> str:
        """Return the part as a text, which may stand in a group in its place."""
        return f"{self.pattern}@{self.axis}:{self.index}/{self.of}"


def part(pattern: str, axis: int, of: int, index: int) -> PartPattern:
    """Return a part of parameters for a group: one of several equal slices along an axis.

    Args:
        pattern: Name pattern with ``*`` and ``?``.
        axis: Axis that is divided; negative ones count from the last.
        of: Number of equal slices; it has to divide the length of the axis.
        index: Which of them, from 0.

    Raises:
        SettingError: For anything else.

    Example:
        The queries of every block whose ``qkv`` holds queries, keys and values, and its sixth head:

        >>> queries = part("blocks.*.attn.qkv.weight", axis=0, of=3, index=0)
        >>> head = part("blocks.*.attn.qkv.weight", axis=0, of=36, index=5)
        >>> list(Targets(groups={"queries": [queries], "queries of head 5": [head]}).groups)
        ['queries', 'queries of head 5']
    """
    return PartPattern(pattern, axis, of, index)


@dataclass(frozen=True)
class Targets:
    """Which parameters are filtered.

    Args:
        include: Name patterns with ``*`` and ``?``, by default of every name. Naming a parameter
            here selects it whatever its kind, unless ``kinds`` is set too.
        exclude: Name patterns of parameters to leave out; they win over ``include``.
        kinds: Kinds of parameters, by default the weights of convolutions, linear layers and
            attention. That is the authors' choice (METHOD, "Targets").
        scope: ``"local"`` filters each target alone, ``"global"`` all of them at once.
        per: Filter whole tensors, or every output channel on its own.
        groups: Names of groups that are filtered in place of single targets, each with its
            patterns. The values of a group are filtered together, between the lowest and the
            highest of them. A pattern takes the kinds that are tested by default among what it
            matches, or all of it if it matches none of these; with ``kinds``, those kinds alone.
            A ``part`` takes slices. Groups may overlap. Or what of a transformer is grouped:
            ``"heads"``, ``"blocks"`` or another name of ``settings.choices.GROUPINGS``, or several
            of them, see ``parts_of``.

    Raises:
        SettingError: For an unknown kind, scope or granularity, or a text instead of a
            tuple of them.

    Example:
        >>> Targets(include=("layer4.*",)).scope
        'local'
        >>> Targets(groups="heads").groups
        ('heads',)
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    kinds: tuple[str, ...] | None = field(
        default=None, metadata=option(choices=KINDS, noun="kind of parameter", metavar="KIND")
    )
    scope: str = field(default="local", metadata=option(choices=SCOPES))
    per: str = field(
        default="tensor", metadata=option(choices=GRANULARITIES, noun="choice of `per`")
    )
    groups: Mapping[str, Sequence[str | PartPattern]] | tuple[str, ...] | str = field(
        default_factory=dict,
        hash=False,
        metadata=option(
            metavar="NAME=PATTERNS",
            expected="names with their patterns, such as 'block 3=layer3.*', or "
            f"some of {', '.join(GROUPINGS)}",
        ),
    )

    def __post_init__(self) -> None:
        """Check every field."""
        check_several("include", self.include, "layer4.*")
        check_several("exclude", self.exclude, "layer4.*")
        check_several("kinds", self.kinds or (), "linear")
        check_choices(self)
        if self.scope == "global" and self.per == "channel":
            raise SettingError(
                "Expected `per` to be 'tensor' for a global analysis, which filters all targets at "
                "once, got 'channel'."
            )
        groups = (self.groups,) if isinstance(self.groups, str) else self.groups
        groups = _read_groupings(groups) if _names_groupings(groups) else _read_groups(groups)
        object.__setattr__(self, "groups", groups)
        others = {"include": self.include, "scope": self.scope, "per": self.per}
        for name, value in others.items() if self.groups else ():
            if value != getattr(Targets, name):
                raise SettingError(
                    f"Expected no `{name}` beside `groups`, which say what is filtered together, "
                    f"got {value!r}."
                )

    def described(self) -> dict[str, Any]:
        """Return the selection as plain values; groups only if there are some."""
        groups: Any = self.groups
        if isinstance(groups, Mapping):
            groups = {name: [*map(str, members)] for name, members in groups.items()}
        values = {name: value for name, value in asdict(self).items() if name != "groups"}
        return values | ({"groups": groups} if groups else {})


def _names_groupings(groups: object) -> bool:
    """Return whether groups are named by what they are of a transformer."""
    return (
        isinstance(groups, Sequence)
        and len(groups) > 0
        and all(isinstance(name, str) for name in groups)
    )


def _read_groupings(names: Any) -> tuple[str, ...]:  # noqa: ANN401
    for name in names:
        if name not in GROUPINGS:
            raise SettingError(f"{_EXPECTED_GROUPS}, got {name!r}.{did_you_mean(name, GROUPINGS)}")
    return tuple(dict.fromkeys(names))


def _read_groups(groups: object) -> dict[str, tuple[str | PartPattern, ...]]:
    """Return groups with their parts read from texts.

    Raises:
        SettingError: For anything but patterns by name.
    """
    if not isinstance(groups, Mapping):
        raise SettingError(f"{_EXPECTED_GROUPS}, got {groups!r}.")
    read: dict[str, tuple[str | PartPattern, ...]] = {}
    for name, members in groups.items():
        _check_text("name of a group", name)
        several = [members] if isinstance(members, str | PartPattern) else members
        if not isinstance(several, Sequence) or not several:
            raise SettingError(
                f"Expected the group {name!r} to be patterns of names, such as ['layer3.*'], got "
                f"{members!r}."
            )
        read[name] = tuple(_read_member(member) for member in several)
    return read


def _read_member(member: object) -> str | PartPattern:
    if isinstance(member, PartPattern):
        return member
    text = _check_text("pattern", member)
    found = _PART.fullmatch(text)
    if found is None:
        return text
    axis, of, index = (int(found[name]) for name in ("axis", "of", "index"))
    return PartPattern(found["pattern"], axis, of, index)


def _check_text(noun: str, text: object) -> str:
    """Return a text that a manifest can hold and a terminal can show.

    Raises:
        SettingError: For anything else.
    """
    if (
        isinstance(text, str)
        and 0 < len(text.strip()) <= len(text) <= _LONGEST
        and not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text)
    ):
        return text
    raise SettingError(
        f"Expected a {noun} to be a text of at most {_LONGEST} characters without control "
        f"characters, got {text!r:.80}."
    )
