"""Trees of tensors: one tensor, or tuples, lists and dictionaries of tensors, to any depth.

The inputs of a network, and the labels of its samples, are such trees; the first axis of every
tensor is the sample. Leaves that are no tensors, such as None, pass through unchanged.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

Tree = Any
"""A tensor, or a structure of tensors."""
Index = slice | Int[Tensor, " chosen"] | Bool[Tensor, " samples"]


def tensors_in(tree: Tree) -> list[Tensor]:
    """Return the tensors of a tree, in the order of its structure.

    Example:
        >>> [len(one) for one in tensors_in({"ids": torch.zeros(2, 3), "mask": None})]
        [2]
    """
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def count_rows(tree: Tree) -> int:
    """Return the number of samples: the length of the first tensor, 0 if there is none.

    Example:
        >>> count_rows((torch.zeros(4, 2), torch.zeros(4)))
        4
    """
    if isinstance(tree, Tensor):
        return len(tree)
    tensors = tensors_in(tree)
    return len(tensors[0]) if tensors else 0


def symbolic_rows(tree: Tree) -> Any:  # noqa: ANN401  (an integer, or PyTorch's symbol for one)
    """Return the number of samples in a form that an export keeps open; ``len`` would fix it."""
    return tree.shape[0] if isinstance(tree, Tensor) else tensors_in(tree)[0].shape[0]


def select_rows(tree: Tree, index: Index) -> Tree:
    """Return some samples of a tree: a slice, or a tensor of indices or truth values.

    Example:
        >>> select_rows({"a": torch.arange(4)}, slice(1, 3))
        {'a': tensor([1, 2])}
    """
    if isinstance(tree, Tensor):
        return tree[index]
    return tree_map(lambda leaf: _rows(leaf, index) if isinstance(leaf, Tensor) else leaf, tree)


def _rows(leaf: Tensor, index: Index) -> Tensor:
    if isinstance(index, slice) or leaf.ndim == 0 or len(leaf) < 2 or any(leaf.stride()):
        return leaf[index]
    # One value in memory, such as the zeros of clean embeddings, stays one.
    count = int(index.sum()) if index.dtype == torch.bool else len(index)
    return leaf[:1].expand(count, *leaf.shape[1:])


def in_memory(leaf: Tensor) -> Tensor:
    """Return a tensor without the repetitions along its axes that share memory.

    Example:
        >>> in_memory(torch.zeros(1, 3).expand(1000, 3)).shape
        torch.Size([1, 3])
    """
    return leaf[tuple(slice(None) if step else slice(0, 1) for step in leaf.stride())]


def move_to(tree: Tree, device: torch.device) -> Tree:
    """Return a tree on a device."""
    if isinstance(tree, Tensor):
        return tree.to(device)
    return tree_map(lambda leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf, tree)


def in_batches(tree: Tree, size: int, device: torch.device) -> Iterator[tuple[int, Tree]]:
    """Yield the samples of a tree on a device, so many at a time.

    Args:
        tree: Such as inputs and labels.
        size: Samples at a time, at least 1; the last batch may be smaller.
        device: Where they are wanted.

    Yields:
        Index of the first sample of a batch, and the batch.

    Example:
        >>> [first for first, _ in in_batches(torch.arange(3), 2, torch.device("cpu"))]
        [0, 2]
    """
    for first in range(0, count_rows(tree), size):
        yield first, move_to(select_rows(tree, slice(first, first + size)), device)


def join_rows(trees: Sequence[Tree]) -> Tree:
    """Return the samples of several trees of one structure, one after the other.

    Example:
        >>> join_rows([(torch.tensor([1]), None), (torch.tensor([2]), None)])
        (tensor([1, 2]), None)
    """
    first = trees[0]
    if isinstance(first, Tensor):
        return torch.cat(list(trees))
    leaves, structure = tree_flatten(first)
    columns = zip(*(tree_leaves(tree) for tree in trees), strict=True)
    joined = [
        torch.cat(column) if isinstance(leaf, Tensor) else leaf
        for leaf, column in zip(leaves, columns, strict=True)
    ]
    return tree_unflatten(joined, structure)


def repeat_rows(tree: Tree, times: int) -> Tree:
    """Return all samples of a tree so many times, one round after the other.

    Example:
        >>> repeat_rows(torch.tensor([1, 2]), 2)
        tensor([1, 2, 1, 2])
    """
    return join_rows([tree] * times)


def flat_rows(values: Tensor) -> Shaped[Tensor, "samples values"]:
    """Return a tensor as one row of numbers a sample, also where each has a single one.

    Example:
        >>> flat_rows(torch.zeros(2, 3, 4)).shape, flat_rows(torch.zeros(2)).shape
        (torch.Size([2, 12]), torch.Size([2, 1]))
    """
    return values[:, None].flatten(1)


def copy_rows(tree: Tree) -> Tree:
    """Return a copy of a tree that autograd can take, also where its tensors are of inference mode.

    Example:
        >>> copy_rows((torch.ones(1, requires_grad=True), None))
        (tensor([1.]), None)
    """
    return tree_map(lambda leaf: leaf.detach().clone() if isinstance(leaf, Tensor) else leaf, tree)


def device_of_rows(tree: Tree) -> torch.device:
    """Return the device of the tensors of a tree."""
    if isinstance(tree, Tensor):
        return tree.device
    tensors = tensors_in(tree)
    return tensors[0].device if tensors else torch.device("cpu")


def shape_of_rows(tree: Tree) -> tuple[int, ...]:
    """Return the shape of one sample: of a tensor its own, of a structure its number of values.

    Example:
        >>> shape_of_rows(torch.zeros(2, 3, 4)), shape_of_rows((torch.zeros(2, 3), torch.zeros(2)))
        ((3, 4), (4,))
    """
    if isinstance(tree, Tensor):
        return tuple(tree.shape[1:])
    return (sum(leaf[:1].numel() for leaf in tensors_in(tree)),)


def as_arrays(tree: Tree) -> Tree:
    """Return a tree of NumPy arrays from one of tensors on the CPU.

    Example:
        >>> as_arrays((torch.tensor([1]), None))
        (array([1]), None)
    """
    return tree_map(lambda leaf: leaf.numpy() if isinstance(leaf, Tensor) else leaf, tree)


def as_tensors(tree: Tree) -> Tree:
    """Return a tree of tensors from one of NumPy arrays, which are copied."""
    return tree_map(
        lambda leaf: torch.from_numpy(leaf.copy()) if isinstance(leaf, np.ndarray) else leaf, tree
    )
