"""Security of configuration files: they hold settings, and may not run code on their own.

A file may come from elsewhere. Code runs only where its ``module:factory`` stands on the command
line itself, or where ``--allow-code`` does.
"""

import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from hormesis.errors import SettingError
from hormesis.settings.factory import is_code

MOST_BYTES = 1 << 20  # of a configuration file
MOST_DEPTH = 16  # of settings within settings


class _Loader(yaml.SafeLoader):
    """A safe loader that takes ``1e-3`` for a number, as the command line does."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+"), list("-+0123456789")
)


def load_settings(text: str) -> Any:  # noqa: ANN401  (any plain value of YAML)
    """Return the plain values of a YAML text, of bounded size.

    Args:
        text: A configuration file, or one value of it.

    Raises:
        yaml.YAMLError: If it is no YAML, repeats a part of itself (of which a few lines can make
            more than any memory holds), is too long or too deep, or names a class to be imported
            (``class_path``).
        ValueError: If it holds a number of thousands of digits, or a date that there is not.
        RecursionError: If it is far too deep.

    Example:
        >>> load_settings("{seed: 1, include: [fc.*]}")
        {'seed': 1, 'include': ['fc.*']}
        >>> load_settings("{optimizer_options: {class_path: os.system}}")
        Traceback (most recent call last):
        yaml.error.YAMLError: it names a class to be imported, under class_path
    """
    if len(text) > MOST_BYTES:
        raise yaml.YAMLError(f"it is longer than {MOST_BYTES:,} letters")
    if "&" in text and "*" in text:
        _refuse_repetition(text)
    settings = yaml.load(text, Loader=_Loader)
    for key, depth in _keys(settings, 1):
        if key == "class_path":
            raise yaml.YAMLError("it names a class to be imported, under class_path")
        if depth > MOST_DEPTH:
            raise yaml.YAMLError(f"it holds values more than {MOST_DEPTH} levels deep")
    return settings


def _refuse_repetition(text: str) -> None:
    anchors = set()
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) and event.anchor in anchors:
            raise yaml.YAMLError(f"it repeats a part of itself, *{event.anchor}; write it out")
        anchors.add(getattr(event, "anchor", None))


def _keys(value: object, depth: int) -> Iterator[tuple[object, int]]:
    """Yield the keys at any depth, and None for a list, each with how deep it lies."""
    if isinstance(value, list):
        yield None, depth
        parts = value
    else:
        parts = value.values() if isinstance(value, dict) else ()
        yield from ((key, depth) for key in (value if isinstance(value, dict) else ()))
    if depth <= MOST_DEPTH:
        for part in parts:
            yield from _keys(part, depth + 1)


def read_config(path: str, command: str) -> dict[str, Any]:
    """Return the settings that a configuration file holds.

    Args:
        path: The file.
        command: Name of the command.

    Raises:
        SettingError: If it cannot be read, or holds no settings.
    """
    printing = f"`hormesis {command} --print_config"
    text = _text_of(Path(path), printing)
    try:
        settings = load_settings(text)
    except (yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        refused = "is refused, as" if reason.startswith("it ") else "is no YAML:"
        raise SettingError(f"The configuration {refused} {reason}.") from error
    except ValueError as error:
        raise SettingError(
            f"The configuration holds a value that cannot be read: {error}."
        ) from error
    settings = {} if settings is None else settings  # of comments alone
    if not isinstance(settings, dict):
        raise SettingError(
            "Expected the configuration file to hold one setting a line, such as `thresholds: 25`; "
            f"{printing}` prints them all."
        )
    if "config" in settings:
        raise SettingError(
            "The configuration is refused, as it names another configuration file, under config."
        )
    return settings


def _text_of(path: Path, printing: str) -> str:
    """Return the text of a configuration file; refuse pipes and large files."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise SettingError(f"Expected a configuration file, got {path}, which is no file.")
        if status.st_size > MOST_BYTES:
            raise SettingError(
                f"The configuration file {path} is larger than {MOST_BYTES:,} bytes: {printing} > "
                "FILE` writes a new one."
            )
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingError(f"The configuration file is no text: {error}.") from error
    except FileNotFoundError as error:
        raise SettingError(
            f"There is no configuration file {path}; {printing} > FILE` writes one."
        ) from error


def refuse_code(values: Mapping[str, Any], typed: Mapping[str, Any], keys: Sequence[str]) -> None:
    """Refuse code that a configuration file names and the command line does not.

    Args:
        values: The settings of a command.
        typed: Those of the same command line without its files.
        keys: The settings that may name code.

    Raises:
        SettingError: Naming the setting, the code and the remedy.
    """
    if typed.get("allow_code"):
        return
    if values.get("allow_code"):
        raise SettingError(
            "Expected `allow_code` on the command line; a configuration file cannot allow it."
        )
    allowed = set(_code_in(typed, keys))
    for setting, name in _code_in(values, keys):
        if (setting, name) not in allowed:
            raise SettingError(
                f"The configuration file names code for `{setting}`, {name!r}, which would run "
                "with your rights: name it on the command line, or pass `allow_code` if you trust "
                "the file."
            )


def _code_in(values: Mapping[str, Any], keys: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each setting that names a ``module:factory``, with that name."""
    for key in keys:
        value = values.get(key)
        for name in value if isinstance(value, dict) else [value]:
            if isinstance(name, str) and is_code(key, name):
                yield key, name
