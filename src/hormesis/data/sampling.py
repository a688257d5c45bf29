"""Seeded subsets and orders of samples, stratified by label or random."""

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from hormesis.errors import DataError


def draw_stratified(
    labels: Int[Tensor, " samples"], count: int, seed: int
) -> Int[Tensor, " count"]:
    """Return the sorted indices of ``count`` samples, stratified by class.

    Each class gets its share of ``count`` rounded down or up (largest remainder; ties go to classes
    drawn by the seed). The same labels, count and seed give the same indices on every machine.

    Args:
        labels: Class of every sample.
        count: Number of samples to draw, from 2 to ``len(labels)``.
        seed: Seed of the draw, at least 0.

    Raises:
        DataError: If ``count`` or ``seed`` is outside these bounds.

    Example:
        >>> draw_stratified(torch.tensor([0, 0, 0, 0, 1, 1]), count=3, seed=0)
        tensor([2, 3, 4])
    """
    _check_draw(count, total := len(labels), seed)
    _, member, sizes = np.unique(labels.cpu().numpy(), return_inverse=True, return_counts=True)
    # NumPy promises the raw stream of a bit generator for good, but not what Generator makes of it.
    source = np.random.PCG64(seed)
    keys, ties = source.random_raw(total), source.random_raw(len(sizes))
    shares, remainders = np.divmod(count * sizes, total)
    left = count - int(shares.sum())
    shares[np.lexsort((ties, -remainders))[:left]] += 1
    order = np.lexsort((keys, member))  # class by class, at random within each
    rank = np.arange(total) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return torch.from_numpy(np.sort(order[rank < np.repeat(shares, sizes)]))


def balanced_order(labels: Int[Tensor, " samples"], seed: int) -> Int[Tensor, " samples"]:
    """Return the indices of all samples in a random order that spreads every class evenly.

    The first ``n`` samples contain every class in proportion, to within about one sample, and every
    sample is equally likely to be among them.

    Args:
        labels: Class of every sample.
        seed: Seed of the order, at least 0.

    Example:
        >>> balanced_order(torch.tensor([0, 0, 0, 0, 1, 1]), seed=0)
        tensor([3, 2, 4, 5, 1, 0])
    """
    _, member, sizes = np.unique(labels.cpu().numpy(), return_inverse=True, return_counts=True)
    source = np.random.PCG64(seed)
    keys, offsets = (source.random_raw(len(labels)) for _ in range(2))
    order = np.lexsort((keys, member))
    rank = np.empty(len(labels), dtype=np.int64)
    rank[order] = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # Each class is spread evenly over [0, 1), every sample at random within its own interval.
    position = (rank + (offsets >> 11) * 2.0**-53) / sizes[member]
    return torch.from_numpy(np.lexsort((keys, position)))


def draw_balanced(labels: Int[Tensor, " samples"], count: int, seed: int) -> Int[Tensor, " count"]:
    """Return the first ``count`` indices of ``balanced_order``.

    Args:
        labels: Class of every sample.
        count: Number of samples to draw, from 2 to ``len(labels)``.
        seed: Seed of the draw, at least 0.

    Raises:
        DataError: If ``count`` or ``seed`` is outside these bounds.
    """
    _check_draw(count, len(labels), seed)
    return balanced_order(labels, seed)[:count]


def draw_random(total: int, count: int, seed: int) -> Int[Tensor, " count"]:
    """Return the first ``count`` indices of ``random_order``.

    Args:
        total: Number of samples there are.
        count: Number of samples to draw, from 2 to ``total``.
        seed: Seed of the draw, at least 0.

    Raises:
        DataError: If ``count`` or ``seed`` is outside these bounds.
    """
    _check_draw(count, total, seed)
    return random_order(total, seed)[:count]


def _check_draw(count: int, total: int, seed: int) -> None:
    if not 2 <= count <= total:
        raise DataError(f"Expected `samples` from 2 to {total}, the number there is, got {count}.")
    if seed < 0:
        raise DataError(f"Expected `seed` to be at least 0, got {seed}.")


def random_order(count: int, seed: int) -> Int[Tensor, " count"]:
    """Return the indices of ``count`` samples in a random order, the same on every machine.

    Args:
        count: Number of samples.
        seed: Seed of the order, at least 0.

    Example:
        >>> random_order(5, seed=0)
        tensor([3, 2, 1, 0, 4])
    """
    return torch.from_numpy(np.argsort(np.random.PCG64(seed).random_raw(count), kind="stable"))
