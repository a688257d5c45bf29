"""What can be filtered: the parameters of a network, by name, kind and order of use."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from hormesis.errors import ModelError, SettingError
from hormesis.settings.targets import Targets
from hormesis.stress.groups import find_groups
from hormesis.stress.kinds import OTHER, channel_axis, kind_by_module, public_name
from hormesis.stress.parts import Part, Target, constant_reason
from hormesis.stress.patterns import check_patterns, exclusion, no_target_message
from hormesis.stress.structure import with_groups
from hormesis.stress.uses import ParameterUses, watch_uses

ALL = "all"


def find_targets(
    network: nn.Module,
    example: Any,  # noqa: ANN401  (any input)
    selection: Targets,
) -> tuple[Target, ...]:
    """List the parameters of a network: those to be filtered and, with a reason, all the others.

    Args:
        network: Any network, in evaluation mode; it is not changed.
        example: A small batch of inputs, which shows how and in which order parameters are used.
        selection: Which parameters to filter.

    Returns:
        Targets in the order of their first use; unused ones come last. Groups come before all
        parameters.

    Raises:
        ModelError: If the network has no parameters.
        SettingError: If no parameter is selected, or none of the selected ones can be filtered, or
            a pattern matches no parameter.

    Example:
        >>> import torch
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))
        >>> for target in find_targets(network, torch.zeros(1, 1, 4, 4), Targets()):
        ...     print(target.name, target.kind, target.reason or "tested")
        0.weight convolution tested
        0.bias bias of kind bias, which was not asked for
        2.weight linear tested
        2.bias bias of kind bias, which was not asked for
    """
    parameters = dict(network.named_parameters())
    selection = with_groups(network, selection)
    if not parameters:
        raise ModelError("The network has no parameters: there is nothing to filter.")
    names = [public_name(network, name) for name in parameters]
    check_patterns("`include`", selection.include, names)
    check_patterns("`exclude`", selection.exclude, names)
    uses = watch_uses(network, example)
    last = len(uses.order)
    ordered = sorted(parameters, key=lambda name: uses.order.get(id(parameters[name]), last))
    targets = [
        _describe(network, name, parameters[name], uses, depth=depth)
        for depth, name in enumerate(ordered)
    ]
    if selection.groups:
        return find_groups(targets, parameters, selection)
    return _select(network, targets, parameters, selection)


def _select(
    network: nn.Module,
    described: list[Target],
    parameters: Mapping[str, Tensor],
    selection: Targets,
) -> tuple[Target, ...]:
    """Return the targets of a selection without groups, and all others with a reason."""
    targets = [replace(t, reason=exclusion(t, selection) or t.reason) for t in described]
    if not any(target.tested for target in targets):
        requested = [target for target in targets if not exclusion(target, selection)]
        raise SettingError(no_target_message(targets, requested))
    if selection.scope == "global":
        # Thresholds common to all tell the equal values of one parameter from those of others.
        members = [t for t in targets if not exclusion(t, selection) and t.minimum <= t.maximum]
        return (_merge(members), *(t for t in targets if t not in members))
    if selection.per == "channel":
        parts = [
            part for target in targets for part in _split_channels(network, target, parameters)
        ]
        if not any(part.tested for part in parts):
            requested = [part for part in parts if part.parts[0].index is not None]
            raise SettingError(no_target_message(parts, requested))
        return tuple(parts)
    return tuple(targets)


def _describe(
    network: nn.Module, name: str, parameter: Tensor, uses: ParameterUses, *, depth: int
) -> Target:
    values = parameter.detach()
    numeric = values.is_floating_point() and values.numel() > 0
    kind, axis = kind_by_module(network, name), None
    use = uses.use(parameter) if kind == OTHER else None
    if use is not None:
        kind, axis = use.kind, use.axis
    target = Target(
        name=public_name(network, name),
        kind=kind,
        parts=(Part(name),),
        shape=tuple(values.shape),
        size=values.numel(),
        depth=depth,
        minimum=values.min().item() if numeric else float("nan"),
        maximum=values.max().item() if numeric else float("nan"),
        axis=axis,
    )
    if not numeric:
        fault = "no values" if values.is_floating_point() else f"values of type {values.dtype}"
        return replace(target, reason=f"has {fault}")
    return replace(target, reason=constant_reason(target))


def _merge(members: list[Target]) -> Target:
    return Target(
        name=ALL,
        kind="global",
        parts=tuple(part for target in members for part in target.parts),
        shape=(),
        size=sum(target.size for target in members),
        depth=0,
        minimum=min(target.minimum for target in members),
        maximum=max(target.maximum for target in members),
    )


def _split_channels(
    network: nn.Module, target: Target, parameters: Mapping[str, Tensor]
) -> list[Target]:
    """Split a target into its output channels; one that is left out stays whole."""
    if not target.tested:
        return [target]
    name = target.parts[0].parameter
    axis = channel_axis(network, name) if target.axis is None else target.axis
    channels = []
    for index in range(target.shape[axis]):
        part = Part(name, axis, index)
        values = part.of(parameters[name].detach())
        channel = replace(
            target,
            name=f"{target.name}[{index}]",
            parts=(part,),
            shape=tuple(values.shape),
            size=values.numel(),
            minimum=values.min().item(),
            maximum=values.max().item(),
        )
        channels.append(replace(channel, reason=constant_reason(channel)))
    return channels
