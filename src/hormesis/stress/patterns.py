"""Which parameters a selection asks for, by the patterns of their names."""

import difflib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from hormesis.errors import SettingError
from hormesis.settings.choices import DEFAULT_KINDS
from hormesis.settings.targets import Targets
from hormesis.stress.parts import Target


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether one of several patterns matches a name."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def check_patterns(setting: str, patterns: Iterable[str], names: Sequence[str]) -> None:
    """Refuse a pattern that matches no parameter.

    Args:
        setting: What holds the patterns.
        patterns: Of names.
        names: Of all parameters.

    Raises:
        SettingError: Naming the pattern, and the nearest names.

    Example:
        >>> check_patterns("`include`", ["layer9.*"], ["layer1.weight", "fc.weight"])
        Traceback (most recent call last):
        hormesis.errors.SettingError: No parameter matches the pattern 'layer9.*' in `include`: ...
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            near = _nearest(pattern, names)
            raise SettingError(
                f"No parameter matches the pattern {pattern!r} in {setting}: the nearest are "
                f"{', '.join(near)}."
            )


def _nearest(pattern: str, names: Sequence[str]) -> list[str]:
    """Return the nearest names, or for a pattern that ends in a star the nearest modules."""
    choices = dict.fromkeys(names)
    if pattern.endswith("*"):
        modules = [name.split(".")[:-1] for name in names]
        paths = [".".join(path[: end + 1]) for path in modules for end in range(len(path))]
        choices = dict.fromkeys(f"{path}.*" for path in paths) or choices
    return difflib.get_close_matches(pattern, list(choices), n=3, cutoff=0.0)


def exclusion(target: Target, selection: Targets) -> str:
    """Return why a parameter is not asked for; empty if it is."""
    if matches(target.name, selection.exclude):
        return "excluded by name"
    if selection.include and not matches(target.name, selection.include):
        return "not included by name"
    kinds = selection.kinds or (() if selection.include else DEFAULT_KINDS)
    if kinds and target.kind not in kinds:
        return f"of kind {target.kind}, which was not asked for"
    return ""


def no_target_message(targets: Sequence[Target], requested: Sequence[Target]) -> str:
    """Return the sentence that says why nothing can be filtered.

    Args:
        targets: All of them.
        requested: Those that were asked for.
    """
    if requested:
        subject = (
            f"{requested[0].name} cannot"
            if len(requested) == 1
            else f"none of {len(requested)} can"
        )
        return (
            f"Expected a target whose values differ, but {subject} be filtered; "
            f"{requested[0].name}: {requested[0].reason}."
        )
    kinds = sorted({target.kind for target in targets})
    names = ", ".join(target.name for target in targets[:3])
    return (
        "No parameter of the network matches `include`, `exclude` and `kinds`; it has parameters "
        f"of kind {', '.join(kinds)}, such as {names}."
    )
