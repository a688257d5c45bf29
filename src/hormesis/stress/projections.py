"""Balls around samples: directions of unit length, points drawn evenly, and the way back inside."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from hormesis.data.bounds import Bounds, clamp_to
from hormesis.settings.threat import L2, LINF

Rows = Float[Tensor, " batch *shape"]
_SHORT = 1e-12  # below it the squares of 32-bit numbers vanish


def sizes(changes: Rows, norm: str = LINF) -> Float[Tensor, " batch"]:
    """Return the size of the change of each sample.

    Args:
        changes: Of each value.
        norm: One of ``settings.threat.NORMS``.

    Example:
        >>> changes = torch.tensor([[3.0, -4.0]])
        >>> sizes(changes).item(), sizes(changes, "l2").item()
        (4.0, 5.0)
    """
    rows = changes.flatten(1)
    return rows.square().sum(dim=-1).sqrt() if norm == L2 else rows.abs().amax(dim=-1)


def along(values: Shaped[Tensor, " batch"], rows: Rows) -> Tensor:
    """Return one number a sample in a shape that multiplies rows."""
    return values.view(-1, *[1] * (rows.ndim - 1))


def unit(rows: Rows) -> Rows:
    """Return rows of the same direction and of length 1; rows of zeros stay.

    Gradients of a network that is very sure are so small that their squares are zero: they are
    scaled first.

    Example:
        >>> unit(torch.tensor([[3.0, -4.0], [0.0, 0.0], [1e-30, 0.0]]))
        tensor([[ 0.6000, -0.8000],
                [ 0.0000,  0.0000],
                [ 1.0000,  0.0000]])
    """
    lengths = sizes(rows, L2)
    short = lengths < _SHORT
    if bool(short.any()):
        largest = sizes(rows)
        factors = torch.where(short & (largest > 0), largest, torch.ones_like(largest))
        rows = rows / along(factors, rows)
        lengths = sizes(rows, L2)
    return rows * along(1 / lengths.clamp(min=_SHORT), rows)


def project(changes: Rows, epsilon: float, norm: str = LINF) -> Rows:
    """Return changes moved into the ball of a magnitude: each value, or all of them together.

    Example:
        >>> changes = torch.tensor([[3.0, -4.0]])
        >>> project(changes, 3.5), project(changes, 2.5, "l2")
        (tensor([[ 3.0000, -3.5000]]), tensor([[ 1.5000, -2.0000]]))
    """
    if norm == LINF:
        return changes.clamp(-epsilon, epsilon)
    factors = (epsilon / sizes(changes, L2).clamp(min=_SHORT)).clamp(max=1.0)
    return changes * along(factors, changes)


def clip(
    perturbed: Rows,
    inputs: Rows,
    *,
    epsilon: float,
    bounds: Bounds,
    norm: str = LINF,
) -> Rows:
    """Return the perturbed inputs, moved into the ball and then into the bounds.

    The bounds hold to the last bit; the ball in L∞ too, in L2 up to the rounding of the inputs. A
    value that is moved into its bounds comes nearer to the input, which lies inside, so that the
    ball holds after it. Clipping twice changes nothing, bit for bit; NaN stays NaN.

    Args:
        perturbed: What an attack returned.
        inputs: The inputs it started from, inside ``bounds``.
        epsilon: Largest change in input units: of any value, or in L2 of all together.
        bounds: Lowest and highest value that an input may take.
        norm: Which of both.

    Example:
        >>> inputs = torch.full((1, 2), 0.5)
        >>> clip(torch.tensor([[0.0, 2.0]]), inputs, epsilon=0.25, bounds=(0.0, 0.6))
        tensor([[0.2500, 0.6000]])
    """
    if norm == LINF:
        near = torch.clamp(perturbed, min=inputs - epsilon, max=inputs + epsilon)
        return clamp_to(near, bounds)
    near = clamp_to(perturbed, bounds)
    changes = near - inputs
    far = sizes(changes, L2) > epsilon + rounding(inputs, epsilon)
    moved = clamp_to(inputs + project(changes, epsilon, L2), bounds)
    return torch.where(along(far, near), moved, near)


def rounding(inputs: Rows, epsilon: float) -> Float[Tensor, " batch"]:
    """Return by how much rounding alone may take a change in L2 beyond a magnitude.

    Each value of ``inputs + changes`` is rounded by half a unit of its last place.
    """
    return 2 * torch.finfo(inputs.dtype).eps * (sizes(inputs, L2) + epsilon)


def ball_point(generator: np.random.Generator, shape: torch.Size, norm: str) -> np.ndarray:
    """Return a point drawn evenly from the ball of radius 1 around 0.

    In L∞, every value is even over [-1, 1). In L2, the direction is that of standard normal
    numbers, and the radius the ``d``-th root of a number even over [0, 1), where ``d`` is how many
    values there are; the numbers are drawn in this order.

    Args:
        generator: Draws.
        shape: Of one sample.
        norm: Which ball.
    """
    if norm == LINF:
        return generator.uniform(-1.0, 1.0, shape)
    direction = generator.standard_normal(shape)
    radius = generator.uniform() ** (1.0 / max(direction.size, 1))
    return direction * (radius / np.linalg.norm(direction))


def within(points: Rows, perturbable: Bool[Tensor, " batch *shape"], norm: str) -> Rows:
    """Return points of a ball with other values zero, in L2 as far from the centre as before.

    Args:
        points: One a sample.
        perturbable: Which values may differ from zero.
        norm: Which ball.

    Example:
        >>> within(torch.tensor([[3.0, 4.0]]), torch.tensor([[True, False]]), "l2")
        tensor([[5., 0.]])
    """
    kept = points * perturbable
    return kept if norm == LINF else unit(kept) * along(sizes(points, L2), kept)
