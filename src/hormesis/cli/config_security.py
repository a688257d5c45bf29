"""What a configuration file may say: settings, and no code that nobody has asked for.

A file may come from elsewhere. Code runs only where its ``module:factory`` stands on the command
line itself, or where ``--allow-code`` does.
"""

import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace, get_loader, set_loader

from hormesis.errors import SettingError
from hormesis.settings.factory import is_code

MODE = "hormesis"
MOST_BYTES = 1 << 20  # of a configuration file
MOST_DEPTH = 16  # of settings within settings
CODE = ("model", "data", "performance", "optimizer", "schedule", "augment")


def load_settings(text: str) -> Any:  # noqa: ANN401  (any plain value of YAML)
    """Return what a text of YAML says, as plain values of bounded size.

    Args:
        text: A configuration file, or one value of it.

    Raises:
        yaml.YAMLError: If it is no YAML, repeats a part of itself (of which a few lines can make
            more than any memory holds), is too long or too deep, or names a class to be imported
            (``class_path``) or another configuration file.

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
    found = get_loader("yaml")(text)
    if isinstance(found, dict) and "config" in found:
        raise yaml.YAMLError("it names another configuration file, under config")
    for key, depth in _keys(found, 1):
        if key == "class_path":
            raise yaml.YAMLError("it names a class to be imported, under class_path")
        if depth > MOST_DEPTH:
            raise yaml.YAMLError(f"it holds values more than {MOST_DEPTH} levels deep")
    return found


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


# jsonargparse would otherwise import whatever a file names under `class_path`.
set_loader(MODE, load_settings, (yaml.YAMLError,))


def refuse_large_files(words: Sequence[str]) -> None:
    """Refuse a configuration file of more than ``MOST_BYTES``, or a pipe, before it is read.

    Raises:
        SettingError: Naming the file.
    """
    for name in _split(words)[1]:
        path = Path(name)
        try:
            found = path.stat()
        except (OSError, ValueError):  # for the parser to refuse
            continue
        if not stat.S_ISREG(found.st_mode):
            raise SettingError(f"Expected a configuration file, got {name}, which is no file.")
        if found.st_size > MOST_BYTES:
            raise SettingError(
                f"The configuration file {name} is larger than {MOST_BYTES:,} bytes: `hormesis "
                "analyze --print_config > FILE` writes a new one."
            )


def without_files(words: Sequence[str]) -> list[str]:
    """Return a command line without its configuration files.

    Example:
        >>> without_files(["analyze", "--config", "a.yaml", "--seed", "1", "--config=b.yaml"])
        ['analyze', '--seed', '1']
    """
    return _split(words)[0]


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what is left of a command line without its files, and these files."""
    rest, files = list[str](), list[str]()
    waiting = iter(words)
    for word in waiting:
        name, _, value = word.partition("=")
        if len(name) > 2 and "--config".startswith(name):  # the parser takes abbreviations
            files.append(value if "=" in word else next(waiting, ""))
        else:
            rest.append(word)
    return rest, files


def refuse_code(given: Namespace, typed: Namespace) -> None:
    """Refuse code that a configuration file names and the command line does not.

    Args:
        given: The settings of a command.
        typed: Those of the same command line without its files.

    Raises:
        SettingError: Naming the setting, the code and the remedy.
    """
    if typed.get("allow_code"):
        return
    if given.get("allow_code"):
        raise SettingError(
            "Expected `allow_code` on the command line; a configuration file cannot allow it."
        )
    known = set(code_in(typed))
    for setting, name in code_in(given):
        if (setting, name) not in known:
            raise SettingError(
                f"The configuration file names code for `{setting}`, {name!r}, which would run "
                "with your rights: name it on the command line, or pass `allow_code` if you trust "
                "the file."
            )


def code_in(given: Namespace) -> Iterator[tuple[str, str]]:
    """Yield the settings that name a ``module:factory``, each with that name."""
    for setting in CODE:
        value = given.get(setting)
        names = value if isinstance(value, Mapping | Namespace) else [value]
        for name in names.keys() if isinstance(names, Namespace) else names:
            if isinstance(name, str) and is_code(setting, name):
                yield setting, name
