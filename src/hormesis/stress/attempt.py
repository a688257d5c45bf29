"""A batch under attack: its limits, random starts and gradients."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from hormesis.data.bounds import Bounds
from hormesis.data.trees import Tree
from hormesis.errors import AttackError
from hormesis.models.adapter import outputs_of
from hormesis.settings.threat import LINF
from hormesis.stress.cancellation import step
from hormesis.stress.losses import Loss, cross_entropy
from hormesis.stress.projections import ball_point, within

Numbers = Int[np.ndarray, " batch"]
"""Index in the data set of each row."""

_STARTS = 1  # keeps these draws apart from others made with the same seed


@dataclass
class Attempt:
    """One attempt of an attack on a batch.

    Args:
        network: In evaluation mode.
        inputs: The continuous part of the clean samples, in input units, see
            ``data.bounds.continuous_part``.
        labels: Those of the samples: true classes as 64-bit integers, or whatever the loss takes.
        epsilon: Largest change, in input units: of any value, or in L2 of all together.
        bounds: Lowest and highest value that an input may take: two numbers, or two tensors of the
            shape of one sample.
        seed: Seed of everything that is drawn at random.
        numbers: Index in the data set of each sample.
        note_zero: Whether to note where the gradient at the clean inputs is zero.
        restart: Number of the attempt, from 0.
        zero: Of each sample, whether its first gradient was zero; None before there was one.
        loss: What the attack raises.
        rebuild: Makes the inputs of the network from values like ``inputs``.
        norm: What ``epsilon`` is measured by, one of ``settings.threat.NORMS``.
        toward: The class that each sample shall be taken for; None if any wrong one will do.
        perturbable: Which values of the inputs random starts move; None for all.
    """

    network: nn.Module
    inputs: Float[Tensor, " batch *shape"]
    labels: Any
    epsilon: float
    bounds: Bounds
    seed: int
    numbers: Numbers
    note_zero: bool = False
    restart: int = 0
    zero: Bool[Tensor, " batch"] | None = None
    loss: Loss = cross_entropy
    rebuild: Callable[[Tensor], Tree] = field(default=lambda values: values)
    norm: str = LINF
    toward: Int[Tensor, " batch"] | None = None
    perturbable: Bool[Tensor, " batch *shape"] | None = None

    def starts(self) -> Float[Tensor, " batch *shape"]:
        """Return a random point of the ball of radius 1 for each sample, see ``random_starts``."""
        starts = random_starts(
            self.inputs,
            seed=self.seed,
            first=torch.from_numpy(self.numbers),
            restart=self.restart,
            norm=self.norm,
        )
        return starts if self.perturbable is None else within(starts, self.perturbable, self.norm)

    def look(self) -> None:
        """Compute the first gradient at the clean inputs, if zero gradients are to be noted.

        Attacks that start elsewhere call this first.
        """
        if self.note_zero:
            self.gradient(self.inputs)

    def outputs(self, inputs: Float[Tensor, " batch *shape"]) -> Tensor:
        """Return the network's outputs."""
        step()
        return outputs_of(self.network, self.rebuild(inputs))

    def classifies(self, outputs: Tensor) -> bool:
        """Return whether outputs are logits and labels are classes, so that a sample can be wrong.

        Args:
            outputs: Of the network.
        """
        is_cross_entropy = self.loss.name == cross_entropy.name
        return is_cross_entropy and outputs.ndim == 2 and self.labels.ndim == 1

    def gradient(self, inputs: Float[Tensor, " batch *shape"]) -> Float[Tensor, " batch *shape"]:
        """Return the gradient of what the attack raises with respect to the input of each sample.

        That is the loss of the labels, or the loss of the classes aimed at with the sign turned.
        """
        raw = inputs.detach().clone().requires_grad_()
        labels = self.labels if self.toward is None else self.toward
        gradient = self.gradient_of(self.loss.measure(self.outputs(raw), labels).sum(), raw)
        return gradient if self.toward is None else -gradient

    def gradient_of(
        self, loss: Float[Tensor, ""], inputs: Float[Tensor, " batch *shape"]
    ) -> Float[Tensor, " batch *shape"]:
        """Return the gradient of a loss that was summed over samples, with respect to inputs.

        Raises:
            AttackError: If there is none, or it is not a number, naming the sample.
        """
        # backward() would leave a .grad on every tensor that asks for one.
        gradient = None
        if loss.requires_grad:
            (gradient,) = torch.autograd.grad(loss, inputs, allow_unused=True)
        if gradient is None:
            raise AttackError(
                "Expected a network that is differentiable with respect to its input, got outputs "
                "that are cut off from it; look for detach(), no_grad() or NumPy in its forward()."
            )
        # The sign of NaN is 0 in PyTorch: the sample would silently pass for one that resists.
        broken = first_bad(gradient.isnan(), self.numbers)
        if broken is not None:
            raise AttackError(
                "Expected a gradient of the loss to follow, got NaN for sample "
                f"{broken}; look for NaN or infinite values in the network's weights or operations."
            )
        if self.zero is None:
            self.zero = (gradient == 0).flatten(1).all(dim=1)
        return gradient


def random_starts(
    inputs: Float[Tensor, " batch *shape"],
    *,
    seed: int,
    first: int | Int[Tensor, " batch"] = 0,
    restart: int = 0,
    norm: str = LINF,
) -> Float[Tensor, " batch *shape"]:
    """Return a point of the ball of radius 1 a sample, from the seed and the sample's index alone.

    The size of the batch, the device and the global random state have no influence.

    Args:
        inputs: Gives the shape, the dtype and the device.
        seed: Seed, at least 0.
        first: Index in the data set of the first row, or the index of each.
        restart: Number of the start, from 0.
        norm: Which ball, see ``projections.ball_point``.

    Example:
        >>> whole = random_starts(torch.zeros(3, 2), seed=0)
        >>> torch.equal(whole[2:], random_starts(torch.zeros(1, 2), seed=0, first=2))
        True
    """
    shape, again = inputs.shape[1:], (restart,) if restart else ()
    rows = [
        ball_point(np.random.default_rng((_STARTS, seed, number, *again)), shape, norm)
        for number in numbers_of(first, len(inputs)).tolist()
    ]
    return torch.from_numpy(np.stack(rows)).to(dtype=inputs.dtype, device=inputs.device)


def numbers_of(first: int | Tensor, count: int) -> Numbers:
    """Return the index in the data set of each row."""
    return np.arange(first, first + count) if isinstance(first, int) else first.cpu().numpy()


def first_bad(bad: Tensor, numbers: Numbers) -> int | None:
    """Return the index in the data set of the first sample with a value that is bad, or None."""
    rows = bad.flatten(1).any(dim=1).nonzero()
    return int(numbers[int(rows[0])]) if len(rows) else None
