"""How sure scores are: standard errors and intervals, and whether a class is certain."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy import stats

from hormesis.analysis.classes import ANTIFRAGILE, FRAGILE, UNDECIDED
from hormesis.analysis.influence import Gradient, gradient, influence_values
from hormesis.analysis.responses import Sweeps
from hormesis.analysis.scores import SCORES, Base, layout
from hormesis.analysis.sequence import Sequence
from hormesis.settings import Scoring
from hormesis.storage import StoredOutcomes, part_of

INTERVAL_COLUMNS = ("low", "high", "level", "certain", "point")
_FEW = 5
_ROUNDING = 1e-5  # of an influence value: outcomes are single precision
_MOST_VALUES = 4_000_000  # at a time, so that memory stays in bounds for many channels
_SHARE = 3  # one part in so many of what a sample can carry at most is what it carries usually
Values = Float[np.ndarray, " rows"]
Moments = Float[np.ndarray, "three rows"]
Blocks = Callable[[], Iterable[StoredOutcomes]]


@dataclass(frozen=True)
class Student:
    """Student's t: how many standard errors an interval of a fixed number of samples extends.

    Args:
        samples: How many, at least 2.
        level: Confidence level.

    Example:
        >>> round(Student(10, 0.95).critical(), 3)
        2.262
    """

    samples: int
    level: float

    def critical(self) -> float:
        """Return how many standard errors the interval extends to either side."""
        return float(stats.t.ppf((1 + self.level) / 2, self.samples - 1))

    def p_value(self, distance: Values) -> Values:
        """Return the two-sided p-value of a distance in standard errors; negative ones give 1."""
        return np.minimum(1.0, 2 * stats.t.sf(distance, self.samples - 1))


Law = Student | Sequence


def law_of(
    samples: int | Int[np.ndarray, " rows"], planned: int | None, level: float
) -> Student | Sequence:
    """Return Student's t, or what holds at any time for a sweep that chooses when to stop.

    Args:
        samples: How many were measured; an array where rows of a table have seen different ones.
        planned: How many there are, if the sweep chooses when to stop; else None.
        level: Confidence level.

    Example:
        >>> law_of(10, None, 0.95), law_of(256, 1000, 0.95).planned
        (Student(samples=10, level=0.95), 1000)
    """
    if planned is None:
        return Student(int(np.max(samples)), level)
    return Sequence(samples, planned, level)


@dataclass(frozen=True)
class Spread:
    """How far scores may lie from their estimates, one value a row of the table of scores.

    Args:
        below: Standard error towards lower scores; NaN where the score is undefined.
        above: Standard error towards higher ones.
        unseen: What one sample could still change, where too few vary for a normal law; else 0.
    """

    below: Values
    above: Values
    unseen: Values


@dataclass(frozen=True)
class Sums:
    """What intervals need of influence values: sums over samples, three scores × rows.

    Args:
        second: Of squares.
        fourth: Of fourth powers.
        most: By how much one sample could move each score, times the number of samples.
        samples: How many were summed over; one number a row where they differ.
    """

    second: Moments
    fourth: Moments
    most: Moments
    samples: int | Int[np.ndarray, " rows"]

    def spread(self) -> Spread:
        """Return standard errors by the delta method, and what unseen samples could add.

        The variance of a score is ``Σψ²/(n(n−1)) + (B/3n)²``, with influence values ``ψ`` and ``B``
        the most that one sample can carry: ``1/p(base)`` for outcomes of 0 and 1. The second term
        is that of one more sample which carries a third of it. Where fewer than five samples carry
        the variance, ``(Σψ²)²/Σψ⁴ < 5``, the interval is at least as wide as the rule of three
        would have it, ``log(2/α) B/n`` to either side: ten equal outcomes do not leave it without
        any width.
        """
        n = self.samples
        with np.errstate(invalid="ignore"):
            error = np.sqrt(self.second / (n * np.maximum(n - 1, 1)) + np.square(self.usual))
            few = np.square(self.second) < _FEW * self.fourth
            few |= self.second <= n * np.square(_ROUNDING * self.most)
        error = np.where(np.greater(n, 1), error, np.nan).T.ravel()
        return Spread(error, error, np.where(few, self.most / n, 0.0).T.ravel())

    @property
    def usual(self) -> Moments:
        """What one more sample would usually change."""
        return self.most / (_SHARE * self.samples)


def influence_sums(
    sweeps: Sweeps,
    base: Base,
    scoring: Scoring,
    blocks: Blocks,
    *,
    only: str | None = None,
    keep: Callable[[np.ndarray], None] = lambda values: None,
) -> Sums:
    """Return the sums of influence values over all samples.

    Args:
        sweeps: Responses.
        base: Performance of the unfiltered network.
        scoring: How responses become scores.
        blocks: Gives the outcomes, block by block; at least one.
        only: The one filter that is wanted; None takes all.
        keep: Called with the influence values of each block: three scores × rows × samples.
    """
    running = RunningSums(sweeps, base, scoring, only=only, keep=keep)
    for block in blocks():
        running.add(block)
    return running.sums()


class RunningSums:
    """The sums of influence values while blocks come in, see ``influence_sums``."""

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
        self.rows = layout(sweeps, only)
        self._gradient = partial(gradient, sweeps, base, scoring, self.rows)
        self._keep = keep
        self._slopes: Gradient | None = None
        self._ranges, self._samples = _Ranges(), 0
        self._second, self._fourth = np.zeros((2, len(SCORES), len(self.rows.names)))

    def add(self, block: StoredOutcomes) -> None:
        """Add the outcomes of one block."""
        if self._slopes is None:
            self._slopes = self._gradient(len(block.clean))
        self._ranges.add(block)
        size = len(block.base_clean)
        step = max(1, _MOST_VALUES // max(self._second.size, 1))
        for first in range(0, size, step):
            part = part_of(block, first, min(first + step, size))
            values = influence_values(self._slopes, part)
            self._keep(values)
            squares = np.square(values)
            self._second += squares.sum(axis=-1, dtype=np.float64)
            self._fourth += np.square(squares).sum(axis=-1, dtype=np.float64)
        self._samples += size

    def sums(self) -> Sums:
        """Return the sums over the samples so far, at least one."""
        assert self._slopes is not None
        most = _most_carried(self._slopes, self._ranges.widths())
        return Sums(self._second, self._fourth, most, self._samples)


class _Ranges:
    """The range of every outcome: 1 for those of 0 and 1, whichever were seen."""

    def __init__(self) -> None:
        self._binary = True
        self._lowest: list[np.ndarray] = []
        self._highest: list[np.ndarray] = []

    def add(self, block: StoredOutcomes) -> None:
        base = np.stack([block.base_clean, block.base_adversarial])
        self._binary = self._binary and bool(np.isin(base, (0, 1)).all())
        if not self._binary:
            every = np.hstack([np.stack([block.clean, block.adversarial]), base[:, None]])
            self._lowest.append(every.min(axis=-1))
            self._highest.append(every.max(axis=-1))

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


def with_intervals(
    scores: pd.DataFrame, spread: Spread | None, law: Law | None, scoring: Scoring
) -> pd.DataFrame:
    """Return a table of scores with intervals, and classes that admit to be undecided.

    Args:
        scores: As ``score_table`` returns it: ``class`` goes by the estimate alone.
        spread: How far the scores may lie from their estimates, one value a row; None if nothing
            is known about it.
        law: How many standard errors an interval extends, and its p-values.
        scoring: Tolerance, level and multiplicity.

    Returns:
        The table with ``low``, ``high`` (NaN where there is no interval), ``level``, ``certain``
        and ``point``, the class by the estimate alone. ``class`` is ``undecided`` where an interval
        straddles a border of the classes, or the class does not stand up to the multiplicity that
        ``scoring`` asks to control. Without a spread, no class is certain and ``class`` is that by
        the estimate.
    """
    table = scores.assign(
        low=np.nan, high=np.nan, level=scoring.level, certain=False, point=scores["class"]
    )
    if spread is None or law is None:
        return table
    value = scores["value"].to_numpy()
    defined = ~np.isnan(value)
    log = math.log(2 / (1 - scoring.level))
    table["low"] = value - np.maximum(law.critical() * spread.below, log * spread.unseen)
    table["high"] = value + np.maximum(law.critical() * spread.above, log * spread.unseen)
    p = class_p_values(scores, spread, law, scoring.tolerance)
    if scoring.multiplicity != "none":
        for family in table.groupby(["filter", "score"], sort=False).indices.values():
            tested = family[defined[family]]
            p[tested] = adjusted(p[tested], scoring.multiplicity)
    certain = defined & (p <= 1 - scoring.level)
    table["certain"] = certain
    table.loc[defined & ~certain, "class"] = UNDECIDED
    return table


def class_p_values(
    scores: pd.DataFrame, spread: Spread, law: Law, tolerance: float
) -> Float[np.ndarray, " rows"]:
    """Return for every score how probable so clear a class would be at one of its borders.

    The class is *fragile*, *antifragile* or *robust* by the estimate; the last has two borders, and
    the nearer one counts. The p-value is at most ``1 − level`` where the interval of that level
    lies within the class.

    Args:
        scores: Columns ``value`` and ``class``.
        spread: One value a row.
        law: Of distances in standard errors.
        tolerance: Where the borders are.
    """
    value, point = scores["value"].to_numpy(), scores["class"].to_numpy()

    def beyond(distance: Values, error: Values) -> Values:
        with np.errstate(divide="ignore", invalid="ignore"):
            normal = law.p_value(distance / error)
            rare = np.where(spread.unseen > 0, 2 * np.exp(-distance / spread.unseen), 0.0)
        return np.nan_to_num(np.minimum(np.maximum(normal, rare), 1.0), nan=1.0)

    down = beyond(
        np.where(point == ANTIFRAGILE, value - tolerance, value + tolerance), spread.below
    )
    up = beyond(np.where(point == FRAGILE, -tolerance - value, tolerance - value), spread.above)
    return np.select(
        [point == FRAGILE, point == ANTIFRAGILE], [up, down], default=np.maximum(up, down)
    )


def adjusted(p: Values, multiplicity: str) -> Values:
    """Return p-values that answer for all of them at once.

    Args:
        p: P-values.
        multiplicity: ``"none"``; ``"holm"`` (Holm, 1979: the probability of any wrong one);
            ``"bh"`` (Benjamini and Hochberg, 1995: the share of wrong ones).

    Example:
        >>> adjusted(np.array([0.01, 0.04, 0.03]), "holm").tolist()
        [0.03, 0.06, 0.06]
        >>> adjusted(np.array([0.01, 0.04, 0.03]), "bh").round(3).tolist()
        [0.03, 0.04, 0.04]
    """
    if multiplicity == "none" or not len(p):
        return p
    if multiplicity == "bh":
        return np.asarray(stats.false_discovery_control(p))
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(stepped, 1.0)[np.argsort(order, kind="stable")]
