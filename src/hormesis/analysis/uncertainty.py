"""Intervals of scores, and whether a class is certain."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from scipy import stats

from hormesis.analysis.classes import ANTIFRAGILE, FRAGILE, UNDECIDED
from hormesis.analysis.confidence_sequence import ConfidenceSequence
from hormesis.analysis.moments import StandardErrors, Values
from hormesis.settings.scoring import Scoring

_PRECISE = 1 / 20  # of the relative variance of what is divided by: that of 20 right answers


@dataclass(frozen=True)
class Student:
    """Critical values and p-values of Student's t, for a fixed number of samples.

    Args:
        samples: Number of samples, at least 2.
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


IntervalMethod = Student | ConfidenceSequence


def choose_interval_method(
    samples: int | Int[np.ndarray, " rows"], planned: int | None, scoring: Scoring
) -> Student | ConfidenceSequence:
    """Return Student's t, or a confidence sequence for a sweep that chooses when to stop.

    Args:
        samples: Number of samples measured; an array if it differs between rows of a table.
        planned: Number of samples available, if the sweep chooses when to stop; else None.
        scoring: The level, and whether the population is finite.

    Example:
        >>> choose_interval_method(10, None, Scoring())
        Student(samples=10, level=0.95)
        >>> choose_interval_method(256, 1000, Scoring()).planned
        1000
    """
    if planned is None:
        return Student(int(np.max(samples)), scoring.level)
    return ConfidenceSequence(
        samples, planned, scoring.level, finite=scoring.population == "finite"
    )


def with_intervals(
    scores: pd.DataFrame,
    standard_errors: StandardErrors | None,
    interval_method: IntervalMethod | None,
    scoring: Scoring,
) -> pd.DataFrame:
    """Return a table of scores with intervals; classes that are not certain become undecided.

    Args:
        scores: From ``score_table``, with the classes of the estimates.
        standard_errors: One value per row; None if unknown.
        interval_method: Critical values and p-values; None if unknown.
        scoring: Tolerance, level and multiplicity.

    Returns:
        The table with ``low``, ``high`` (NaN where there is no interval, as over a base that cannot
        be told from zero), ``level``, ``certain`` and ``point``, the class of the estimate.
        ``class`` is ``undecided`` where an interval straddles a border of the classes, or the class
        does not pass the correction for multiplicity of ``scoring``. Without standard errors, no
        class is certain and ``class`` is that of the estimate.
    """
    table = scores.assign(
        low=np.nan, high=np.nan, level=scoring.level, certain=False, point=scores["class"]
    )
    if standard_errors is None or interval_method is None:
        return table
    value = scores["value"].to_numpy()
    standard_errors = with_draws(standard_errors, interval_method)
    down, up = _reach(standard_errors, interval_method)
    has_interval = ~np.isnan(down) & ~np.isnan(up)
    table["low"] = np.where(has_interval, value - down, np.nan)
    table["high"] = np.where(has_interval, value + up, np.nan)
    defined = ~np.isnan(value)
    p = class_p_values(scores, standard_errors, interval_method, scoring.tolerance)
    if scoring.multiplicity != "none":
        for family in table.groupby(["filter", "score"], sort=False).indices.values():
            tested = family[defined[family]]
            p[tested] = adjust_p_values(p[tested], scoring.multiplicity)
    certain = defined & (p <= 1 - scoring.level)
    table["certain"] = certain
    table.loc[defined & ~certain, "class"] = UNDECIDED
    return table


def with_draws(standard_errors: StandardErrors, interval_method: IntervalMethod) -> StandardErrors:
    """Return standard errors that include the variance between draws.

    Each source has its own critical value, the draws that of Student's t for their number, and
    half-lengths add up in squares (G. Y. Zou and A. Donner, "Construction of confidence limits
    about effect measures", Statistics in Medicine 27, 2008): few draws give a wide interval, even
    with many samples.

    Args:
        standard_errors: Returned unchanged if they have no ``draws``.
        interval_method: Of the samples.
    """
    if standard_errors.draws is None or not standard_errors.freedom:
        return standard_errors
    wider = (
        stats.t.ppf((1 + interval_method.level) / 2, standard_errors.freedom)
        / interval_method.critical()
    )
    more = np.square(wider * standard_errors.draws)
    below, above = (
        np.sqrt(np.square(side) + more) for side in (standard_errors.below, standard_errors.above)
    )
    return replace(standard_errors, below=below, above=above, draws=None)


def _reach(
    standard_errors: StandardErrors, interval_method: IntervalMethod
) -> tuple[Values, Values]:
    """Return how far the interval extends below and above; NaN where there is none.

    It is the interval of Fieller's theorem (E. C. Fieller, "Some problems in interval estimation",
    Journal of the Royal Statistical Society B 16, 1954): a border at distance ``Δ`` is within it if
    ``|Δ|`` is at most ``c`` times ``√(V − 2ΔC + Δ²D)``, the standard error of the score at that
    border, with ``C`` the covariance of the score with its divisor and ``D`` the variance of the
    divisor. Where ``c²D ≥ 1``, the base cannot be told from zero, and there is no interval. It is
    never shorter than by the rule of three or, if the standard error of the base is more than 22 %
    of the base (as of 20 right answers), than by the delta method.
    """
    critical = interval_method.critical()
    log = math.log(2 / (1 - interval_method.level))
    lengths = []
    for side, sign in ((standard_errors.below, -1), (standard_errors.above, 1)):
        least = np.maximum(critical * side, log * standard_errors.unseen)
        if standard_errors.shared is None or standard_errors.divisor is None:
            lengths.append(least)
            continue
        left = 1 - np.square(critical) * standard_errors.divisor
        half = np.square(critical) * standard_errors.shared * sign
        with np.errstate(invalid="ignore", divide="ignore"):
            root = np.sqrt(np.square(half) + left * np.square(critical * side))
            solved = np.where(standard_errors.divisor > 0, (root - half) / left, -np.inf).max(
                axis=0
            )
        distance = np.maximum(
            solved, np.where(_precise(standard_errors), log * standard_errors.unseen, least)
        )
        lengths.append(np.where((left > 0).all(axis=0), distance, np.nan))
    return lengths[0], lengths[1]


