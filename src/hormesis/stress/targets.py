"""What can be filtered: the parameters of a network, by name, kind and order of use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from hormesis.errors import ModelError, SettingError
from hormesis.models.adapter import AdaptedNetwork
from hormesis.models.normalization import Normalized
from hormesis.settings.choices import DEFAULT_KINDS
from hormesis.settings.targets import Targets

ALL = "all"
_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm)


@dataclass(frozen=True)
class Part:
    """A parameter tensor, or one slice of it.

    Args:
        parameter: Name as ``network.named_parameters()`` gives it.
        axis: Axis of the slice, or None for the whole tensor.
        index: Index of the slice along ``axis``.
    """

    parameter: str
    axis: int | None = None
    index: int | None = None

    def of(self, tensor: Float[Tensor, "*shape"]) -> Float[Tensor, "*part"]:
        """Return this part of ``tensor``, as a view."""
        if self.axis is None or self.index is None:
            return tensor
        return tensor.select(self.axis, self.index)


@dataclass(frozen=True)
class Target:
    """Something that filters are applied to, or that was left out for a reason.

    Args:
        name: Name of the parameter, with ``[channel]`` behind it for one output channel; ``all`` in
            a global analysis. The wrapper of ``hormesis.normalized`` leaves no trace in it.
        kind: One of ``settings.KINDS``, or ``global``.
        parts: The tensors that are filtered together.
        shape: Shape of the values; empty for a global target.
        size: Number of values.
        depth: Position in the order in which the network first uses its parameters, from 0.
        minimum: Lowest value, in units of the weights.
        maximum: Highest value.
        reason: Why it is not tested; empty if it is.
    """

    name: str
    kind: str
    parts: tuple[Part, ...]
    shape: tuple[int, ...]
    size: int
    depth: int
    minimum: float
    maximum: float
    reason: str = ""

    @property
    def tested(self) -> bool:
        """Whether the target is filtered."""
        return not self.reason


def find_targets(
    network: nn.Module, example: Float[Tensor, " batch *shape"], selection: Targets
) -> tuple[Target, ...]:
    """List the parameters of a network: those to be filtered and, with a reason, all the others.

    Args:
        network: Any network, in evaluation mode; it is not changed.
        example: A small batch of inputs, which shows the order in which parameters are used.
        selection: Which parameters to filter.

    Returns:
        Targets in the order of their first use; unused ones come last.

    Raises:
        ModelError: If the network has no parameters.
        SettingError: If no parameter is selected, or none of the selected ones can be filtered.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))
        >>> for target in find_targets(network, torch.zeros(1, 1, 4, 4), Targets()):
        ...     print(target.name, target.kind, target.reason or "tested")
        0.weight convolution tested
        0.bias bias of kind bias, which was not asked for
        2.weight linear tested
        2.bias bias of kind bias, which was not asked for
    """
    parameters = dict(network.named_parameters())
    if not parameters:
        raise ModelError("The network has no parameters: there is nothing to filter.")
    order = _order_of_use(network, example)
    targets = []
    for name in sorted(parameters, key=lambda name: order.get(id(parameters[name]), len(order))):
        target = _describe(network, name, parameters[name], depth=len(targets))
        targets.append(replace(target, reason=_exclusion(target, selection) or target.reason))
    if not any(target.tested for target in targets):
        requested = [target for target in targets if not _exclusion(target, selection)]
        raise SettingError(_no_target_message(targets, requested))
    if selection.scope == "global":
        # Thresholds common to all tell the equal values of one parameter from those of others.
        members = [t for t in targets if not _exclusion(t, selection) and t.minimum <= t.maximum]
        return (_merge(members), *(t for t in targets if t not in members))
    if selection.per == "channel":
        parts = [
            part for target in targets for part in _split_channels(network, target, parameters)
        ]
        if not any(part.tested for part in parts):
            requested = [part for part in parts if part.parts[0].index is not None]
            raise SettingError(_no_target_message(parts, requested))
        return tuple(parts)
    return tuple(targets)


def public_name(network: nn.Module, parameter: str) -> str:
    """Return a parameter's name without the prefixes of the wrappers of this package."""
    while isinstance(network, AdaptedNetwork | Normalized):
        network, parameter = network.network, parameter.removeprefix("network.")
    return parameter


