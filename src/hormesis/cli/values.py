"""Values of settings: texts of the command line and values of YAML become a field's type."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import yaml

from hormesis.cli.config_security import load_settings
from hormesis.cli.flags import Flag, format_value
from hormesis.errors import SettingError

_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "text",
}
_SEVERAL = {str: "a list of names", float: "finite numbers", int: "whole numbers"}


def convert_value(flag: Flag, value: object) -> Any:  # noqa: ANN401  (of the type of the field)
    """Return a setting as its field takes it.

    Args:
        flag: The setting.
        value: A text or texts of the command line, or a plain value of YAML.

    Raises:
        SettingError: If it is of another type.
    """
    try:
        return _first(flag.kinds, _words(flag, value))
    except ValueError:
        pass
    if value is None:
        raise SettingError(
            f"Expected `{flag.key}` to have a value; leave the line out for the default, "
            f"{format_value(flag.default)}."
        )
    raise SettingError(f"Expected `{flag.key}` to be {_expectation(flag)}, got {_quote(value)}.")


def _words(flag: Flag, value: object) -> object:
    """Return numbers of the command line one by one: commas may part them, one alone is no list."""
    if not isinstance(value, list) or float not in get_args(next(iter(flag.items), None)):
        return value
    if not all(isinstance(word, str) for word in value):
        return value
    words = [word for text in value for word in text.split(",") if word]
    return words[0] if len(words) == 1 and int in flag.kinds else words


def _expectation(flag: Flag) -> str:
    """Return the expected kind of value, in words."""
    if "expected" in flag.metadata and not flag.positional:
        return flag.metadata["expected"]
    if flag.items:
        pair = flag.items == (float, float)
        return "two finite numbers" if pair else _SEVERAL.get(flag.items[0], "a list")
    for kind in flag.kinds:
        if get_origin(kind) is Mapping:
            plain = get_args(kind)[1] is Any
            return f"a mapping of names to {'values' if plain else 'their options'}"
    kinds = [kind for kind in flag.kinds if not (kind is int and float in flag.kinds)]
    return " or ".join(_NAMES[kind] for kind in kinds if kind in _NAMES)


def _quote(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    return repr(format_value(value)) if isinstance(value, str) else format_value(value)


def _first(kinds: Sequence[Any], value: object) -> Any:  # noqa: ANN401
    """Return a value as the first type that it fits.

    Raises:
        ValueError: If there is none.
    """
    for kind in kinds:
        if kind is int and float in kinds:  # a whole number is one of them, but a finite one
            continue
        with suppress(ValueError, OverflowError, yaml.YAMLError):
            return _as(kind, value)
    raise ValueError


def _as(kind: Any, value: Any) -> Any:  # noqa: ANN401
    """Return a value as one type, or raise a ValueError."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _first(parts, value)
    if origin in (tuple, Sequence):
        return _sequence(parts, value)
    if origin is Mapping:
        return _mapping(parts[1], value)
    if kind is Any or (kind in (NoneType, bool, str, list) and isinstance(value, kind)):
        return value
    if kind is int and (isinstance(value, str) or type(value) is int):
        return int(value)
    if kind is float and (isinstance(value, str) or type(value) in (int, float)):
        number = float(value)
        if math.isfinite(number):
            return number
    raise ValueError


def _sequence(parts: Sequence[Any], value: object) -> tuple[Any, ...]:
    kinds = [kind for kind in parts if kind is not Ellipsis]
    if not isinstance(value, list | tuple) or (len(kinds) > 1 and len(value) != len(kinds)):
        raise ValueError
    return tuple(_as(kinds[index % len(kinds)], item) for index, item in enumerate(value))


def _mapping(kind: Any, value: object) -> dict[str, Any]:  # noqa: ANN401
    mapping = load_settings(value) if isinstance(value, str) else value
    if get_origin(kind) is Sequence:
        mapping = _named_lists(mapping)
    if not isinstance(mapping, dict) or not all(isinstance(key, str) for key in mapping):
        raise ValueError
    return {key: _as(kind, item) for key, item in mapping.items()}


def _named_lists(value: object) -> dict[Any, Any]:
    """Return names with their values from ``NAME=VALUES``, or from a mapping of names.

    Example:
        >>> _named_lists(["block 3=layer3.* layer4.0.*"]), _named_lists({"stem": "conv1.*"})
        ({'block 3': ['layer3.*', 'layer4.0.*']}, {'stem': ['conv1.*']})
    """
    named: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        named = [*value.items()]
    elif isinstance(value, list) and all(isinstance(item, str) and "=" in item for item in value):
        named = [(name.strip(), texts) for name, _, texts in (i.rpartition("=") for i in value)]
    if len(dict(named)) < len(named) or (value and not named):
        raise ValueError
    return {name: texts.split() if isinstance(texts, str) else texts for name, texts in named}
