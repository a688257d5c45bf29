"""The targets of a picture: those that match the user's patterns."""

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase

from hormesis.errors import SettingError

PAGE_ROWS = 80
"""Targets that fit one page below each other."""


def targets_matching(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the targets that match, in their own order.

    Args:
        names: Names of all swept targets.
        patterns: Names, with or without ``.weight``, in which ``*`` and ``?`` stand for others.

    Raises:
        SettingError: If one of them fits no target.

    Example:
        >>> targets_matching(["conv1.weight", "fc.weight"], ["fc"])
        ['fc.weight']
    """
    matches: set[str] = set()
    for pattern in patterns:
        exact = [name for name in names if pattern in (name, _bare(name))]
        fitting = exact or [
            name
            for name in names
            if fnmatchcase(name, pattern) or fnmatchcase(_bare(name), pattern)
        ]
        if not fitting:
            near = difflib.get_close_matches(pattern, [*map(_bare, names)], n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"such as {_bare(names[0])}."
            raise SettingError(f"Expected `target` to name a swept target, got {pattern!r}; {hint}")
        matches.update(fitting)
    return [name for name in names if name in matches]


def check_target_count(targets: list[str], most: int, width: str) -> list[str]:
    """Return the targets, or refuse more than a picture has room for.

    Raises:
        SettingError: Naming how many there may be.
    """
    if len(targets) > most:
        raise SettingError(
            f"Expected at most {most} targets in a picture of {width} width, got {len(targets)}: "
            "name fewer with `target`."
        )
    return targets


def _bare(name: str) -> str:
    return name.removesuffix(".weight")
