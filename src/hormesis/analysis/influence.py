"""Influence values: the contribution of each sample to each score, by the delta method.

A score is a smooth function ``S(μ)`` of means over samples: the performance of the unfiltered
network and of every removal, clean and adversarial. To first order, sample ``i`` changes the
estimate by ``ψ_i / n`` with ``ψ_i = Σ_k ∂S/∂μ_k · (y_ik − μ_k)``. All outcomes are paired: one
sample has a clean and an adversarial outcome, filtered and unfiltered.

**A magnitude chosen by the samples.** ``auto`` solves ``P_a(ε) = (P_c + chance)/2`` on the scored
samples, so that ``P_a`` is tied to ``P_c``, and ``ε`` depends on the samples. With
``t_i = (y_a0 − P_a) − (y_c0 − P_c)/2`` the magnitude is off by ``−mean(t) / (dP_a/dε)``, and

``ψ_i = Σ_k ∂S/∂μ_k (y_ik − μ_k) − R t_i,  R = Σ_k ∂S/∂μ_k · κ_k,  κ_k = (dμ_k/dε)/(dP_a/dε)``.

The rate ``κ_k``, at which a filtered network falls with ``ε`` relative to the unfiltered one, needs
a second magnitude: at ``ε = 0`` the adversarial performance is the clean one. Between the two,
margins are assumed to be normal and to shrink with ``ε``, in each network at its own rate, so that
``Φ⁻¹(μ_k)`` falls along a line and ``κ_k = φ(a_k)(c_k − a_k)/(φ(a_0)(c_0 − a_0))``, with
``c = Φ⁻¹`` of the clean and ``a`` that of the adversarial performance. The assumption affects only
the width of the interval. If the scored samples are a share ``f`` of those that chose the
magnitude, ``f R t_i`` is subtracted, and the variance ``R² var(t) (1 − f)/N`` of the others is
added.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import stats
from scipy.sparse import csr_array

from hormesis.analysis.integration import sweep_weights
from hormesis.analysis.responses import Sweeps
from hormesis.analysis.scores import Base, Divisor, ScoreLayout, divisor, known_chance
from hormesis.engine.controls import control_columns
from hormesis.settings.scoring import Scoring
from hormesis.storage.outcomes import StoredOutcomes

_INSIDE = (1e-3, 1 - 1e-3)  # of which normal quantiles are taken


@dataclass(frozen=True)
class Slopes:
    """Derivatives of scores by mean outcomes.

    Args:
        removals: By the outcomes of the removals: rows × removals.
        unfiltered: By the outcome of the unfiltered network: one per row.
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
    """First derivatives of the scores by the means.

    Args:
        clean: Of the clean score, by clean outcomes.
        adversarial: Of the adversarial score, by adversarial outcomes.
        difference: Of the difference score, by clean and by adversarial outcomes; None if they are
            those of the other two scores, as for every reference but ``random``.
        reach: Largest change of the clean and the adversarial score by one sample that loses, or
            gains, at every threshold, times the number of samples: rows × outcomes, the unfiltered
            one last, to be multiplied by the ranges of the outcomes.
        offset: Subtracted to centre the values: three scores × rows.
        tie: ``R`` of the adversarial and the difference score.
        tied: ``f``; 0 for a given ``ε``.
        divisor: Derivative of the divisor by an outcome of the unfiltered network, relative to the
            divisor: clean, adversarial; 0 if the divisor is another.
        draws: By the outcomes of each draw of the control, clean and adversarial: rows × removals.
            Empty for a single draw or another reference.
    """

    clean: Slopes
    adversarial: Slopes
    difference: tuple[Slopes, Slopes] | None
    reach: tuple[csr_array, csr_array]
    offset: Float[np.ndarray, "three rows"]
    tie: Float[np.ndarray, "two rows"]
    tied: float
    divisor: tuple[float, float]
    draws: tuple[tuple[csr_array, csr_array], ...] = ()


@dataclass(frozen=True)
class _Part:
    """The derivatives of ``∫ p/d`` for every sweep, by all outcomes, the unfiltered last.

    Args:
        own: The derivatives.
        reach: Absolute derivatives by the responses alone.
        mean: The derivatives times the means, to centre influence values.
        tie: The derivatives times ``κ``.
    """

    own: csr_array
    reach: csr_array
    mean: Float[np.ndarray, " sweeps"]
    tie: Float[np.ndarray, " sweeps"]


