"""What filters are applied to: parameters, slices of them, and several of these together."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Part:
    """A parameter tensor, or one slice of it.

    Args:
        parameter: Name as ``network.named_parameters()`` gives it.
        axis: Axis of the slice, or None for the whole tensor.
        index: Index of the slice along ``axis``.
        slices: Number of equal slices that ``index`` counts; None where each index is a slice,
            which then has no such axis.
        box: First place and the one behind the last along every axis, in place of ``axis`` and
            ``index``; None for no box.

    Example:
        >>> import torch
        >>> table = torch.arange(6.0).view(3, 2)
        >>> Part("w", 0, 2).of(table).tolist(), Part("w", 0, 2, slices=3).of(table).tolist()
        ([4.0, 5.0], [[4.0, 5.0]])
        >>> Part("w", box=((1, 3), (0, 1))).of(table).tolist()
        [[2.0], [4.0]]
    """

    parameter: str
    axis: int | None = None
    index: int | None = None
    slices: int | None = None
    box: tuple[tuple[int, int], ...] | None = None

    def of(self, tensor: Float[Tensor, "*shape"]) -> Float[Tensor, "*part"]:
        """Return this part of ``tensor``, as a view."""
        if self.box is not None:
            return tensor[tuple(slice(first, end) for first, end in self.box)]
        if self.axis is None or self.index is None:
            return tensor
        if self.slices is None:
            return tensor.select(self.axis, self.index)
        length = tensor.shape[self.axis] // self.slices
        return tensor.narrow(self.axis, self.index * length, length)

    def key(self) -> str:
        """Return what tells the part from all others of the same network."""
        slices = "" if self.slices is None else f"/{self.slices}"
        box = "" if self.box is None else f",{self.box}"
        return f"{self.parameter},{self.axis},{self.index}{slices}{box}"


@dataclass(frozen=True)
class Target:
    """Something that filters are applied to, or that was left out for a reason.

    Args:
        name: Name of the parameter, with ``[channel]`` behind it for one output channel; name of
            the group; ``all`` in a global analysis. The wrapper of ``hormesis.normalized`` leaves
            no trace in it.
        kind: One of ``settings.KINDS``, or ``group``, or ``global``.
        parts: The tensors that are filtered together.
        shape: Shape of the values; empty for a group and a global target.
        size: Number of values.
        depth: Position in the order in which the network first uses its parameters, from 0; for a
            group that of the first one in it.
        minimum: Lowest value, in units of the weights.
        maximum: Highest value.
        reason: Why it is not tested; empty if it is.
        axis: Axis of the parameter along which its output channels lie, where its use and not its
            module tells.
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
    axis: int | None = None

    @property
    def tested(self) -> bool:
        """Whether the target is filtered."""
        return not self.reason


def constant_reason(target: Target) -> str:
    """Return why a target whose values do not differ is not tested; empty if they do."""
    if target.minimum < target.maximum:
        return ""
    fault = "it is a single value" if target.size == 1 else "all its values are equal"
    return f"{fault}, so that its thresholds coincide"
