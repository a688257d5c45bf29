"""The replacements of the package: internal stresses that change values instead of removing them.

A replacement is a function here that returns a ``Replacement``, and one line in ``NAMED`` and in
``settings.choices.REPLACEMENTS``. All else follows from the object.

Example:
    >>> import hormesis as hm
    >>> hm.Sweep(filters=(hm.replacements.quantization((8, 4, 2)),)).steps
    3
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hormesis.errors import SettingError, unknown
from hormesis.settings.choices import REPLACEMENTS
from hormesis.settings.replacement import Levels, Replacement
from hormesis.settings.sweep import Sweep
from hormesis.stress.bit_faults import bit_faults, bit_position_faults
from hormesis.stress.fresh_weights import reinitialization, rewinding
from hormesis.stress.replacing import Level
from hormesis.stress.worst_case import worst_case

__all__ = [
    "NAMED",
    "bit_faults",
    "bit_position_faults",
    "quantization",
    "reinitialization",
    "rewinding",
    "shuffling",
    "sign_flips",
    "weight_noise",
    "with_replacements",
    "worst_case",
]

_GRID = 4  # roundings of its data type may lie between a value and the grid that it lies on
_DRAWS = 3  # of what is random: one says nothing about the next


def weight_noise(
    levels: Levels = (0.03, 0.1, 0.3, 1.0, 3.0), *, draws: int = _DRAWS
) -> Replacement:
    """Return the replacement that adds Gaussian noise to every value.

    Args:
        levels: Standard deviation of the noise, as a share of that of the tensor's own values.
        draws: How often each level is drawn.

    Example:
        >>> weight_noise((0.1, 0.3), draws=1).levels
        (0.1, 0.3)
    """
    return Replacement(
        "weight_noise",
        REPLACEMENTS["weight_noise"],
        _add_noise,
        tuple(levels),
        unit="noise / standard deviation",
        least=0.0,
        draws=draws,
    )


def _add_noise(values: Float[Tensor, "*part"], at: Level) -> Float[Tensor, "*part"]:
    noise = torch.randn(values.shape, generator=at.generator, dtype=torch.float64)
    own = values.double()
    return own + at.value * own.std(correction=0) * noise


def quantization(levels: Levels = (8, 6, 4, 3, 2), *, per_channel: bool = False) -> Replacement:
    """Return the replacement that rounds values to a symmetric grid of so many bits.

    The grid of ``b`` bits has the ``2^b − 1`` values from ``−m`` to ``m``, with ``m`` the largest
    magnitude of the tensor. A tensor that lies on it comes back bit for bit.

    Args:
        levels: Bits, from many to few, at least 2.
        per_channel: Whether each output channel has a grid of its own.

    Example:
        >>> quantization((4,), per_channel=True).name
        'quantization_per_channel'
    """
    name = "quantization_per_channel" if per_channel else "quantization"
    return Replacement(
        name,
        REPLACEMENTS[name],
        _round_to_bits,
        tuple(levels),
        unit="bits",
        least=2,
        most=32,
        whole=True,
        settings={"per_channel": per_channel},
    )


def _round_to_bits(values: Float[Tensor, "*part"], at: Level) -> Float[Tensor, "*part"]:
    own = values.double()
    largest = own.abs().amax()
    if at.settings["per_channel"] and at.axis is not None and values.ndim > 1:
        others = [axis for axis in range(values.ndim) if axis != at.axis]
        largest = own.abs().amax(dim=others, keepdim=True)
    top = 2 ** (int(at.value) - 1) - 1
    step = (largest / top).clamp_min(torch.finfo(torch.float64).tiny)
    rounded = (own / step).round().clamp(-top, top) * step
    # A grid's own values are rounded to the data type: they count as lying on it.
    close = (rounded - own).abs() <= _GRID * torch.finfo(values.dtype).eps * own.abs()
    return torch.where(close, own, rounded)


def shuffling(levels: Levels = (0.03, 0.1, 0.3, 0.6, 1.0), *, draws: int = _DRAWS) -> Replacement:
    """Return the replacement that permutes a random share of a tensor's values among themselves.

    Args:
        levels: Share of the values, from 0 to 1.
        draws: How often each level is drawn.

    Example:
        >>> shuffling((1,)).unit
        'share of the values'
    """
    return Replacement(
        "shuffling",
        REPLACEMENTS["shuffling"],
        _shuffle,
        tuple(levels),
        unit="share of the values",
        least=0.0,
        most=1.0,
        draws=draws,
    )


def _shuffle(values: Float[Tensor, "*part"], at: Level) -> Float[Tensor, "*part"]:
    flat, chosen = values.flatten(), _chosen(values, at)
    order = torch.randperm(len(chosen), generator=at.generator)
    flat[chosen] = flat[chosen[order]]
    return flat.view(values.shape)


def sign_flips(
    levels: Levels = (0.003, 0.01, 0.03, 0.1, 0.3), *, draws: int = _DRAWS
) -> Replacement:
    """Return the replacement that flips the sign of a random share of a tensor's values.

    Args:
        levels: Share of the values, from 0 to 1.
        draws: How often each level is drawn.

    Example:
        >>> sign_flips((0.5, 1)).levels
        (0.5, 1.0)
    """
    return Replacement(
        "sign_flips",
        REPLACEMENTS["sign_flips"],
        _flip_signs,
        tuple(levels),
        unit="share of the values",
        least=0.0,
        most=1.0,
        draws=draws,
    )


def _flip_signs(values: Float[Tensor, "*part"], at: Level) -> Float[Tensor, "*part"]:
    flat, chosen = values.flatten(), _chosen(values, at)
    flat[chosen] = -flat[chosen]
    return flat.view(values.shape)


def _chosen(values: Float[Tensor, "*part"], at: Level) -> Int[Tensor, " chosen"]:
    """Return the places of a random share of the values, rounded to whole ones."""
    count = round(at.value * values.numel())
    return torch.randperm(values.numel(), generator=at.generator)[:count]


NAMED: dict[str, Callable[[], Replacement]] = {
    "weight_noise": weight_noise,
    "quantization": quantization,
    "quantization_per_channel": partial(quantization, per_channel=True),
    "shuffling": shuffling,
    "sign_flips": sign_flips,
    "reinitialization": reinitialization,
    "bit_faults": bit_faults,
    "bit_faults_bfloat16": partial(bit_faults, number_format="bfloat16"),
    "bit_faults_int8": partial(bit_faults, number_format="int8"),
    "worst_case": worst_case,
}
"""What a name in ``Sweep(filters=...)`` stands for."""


def with_replacements(sweep: Sweep) -> Sweep:
    """Return a sweep whose replacements are objects, also those that it names.

    Raises:
        SettingError: For an unknown name, or levels that do not fit.

    Example:
        >>> with_replacements(Sweep(filters=("quantization",))).replacements[0].levels
        (8.0, 6.0, 4.0, 3.0, 2.0)
    """
    if not sweep.replaces:
        return sweep
    return replace(sweep, filters=tuple(map(_as_replacement, sweep.filters)))


def _as_replacement(one: Replacement | str) -> Replacement:
    if isinstance(one, Replacement):
        return one
    if one not in NAMED:
        raise SettingError(unknown("replacement", one, NAMED))
    return NAMED[one]()
