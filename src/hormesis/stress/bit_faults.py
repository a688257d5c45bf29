"""Replacements by faults of memory: flipped bits of a value in a format of numbers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hormesis.settings.choices import check_choice
from hormesis.settings.replacement import Levels, Replacement
from hormesis.stress.replacing import Level

_COUNTS = (1, 3, 10, 30, 100)


@dataclass(frozen=True)
class NumberFormat:
    """How numbers are stored.

    Args:
        bits: Of one number.
        flip: Takes values and, for each, which of its bits to flip, and returns the values after.
    """

    bits: int
    flip: Callable[[Tensor, np.ndarray], Tensor]


def _flip_float32(values: Float[Tensor, " size"], masks: Int[np.ndarray, " size"]) -> Tensor:
    stored = values.to(torch.float32).numpy().view(np.uint32)
    return torch.from_numpy((stored ^ masks.astype(np.uint32)).view(np.float32))


def _flip_bfloat16(values: Float[Tensor, " size"], masks: Int[np.ndarray, " size"]) -> Tensor:
    stored = values.to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    flipped = (stored ^ masks.astype(np.uint16)).view(np.int16)
    return torch.from_numpy(flipped).view(torch.bfloat16)


def _flip_int8(values: Float[Tensor, " size"], masks: Int[np.ndarray, " size"]) -> Tensor:
    own = values.double()
    step = (own.abs().max() / 127).clamp_min(torch.finfo(torch.float64).tiny)
    stored = (own / step).round().clamp(-127, 127).to(torch.int8).numpy().view(np.uint8)
    return torch.from_numpy((stored ^ masks.astype(np.uint8)).view(np.int8)).double() * step


FORMATS = {
    "float32": NumberFormat(32, _flip_float32),
    "bfloat16": NumberFormat(16, _flip_bfloat16),
    "int8": NumberFormat(8, _flip_int8),
}


def bit_faults(
    levels: Levels = _COUNTS, *, number_format: str = "float32", draws: int = 3
) -> Replacement:
    """Return the replacement that flips so many random bits of a tensor.

    A value that is hit is stored in the format, its bits are flipped, and it is read back; all
    other values stay as they are. In ``int8`` a tensor has one symmetric scale. Values may become
    infinite or no numbers: they are measured as they are.

    Args:
        levels: Number of bits flipped in each tensor, all at different places.
        number_format: ``float32``, ``bfloat16`` or ``int8``.
        draws: How often each level is drawn.

    Example:
        >>> bit_faults((1, 10), number_format="int8").name
        'bit_faults_int8'
    """
    check_choice("number format", number_format, tuple(FORMATS))
    return Replacement(
        _named("bit_faults", number_format),
        f"flips random bits of {number_format} values",
        _flip_several,
        tuple(levels),
        unit="flipped bits",
        least=1,
        whole=True,
        draws=draws,
        settings={"number_format": number_format},
    )


def bit_position_faults(
    levels: Levels | None = None, *, number_format: str = "float32", draws: int = 3
) -> Replacement:
    """Return the replacement that flips one bit, at a given position, of one random value.

    Args:
        levels: Positions, 0 for the lowest bit of all, up to the sign; by default all of them.
        number_format: ``float32``, ``bfloat16`` or ``int8``.
        draws: How often each level is drawn: the value that is hit differs.

    Example:
        >>> bit_position_faults((30,)).name, len(bit_position_faults(number_format="int8").levels)
        ('bit_position_faults', 8)
    """
    check_choice("number format", number_format, tuple(FORMATS))
    bits = FORMATS[number_format].bits
    return Replacement(
        _named("bit_position_faults", number_format),
        f"flips a bit at one position of a random {number_format} value",
        _flip_one,
        tuple(range(bits)) if levels is None else tuple(levels),
        unit="position of the flipped bit",
        least=0,
        most=bits - 1,
        whole=True,
        draws=draws,
        settings={"number_format": number_format},
    )


def _named(name: str, number_format: str) -> str:
    return name if number_format == "float32" else f"{name}_{number_format}"


def _flip_several(values: Float[Tensor, "*part"], at: Level) -> Float[Tensor, "*part"]:
    bits = FORMATS[at.settings["number_format"]].bits
    places = _distinct_places(values.numel() * bits, int(at.value), at.generator)
    masks = torch.zeros(values.numel(), dtype=torch.int64)
    masks.scatter_add_(0, places // bits, torch.ones_like(places) << (places % bits))
    return _flipped(values, masks, at)


def _flip_one(values: Float[Tensor, "*part"], at: Level) -> Float[Tensor, "*part"]:
    masks = torch.zeros(values.numel(), dtype=torch.int64)
    masks[torch.randint(values.numel(), (1,), generator=at.generator)] = 1 << int(at.value)
    return _flipped(values, masks, at)


def _flipped(
    values: Float[Tensor, "*part"], masks: Int[Tensor, " size"], at: Level
) -> Float[Tensor, "*part"]:
    flat = values.flatten()
    after = FORMATS[at.settings["number_format"]].flip(flat, masks.numpy()).to(flat.dtype)
    return torch.where(masks != 0, after, flat).view(values.shape)


def _distinct_places(total: int, count: int, generator: torch.Generator) -> Int[Tensor, " count"]:
    """Return so many different numbers below ``total``, or all of them."""
    if 4 * count >= total:
        return torch.randperm(total, generator=generator)[:count]
    chosen = dict[int, None]()
    while len(chosen) < count:
        drawn = torch.randint(total, (count,), generator=generator)
        chosen |= dict.fromkeys(drawn.tolist())
    return torch.tensor([*chosen][:count], dtype=torch.int64)