def _precise(standard_errors: StandardErrors) -> Bool[np.ndarray, " rows"]:
    """Return where the divisor is so precise that Fieller's interval is sufficient."""
    assert standard_errors.divisor is not None
    precise = (standard_errors.divisor <= _PRECISE) & (standard_errors.divisor > 0)
    return np.any(precise, axis=0) & np.all(standard_errors.divisor <= _PRECISE, axis=0)


def class_p_values(
    scores: pd.DataFrame,
    standard_errors: StandardErrors,
    interval_method: IntervalMethod,
    tolerance: float,
) -> Float[np.ndarray, " rows"]:
    """Return, for every score, the p-value of its estimated class against the nearest border.

    *Robust* has two borders, of which the nearer one counts. The p-value is at most ``1 − level``
    if the interval of that level lies within the class, and 1 if there is no interval.

    Args:
        scores: Columns ``value`` and ``class``.
        standard_errors: One value per row, see ``with_draws``.
        interval_method: Critical values and p-values.
        tolerance: Half-width of the robust band.
    """
    value, point = scores["value"].to_numpy(), scores["class"].to_numpy()

    def beyond(distance: Values, sign: int) -> Values:
        error = _error_at(standard_errors, distance, sign)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            normal = interval_method.p_value(distance / error)
        p = np.maximum(normal, rule_of_three(distance, standard_errors.unseen))
        return np.nan_to_num(np.minimum(p, 1.0), nan=1.0)

    down = beyond(np.where(point == ANTIFRAGILE, value - tolerance, value + tolerance), -1)
    up = beyond(np.where(point == FRAGILE, -tolerance - value, tolerance - value), 1)
    p_values = np.select(
        [point == FRAGILE, point == ANTIFRAGILE], [up, down], default=np.maximum(up, down)
    )
    return np.where(lacks_interval(standard_errors, interval_method), 1.0, p_values)


def rule_of_three(distance: Values, unseen: Values) -> Values:
    """Return the p-value of a distance by the rule of three, ``2 exp(−distance / unseen)``.

    Args:
        distance: From a border, in scores; a negative one, on this side of the border, gives 2.
        unseen: Possible change by one more sample, see ``StandardErrors``; 0 gives 0.

    Example:
        >>> rule_of_three(np.array([-1e9, 0.2, 1e9]), np.array([0.1, 0.1, 0.0])).round(4).tolist()
        [2.0, 0.2707, 0.0]
    """
    with np.errstate(over="ignore"):  # what is too far for a number is infinitely far
        ratio = np.divide(
            np.maximum(distance, 0.0), unseen, out=np.full_like(unseen, np.inf), where=unseen > 0
        )
    return 2 * np.exp(-ratio)


def lacks_interval(
    standard_errors: StandardErrors, interval_method: IntervalMethod
) -> Bool[np.ndarray, " rows"]:
    """Return where the divisor cannot be told from zero, so that there is no interval.

    At 95 % that is a base of fewer than about five right answers.
    """
    if standard_errors.divisor is None:
        return np.zeros_like(standard_errors.below, dtype=bool)
    return np.any(np.square(interval_method.critical()) * standard_errors.divisor >= 1, axis=0)


def _error_at(standard_errors: StandardErrors, distance: Values, sign: int) -> Values:
    """Return the standard error of the scores at a distance, see ``_reach``."""
    error = standard_errors.below if sign < 0 else standard_errors.above
    if standard_errors.shared is None or standard_errors.divisor is None:
        return error
    far = np.maximum(distance, 0.0)
    variance = (
        np.square(error)
        - 2 * sign * far * standard_errors.shared
        + np.square(far) * standard_errors.divisor
    )
    variance = np.sqrt(np.maximum(variance, 0.0))
    largest = np.where(standard_errors.divisor > 0, variance, -np.inf).max(axis=0)
    return np.maximum(largest, np.where(_precise(standard_errors), 0.0, error))


def adjust_p_values(p: Values, multiplicity: str) -> Values:
    """Return p-values, corrected for multiplicity.

    Args:
        p: P-values.
        multiplicity: ``"none"``; ``"holm"`` (Holm, 1979: family-wise error rate); ``"bh"``
            (Benjamini and Hochberg, 1995: false discovery rate).

    Example:
        >>> adjust_p_values(np.array([0.01, 0.04, 0.03]), "holm").tolist()
        [0.03, 0.06, 0.06]
        >>> adjust_p_values(np.array([0.01, 0.04, 0.03]), "bh").round(3).tolist()
        [0.03, 0.04, 0.04]
    """
    if multiplicity == "none" or not len(p):
        return p
    if multiplicity == "bh":
        return np.asarray(stats.false_discovery_control(p))
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(stepped, 1.0)[np.argsort(order, kind="stable")]
