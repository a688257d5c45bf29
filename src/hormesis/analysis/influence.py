"""What each sample contributes to each score: influence values, by the delta method.

A score is a smooth function ``S(μ)`` of means over samples: of the unfiltered network's
performance and of that of every removal, clean and adversarial. To first order, sample ``i`` moves
its estimate by ``ψ_i / n`` with ``ψ_i = Σ_k ∂S/∂μ_k · (y_ik − μ_k)``. All is paired: one sample
brings its clean and adversarial outcome, filtered and unfiltered. Scores do not change when all
performances are multiplied by the same number, so that ``Σ_k ∂S/∂μ_k · μ_k = 0`` and the values
have mean zero.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.integrate import simpson
from scipy.sparse import csr_array

from hormesis.analysis.responses import Sweeps
from hormesis.analysis.scores import Base, Divisor, Layout, divisor
from hormesis.settings import Scoring
from hormesis.storage import StoredOutcomes


@dataclass(frozen=True)
class Slopes:
    """Derivatives of scores by mean outcomes.

    Args:
        removals: By those of the removals: rows × removals.
        unfiltered: By that of the unfiltered network: one a row.
    """

    removals: csr_array
    unfiltered: Float[np.ndarray, "rows 1"]

    def times(
        self,
        removals: Float[np.ndarray, "removals samples"],
        unfiltered: Float[np.ndarray, " samples"],
    ) -> Float[np.ndarray, "rows samples"]:
        """Return the derivatives times the outcomes of samples."""
        return self.removals @ removals + self.unfiltered * unfiltered


@dataclass(frozen=True)
class Gradient:
    """How scores depend on the means, to first order.

    Args:
        clean: Of the clean score, by clean outcomes.
        adversarial: Of the adversarial score, by adversarial outcomes.
        difference: Of the difference score, by clean and by adversarial outcomes; None where they
            are those of the other two scores, as for every reference that is not measured.
        reach: By how much one sample that loses, or gains, all it can at every threshold moves the
            clean and the adversarial score, times the number of samples: rows × outcomes, the
            unfiltered last, to be summed over the ranges of the outcomes.
    """

    clean: Slopes
    adversarial: Slopes
    difference: tuple[Slopes, Slopes] | None
    reach: tuple[csr_array, csr_array]


def gradient(sweeps: Sweeps, base: Base, scoring: Scoring, rows: Layout, removals: int) -> Gradient:
    """Return the derivatives of the scores by the mean outcomes.

    For a relative performance ``p/d`` they are ``w/d`` by the response and ``−w·p/d²`` by the base,
    with ``w`` Simpson's weights; for ``d/p``, where less is better, ``−w·d/p²`` and ``w/p``.

    Args:
        sweeps: Responses, with the column ``outcome``, and ``control`` for the random reference.
        base: Performance of the unfiltered network.
        scoring: Which base and which reference.
        rows: The scores that are wanted.
        removals: Number of rows of the outcomes.
    """
    plain, whole, reaches = [], [], []
    for name in ("clean", "adversarial"):
        by = divisor(sweeps, name, base, scoring)
        own, reach = _derivative(sweeps, name, "outcome", by, base, scoring, removals)
        less = own
        if scoring.reference == "random":
            control, _ = _derivative(
                sweeps, f"random_{name}", "control", by, base, scoring, removals
            )
            less = own - control
        plain.append(_slopes(csr_array(rows.mean @ own)))
        whole.append(_slopes(csr_array(rows.mean @ less)))
        reaches.append(csr_array(rows.mean @ reach))
    difference = (plain[0], plain[1]) if scoring.reference == "random" else None
    return Gradient(whole[0], whole[1], difference, (reaches[0], reaches[1]))


def _derivative(
    sweeps: Sweeps, name: str, cells: str, by: Divisor, base: Base, scoring: Scoring, removals: int
) -> tuple[csr_array, csr_array]:
    """Return the derivatives of ``∫ p/d`` by all outcomes, and those by the responses alone."""
    curve = sweeps.columns[name].astype(np.float64)
    weights = simpson_weights(curve.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        if base.higher_is_better:
            slopes = weights / by
            of_base = -(weights * curve).sum(axis=1, keepdims=True) / by**2
        else:
            slopes = -weights * by / curve**2
            of_base = (weights / curve).sum(axis=1, keepdims=True)
    # Where a quotient does not exist, as over a base of zero, there is no derivative either.
    slopes, of_base = (np.where(np.isfinite(part), part, np.nan) for part in (slopes, of_base))
    places = sweeps.columns[cells].astype(np.int64) % (removals + 1)  # -1: the unfiltered
    own = sweeps.columns["outcome"].astype(np.int64)[:, :1] % (removals + 1)
    of_divisor = own if scoring.base == "first" else np.full_like(own, removals)
    return (
        _sparse(np.hstack([slopes, of_base]), np.hstack([places, of_divisor]), removals + 1),
        _sparse(np.abs(slopes), places, removals + 1),
    )


def _sparse(
    values: Float[np.ndarray, "rows entries"], places: Int[np.ndarray, "rows entries"], width: int
) -> csr_array:
    """Return a matrix of these entries; several at one place are added."""
    rows, entries = values.shape
    starts = np.arange(0, rows * entries + 1, entries)
    matrix = csr_array((values.ravel(), places.ravel(), starts), shape=(rows, width))
    matrix.sum_duplicates()
    return matrix


def _slopes(matrix: csr_array) -> Slopes:
    """Return a matrix, whose last column is the unfiltered network's, in single precision."""
    single = csr_array(matrix, dtype=np.float32)  # as the outcomes are
    return Slopes(csr_array(single[:, :-1]), single[:, [-1]].toarray())


def simpson_weights(thresholds: int) -> Float[np.ndarray, " thresholds"]:
    """Return the weights of Simpson's rule over the normalised threshold.

    Args:
        thresholds: At least 2.

    Example:
        >>> (6 * simpson_weights(3)).round(12).tolist()
        [1.0, 4.0, 1.0]
    """
    points = np.linspace(0.0, 1.0, thresholds)
    return np.asarray(simpson(np.eye(thresholds), x=points, axis=-1))


def influence_values(
    of: Gradient, block: StoredOutcomes
) -> Float[np.ndarray, "three rows samples"]:
    """Return the influence values of the samples of one block.

    Args:
        of: The derivatives at the means over all samples.
        block: Some of the outcomes.

    Returns:
        Values in units of the scores: clean, adversarial and difference score × rows × samples.
    """
    clean = block.clean, block.base_clean
    adversarial = block.adversarial, block.base_adversarial
    first, second = of.clean.times(*clean), of.adversarial.times(*adversarial)
    if of.difference is None:
        return np.stack([first, second, second - first])
    by_clean, by_adversarial = of.difference
    return np.stack([first, second, by_adversarial.times(*adversarial) - by_clean.times(*clean)])
