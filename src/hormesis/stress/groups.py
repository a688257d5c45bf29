"""Named groups of parameters and of their slices, each filtered together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from torch import Tensor

from hormesis.errors import SettingError
from hormesis.settings.choices import DEFAULT_KINDS, IN_GROUP
from hormesis.settings.targets import PartPattern, Targets
from hormesis.stress.parts import Part, Target, constant_reason
from hormesis.stress.patterns import check_patterns, matches, no_target_message

GROUP = "group"


def find_groups(
    targets: Sequence[Target], parameters: Mapping[str, Tensor], selection: Targets
) -> tuple[Target, ...]:
    """List the groups of a selection, and all parameters with why they are not tested alone.

    Args:
        targets: Every parameter of the network, in the order of use.
        parameters: The parameters by name.
        selection: With groups.

    Returns:
        The groups in the order of their first values, then the parameters.

    Raises:
        SettingError: If a group has no values, holds one twice, or is named as a parameter is; or
            if no group can be filtered.
    """
    assert isinstance(selection.groups, Mapping), "groups have been spelled out"
    names = {target.name for target in targets}
    groups = []
    for name, members in selection.groups.items():
        if name in names:
            raise SettingError(
                f"Expected another name than {name!r} for a group: a parameter has it."
            )
        parts = _parts(name, members, targets, parameters, selection)
        groups.append(_group(name, parts, targets, parameters))
    groups.sort(key=lambda group: (_places(group, targets), group.name))
    if not any(group.tested for group in groups):
        raise SettingError(no_target_message(targets, groups))
    holders: dict[str, list[str]] = {}
    for group in groups:
        for parameter in dict.fromkeys(part.parameter for part in group.parts):
            holders.setdefault(parameter, []).append(group.name)
    rest = (replace(t, reason=_reason(t, holders, selection)) for t in targets)
    return (*groups, *rest)


def _reason(target: Target, holders: Mapping[str, Sequence[str]], selection: Targets) -> str:
    own = holders.get(target.parts[0].parameter, ())
    if own:
        return (
            f"{IN_GROUP}{own[0]}"
            if len(own) == 1
            else f"{IN_GROUP}{own[0]} and {len(own) - 1} more"
        )
    return "excluded by name" if matches(target.name, selection.exclude) else "in no group"


def _parts(
    group: str,
    members: Iterable[str | PartPattern],
    targets: Sequence[Target],
    parameters: Mapping[str, Tensor],
    selection: Targets,
) -> list[Part]:
    """Return the parts of a group in the order of use, each value in one of them."""
    parts: dict[Part, None] = {}
    for member in members:
        pattern = member if isinstance(member, str) else member.pattern
        check_patterns(f"the group {group!r}", [pattern], [target.name for target in targets])
        for target in _selected(pattern, group, targets, selection):
            name = target.parts[0].parameter
            parts[_part(member, name, parameters[name], target.name)] = None
    whole = {part.parameter for part in parts if part.axis is None}
    kept = [part for part in parts if part.axis is None or part.parameter not in whole]
    for number, part in enumerate(kept):
        for other in kept[:number]:
            if _overlap(part, other):
                raise SettingError(
                    f"The group {group!r} holds values of {part.parameter} twice, in slices of it: "
                    "name each value once."
                )
    depth = {target.parts[0].parameter: target.depth for target in targets}
    return sorted(kept, key=lambda part: (depth[part.parameter], part.axis or 0, part.index or 0))


def _selected(
    pattern: str, group: str, targets: Sequence[Target], selection: Targets
) -> list[Target]:
    """Return the parameters that a pattern takes: the weights among those that it matches, if any.

    Raises:
        SettingError: If there is none with values that can be filtered.
    """
    found = [target for target in targets if matches(target.name, [pattern])]
    numeric = [target for target in found if target.minimum <= target.maximum]
    wanted = [target for target in numeric if not matches(target.name, selection.exclude)]
    kinds = selection.kinds or DEFAULT_KINDS
    weights = [target for target in wanted if target.kind in kinds]
    chosen = weights if weights or selection.kinds else wanted
    if not chosen:
        kind = ", ".join(sorted({target.kind for target in found}))
        raise SettingError(
            f"The pattern {pattern!r} in the group {group!r} takes no values that can be filtered: "
            f"what it matches is of kind {kind}, see `kinds` and `exclude`."
        )
    return chosen


def _part(member: str | PartPattern, name: str, parameter: Tensor, shown: str) -> Part:
    if isinstance(member, str):
        return Part(name)
    shape = list(parameter.shape)
    if not -len(shape) <= member.axis < len(shape):
        raise SettingError(
            f"Expected an `axis` of {shown}, which has shape {shape}, in the part {member}, got "
            f"{member.axis}."
        )
    axis = member.axis % len(shape)
    if shape[axis] % member.of:
        raise SettingError(
            f"The part {member} does not divide {shown}: axis {axis} of its shape {shape} is no "
            f"multiple of {member.of}."
        )
    return Part(name) if member.of == 1 else Part(name, axis, member.index, member.of)


def _overlap(one: Part, other: Part) -> bool:
    """Return whether two different slices of a parameter hold a value in common."""
    if one.parameter != other.parameter:
        return False
    if one.axis != other.axis:
        return True
    one_first, one_end = _span(one)
    other_first, other_end = _span(other)
    return one_first < other_end and other_first < one_end


def _span(part: Part) -> tuple[Fraction, Fraction]:
    """Return where a slice begins and ends, as shares of its axis."""
    index, slices = part.index or 0, part.slices or 1
    return Fraction(index, slices), Fraction(index + 1, slices)


def _group(
    name: str, parts: Sequence[Part], targets: Sequence[Target], parameters: Mapping[str, Tensor]
) -> Target:
    depth = {target.parts[0].parameter: target.depth for target in targets}
    values = [part.of(parameters[part.parameter].detach()) for part in parts]
    group = Target(
        name=name,
        kind=GROUP,
        parts=tuple(parts),
        shape=(),
        size=sum(value.numel() for value in values),
        depth=min(depth[part.parameter] for part in parts),
        minimum=min(value.min().item() for value in values),
        maximum=max(value.max().item() for value in values),
    )
    return replace(group, reason=constant_reason(group))


def _places(group: Target, targets: Sequence[Target]) -> list[tuple[int, Fraction]]:
    """Return where the values of a group begin, in the order of use."""
    depth = {target.parts[0].parameter: target.depth for target in targets}
    return [(depth[part.parameter], _span(part)[0]) for part in group.parts]
