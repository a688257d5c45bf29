"""Filtering scores and classes, from responses (METHOD, section 4)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.integrate import simpson

from hormesis.errors import SettingError
from hormesis.settings import FILTERS, Scoring

COMBINED = "combined"
SCORES = ("clean", "adversarial", "difference")
UNTESTED = "untested"
UNDEFINED = "undefined"

Curve = Float[np.ndarray, " thresholds"]


@dataclass(frozen=True)
class Base:
    """Performance of the unfiltered network.

    Args:
        clean: Mean over the clean samples.
        adversarial: Mean over the perturbed samples.
        higher_is_better: Whether a larger performance is the better one; not so for a loss.
    """

    clean: float
    adversarial: float
    higher_is_better: bool = True


def relative(performance: Curve, base: float, *, higher_is_better: bool = True) -> Curve:
    """Return a response relative to its base: 1 where nothing changes, less where it hurts.

    Args:
        performance: Mean performance at each threshold.
        base: Performance to compare with.
        higher_is_better: If not, as for a loss, the quotient is turned over, so that a rising loss
            lowers the relative performance just as a falling accuracy does.

    Returns:
        ``performance / base``, or its inverse; NaN where the quotient does not exist, and
        throughout for a base of zero.

    Example:
        >>> relative(np.array([0.8, 0.4]), 0.8)
        array([1. , 0.5])
        >>> relative(np.array([0.5, 2.0]), 0.5, higher_is_better=False)
        array([1.  , 0.25])
    """
    base_curve = np.full_like(performance, base)
    above, below = (performance, base_curve) if higher_is_better else (base_curve, performance)
    defined = (below != 0) & (base_curve != 0)
    return np.divide(above, below, out=np.full_like(performance, np.nan), where=defined)


def integral(curve: Curve) -> float:
    """Return the integral of a curve over the normalised threshold, by Simpson's rule.

    Args:
        curve: Values at evenly spaced thresholds, at least 2, from progress 0 to 1.

    Example:
        >>> integral(np.array([0.0, 0.25, 1.0]))  # x²
        0.3333333333333333
    """
    return float(simpson(curve, x=np.linspace(0.0, 1.0, len(curve))))


def classify(value: float, tolerance: float) -> str:
    """Return the class of a score: fragile below ``-tolerance``, antifragile above ``tolerance``.

    Args:
        value: A filtering score; NaN gives ``undefined``.
        tolerance: Half-width of the band that is robust, at least 0.

    Example:
        >>> [classify(value, 0.1) for value in (-0.2, -0.1, 0.0, 0.3, float("nan"))]
        ['fragile', 'robust', 'robust', 'antifragile', 'undefined']
    """
    if np.isnan(value):
        return UNDEFINED
    if abs(value) <= tolerance:
        return "robust"
    return "fragile" if value < 0 else "antifragile"


def filtering_scores(responses: pd.DataFrame, base: Base, scoring: Scoring) -> dict[str, float]:
    """Return the clean, adversarial and difference score of one target and filter.

    ``S_c = ∫ [p_c/p_c(base) − r] dx``, ``S_a = ∫ [p_a/p_a(base) − r] dx`` and
    ``S_d = ∫ [p_a/p_a(base) − p_c/p_c(base)] dx`` (METHOD, section 4).

    Args:
        responses: The rows of one sweep in the order of its steps, with columns ``clean``,
            ``adversarial`` and ``density``; for the random reference also ``random_clean`` and
            ``random_adversarial``.
        base: Performance of the unfiltered network.
        scoring: Which base and which reference.

    Returns:
        The scores by name; NaN where the base is zero.

    Raises:
        SettingError: If the random reference is asked for and its control was not measured.

    Example:
        >>> sweep = pd.DataFrame({"density": [1.0, 0.5, 0.0], "clean": [0.8, 0.8, 0.8],
        ...                       "adversarial": [0.4, 0.2, 0.0]})
        >>> filtering_scores(sweep, Base(0.8, 0.4), Scoring())
        {'clean': 0.5, 'adversarial': 0.0, 'difference': -0.5}
    """
    if scoring.reference == "random" and "random_clean" not in responses:
        raise SettingError(
            "The reference 'random' needs the random control; measure it with `control`."
        )
    curves = {}
    for name, value in (("clean", base.clean), ("adversarial", base.adversarial)):
        column = responses[name].to_numpy(dtype=float)
        divisor = value if scoring.base == "network" else float(column[0])
        better = base.higher_is_better
        curve = relative(column, divisor, higher_is_better=better)
        if scoring.reference == "density":
            reference = responses["density"].to_numpy(dtype=float)
        elif scoring.reference == "base":
            reference = np.ones_like(curve)
        else:
            control = responses[f"random_{name}"].to_numpy(dtype=float)
            reference = relative(control, divisor, higher_is_better=better)
        curves[name] = curve, curve - reference
    return {
        "clean": integral(curves["clean"][1]),
        "adversarial": integral(curves["adversarial"][1]),
        "difference": integral(curves["adversarial"][0] - curves["clean"][0]),
    }


def score_table(responses: pd.DataFrame, base: Base, scoring: Scoring) -> pd.DataFrame:
    """Return every score of a study with its class.

    Args:
        responses: One row a target, filter and step, with the columns that ``filtering_scores``
            names and ``target``, ``filter``, ``step`` and ``changed``.
        base: Performance of the unfiltered network.
        scoring: Base, reference and tolerance.

    Returns:
        Columns ``target``, ``filter``, ``score``, ``value``, ``class``. The ``combined`` filter is
        the mean over the three, where all were swept. A target none of whose removals changed a
        logit is ``untested``, with no value; a score over a base of zero is ``undefined``.
    """
    rows: list[tuple[str, str, str, float, str]] = []
    for target, of_target in responses.groupby("target", sort=False):
        by_filter = {
            str(name): filtering_scores(sweep.sort_values("step"), base, scoring)
            for name, sweep in of_target.groupby("filter", sort=False)
        }
        if all(name in by_filter for name in FILTERS):
            by_filter[COMBINED] = {
                score: float(np.mean([by_filter[name][score] for name in FILTERS]))
                for score in SCORES
            }
        reached = bool(of_target["changed"].any())
        for name, scores in by_filter.items():
            for score in SCORES:
                value = scores[score] if reached else float("nan")
                label = classify(value, scoring.tolerance) if reached else UNTESTED
                rows.append((str(target), name, score, value, label))
    return pd.DataFrame(rows, columns=["target", "filter", "score", "value", "class"])
