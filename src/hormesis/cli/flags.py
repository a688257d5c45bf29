"""Flags from dataclasses: each field becomes a flag, its help and a key of YAML."""

import inspect
import re
from argparse import SUPPRESS, Action, ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from hormesis.settings.choices import USUAL_DRAWS

PATHS = ("FILE", "DIR", "STUDY", "FOLDER", "PATH")  # metavars of what names a file or a folder


@dataclass(frozen=True)
class Flag:
    """One setting of a command.

    Args:
        key: Its name, as YAML spells it.
        field: Name of the field that it fills.
        kinds: The types that its value may have; the first that fits is used.
        default: Its default value; ``MISSING`` for a positional argument, which is required.
        text: Its help, in a sentence.
        metadata: Metadata of the field, see ``settings.option``.
    """

    key: str
    field: str
    kinds: tuple[Any, ...]
    default: Any
    text: str
    metadata: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its spelling on the command line."""
        return self.key if self.positional else f"--{self.key.replace('_', '-')}"

    @property
    def positional(self) -> bool:
        """Whether it is a positional argument, such as the folder of a study."""
        return self.default is MISSING

    @property
    def items(self) -> tuple[Any, ...]:
        """The types of its values if it takes several: one of any number, or one for each."""
        for kind in self.kinds:
            if get_origin(kind) in (tuple, Sequence):
                return get_args(kind)
        return ()

    @property
    def named_lists(self) -> bool:
        """Whether it takes names with several values each, as ``NAME=VALUES``."""
        parts = [get_args(kind)[1] for kind in self.kinds if get_origin(kind) is Mapping]
        return any(get_origin(part) is Sequence for part in parts)

    @property
    def is_path(self) -> bool:
        """Whether it names a file or a folder."""
        return self.metavar in PATHS

    @property
    def metavar(self) -> str:
        """Placeholder of its value in the help."""
        choices = self.metadata.get("choices", ())
        if choices and not self.items and not self.metadata.get("metavar"):
            return f"{{{','.join(choices)}}}"
        kind = next(iter(self.items or self.kinds))
        usual = {int: "N", float: "X"}.get(kind, "YAML" if get_origin(kind) else "NAME")
        return self.metadata.get("metavar", usual)

    @property
    def help(self) -> str:
        """Its help, with its choices and its default."""
        choices = self.metadata.get("choices", ())
        notes = [f"of {', '.join(choices)}"] if choices and "{" not in self.metavar else []
        default = "yes" if self.default is True else format_value(self.default)
        if default and self.default not in (MISSING, None) and self.default is not False:
            notes.append(f"default: {default}")
        text = f"{self.text} ({'; '.join(notes)})" if notes else self.text
        return (text[:1].upper() + text[1:]).replace("%", "%%")


@dataclass(frozen=True)
class FlagGroup:
    """A dataclass whose fields are settings of a command.

    Args:
        kind: The dataclass.
        title: Its heading in the help; without one it continues the group before.
        without: Fields without a flag in this command.
        defaults: Defaults that replace those of the fields.
        optional: Whether each field may be left out, and keeps the value that a study has for it.
        later: Whether the command makes the value itself, from more than its flags.
    """

    kind: type
    title: str = ""
    without: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    optional: bool = False
    later: bool = False

    @property
    def flags(self) -> list[Flag]:
        """The settings, in the order of the fields."""
        texts = field_texts(self.kind)
        return [
            self._flag(entry, texts.get(entry.name, ""))
            for entry in fields(self.kind)
            if entry.name not in self.without and entry.metadata.get("flag") != ""
        ]

    def _flag(self, entry: Any, text: str) -> Flag:  # noqa: ANN401  (a field of a dataclass)
        factory = entry.default_factory
        default = entry.default if factory is MISSING else factory()
        default = None if self.optional else self.defaults.get(entry.name, default)
        alternatives = get_origin(entry.type) in (Union, UnionType)
        kinds = get_args(entry.type) if alternatives else (entry.type,)
        if default is None and NoneType not in kinds:
            kinds = (*kinds, NoneType)
        return Flag(
            entry.metadata.get("flag", entry.name), entry.name, kinds, default, text, entry.metadata
        )


def field_texts(kind: type) -> dict[str, str]:
    """Return the first sentence on each field in the ``Args:`` section of a dataclass.

    Example:
        >>> field_texts(Flag)["field"]
        'Name of the field that it fills'
    """
    _, _, section = inspect.cleandoc(kind.__doc__ or "").partition("\nArgs:\n")
    section = re.split(r"\n(?=\S)", section)[0]
    entries = re.findall(r"^    (\w+): (.+?)(?=\n    \w|\Z)", section, re.MULTILINE | re.DOTALL)
    return {name: _first_sentence(text) for name, text in entries}


def _first_sentence(text: str) -> str:
    sentence = re.split(r"\.(?:\s|$)", " ".join(text.split()))[0]
    plain = re.sub(r'``"?(.+?)"?``', r"\1", sentence)
    return plain.replace('"', "") if "{" in plain else plain


def argparse_options(flag: Flag) -> dict[str, Any]:
    """Return how ``argparse`` reads a flag: its value stays a text, its default is left out."""
    options: dict[str, Any] = {"default": SUPPRESS, "help": flag.help}
    if flag.positional:
        options |= {"nargs": "*" if flag.items else "?", "metavar": flag.metavar}
    elif bool in flag.kinds and int in flag.kinds:
        options |= {"nargs": "?", "const": USUAL_DRAWS, "metavar": flag.metavar}
    elif bool in flag.kinds:
        options["action"] = "store_true" if flag.default is False else BooleanOptionalAction
    else:
        options["metavar"] = flag.metavar
        if flag.named_lists:
            options |= {"nargs": "+", "action": _AddNames}
        elif flag.items:
            pair = len(flag.items) == 2 and flag.items[1] is not Ellipsis
            options["nargs"] = 2 if pair else "*" if flag.default == () else "+"
            options["metavar"] = ("LOW", "HIGH") if pair else flag.metavar
    return options


class _AddNames(Action):
    """Add names to those of the same flag before; those of a file are replaced."""

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: Any,  # noqa: ANN401
        option_string: str | None = None,
    ) -> None:
        """Add the names."""
        before = getattr(namespace, self.dest, None)
        setattr(namespace, self.dest, [*(before if isinstance(before, list) else ()), *values])


def format_value(value: object) -> str:
    """Return a value as it is spelled on the command line; long ones are cut.

    Example:
        >>> format_value((1.0, -1.0)), format_value({"CSVLogger": None})
        ('1 -1', 'CSVLogger')
    """
    if isinstance(value, list | tuple | dict):
        return " ".join(map(format_value, value))
    try:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    except ValueError:  # a number of thousands of digits
        return "a number that is too large"
    return text if len(text) <= 80 else f"{text[:80]}…"
