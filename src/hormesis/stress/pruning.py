"""Ways to zero values that know nothing of a study: by magnitude, at random, and by Wanda's score.

Every function takes the values that may be zeroed and returns, for as many as asked for, where they
are kept: True. Values that are zero already are never counted.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

Values = Mapping[str, Tensor]
Kept = dict[str, Tensor]


def keep_largest(values: Values, count: int) -> Kept:
    """Zero the smallest magnitudes of all tensors together (global magnitude pruning).

    Args:
        values: Tensors by name.
        count: How many values to zero, at most all that are not zero.

    Returns:
        One bool tensor a name, True where a value is kept.

    Example:
        >>> keep_largest({"a": torch.tensor([3.0, -1.0]), "b": torch.tensor([2.0, 0.0])}, 2)
        {'a': tensor([ True, False]), 'b': tensor([False,  True])}
    """
    return keep_best(values, {name: one.abs() for name, one in values.items()}, count)


def keep_largest_by_layer(values: Values, count: int) -> Kept:
    """Zero the smallest magnitudes of each tensor, the same share of every one.

    Args:
        values: Tensors by name.
        count: How many values to zero of all together.
    """
    sizes = [int(one.count_nonzero()) for one in values.values()]
    counts = even_counts(sizes, count)
    kept: Kept = {}
    for (name, one), own in zip(values.items(), counts, strict=True):
        kept |= keep_largest({name: one}, own)
    return kept


def keep_random(values: Values, count: int, seed: int) -> Kept:
    """Zero values at random, each as likely as any other.

    Args:
        values: Tensors by name.
        count: How many values to zero.
        seed: Seed of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    scores = {name: torch.rand(one.shape, generator=generator) for name, one in values.items()}
    return keep_best(values, scores, count)


def keep_by_wanda(values: Values, norms: Mapping[str, Tensor], count: int) -> Kept:
    """Zero the lowest ``|w| · ‖x‖₂`` of each output's weights, the same share of every output.

    Wanda: M. Sun et al., "A simple and effective pruning approach for large language models",
    arXiv:2306.11695, section 3. Of a convolution, ``‖x‖₂`` is the norm of an input channel.

    Args:
        values: Weights by name, the first axis the output.
        norms: By name, the norm of the input behind each weight; it fits the weights when
            broadcast.
        count: How many values to zero of all together.

    Example:
        >>> weights = {"w": torch.tensor([[1.0, -2.0], [3.0, 1.0]])}
        >>> keep_by_wanda(weights, {"w": torch.tensor([[10.0, 1.0]])}, 2)
        {'w': tensor([[ True, False],
                [ True, False]])}
    """
    rows = [(name, row) for name, one in values.items() for row in range(len(one))]
    sizes = [int(values[name][row].count_nonzero()) for name, row in rows]
    kept: Kept = {name: torch.ones_like(one, dtype=torch.bool) for name, one in values.items()}
    scores = {name: (one.abs() * norms[name]).cpu() for name, one in values.items()}
    for (name, row), own in zip(rows, even_counts(sizes, count), strict=True):
        one = {name: values[name][row]}
        kept[name][row] = keep_best(one, {name: scores[name][row]}, own)[name]
    return kept


def keep_best(values: Values, scores: Values, count: int) -> Kept:
    """Zero the values of the lowest scores of all tensors together; of equal ones, the first.

    Args:
        values: Tensors by name; what is zero already is kept and not counted.
        scores: As many numbers.
        count: How many to zero.
    """
    there = torch.cat([one.detach().flatten().cpu() != 0 for one in values.values()])
    flat = torch.cat([scores[name].detach().flatten().double().cpu() for name in values])
    order = torch.where(there, flat, torch.inf).argsort(stable=True)
    keep = torch.ones(len(flat), dtype=torch.bool)
    keep[order[: min(count, int(there.sum()))]] = False
    return _apart(keep, values)


def _apart(keep: Bool[Tensor, " all"], values: Values) -> Kept:
    parts = keep.split([one.numel() for one in values.values()])
    return {
        name: part.view(one.shape) for (name, one), part in zip(values.items(), parts, strict=True)
    }


def even_counts(sizes: Sequence[int], count: int) -> list[int]:
    """Return the same share of every size, in whole numbers that add up to ``count``.

    The largest remainders are rounded up, the first of equal ones.

    Example:
        >>> even_counts([10, 20, 3], 11)
        [3, 7, 1]
    """
    total = max(sum(sizes), 1)
    exact = [divmod(size * min(count, total), total) for size in sizes]
    counts = [whole for whole, _ in exact]
    left = min(count, sum(sizes)) - sum(counts)
    order = sorted(range(len(sizes)), key=lambda index: -exact[index][1])
    for index in order[:left]:
        counts[index] += 1
    return counts