def gradient(
    sweeps: Sweeps, base: Base, scoring: Scoring, rows: ScoreLayout, removals: int
) -> Gradient:
    """Return the derivatives of the scores by the mean outcomes.

    For a relative performance ``p/d`` they are ``w/d`` by the response and ``−w·p/d²`` by the base,
    with ``w`` Simpson's weights; for ``d/p``, where larger is worse, ``−w·d/p²`` and
    ``w/p``; for ``(p − c)/(d − c)``, ``w/(d − c)`` and ``−w·(p − c)/(d − c)²``.

    Args:
        sweeps: Responses, with the column ``outcome``, and ``control`` for the random reference.
        base: Performance of the unfiltered network.
        scoring: Which base and which reference.
        rows: The rows of the table of scores.
        removals: Number of rows of the outcomes.
    """
    derivatives = _Derivatives(sweeps, base, scoring, removals)
    own_slopes, score_slopes, reaches, draws = [], [], [], []
    offsets, ties = np.zeros((2, 3, len(rows.names)))
    for index, name in enumerate(("clean", "adversarial")):
        own = derivatives.response(name, "outcome")
        controls = [derivatives.response(name, column) for column in derivatives.controls]
        own_slopes.append(_slopes(csr_array(rows.mean @ own.own)))
        matrix, mean, tie = own.own, own.mean, own.tie
        for draw in controls:
            matrix = matrix - draw.own / len(controls)
            mean, tie = mean - draw.mean / len(controls), tie - draw.tie / len(controls)
        score_slopes.append(_slopes(csr_array(rows.mean @ matrix)))
        reaches.append(csr_array(rows.mean @ own.reach))
        offsets[index], ties[index] = rows.mean @ mean, rows.mean @ tie
        sign = 1 if index else -1
        offsets[2] += sign * (rows.mean @ own.mean)
        ties[2] += sign * (rows.mean @ own.tie) * index
        draws.append(
            [csr_array(rows.mean @ draw.own, dtype=np.float32)[:, :-1] for draw in controls]
        )
    if base.tied:
        offsets[1:] -= base.tied * ties[1:] * (base.adversarial - base.clean / 2)
    return Gradient(
        *score_slopes,
        difference=(own_slopes[0], own_slopes[1]) if derivatives.controls else None,
        reach=(reaches[0], reaches[1]),
        offset=offsets,
        tie=ties[1:],
        tied=base.tied,
        divisor=derivatives.relative_slopes(),
        draws=tuple(zip(*draws, strict=True)) if len(derivatives.controls) > 1 else (),
    )


@dataclass(frozen=True)
class _Derivatives:
    """Derivatives of the relative performance of every sweep."""

    sweeps: Sweeps
    base: Base
    scoring: Scoring
    removals: int

    @property
    def controls(self) -> list[str]:
        """The columns of the control's draws, if they are the reference."""
        return control_columns(self.sweeps.columns) if self.scoring.reference == "random" else []

    def relative_slopes(self) -> tuple[float, float]:
        """Return the derivative of both divisors by an outcome, relative to the divisor."""
        if not self.base.larger_is_better and not self.scoring.chance_corrected:
            return 0.0, 0.0  # the divisor is the response
        level = known_chance(self.base) if self.scoring.chance_corrected else 0.0
        if self.base.is_raised:
            return (1 / length if (length := self.base.clean - level) else 0.0), 0.0
        lengths = (self.base.clean - level, self.base.adversarial - level)
        clean, adversarial = (  # NaN without an attack
            1 / length if length and not math.isnan(length) else 0.0 for length in lengths
        )
        return clean, adversarial

    def response(self, name: str, column: str) -> _Part:
        """Return the derivatives for the responses of a cell, or of a draw of its control.

        Args:
            name: ``"clean"`` or ``"adversarial"``.
            column: The column that names their rows of the outcomes.
        """
        prefix = "" if column == "outcome" else "random_"
        curve = self.sweeps.columns[f"{prefix}{name}"].astype(np.float64)
        divisors = divisor(self.sweeps, name, self.base, self.scoring)
        slopes, of_base = self._slopes(curve, divisors)
        if name == "adversarial" and self.base.is_raised and self.scoring.base != "first":
            of_base = np.zeros_like(of_base)  # the divisor is known
        columns = self.sweeps.columns[column].astype(np.int64) % (self.removals + 1)  # -1: last
        own = self.sweeps.columns["outcome"].astype(np.int64)[:, :1] % (self.removals + 1)
        of_divisor = own if self.scoring.base == "first" else np.full_like(own, self.removals)
        width = self.removals + 1
        kappa, kappa_by = self._kappa(prefix)
        return _Part(
            _sparse(np.hstack([slopes, of_base]), np.hstack([columns, of_divisor]), width),
            _sparse(np.abs(slopes), columns, width),
            (slopes * curve).sum(axis=1) + (of_base * divisors)[:, 0],
            (slopes * kappa).sum(axis=1) + (of_base * kappa_by)[:, 0],
        )

    def _slopes(self, curve: np.ndarray, divisors: Divisor) -> tuple[np.ndarray, np.ndarray]:
        """Return the derivatives by the responses and by their divisors."""
        weights = sweep_weights(self.sweeps)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.scoring.chance_corrected:
                level = known_chance(self.base)
                slopes = weights / (divisors - level)
                of_base = (
                    -(weights * (curve - level)).sum(axis=1, keepdims=True)
                    / (divisors - level) ** 2
                )
            elif self.base.larger_is_better:
                slopes = weights / divisors
                of_base = -(weights * curve).sum(axis=1, keepdims=True) / divisors**2
            else:
                slopes = -weights * divisors / curve**2
                of_base = (weights / curve).sum(axis=1, keepdims=True)
        # Where a quotient does not exist, as over a base of zero, there is no derivative either.
        slopes, of_base = (np.where(np.isfinite(part), part, np.nan) for part in (slopes, of_base))
        return slopes, of_base

    def _kappa(self, prefix: str) -> tuple[np.ndarray, np.ndarray]:
        """Return ``κ`` of the responses and of the divisor."""
        names = (f"{prefix}clean", f"{prefix}adversarial")
        curves = [self.sweeps.columns[name].astype(np.float64) for name in names]
        lost = slope_of(np.array(self.base.clean), np.array(self.base.adversarial))
        if not lost or not self.base.tied:
            return np.zeros_like(curves[0]), np.zeros_like(curves[0][:, :1])
        falls = slope_of(*curves) / lost
        if self.scoring.base != "first":
            return falls, np.ones_like(falls[:, :1])
        own = [self.sweeps.columns[name].astype(float) for name in ("clean", "adversarial")]
        return falls, slope_of(own[0][:, :1], own[1][:, :1]) / lost


