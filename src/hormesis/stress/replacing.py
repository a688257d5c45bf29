"""How a replacement is applied: every level, target and draw has random numbers of its own."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hormesis.data.samples import Samples
from hormesis.errors import SettingError, quoted
from hormesis.settings.replacement import Replacement
from hormesis.stress.kinds import channel_axis
from hormesis.stress.losses import PASSED_ON, Loss
from hormesis.stress.parts import Part, Target

_WILD = 100.0  # times the largest value: logits then round as numbers of that size do


@dataclass(frozen=True, eq=False)
class Level:
    """What a replacement is told besides the values that it changes.

    Args:
        value: The level itself.
        generator: Source of random numbers on the CPU: seeded by the sweep's seed, the target, the
            level, the draw and the place of the tensor in its target, never by an order.
        part: Which tensor of the network the values are, or which slice of one.
        axis: Along which the output channels of the tensor lie; None for one channel.
        settings: Those of the replacement.
        prepared: What ``prepare`` returned for the tensor; None without it.
    """

    value: float
    generator: torch.Generator
    part: Part
    axis: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    prepared: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What replacements may look at before anything is measured.

    Args:
        network: In evaluation mode; whoever looks at it leaves it as it is.
        samples: All samples, in the order of the data; None where they are not known.
        loss: What an attack raises; None where it is not known.
        memo: What was prepared for several levels of one target.
    """

    network: nn.Module
    samples: Samples | None = None
    loss: Loss | None = None
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, eq=False)
class Preparation:
    """What ``prepare`` of a replacement is given.

    Args:
        target: What is changed.
        value: The level.
        draw: Number of the draw, from 0.
        sweep_seed: Seed of the sweep, for what does not depend on the level.
        settings: Those of the replacement.
        source: That of the replacement.
        around: Network and samples.
    """

    target: Target
    value: float
    draw: int
    sweep_seed: int
    settings: Mapping[str, Any]
    source: Any
    around: Surroundings

    def original(self, part: Part) -> Float[Tensor, "*part"]:
        """Return the network's own values of a part, as a copy on the CPU."""
        return own_values(dict(self.around.network.named_parameters()), part)


def take_prepared(values: Float[Tensor, "*part"], at: Level) -> Float[Tensor, "*part"]:
    """Return what was prepared for a tensor in place of its values."""
    assert at.prepared is not None
    return at.prepared


@dataclass(frozen=True)
class AppliedReplacement:
    """A replacement at one level and one draw, ready to be applied to its target.

    Args:
        replacement: The replacement.
        value: The level.
        seed: Of its random numbers.
        axes: Along which the output channels of each part lie; None for one channel.
        prepared: One tensor a part, or none.
        digest: Hash of the new values, by which the change is told from all others.
        wild: Whether a new value is not finite, or far larger than any of the target's own.
    """

    replacement: Replacement
    value: float
    seed: int
    axes: tuple[int | None, ...]
    prepared: tuple[Tensor, ...] = field(default=(), compare=False, repr=False)
    digest: str = ""
    wild: bool = False

    def apply(self, target: Target, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return copies of a target's tensors with the values replaced.

        They are computed on the CPU, so that they are the same on every device.

        Args:
            target: The target.
            parameters: The network's parameters by name.

        Raises:
            SettingError: If the replacement returns another number of values.
        """
        names = dict.fromkeys(part.parameter for part in target.parts)
        changed = {name: parameters[name].detach().clone() for name in names}
        for index, part in enumerate(target.parts):
            view = part.of(changed[part.parameter])
            view.copy_(self._changed(own_values(parameters, part), index, part))
        return changed

    def _changed(self, values: Tensor, index: int, part: Part) -> Tensor:
        level = Level(
            self.value,
            torch.Generator().manual_seed(seed_of(self.seed, index)),
            part,
            self.axes[index],
            self.replacement.settings,
            self.prepared[index] if self.prepared else None,
        )
        shape, kind = values.shape, values.dtype
        try:
            new = self.replacement.change(values, level)
        except PASSED_ON:
            raise
        except Exception as error:  # anything may come out of code that is not ours
            raise SettingError(
                f"The replacement {self.replacement.name!r} failed on {part.parameter} at level "
                f"{self.value:g}: {quoted(error)}"
            ) from error
        if not isinstance(new, Tensor) or new.shape != shape:
            got = tuple(new.shape) if isinstance(new, Tensor) else type(new).__name__
            raise SettingError(
                f"Expected the replacement {self.replacement.name!r} to return values of shape "
                f"{tuple(shape)} for {part.parameter}, got {got}."
            )
        return new.detach().to(kind)


def apply_at(
    replacement: Replacement,
    target: Target,
    value: float,
    draw: int,
    sweep_seed: int,
    around: Surroundings,
) -> AppliedReplacement:
    """Return a replacement at one level, with what it has to prepare.

    Args:
        replacement: The replacement.
        target: What is changed.
        value: The level.
        draw: Number of the draw, from 0.
        sweep_seed: Seed of the sweep.
        around: Network and samples.

    Raises:
        SettingError: If the target cannot be changed.
    """
    drawn = replacement.sweep_names[draw]
    seed = seed_of(sweep_seed, target.name, drawn, value)
    prepared: tuple[Tensor, ...] = ()
    if replacement.prepare is not None:
        settings, source = replacement.settings, replacement.source
        asked = Preparation(target, value, draw, sweep_seed, settings, source, around)
        prepared = tuple(replacement.prepare(asked))
    axes = tuple(_axis(part, target, around.network) for part in target.parts)
    return AppliedReplacement(replacement, value, seed, axes, prepared)


def _axis(part: Part, target: Target, network: nn.Module) -> int | None:
    """Return along which axis the output channels of a part lie; None if it is a single one."""
    if part.index is not None and part.slices is None:
        return None
    return channel_axis(network, part.parameter) if target.axis is None else target.axis


def own_values(parameters: Mapping[str, Tensor], part: Part) -> Float[Tensor, "*part"]:
    """Return the values of a part, as a copy on the CPU whatever their layout in memory."""
    values = part.of(parameters[part.parameter].detach())
    return values.to("cpu", copy=True, memory_format=torch.contiguous_format)


def seed_of(*parts: object) -> int:
    """Return a seed that depends on all of the parts.

    Example:
        >>> seed_of(0, "fc.weight") == seed_of(0, "fc.weight") != seed_of(1, "fc.weight")
        True
    """
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:7])


def changes_of(
    applied: AppliedReplacement, target: Target, parameters: Mapping[str, Tensor]
) -> tuple[int, str, bool]:
    """Return how many values a replacement changes, a hash of the new ones, and if they are wild.

    Args:
        applied: The replacement; its own hash plays no part.
        target: The target.
        parameters: The network's parameters by name.
    """
    new = applied.apply(target, parameters)
    digest, count, wild = hashlib.sha256(), 0, False
    for part in target.parts:
        before, after = own_values(parameters, part), own_values(new, part)
        count += int((before != after).count_nonzero())
        digest.update(after.flatten().view(torch.uint8).numpy().tobytes())
        limit = _WILD * before.abs().max()
        wild = wild or not bool((after.abs() <= limit).all())
    return count, digest.hexdigest()[:32], wild
