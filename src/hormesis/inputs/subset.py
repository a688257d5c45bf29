"""Seeded choices of samples: stratified by their labels, or all of them in random order."""

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from hormesis.errors import DataError


def stratified(labels: Int[Tensor, " samples"], count: int, seed: int) -> Int[Tensor, " count"]:
    """Return the sorted indices of ``count`` samples drawn with every class in its share.

    Each class gets its share of ``count`` rounded down or up (largest remainder; ties go to classes
    drawn by the seed). The same labels, count and seed give the same indices on every machine.

    Args:
        labels: Class of every sample there is.
        count: How many samples to draw, from 2 to ``len(labels)``.
        seed: Seed of the draw, at least 0.

    Raises:
        DataError: If ``count`` or ``seed`` lies outside these bounds.

    Example:
        >>> stratified(torch.tensor([0, 0, 0, 0, 1, 1]), count=3, seed=0)
        tensor([2, 3, 4])
    """
    total = len(labels)
    if not 2 <= count <= total:
        raise DataError(f"Expected `samples` from 2 to {total}, the number there is, got {count}.")
    if seed < 0:
        raise DataError(f"Expected `seed` to be at least 0, got {seed}.")
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


def shuffled(count: int, seed: int) -> Int[Tensor, " count"]:
    """Return the indices of ``count`` samples in a random order, the same on every machine.

    Args:
        count: How many samples there are.
        seed: Seed of the order, at least 0.

    Example:
        >>> shuffled(5, seed=0)
        tensor([3, 2, 1, 0, 4])
    """
    return torch.from_numpy(np.argsort(np.random.PCG64(seed).random_raw(count), kind="stable"))