def slope_of(
    clean: Float[np.ndarray, "*any"], adversarial: Float[np.ndarray, "*any"]
) -> Float[np.ndarray, "*any"]:
    """Return how fast accuracies fall at the full strength of the attack, for normal margins.

    Args:
        clean: Accuracy without an attack.
        adversarial: Accuracy at full strength.

    Returns:
        ``φ(a)(c − a)`` with the normal quantiles ``c`` and ``a`` of both, clipped to those of
        0.001 and 0.999.

    Example:
        >>> float(slope_of(np.array(0.9), np.array(0.5)).round(3))
        0.511
    """
    first, last = (stats.norm.ppf(np.clip(part, *_INSIDE)) for part in (clean, adversarial))
    return np.asarray(stats.norm.pdf(last) * (first - last))


def _sparse(
    values: Float[np.ndarray, "rows entries"], columns: Int[np.ndarray, "rows entries"], width: int
) -> csr_array:
    """Return a matrix of these entries; entries of the same row and column are added."""
    rows, entries = values.shape
    starts = np.arange(0, rows * entries + 1, entries)
    matrix = csr_array((values.ravel(), columns.ravel(), starts), shape=(rows, width))
    matrix.sum_duplicates()
    return matrix


def _slopes(matrix: csr_array) -> Slopes:
    """Return the slopes of a matrix, whose last column is the unfiltered network's."""
    single = csr_array(matrix, dtype=np.float32)  # as the outcomes are
    return Slopes(csr_array(single[:, :-1]), single[:, [-1]].toarray())


def influence_values(
    slopes: Gradient, block: StoredOutcomes
) -> Float[np.ndarray, "three rows samples"]:
    """Return the influence values of the samples of one block.

    Args:
        slopes: The derivatives at the means over all samples.
        block: Some of the outcomes.

    Returns:
        Values in units of the scores: clean, adversarial and difference score × rows × samples.
    """
    clean = block.clean, block.base_clean
    adversarial = block.adversarial, block.base_adversarial
    first, second = slopes.clean.times(*clean), slopes.adversarial.times(*adversarial)
    if slopes.difference is None:
        third = second - first
    else:
        by_clean, by_adversarial = slopes.difference
        third = by_adversarial.times(*adversarial) - by_clean.times(*clean)
    values = np.stack([first, second, third])
    values -= slopes.offset[:, :, None].astype(values.dtype)
    if slopes.tied:
        values[1:] -= (slopes.tied * slopes.tie[:, :, None] * off_target(block)).astype(
            values.dtype
        )
    return values


def off_target(block: StoredOutcomes) -> Float[np.ndarray, " samples"]:
    """Return the contribution of each sample to the distance of ``P_a`` from its target.

    The target of ``auto`` is half the clean performance, plus a constant.
    """
    return block.base_adversarial - block.base_clean / 2
