"""Moments of influence values over samples, and the standard errors that follow from them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np
from jaxtyping import Float, Int

from hormesis.analysis.influence import Gradient, gradient, influence_values, off_target
from hormesis.analysis.responses import Sweeps
from hormesis.analysis.scores import SCORES, Base, score_layout
from hormesis.settings.scoring import Scoring
from hormesis.storage.outcomes import StoredOutcomes, only_samples

_FEW = 5
_ROUNDING = 1e-5  # of an influence value: outcomes are single precision
_MOST_VALUES = 4_000_000  # at a time, so that memory stays in bounds for many channels
_SHARE = 3  # one part in so many of what a sample can carry at most is what it carries usually
Values = Float[np.ndarray, " rows"]
Moments = Float[np.ndarray, "three rows"]
Pair = Float[np.ndarray, "two rows"]
Blocks = Callable[[], Iterable[StoredOutcomes]]


@dataclass(frozen=True)
class StandardErrors:
    """Standard errors of scores, one value per row of the table of scores.

    Args:
        below: Standard error towards lower scores; NaN where the score is undefined.
        above: Standard error towards higher ones.
        unseen: Possible change by one more sample, where too few samples vary for a normal
            approximation; else 0.
        shared: Covariance of the score with its divisor, relative to the divisor, for the clean and
            the adversarial base; None ignores it.
        divisor: Variance of the divisor, relative to its square, for both.
        draws: Standard error between draws of the random control; None without one.
        freedom: Number of draws less one.
    """

    below: Values
    above: Values
    unseen: Values
    shared: Pair | None = None
    divisor: Pair | None = None
    draws: Values | None = None
    freedom: int = 0


@dataclass(frozen=True)
class InfluenceMoments:
    """Sums of powers of influence values over samples: three scores × rows.

    Args:
        second: Sum of squares.
        fourth: Sum of fourth powers.
        most: Largest possible change of each score by one sample, times the number of samples.
        samples: Number of samples; one per row if they differ.
        shared: Sum of products with the relative contribution of a sample to the divisor: clean and
            adversarial × three scores × rows. None if unknown.
        divisor: Sum of squares of that contribution.
        draws: Variance of the scores between draws of the random control; None without one.
        freedom: Number of draws less one.
        extra: Variance of the scores that does not come from these samples.
    """

    second: Moments
    fourth: Moments
    most: Moments
    samples: int | Int[np.ndarray, " rows"]
    shared: Float[np.ndarray, "two three rows"] | None = None
    divisor: Float[np.ndarray, "two three rows"] | None = None
    draws: Moments | None = None
    freedom: int = 0
    extra: Moments | None = None

    def standard_errors(self, population: int | None = None) -> StandardErrors:
        """Return standard errors by the delta method, with a term for unseen samples.

        The variance of a score is ``Σψ²/(n(n−1)) + (B/3n)²``, with influence values ``ψ`` and
        ``B`` the largest contribution of one sample: ``1/p(base)`` for outcomes of 0 and 1. The
        second term is one more sample with a third of that contribution. If fewer than five samples
        carry the variance, ``(Σψ²)²/Σψ⁴ < 5``, the interval is at least as wide as by the rule of
        three, ``log(2/α) B/n`` to either side, so that it has a width even for equal outcomes.

        Args:
            population: Size of the finite population from which the samples were drawn without
                replacement, for intervals about that population: variances shrink by ``1 − n/N``,
                the term for unseen samples by ``f/−log(1 − f)`` with ``f = n/N``.
        """
        n = self.samples
        pairs = n * np.maximum(n - 1, 1)
        share = np.zeros(1) if population is None else np.minimum(np.asarray(n) / population, 1.0)
        left = 1 - share
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = left * (self.second / pairs + np.square(self.typical))
            if self.extra is not None:
                variance = variance + self.extra
            few = np.square(self.second) < _FEW * self.fourth
            few |= self.second <= n * np.square(_ROUNDING * self.most)
            rarer = np.where(share > 0, share / -np.log1p(-np.minimum(share, 1 - 1e-16)), 1.0)
        error = np.where(np.greater(n, 1), np.sqrt(variance), np.nan).T.ravel()
        unseen = np.where(few & (left > 0), rarer * self.most / n, 0.0).T.ravel()
        errors = StandardErrors(error, error, unseen)
        if self.draws is not None:
            errors = replace(errors, draws=np.sqrt(self.draws).T.ravel(), freedom=self.freedom)
        if self.shared is None or self.divisor is None:
            return errors
        shared, divisor = (
            np.swapaxes(left * part / pairs, 1, 2).reshape(2, -1)
            for part in (self.shared, self.divisor)
        )
        return replace(errors, shared=shared, divisor=divisor)

    @property
    def typical(self) -> Moments:
        """Typical change by one more sample."""
        return self.most / (_SHARE * self.samples)


def influence_moments(
    sweeps: Sweeps,
    base: Base,
    scoring: Scoring,
    blocks: Blocks,
    *,
    only: str | None = None,
    keep: Callable[[np.ndarray], None] = lambda values: None,
) -> InfluenceMoments:
    """Return the moments of influence values over all samples.

    Args:
        sweeps: Responses.
        base: Performance of the unfiltered network.
        scoring: How responses become scores.
        blocks: Yields the outcomes, block by block; at least one.
        only: A single filter; None takes all.
        keep: Called with the influence values of each block: three scores × rows × samples.
    """
    running = RunningMoments(sweeps, base, scoring, only=only, keep=keep)
    for block in blocks():
        running.add(block)
    return running.moments()


class RunningMoments:
    """Moments of influence values while blocks come in, see ``influence_moments``."""

    def __init__(
        self,
        sweeps: Sweeps,
        base: Base,
        scoring: Scoring,
        *,
        only: str | None = None,
        keep: Callable[[np.ndarray], None] = lambda values: None,
    ) -> None:
        """Start without samples."""
        if scoring.population == "finite":  # then the chosen magnitude is fixed, too
            base = replace(base, tied=0.0)
        self.rows = score_layout(sweeps, only)
        self._gradient = partial(gradient, sweeps, base, scoring, self.rows)
        self._base, self._keep = base, keep
        self._slopes: Gradient | None = None
        self._ranges, self._samples = _Ranges(), 0
        shape = (len(SCORES), len(self.rows.names))
        self._second, self._fourth = np.zeros((2, *shape))
        self._shared = np.zeros((2, *shape))
        self._divisors = _Sum(2)
        self._off = _Sum(1)
        self._draws = [_Draws(len(self.rows.names)) for _ in range(2)]

    def add(self, block: StoredOutcomes) -> None:
        """Add the outcomes of one block."""
        if self._slopes is None:
            self._slopes = self._gradient(len(block.clean))
        self._ranges.add(block)
        size = len(block.base_clean)
        step = max(1, _MOST_VALUES // max(self._second.size, 1))
        for first in range(0, size, step):
            self._add(self._slopes, only_samples(block, first, min(first + step, size)))
        self._samples += size

    def _add(self, slopes: Gradient, part: StoredOutcomes) -> None:
        values = influence_values(slopes, part)
        self._keep(values)
        squares = np.square(values)
        self._second += squares.sum(axis=-1, dtype=np.float64)
        self._fourth += np.square(squares).sum(axis=-1, dtype=np.float64)
        divisors = _divisors(slopes, part)
        self._divisors.add(divisors)
        self._off.add(off_target(part)[None].astype(np.float64))
        self._shared += np.einsum("srn,dn->dsr", values, divisors)
        for of_kind, outcomes, kind in zip(
            self._draws, (part.clean, part.adversarial), (0, 1), strict=True
        ):
            of_kind.add([draw[kind] @ outcomes for draw in slopes.draws])

    def moments(self) -> InfluenceMoments:
        """Return the moments over the samples so far, at least one."""
        assert self._slopes is not None
        most = _most_carried(self._slopes, self._ranges.widths())
        shared, divisor = _of_divisors(self._shared, self._divisors.squares())
        moments = InfluenceMoments(self._second, self._fourth, most, self._samples, shared, divisor)
        tied, n = self._slopes.tied, self._samples
        if 0 < tied < 1:  # the others that chose the magnitude
            off = float(self._off.squares()[0]) / max(n - 1, 1)
            extra = np.zeros_like(most)
            extra[1:] = np.square(self._slopes.tie) * off * (1 - tied) * tied / n
            moments = replace(moments, extra=extra)
        if self._slopes.draws:
            between = [of_kind.between() for of_kind in self._draws]
            draws = np.stack([*between, np.zeros_like(between[0])])
            moments = replace(moments, draws=draws, freedom=len(self._slopes.draws) - 1)
        return moments


def _divisors(slopes: Gradient, part: StoredOutcomes) -> Float[np.ndarray, "two samples"]:
    """Return the contribution of each sample to the divisors, relative to them.

    If the magnitude was chosen by the samples, the adversarial base follows the clean one.
    """
    clean, adversarial = part.base_clean, part.base_adversarial
    adversarial = adversarial - slopes.tied * off_target(part)
    return np.stack([slopes.divisor[0] * clean, slopes.divisor[1] * adversarial]).astype(float)


def _of_divisors(
    shared: Float[np.ndarray, "two three rows"], squares: Float[np.ndarray, " two"]
) -> tuple[Float[np.ndarray, "two three rows"], Float[np.ndarray, "two three rows"]]:
    """Return the moments of the divisors of each score.

    The clean score is divided by the clean base, the adversarial one by the adversarial base; in
    the difference score the clean part is subtracted, which turns its sign.
    """
    sign = np.array([[1.0, 0.0, -1.0], [0.0, 1.0, 1.0]])[:, :, None]
    return shared * sign, np.abs(sign) * squares[:, None, None] * np.ones_like(shared)


class _Sum:
    """Sums of squares about the mean, for several rows."""

    def __init__(self, things: int) -> None:
        self._first, self._second, self._count = np.zeros(things), np.zeros(things), 0

    def add(self, values: Float[np.ndarray, "things samples"]) -> None:
        self._first += values.sum(axis=1)
        self._second += np.square(values).sum(axis=1)
        self._count += values.shape[1]

    def squares(self) -> Float[np.ndarray, " things"]:
        """Return the sums; rounding errors below zero are cut off."""
        return np.maximum(self._second - np.square(self._first) / max(self._count, 1), 0.0)


class _Draws:
    """The variance of a mean over draws of the control, from draws crossed with samples.

    With ``u_id`` the contribution of sample ``i`` under draw ``d``, the two-way layout without
    replications has ``u_id = μ + a_d + b_i + c_id`` (H. Scheffé, *The Analysis of Variance*, 1959,
    chapter 7). Influence values, which average over draws, have the variance of ``b`` and of ``c``;
    what they lack, that of ``a``, is ``(MS_draws − MS_interaction)/(nK)``.
    """

    def __init__(self, rows: int) -> None:
        self._by_draw: np.ndarray | None = None
        self._squares, self._means = np.zeros((2, rows))
        self._samples = 0

    def add(self, draws: list[Float[np.ndarray, "rows samples"]]) -> None:
        if not draws:
            return
        values = np.stack(draws).astype(np.float64)
        first = values.sum(axis=2)
        self._by_draw = first if self._by_draw is None else self._by_draw + first
        self._squares += np.square(values).sum(axis=(0, 2))
        self._means += np.square(values.mean(axis=0)).sum(axis=1)
        self._samples += values.shape[2]

    def between(self) -> Values:
        """Return the variance of the mean over draws that comes from the choice of draws."""
        assert self._by_draw is not None
        n, by_draw = self._samples, self._by_draw / self._samples
        count = len(by_draw)
        mean = by_draw.mean(axis=0)
        draws = np.square(by_draw - mean).sum(axis=0)
        rest = self._squares - count * self._means - n * draws
        interaction = rest / (max(n - 1, 1) * (count - 1))
        return np.maximum(n * draws / (count - 1) - interaction, 0.0) / (n * count)


class _Ranges:
    """The range of every outcome: 1 for binary outcomes, whichever were seen."""

    def __init__(self) -> None:
        self._binary = True
        self._lowest: list[np.ndarray] = []
        self._highest: list[np.ndarray] = []

    def add(self, block: StoredOutcomes) -> None:
        base = np.stack([block.base_clean, block.base_adversarial])
        self._binary = self._binary and bool(np.isin(base, (0, 1)).all())
        if not self._binary:
            outcomes = np.hstack([np.stack([block.clean, block.adversarial]), base[:, None]])
            self._lowest.append(outcomes.min(axis=-1))
            self._highest.append(outcomes.max(axis=-1))

    def widths(self) -> Float[np.ndarray, "two outcomes"] | None:
        """Return the ranges, clean and adversarial; None if all are 1."""
        if self._binary:
            return None
        return np.max(self._highest, axis=0) - np.min(self._lowest, axis=0)


def _most_carried(slopes: Gradient, widths: Float[np.ndarray, "two outcomes"] | None) -> Moments:
    if widths is None:
        widths = np.ones((2, cast(tuple[int, int], slopes.reach[0].shape)[1]))
    clean, adversarial = slopes.reach[0] @ widths[0], slopes.reach[1] @ widths[1]
    return np.stack([clean, adversarial, np.hypot(clean, adversarial)])