def channel_axis(network: nn.Module, parameter: str) -> int:
    """Return the axis of a parameter along which its output channels lie.

    Example:
        >>> channel_axis(nn.ConvTranspose2d(2, 3, 1), "weight")
        1
    """
    owner = network.get_submodule(parameter.rpartition(".")[0])
    # A transposed convolution keeps its input channels first, an embedding its vocabulary.
    return int(isinstance(owner, (_ConvTransposeNd, nn.Embedding, nn.EmbeddingBag)))


def _describe(network: nn.Module, name: str, parameter: Tensor, depth: int) -> Target:
    values = parameter.detach()
    numeric = values.is_floating_point() and values.numel() > 0
    target = Target(
        name=public_name(network, name),
        kind=_kind(network, name),
        parts=(Part(name),),
        shape=tuple(values.shape),
        size=values.numel(),
        depth=depth,
        minimum=values.min().item() if numeric else float("nan"),
        maximum=values.max().item() if numeric else float("nan"),
    )
    if not numeric:
        fault = "no values" if values.is_floating_point() else f"values of type {values.dtype}"
        return replace(target, reason=f"has {fault}")
    return replace(target, reason=_constant(target))


def _constant(target: Target) -> str:
    if target.minimum < target.maximum:
        return ""
    fault = "it is a single value" if target.size == 1 else "all its values are equal"
    return f"{fault}, so that its thresholds coincide"


def _exclusion(target: Target, selection: Targets) -> str:
    if any(fnmatchcase(target.name, pattern) for pattern in selection.exclude):
        return "excluded by name"
    if selection.include and not any(fnmatchcase(target.name, p) for p in selection.include):
        return "not included by name"
    kinds = selection.kinds or (() if selection.include else DEFAULT_KINDS)
    if kinds and target.kind not in kinds:
        return f"of kind {target.kind}, which was not asked for"
    return ""


def _no_target_message(targets: list[Target], requested: list[Target]) -> str:
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


def _kind(network: nn.Module, name: str) -> str:
    """Return the kind of a parameter, from its owner and its own name (METHOD, "Targets")."""
    path, _, leaf = name.rpartition(".")
    if "parametrizations." in name:
        path, _, original = name.partition("parametrizations.")
        path, leaf = path.removesuffix("."), original
    owner = network.get_submodule(path)
    if leaf.startswith("bias") or leaf.endswith("bias"):
        return "bias"
    if leaf.endswith(("_g", ".original0")):  # the gain of a weight normalisation
        return "norm"
    kinds: tuple[tuple[Any, str], ...] = (
        (_ConvNd, "convolution"),
        ((nn.Linear, nn.Bilinear), "linear"),
        (nn.MultiheadAttention, "attention"),
        ((nn.RNNBase, nn.RNNCellBase), "recurrent"),
        ((nn.Embedding, nn.EmbeddingBag), "embedding"),
        (_NORMS, "norm"),
    )
    for owners, kind in kinds:
        if isinstance(owner, owners):
            return kind
    # Networks bring their own LayerNorm2d, RMSNorm and the like.
    return "norm" if "norm" in type(owner).__name__.lower() else "other"


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
    axis = channel_axis(network, name)
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
        channels.append(replace(channel, reason=_constant(channel)))
    return channels


class _FirstUses(TorchFunctionMode):
    """Records the order in which parameters reach functions of PyTorch.

    Hooks on modules would miss weights that are used without their module being called, such as
    the output projection of ``nn.MultiheadAttention``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.order: dict[int, int] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        result = func(*args, **(kwargs or {}))
        # Reading a shape or a device is no use; whatever gives a tensor is.
        if any(isinstance(leaf, Tensor) for leaf in tree_leaves(result)):
            for argument in tree_leaves((args, kwargs)):
                if isinstance(argument, nn.Parameter):
                    self.order.setdefault(id(argument), len(self.order))
        return result


def _order_of_use(network: nn.Module, example: Tensor) -> dict[int, int]:
    """Return the position of each used parameter, keyed by the identity of its tensor."""
    uses = _FirstUses()
    with torch.inference_mode(), uses:
        network(example)
    return uses.order
