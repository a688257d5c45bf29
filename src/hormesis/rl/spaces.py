"""What a policy sees and does: observations as tensors, and actions from outputs.

Only attributes of spaces are used, and gymnasium is imported by whoever makes an environment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from hormesis.errors import SettingError
from hormesis.stress.losses import Loss, binary_cross_entropy, cross_entropy, mse

BOX, DISCRETE, MULTI_DISCRETE, MULTI_BINARY = "Box", "Discrete", "MultiDiscrete", "MultiBinary"
_FLATTENED = "wrap the environment in `gymnasium.wrappers.FlattenObservation`"


@dataclass(frozen=True)
class Observations:
    """The observations of an environment.

    Args:
        space: Its space: ``Box``, ``Discrete``, ``MultiDiscrete`` or ``MultiBinary``.

    Raises:
        SettingError: For another space.
    """

    space: Any

    def __post_init__(self) -> None:
        """Refuse observations that are no single array."""
        if _kind(self.space) not in (BOX, DISCRETE, MULTI_DISCRETE, MULTI_BINARY):
            raise SettingError(
                "Expected observations that are one array, got the observation space "
                f"{_spelt(self.space)}: {_FLATTENED}."
            )

    @property
    def continuous(self) -> bool:
        """Whether observations can be perturbed."""
        return _kind(self.space) == BOX

    def tensor(self, rows: Sequence[Any]) -> Tensor:
        """Return observations as one tensor, in the type of the space; pixels as 32-bit numbers."""
        values = np.asarray(rows, dtype=self.space.dtype)
        if self.continuous and not np.issubdtype(values.dtype, np.floating):
            values = values.astype(np.float32)
        return torch.from_numpy(values)

    def limits(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the lowest and the highest observation, each of the shape of one."""
        low, high = (torch.from_numpy(one).to(like) for one in (self.space.low, self.space.high))
        return low, high


@dataclass(frozen=True)
class Actions:
    """The actions of an environment, and how they follow from the outputs of a policy.

    ``Discrete`` takes the largest output; ``Box`` the outputs themselves, clipped to its bounds;
    ``MultiDiscrete`` the largest output of each part; ``MultiBinary`` what is above 0.

    Args:
        space: The action space.
        squashed: Whether outputs run from -1 to 1, for the bounds of a ``Box``.

    Raises:
        SettingError: For another space.
    """

    space: Any
    squashed: bool = False

    def __post_init__(self) -> None:
        """Refuse actions of another form."""
        if self.kind not in (BOX, DISCRETE, MULTI_DISCRETE, MULTI_BINARY):
            raise SettingError(
                "Expected an action space of the kind Discrete, Box, MultiDiscrete or MultiBinary, "
                f"got {_spelt(self.space)}."
            )

    @property
    def kind(self) -> str:
        """The name of the space's class."""
        return _kind(self.space)

    @property
    def outputs(self) -> int:
        """How many outputs of a policy go into an action."""
        if self.kind == DISCRETE:
            return int(self.space.n)
        if self.kind == MULTI_DISCRETE:
            return int(self.space.nvec.sum())
        return int(np.prod(self.space.shape))

    def chosen(self, outputs: Float[Tensor, "batch outputs"]) -> np.ndarray:
        """Return the action of each row, in the form that ``step`` takes."""
        if self.kind == DISCRETE:
            return outputs.argmax(dim=1).cpu().numpy() + int(self.space.start)
        if self.kind == MULTI_DISCRETE:
            parts = [part.argmax(dim=1) for part in self._parts(outputs)]
            shape = (len(outputs), *self.space.shape)
            return torch.stack(parts, dim=1).cpu().numpy().reshape(shape)
        if self.kind == MULTI_BINARY:
            values = (outputs > 0).cpu().numpy().astype(self.space.dtype)
            return values.reshape(len(outputs), *self.space.shape)
        values = outputs.cpu().numpy().reshape(len(outputs), *self.space.shape)
        low, high = self.space.low, self.space.high
        if self.squashed:
            values = low + 0.5 * (values + 1.0) * (high - low)
        return np.clip(values, low, high).astype(self.space.dtype)

    def labels(self, outputs: Float[Tensor, "batch outputs"]) -> Tensor:
        """Return what an attack takes for the truth: the action that these outputs stand for."""
        if self.kind == DISCRETE:
            return outputs.argmax(dim=1)
        if self.kind == MULTI_DISCRETE:
            return torch.stack([part.argmax(dim=1) for part in self._parts(outputs)], dim=1)
        return (outputs > 0).long() if self.kind == MULTI_BINARY else outputs

    @property
    def loss(self) -> Loss:
        """What an attack raises to make a policy act otherwise, from outputs and ``labels``."""
        if self.kind == MULTI_DISCRETE:
            return Loss("cross_entropy_of_parts", self._cross_entropy_of_parts)
        return {DISCRETE: cross_entropy, MULTI_BINARY: binary_cross_entropy, BOX: mse}[self.kind]

    def _parts(self, outputs: Tensor) -> tuple[Tensor, ...]:
        return outputs.split([int(size) for size in self.space.nvec.ravel()], dim=1)

    def _cross_entropy_of_parts(self, outputs: Tensor, labels: Tensor) -> Tensor:
        parts = zip(self._parts(outputs), labels.T, strict=True)
        losses = [functional.cross_entropy(*part, reduction="none") for part in parts]
        return torch.stack(losses).sum(dim=0)


def _kind(space: Any) -> str:  # noqa: ANN401
    return type(space).__name__


def _spelt(space: Any) -> str:  # noqa: ANN401
    return f"{space!r:.80}"
