"""Simpson's rule over the normalised threshold, even or not."""

import numpy as np
from jaxtyping import Float
from scipy.integrate import simpson

from hormesis.analysis.responses import Sweeps

Curve = Float[np.ndarray, "*sweeps thresholds"]


def uneven_points(sweeps: Sweeps) -> Float[np.ndarray, "sweeps thresholds"] | None:
    """Return where the thresholds of each sweep stand, from 0 to 1; None if they are even.

    Args:
        sweeps: Responses, perhaps with the column ``progress``; without it, or where it does not
            rise from 0 to 1, thresholds count as even.

    Example:
        >>> rows = {"progress": np.array([[0.0, 0.5, 1.0]])}
        >>> uneven_points(Sweeps((("w", "high_pass"),), rows)) is None
        True
    """
    points = sweeps.columns.get("progress")
    if points is None or points.shape[1] < 3:
        return None
    points = points.astype(np.float64)
    if np.allclose(points, np.linspace(0.0, 1.0, points.shape[1]), rtol=0, atol=1e-9):
        return None
    rises = (np.diff(points) > 0).all() and (points[:, 0] == 0).all() and (points[:, -1] == 1).all()
    return points if rises else None


def integral(
    curve: Curve, points: Float[np.ndarray, "sweeps thresholds"] | None = None
) -> Float[np.ndarray, "*sweeps"]:
    """Return the integral of a curve over the normalised threshold, by Simpson's rule.

    Args:
        curve: Values at the thresholds; a single one counts for the whole range.
        points: Where they stand, from 0 to 1; by default evenly spaced.

    Example:
        >>> integral(np.array([0.0, 0.25, 1.0]))  # x²
        array(0.33333333)
        >>> integral(np.array([[0.0, 0.01, 1.0]]), np.array([[0.0, 0.1, 1.0]]))
        array([0.33333333])
    """
    if curve.shape[-1] == 1:
        return np.asarray(curve[..., 0])
    even = np.linspace(0.0, 1.0, curve.shape[-1])
    return np.asarray(simpson(curve, x=even if points is None else points, axis=-1))


def simpson_weights(thresholds: int) -> Float[np.ndarray, " thresholds"]:
    """Return the weights of Simpson's rule over the normalised threshold.

    Args:
        thresholds: At least 1.

    Example:
        >>> (6 * simpson_weights(3)).round(12).tolist()
        [1.0, 4.0, 1.0]
    """
    return integral(np.eye(thresholds))


def sweep_weights(sweeps: Sweeps) -> Float[np.ndarray, "*sweeps thresholds"]:
    """Return the weights with which the thresholds of each sweep count in its integral.

    Args:
        sweeps: Responses; one row of weights stands for all sweeps if thresholds are even.
    """
    points, steps = uneven_points(sweeps), next(iter(sweeps.columns.values())).shape[1]
    if points is None:
        return simpson_weights(steps)
    distinct, own = np.unique(points, axis=0, return_inverse=True)
    rows = [simpson(np.eye(steps), x=each, axis=-1) for each in distinct]
    return np.stack(rows)[own.reshape(-1)]
