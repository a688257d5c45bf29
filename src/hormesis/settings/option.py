"""Metadata that make a field of a settings dataclass a flag, besides name, type and default.

The command line, its help and its YAML file are made from the dataclasses (``cli/flags.py``). The
first sentence on a field under ``Args:`` is its help.
"""

from collections.abc import Collection
from dataclasses import fields
from typing import Any

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
    """Refuse a field with a value that is not among its choices.

    Args:
        settings: An instance of a dataclass whose fields have ``choices``.

    Raises:
        SettingError: With the nearest known names.
    """
    for field in fields(settings):
        choices, value = field.metadata.get("choices", ()), getattr(settings, field.name)
        for name in value if isinstance(value, tuple | list) else (value,):
            if choices and name is not None:
                check_choice(field.metadata.get("noun", field.name), name, tuple(choices))
