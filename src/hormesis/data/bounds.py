"""The part of the inputs that an attack may change, and how far: bounds of each value.

Floating-point tensors can be perturbed; integers, such as token ids, stay. The floating-point
tensors of a structure are seen as one row of numbers a sample.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from hormesis.data.embedded import has_perturbation
from hormesis.data.trees import Tree, flat_rows, tensors_in
from hormesis.errors import AttackError, DataError, recipe

Bounds = tuple[float, float] | tuple[Tensor, Tensor]
"""Lowest and highest value: numbers, or tensors of the shape of one sample of the continuous part,
which is a row of numbers for inputs that are a structure."""
UNBOUNDED = (-math.inf, math.inf)


def continuous_part(inputs: Tree) -> Float[Tensor, " samples *shape"] | None:
    """Return the floating-point values of inputs: the tensor itself, or a row a sample; or None.

    Example:
        >>> continuous_part({"a": torch.zeros(2, 3), "ids": torch.zeros(2, 5, dtype=torch.int64)}
        ...                 ).shape
        torch.Size([2, 3])
        >>> continuous_part(torch.zeros(2, 5, dtype=torch.int64)) is None
        True
    """
    if isinstance(inputs, Tensor):
        return inputs if inputs.is_floating_point() else None
    parts = [leaf for leaf in tensors_in(inputs) if leaf.is_floating_point()]
    if not parts:
        return None
    return torch.cat([flat_rows(part) for part in parts], 1)


def perturbable_part(inputs: Tree) -> Float[Tensor, " samples *shape"]:
    """Return the continuous part of inputs, which an attack can perturb.

    Raises:
        AttackError: For inputs of integers alone, with the ways round.
    """
    values = continuous_part(inputs)
    if values is None:
        raise AttackError(
            "Expected inputs with floating-point values to attack, got integers alone: measure "
            "without an attack (`attack=None`), or pass token ids [batch, tokens] as `input_ids`, "
            "or as one tensor, to a network that looks them up in an embedding (questions with "
            f"choices cannot be attacked){recipe('text-classifier')}."
        )
    return values


@dataclass(frozen=True)
class Rebuild:
    """Puts changed values back into the inputs that they were taken from.

    Args:
        inputs: The inputs of some samples.
    """

    inputs: Tree

    def __call__(self, values: Float[Tensor, " samples *shape"]) -> Tree:
        """Return the inputs with other values in their continuous part.

        Example:
            >>> Rebuild({"a": torch.zeros(1, 2)})(torch.ones(1, 2))
            {'a': tensor([[1., 1.]])}
        """
        if isinstance(self.inputs, Tensor):
            return values
        leaves, structure = tree_flatten(self.inputs)
        start = 0
        for place, leaf in enumerate(leaves):
            if isinstance(leaf, Tensor) and leaf.is_floating_point():
                size = leaf[:1].numel()
                leaves[place] = values[:, start : start + size].reshape(-1, *leaf.shape[1:])
                start += size
        return tree_unflatten(leaves, structure)


def as_bounds(bounds: Any, inputs: Tree) -> Bounds:  # noqa: ANN401
    """Return bounds as numbers, or as tensors of the shape of one sample's continuous part.

    Args:
        bounds: A pair (low, high) of numbers, or of arrays that fit one sample; for inputs that are
            a mapping also a mapping of their names to pairs, for a tuple a tuple of pairs. None,
            and names that a mapping leaves out, are unbounded.
        inputs: The inputs.

    Raises:
        DataError: For anything else, or bounds that are not from low to high.

    Example:
        >>> as_bounds((0, 1), torch.zeros(2, 3))
        (0.0, 1.0)
        >>> as_bounds({"a": (0, 1)}, {"a": torch.zeros(2, 1), "b": torch.zeros(2, 1)})
        (tensor([0., -inf]), tensor([1., inf]))
    """
    if bounds is None or bounds is UNBOUNDED:
        return UNBOUNDED
    if isinstance(inputs, Mapping) and isinstance(bounds, Mapping):
        unknown = [name for name in bounds if name not in inputs]
        if unknown:
            names = ", ".join(repr(name) for name in inputs)
            raise DataError(f"Expected `bounds` of the inputs {names}, got {unknown[0]!r}.")
        return _joined([(bounds.get(name), part) for name, part in inputs.items()])
    if isinstance(inputs, tuple | list) and isinstance(bounds, tuple | list):
        pairs = [one is None or (isinstance(one, tuple | list) and len(one) == 2) for one in bounds]
        if all(pairs) and len(bounds) == len(inputs):
            return _joined(list(zip(bounds, inputs, strict=True)))
    part = continuous_part(inputs)
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise DataError(f"Expected `bounds` as a pair (low, high), got {bounds!r}.")
    low, high = (_as_limit(limit, part) for limit in bounds)
    if isinstance(low, float) and isinstance(high, float):
        if not low < high or (math.isfinite(low) != math.isfinite(high)):
            raise DataError(f"Expected finite `bounds` from low to high, got ({low}, {high}).")
        return low, high
    shape = () if part is None else part.shape[1:]
    low, high = (torch.as_tensor(limit, dtype=torch.float32).expand(shape) for limit in (low, high))
    if not bool((low < high).all()):
        raise DataError("Expected `bounds` from low to high for every value, got others.")
    return low, high


def _as_limit(limit: Any, part: Tensor | None) -> float | Tensor:  # noqa: ANN401
    """Return one end of the bounds as a number, or as a tensor that fits one sample."""
    try:
        values = np.asarray(limit, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"Expected `bounds` of numbers, got {limit!r}.") from error
    if np.isnan(values).any():
        raise DataError("Expected finite `bounds` from low to high, got NaN.")
    if values.ndim == 0:
        return float(values)
    shape = () if part is None else tuple(part.shape[1:])
    try:
        return torch.from_numpy(np.broadcast_to(values, shape).astype(np.float32))
    except ValueError as error:
        raise DataError(
            f"Expected `bounds` that fit one sample of shape {list(shape)}, got an array of shape "
            f"{list(values.shape)}."
        ) from error


def _joined(parts: list[tuple[Any, Tree]]) -> Bounds:
    """Return the bounds of several inputs as those of one row of numbers."""
    lows, highs = [], []
    for bounds, tree in parts:
        values = continuous_part(tree)
        if values is None:
            continue
        low, high = as_bounds(bounds, tree)
        for limits, limit in ((lows, low), (highs, high)):
            whole = torch.as_tensor(limit, dtype=torch.float32).expand(values.shape[1:])
            limits.append(whole.reshape(-1))
    if not lows:
        return UNBOUNDED
    return torch.cat(lows), torch.cat(highs)


def clamp_to(values: Tensor, bounds: Bounds) -> Tensor:
    """Return values moved into their bounds.

    Example:
        >>> clamp_to(torch.tensor([[-1.0, 0.5]]), (0.0, 1.0))
        tensor([[0.0000, 0.5000]])
    """
    low, high = bounds
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        return values.clamp(torch.as_tensor(low).to(values), torch.as_tensor(high).to(values))
    return values.clamp(low, high)


def is_uniform(bounds: Bounds) -> bool:
    """Return whether the same two finite numbers bound every value."""
    return isinstance(bounds[0], float | int) and math.isfinite(bounds[0])


def width_of(bounds: Bounds, inputs: Tree) -> float:
    """Return the largest change that bounds allow for, or the range of the values themselves.

    A perturbation of embeddings is a share already: no change is larger than 1.

    Args:
        bounds: Of the inputs.
        inputs: Some or all inputs.

    Example:
        >>> width_of((0.0, 0.5), torch.zeros(2, 3)), width_of(UNBOUNDED, torch.tensor([[1.0, 4.0]]))
        (0.5, 3.0)
    """
    if is_uniform(bounds):
        return float(bounds[1]) - float(bounds[0])
    widths = torch.as_tensor(bounds[1]) - torch.as_tensor(bounds[0])
    if bool(widths.isfinite().all()):
        return float(widths.max())
    values = None if has_perturbation(inputs) else continuous_part(inputs)
    if values is None:
        return 1.0
    spread = float(values.max() - values.min())
    return spread or 1.0


def spell_bounds(bounds: Bounds) -> str:
    """Return bounds for a sentence.

    Example:
        >>> spell_bounds((0.0, 1.0))
        '0 and 1, the declared bounds'
    """
    if is_uniform(bounds):
        return f"{bounds[0]:g} and {bounds[1]:g}, the declared bounds"
    return "the declared bounds"
