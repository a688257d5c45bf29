"""The parser: a command line and its configuration files become checked dataclasses. No torch."""

import os
from argparse import SUPPRESS, Action, ArgumentError, ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING
from typing import Any, TypeVar

import yaml

from hormesis.cli.command_table import COMMANDS
from hormesis.cli.config_security import read_config, refuse_code
from hormesis.cli.flags import Flag, argparse_options
from hormesis.cli.messages import rename_settings
from hormesis.cli.values import convert_value
from hormesis.errors import SettingError, did_you_mean
from hormesis.settings.option import check_choices

Settings = TypeVar("Settings")


class Arguments:
    """The settings of one call of a command.

    Args:
        command: Name of the command.
        values: Its settings, each of the type of its field.

    Raises:
        SettingError: For a value that a dataclass refuses.
    """

    def __init__(self, command: str, values: Mapping[str, Any]) -> None:
        """Fill the dataclasses of the command."""
        self.command, self.values = command, values
        self._groups = {group.kind: group for group in COMMANDS[command].groups}
        self._settings = {
            kind: self.make(kind)
            for kind, group in self._groups.items()
            if not (group.later or group.optional)
        }

    def __getitem__(self, kind: type[Settings]) -> Settings:
        """Return a dataclass, filled."""
        return self._settings[kind]

    def overrides(self, kind: type) -> dict[str, Any]:
        """Return the fields of a dataclass that were set, by their names."""
        values = {flag.field: self.values[flag.key] for flag in self._groups[kind].flags}
        return {name: value for name, value in values.items() if value is not None}

    def make(self, kind: type[Settings], **extra: Any) -> Settings:  # noqa: ANN401
        """Return a dataclass, filled from its flags and from further values of its fields.

        Raises:
            SettingError: For a value that it refuses; settings have the names of the flags.
        """
        flags = self._groups[kind].flags
        try:
            settings = kind(**{flag.field: self.values[flag.key] for flag in flags}, **extra)
            check_choices(settings)
        except SettingError as error:
            names = {flag.field: flag.key for flag in flags if flag.field != flag.key}
            raise SettingError(rename_settings(str(error), names)) from error
        return settings


def parse_arguments(command: str, words: Sequence[str]) -> Arguments:
    """Return the settings of a command line and its configuration files, without running code.

    Args:
        command: Name of the command.
        words: Its arguments.

    Raises:
        SettingError: For an unknown setting or a value of another type, and for code that
            only a file names.
        SystemExit: After ``--help`` or ``--print_config``.
    """
    flags = {flag.key: flag for flag in COMMANDS[command].flags}
    texts = _parse_words(command, words, files=True)
    printing = texts.pop("print_config", False)
    values = {key: convert_value(flags[key], value) for key, value in texts.items()}
    if COMMANDS[command].configurable:
        typed = _parse_words(command, words, files=False)
        typed = {key: convert_value(flags[key], typed[key]) for key in typed if key in flags}
        code = [key for key, flag in flags.items() if flag.metadata.get("code")]
        refuse_code(values, typed, code)
    _check_texts(values)
    if printing:
        print(_as_yaml(flags, values), end="")
        raise SystemExit(0)
    for key, flag in flags.items():
        if flag.positional and not values.get(key):
            dots = " ..." if flag.items else ""
            raise SettingError(
                f"Expected {flag.metadata['expected']}: `hormesis {command} {flag.metavar}{dots}`."
            )
    defaults = {key: flag.default for key, flag in flags.items()}
    return Arguments(command, {**defaults, **values})


def _parse_words(command: str, words: Sequence[str], *, files: bool) -> dict[str, Any]:
    """Return the settings on a command line, as texts, and those of its files, as values."""
    parser = command_parser(command, files=files)
    names = ["--config", "--print_config"] if COMMANDS[command].configurable else []
    names += [flag.name for flag in COMMANDS[command].flags]
    try:
        namespace, unknown = parser.parse_known_args(words)
    except ArgumentError as error:
        raise SettingError(_wrong_count(str(error.argument_name), words)) from error
    if unknown:
        options = [word for word in unknown if word.startswith("-")]
        if not options:
            raise SettingError(
                f"Unexpected argument {unknown[0]!r}: every setting has a flag, see `hormesis "
                f"{command} --help`."
            )
        name = options[0].partition("=")[0]
        raise SettingError(
            f"Unknown option {name}.{did_you_mean(name, names)} See `hormesis {command} --help`."
        )
    return vars(namespace)


