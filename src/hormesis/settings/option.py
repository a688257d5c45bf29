"""Metadata that make a field of a settings dataclass a flag, besides name, type and default.

The command line, its help and its YAML file are made from the dataclasses (``cli/flags.py``). The
first sentence on a field under ``Args:`` is its help.
"""

from collections.abc import Collection
from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hormesis.errors import SettingError
from hormesis.settings.choices import check_choice


def option(
    *,
    choices: Collection[str] = (),
    noun: str = "",
    flag: str | None = None,
    metavar: str = "",
    expected: str = "",
    code: bool = False,
) -> dict[str, Any]:
    """Return the metadata of a field, for ``dataclasses.field``.

    Args:
        choices: The names that the field may hold, as they are when it is checked.
        noun: What a choice is called in messages; by default the field's name.
        flag: Name of the flag, as YAML spells it; by default the field's. Empty for no flag.
        metavar: Placeholder of a value in the help; ``FILE`` and ``DIR`` mark paths.
        expected: What a value has to be, for messages; by default what the type says.
        code: Whether the field may name code of the user's, as ``module:factory``.

    Example:
        >>> from dataclasses import dataclass, field
        >>> @dataclass(frozen=True)
        ... class Drawing:
        ...     width: str = field(default="single", metadata=option(choices=("single", "double")))
        >>> Drawing().width
        'single'
    """
    names = {"choices": choices, "noun": noun, "metavar": metavar, "expected": expected}
    metadata = {name: value for name, value in names.items() if value}
    return metadata | {"code": code} | ({} if flag is None else {"flag": flag})


def check_choices(settings: Any) -> None:  # noqa: ANN401  (any dataclass)
    """Refuse a field of another type, or with a value that is not among its choices.

    Args:
        settings: An instance of a dataclass whose fields may have ``choices``.

    Raises:
        SettingError: With the nearest known names.
    """
    check_types(settings)
    for field in fields(settings):
        choices, value = field.metadata.get("choices", ()), getattr(settings, field.name)
        for name in value if isinstance(value, tuple | list) else (value,):
            if choices and name is not None and not is_dataclass(name):  # an object needs no name
                check_choice(field.metadata.get("noun", field.name), name, tuple(choices))


_KINDS: dict[Any, tuple[tuple[type, ...], str]] = {
    NoneType: ((NoneType,), "None"),
    bool: ((bool,), "True or False"),
    int: ((Integral,), "a whole number"),
    float: ((Real,), "a number"),
    str: ((str,), "a text"),
    tuple: ((tuple, list), "a tuple"),
    Path: ((PathLike,), "a path"),
}


def check_types(settings: Any) -> None:  # noqa: ANN401  (any dataclass)
    """Refuse a field whose value is of another type than its annotation says.

    Fields of other types than numbers, texts, tuples and paths are checked by their class.

    Args:
        settings: An instance of a dataclass.

    Raises:
        SettingError: Naming the field.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Drawing:
        ...     width: int | None = None
        >>> check_types(Drawing(width=3))
        >>> check_types(Drawing(width="wide"))
        Traceback (most recent call last):
        hormesis.errors.SettingError: Expected `width` to be a whole number or None, got 'wide'.
    """
    hints = get_type_hints(type(settings))
    for field in fields(settings):
        value, kinds = getattr(settings, field.name), _kinds_of(hints[field.name])
        if not kinds or any(_is_of(value, kind) for kind in kinds):
            continue
        named = [name for kind, (_, name) in _KINDS.items() if kind in kinds and kind != NoneType]
        expected = " or ".join([*named, "None"] if NoneType in kinds else named)
        raise SettingError(f"Expected `{field.name}` to be {expected}, got {value!r:.80}.")


def _kinds_of(hint: Any) -> set[Any]:  # noqa: ANN401  (any annotation)
    """Return the types that an annotation allows; none if it is of another kind."""
    if get_origin(hint) in (Union, UnionType):
        each = [_kinds_of(part) for part in get_args(hint)]
        return set().union(*each) if all(each) else set()
    kind = get_origin(hint) or hint
    return {kind} if kind in _KINDS else set()


def _is_of(value: object, kind: Any) -> bool:  # noqa: ANN401
    return isinstance(value, _KINDS[kind][0]) and (kind is bool or not isinstance(value, bool))
