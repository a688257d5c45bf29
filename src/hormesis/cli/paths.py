"""Settings that no file can be named by: refused before anything slow is done for them."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from jsonargparse import Namespace

from hormesis.errors import SettingError

_PLACES = (
    *("study", "studies", "paths", "out", "to", "extend", "run", "live", "tensorboard"),
    *("weights", "data_root", "matching"),
)


def check_texts(given: Namespace) -> None:
    """Refuse texts that the system cannot take.

    Args:
        given: The settings of a command.

    Raises:
        SettingError: Naming the setting that holds a null byte or half a letter.
    """
    for key, text in _texts(given):
        try:
            harmless = b"\0" not in os.fsencode(text)
        except UnicodeEncodeError:
            harmless = False
        if not harmless:
            raise SettingError(
                f"Expected `{key}` to hold no null byte and no half of a letter, got {text!r}."
            )


def check_places(given: Namespace) -> None:
    """Refuse names of files and folders that are too long, or links that lead to themselves.

    Args:
        given: The settings of a command, their texts checked.

    Raises:
        OSError: Naming the place.
    """
    for key, name in _texts(given):
        if key not in _PLACES:
            continue
        try:
            Path(name).expanduser().stat()
        except OSError as error:
            if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
                raise
        except RuntimeError:  # a home that is not there, which whoever looks there refuses
            continue


def _texts(given: Namespace) -> Iterator[tuple[str, str]]:
    """Yield the settings that are texts, and those that lists hold."""
    for key, value in given.items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                yield key, text
