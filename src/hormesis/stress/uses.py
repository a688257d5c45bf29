"""How a network uses its parameters: in which order, and in which products."""

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

Axes = tuple[int | None, ...]
"""For each axis of a tensor, the axis of the parameter that it is, if any."""


@dataclass(frozen=True)
class Use:
    """The product that a parameter enters.

    Args:
        kind: ``convolution`` or ``linear``.
        axis: Axis of the parameter along which its output channels lie; None if unknown.
    """

    kind: str
    axis: int | None


@dataclass(frozen=True)
class Operand:
    """An operand of a product.

    Args:
        tensor: The operand.
        axis: Its axis that the result has as output channels; None if unknown.
        others: The operands that it is multiplied with; none for what can only be a weight.
    """

    tensor: Tensor
    axis: int | None
    others: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class ExampleRun:
    """Something that runs a network once, where it has no example of its inputs.

    Args:
        run: Runs it.
    """

    run: Callable[[], object]


class ParameterUses(TorchFunctionMode):
    """Records which parameters reach functions of PyTorch, in which order, and in which products.

    Hooks on modules would miss weights that are used without their module being called, such as
    the output projection of ``nn.MultiheadAttention``. A weight is also followed through what is
    computed from parameters and constants alone, as by a weight normalisation.

    Args:
        network: The network that is watched.
    """

    def __init__(self, network: nn.Module) -> None:
        """Know the parameters, and the tensors that no input changes."""
        super().__init__()
        self.order: dict[int, int] = {}
        self._uses: dict[int, Use] = {}
        self._inner_uses: dict[int, Use] = {}  # of parameters with each other
        # What no input changes, with the parameters that it is made of.
        self._made_of: MutableMapping[Tensor, dict[int, Axes]] = WeakTensorKeyDictionary()
        self._vectors = {id(p) for p in network.parameters() if p.ndim == 1}
        for module in network.modules():
            for tensor in [*vars(module).values(), *module.buffers(recurse=False)]:
                if isinstance(tensor, Tensor):
                    self._made_of[tensor] = {}
        for parameter in network.parameters():
            self._made_of[parameter] = {id(parameter): tuple(range(parameter.ndim))}

    def use(self, parameter: Tensor) -> Use | None:
        """Return the product that a parameter enters first, preferably with an input."""
        key = id(parameter)
        return self._uses.get(key) or self._inner_uses.get(key)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Call the function, and note what its arguments and results are."""
        result = func(*args, **(kwargs or {}))
        results = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        # Reading a shape or a device is no use; whatever gives a tensor is.
        if results:
            tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
            for tensor in tensors:
                if isinstance(tensor, nn.Parameter):
                    self.order.setdefault(id(tensor), len(self.order))
            name = getattr(func, "__name__", "").partition(".")[0].strip("_")
            operands = list(_operands(name, args, kwargs or {}))
            for operand in operands:
                self._record(operand, "convolution" if name.startswith("conv") else "linear")
            # A number of the input that picks an expert is no part of the expert's weights.
            made_from = [t for t in tensors if name != "getitem" or t.ndim or t is tensors[0]]
            self._follow(made_from, results, operands)
        return result

    def _record(self, operand: Operand, kind: str) -> None:
        origins = self._made_of.get(operand.tensor, {})
        inner = bool(operand.others) and all(other in self._made_of for other in operand.others)
        uses = self._inner_uses if inner else self._uses
        for key, axes in origins.items():
            axis = None if operand.axis is None or not axes else axes[operand.axis]
            uses.setdefault(key, Use(kind, axis))

    def _follow(
        self, tensors: Sequence[Tensor], results: Sequence[Tensor], operands: Sequence[Operand]
    ) -> None:
        """Note what results are made of, unless an input or a layer has a part in them."""
        layer = any(not operand.others for operand in operands)
        if layer or not all(tensor in self._made_of for tensor in tensors):
            for result in results:  # what is written to is made of its arguments no more
                self._made_of.pop(result, None)
            return
        for result in results:
            origins: dict[int, Axes] = {}
            for tensor in tensors:
                view = _share_storage(tensor, result)
                for key, axes in self._made_of[tensor].items():
                    if key in self._vectors and not view:
                        continue  # it scales a weight, and is none
                    unknown = (None,) * result.ndim
                    known = unknown if operands else _axes_of(tensor, axes, result)
                    origins.setdefault(key, known)
            self._made_of[result] = origins


def watch_uses(network: nn.Module, example: Any) -> ParameterUses:  # noqa: ANN401  (any input)
    """Return how a network uses its parameters on a small batch.

    Args:
        network: Any network, in evaluation mode; it is not changed.
        example: The batch, which is passed as the one argument; or an ``ExampleRun``, which runs
            the network in another way.

    Example:
        >>> network = nn.Linear(3, 2)
        >>> watch_uses(network, torch.zeros(1, 3)).use(network.weight)
        Use(kind='linear', axis=0)
    """
    uses = ParameterUses(network)
    if isinstance(example, ExampleRun):
        with uses:
            example.run()
        return uses
    with torch.inference_mode(), uses:
        network(example)
    return uses


# Functions with a weight: its position, and the axis of its output channels.
_LAYERS = {
    "linear": (1, 0),
    "bilinear": (2, 0),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution"), (1, 0)),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), (1, 1)),
}
# Products of two operands: the position of the first one.
_PRODUCTS = {
    **dict.fromkeys(("matmul", "mm", "bmm", "mv", "grouped_mm"), 0),
    **dict.fromkeys(("addmm", "addbmm", "baddbmm", "addmv"), 1),
}


def _operands(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[Operand]:
    """Yield the operands of a product; nothing for any other function."""
    if name in _LAYERS:
        position, axis = _LAYERS[name]
        weight = args[position] if len(args) > position else kwargs.get("weight")
        if isinstance(weight, Tensor):
            yield Operand(weight, axis)
    elif name in _PRODUCTS:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        pair = tensors[_PRODUCTS[name] :][:2]
        if len(pair) == 2:
            left, right = pair
            yield Operand(left, left.ndim - 2 if left.ndim > 1 else 0, (right,))
            yield Operand(right, right.ndim - 1, (left,))
    elif name == "rmatmul":
        yield from _operands("matmul", args[::-1], kwargs)
    elif name == "tensordot":
        left, right = args[:2]
        yield Operand(left, None, (right,))
        yield Operand(right, None, (left,))
    elif name == "einsum":
        yield from _operands_of_einsum(args)


def _operands_of_einsum(args: Sequence[Any]) -> Iterator[Operand]:
    tensors = [leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)]
    equation = args[0].replace(" ", "") if isinstance(args[0], str) else ""
    inputs, _, output = equation.partition("->")
    terms = inputs.split(",")
    for number, tensor in enumerate(tensors):
        others = (*tensors[:number], *tensors[number + 1 :])
        axis = None
        if output and "." not in equation:
            read = set("".join(terms[:number] + terms[number + 1 :]))
            own = [i for i, label in enumerate(terms[number]) if label in set(output) - read]
            axis = own[0] if own else None
        if others:
            yield Operand(tensor, axis, others)


def _axes_of(source: Tensor, axes: Axes, result: Tensor) -> Axes:
    """Return which axes of a parameter those of a result are.

    Args:
        source: The argument of a function.
        axes: Which axes of the parameter the argument's are.
        result: The function's result.
    """
    if not _share_storage(source, result):
        return axes if source.shape == result.shape else (None,) * result.ndim
    # The axes of a view keep their strides, and are as long as they were, or cut.
    found = zip(source.shape, source.stride(), axes, strict=True)
    by_stride = {stride: (size, axis) for size, stride, axis in found if size > 1}
    own = (by_stride.get(stride, (0, None)) for stride in result.stride())
    return tuple(
        axis if 1 < size <= whole else None
        for size, (whole, axis) in zip(result.shape, own, strict=True)
    )


def _share_storage(one: Tensor, other: Tensor) -> bool:
    if one.layout is not torch.strided or other.layout is not torch.strided:
        return False
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()