def command_parser(command: str, *, files: bool = True) -> ArgumentParser:
    """Return the parser of a command.

    Args:
        command: Its name.
        files: Whether configuration files are read.
    """
    description = COMMANDS[command]
    positionals = "".join(
        f" {flag.metavar}{' ...' if flag.items else ''}"
        for flag in description.flags
        if flag.positional
    )
    config = " [--config FILE]" if description.configurable else ""
    parser = ArgumentParser(
        prog="hormesis",
        usage=f"hormesis {command}{config} [options]{positionals}",
        description=description.description,
        exit_on_error=False,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("-h", "--help", action="help", help="Print this help and exit.")
    if description.configurable:
        parser.add_argument(
            "--config",
            action=_Config,
            command=command,
            read=files,
            default=SUPPRESS,
            metavar="FILE",
            help="YAML file of these settings, as --print_config prints it; flags after it win.",
        )
        parser.add_argument(
            "--print_config",
            action="store_true",
            default=SUPPRESS,
            help="Print all settings as YAML and exit.",
        )
    section: Any = parser
    for group in description.groups:
        section = parser.add_argument_group(group.title) if group.title else section
        for flag in group.flags:
            section.add_argument(flag.name, **argparse_options(flag))
    return parser


class _Config(Action):
    """Read the settings of a file; flags after it on the command line win."""

    def __init__(self, *names: Any, command: str, read: bool, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*names, **options)
        self._command, self._read = command, read

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: Any,  # noqa: ANN401
        option_string: str | None = None,
    ) -> None:
        """Add the settings of the file."""
        if not self._read:
            return
        _check_texts({"config": values})
        keys = [flag.key for flag in COMMANDS[self._command].flags]
        for key, value in read_config(values, self._command).items():
            if key not in keys:
                near = did_you_mean(str(key), keys)
                raise SettingError(
                    f"Unknown setting {key!r} in the configuration file.{near} "
                    f"`hormesis {self._command} --print_config` prints them all."
                )
            setattr(namespace, key, value)


def _wrong_count(name: str, words: Sequence[str]) -> str:
    """Return the message for an option with too few values, or a switch with a value."""
    name = name.split("/")[0]
    values = [word.partition("=")[2] for word in words if word.startswith(f"{name}=")]
    if values:
        return f"The switch `{name}` takes no value, got {values[0]!r}."
    items = next((flag.items for flag in _all_flags() if flag.name == name), ())
    if not items:
        return f"Expected one value after `{name}`."
    pair = items == (float, float)
    return f"Expected {'2 finite numbers' if pair else 'at least one value'} after `{name}`."


def _all_flags() -> Iterator[Flag]:
    return (flag for command in COMMANDS.values() for flag in command.flags)


def flag_names() -> dict[str, str]:
    """Return the settings of all commands, each with the name of its flag."""
    return {flag.key: flag.name for flag in _all_flags() if not flag.positional}


def _as_yaml(flags: Mapping[str, Flag], values: Mapping[str, Any]) -> str:
    plain = {}
    for key, flag in flags.items():
        value = values.get(key, flag.default)
        if value is not MISSING:
            plain[key] = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


def _check_texts(values: Mapping[str, Any]) -> None:
    """Refuse texts that the system does not accept.

    Raises:
        SettingError: Naming the setting that holds a null byte or half a letter.
    """
    for key, value in values.items():
        for text in value if isinstance(value, list | tuple) else [value]:
            if not isinstance(text, str):
                continue
            try:
                harmless = b"\0" not in os.fsencode(text)
            except UnicodeEncodeError:
                harmless = False
            if not harmless:
                raise SettingError(
                    f"Expected `{key}` to hold no null byte and no half of a letter, got {text!r}."
                )
