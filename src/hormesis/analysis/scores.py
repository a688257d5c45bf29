"""Filtering scores and classes, from responses (METHOD, section 4)."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped
from scipy.sparse import csr_array

from hormesis.analysis.chance import corrected
from hormesis.analysis.classes import ANTIFRAGILE, FRAGILE, ROBUST, UNDEFINED, UNTESTED
from hormesis.analysis.integration import Curve, integral, uneven_points
from hormesis.analysis.responses import Sweeps, as_sweeps
from hormesis.errors import SettingError
from hormesis.settings.choices import COMBINED, DEFAULT_FILTERS, POPULATIONS
from hormesis.settings.replacement import draws_of
from hormesis.settings.scoring import Scoring

SCORES = ("clean", "adversarial", "difference")

Divisor = Float[np.ndarray, "*sweeps 1"]


@dataclass(frozen=True)
class Base:
    """Performance of the unfiltered network.

    Args:
        clean: Mean over the clean samples.
        adversarial: Mean over the perturbed samples; NaN without an attack.
        higher_is_better: Whether a larger performance is better; not so for a loss.
        chance: Performance of guessing, see ``analysis.chance``; None if unknown.
        floor: Performance of guessing on a second data set, to which that of a network that does
            worse is raised where it divides: on data that no network changed, more than guessing is
            a gain, and less is no loss. None under an attack, or if unknown.
        tied: Share that these samples are of those that chose the magnitude of the attack, by which
            the adversarial performance is tied to the clean one; 0 for a given magnitude.
    """

    clean: float
    adversarial: float
    higher_is_better: bool = True
    chance: float | None = None
    tied: float = field(default=0.0, repr=False)
    floor: float | None = field(default=None, repr=False)

    @property
    def is_raised(self) -> bool:
        """Whether the performance on stressed samples is below its ``floor``.

        Example:
            >>> Base(0.9, 0.02, floor=0.1).is_raised, Base(0.9, 0.02).is_raised
            (True, False)
        """
        if self.floor is None:
            return False
        return (self.adversarial < self.floor) is self.higher_is_better

    def divisor(self, name: str) -> float:
        """Return the number that ``clean`` or ``adversarial`` responses are divided by."""
        if name == "adversarial" and self.floor is not None and self.is_raised:
            return self.floor
        return self.clean if name == "clean" else self.adversarial

    @property
    def larger_is_better(self) -> bool:
        """Whether a performance of larger absolute value is better.

        That is ``higher_is_better``, or its opposite for a negative performance, such as minus an
        error. A response is then divided by its base, otherwise the base by the response, so that
        minus an error has the scores of the error.

        Example:
            >>> Base(-0.1, -0.4).larger_is_better, Base(0.1, 0.4).larger_is_better
            (False, True)
        """
        known = [part for part in (self.clean, self.adversarial) if not math.isnan(part)]
        negative = min(known, default=0.0) < 0 and max(known, default=0.0) <= 0
        return self.higher_is_better is not negative


def score_names(*, stressed: bool) -> tuple[str, ...]:
    """Return the scores that a study has: all of ``SCORES`` or, without an attack, the clean one.

    Example:
        >>> score_names(stressed=False)
        ('clean',)
    """
    return SCORES if stressed else SCORES[:1]


def main_score(*, stressed: bool) -> str:
    """Return the score to show where one has to do: the adversarial one, if there is an attack."""
    return "adversarial" if stressed else "clean"


def measured_scores(table: pd.DataFrame, *, stressed: bool) -> pd.DataFrame:
    """Return the rows of a table whose ``score`` was measured, numbered anew.

    Args:
        table: Rows of all ``SCORES``.
        stressed: Whether there was an attack.
    """
    if stressed:
        return table
    return table.loc[table["score"].isin(score_names(stressed=False))].reset_index(drop=True)


def relative_response(
    performance: Curve, base: float | Divisor, *, larger_is_better: bool = True
) -> Curve:
    """Return a response relative to its base: 1 if nothing changes, less if performance suffers.

    Args:
        performance: Mean performance at each threshold.
        base: Performance to compare with: a number, or one per sweep.
        larger_is_better: If False, as for a loss, the quotient is inverted, so that a rising loss
            lowers the relative performance as a falling accuracy does; see ``Base``.

    Returns:
        ``performance / base``, or its inverse; NaN where the quotient does not exist, and
        throughout for a base of zero.

    Example:
        >>> relative_response(np.array([0.8, 0.4]), 0.8)
        array([1. , 0.5])
        >>> relative_response(np.array([0.5, 2.0]), 0.5, larger_is_better=False)
        array([1.  , 0.25])
    """
    base_curve = np.full_like(performance, base)
    above, below = (performance, base_curve) if larger_is_better else (base_curve, performance)
    defined = (below != 0) & (base_curve != 0)
    return np.divide(above, below, out=np.full_like(performance, np.nan), where=defined)


def quotient(performance: Curve, by: Divisor, base: Base, scoring: Scoring) -> Curve:
    """Return a response divided by its base, both counted from chance if the scoring says so.

    Args:
        performance: Mean performance at each threshold.
        by: See ``divisor``.
        base: Performance of the unfiltered network, and of guessing.
        scoring: Whether to count from chance.

    Returns:
        See ``relative_response``; counted from chance, ``(p − chance)/(by − chance)``, NaN
        throughout where ``by`` is no better than chance.

    Raises:
        SettingError: If the performance of guessing is needed and not known.

    Example:
        >>> known = Base(0.9, 0.5, chance=0.1)
        >>> asked = Scoring(chance_corrected=True)
        >>> quotient(np.array([[0.9, 0.5, 0.1]]), np.array([[0.9]]), known, asked)
        array([[1. , 0.5, 0. ]])
    """
    if not scoring.chance_corrected:
        return relative_response(performance, by, larger_is_better=base.larger_is_better)
    chance = known_chance(base)
    learnt = by > chance if base.higher_is_better else by < chance
    return corrected(performance, np.where(learnt, by, chance), chance)


def known_chance(base: Base) -> float:
    """Return the performance of guessing.

    Raises:
        SettingError: If it is not known.
    """
    if base.chance is None:
        raise SettingError(
            "Scores counted from chance need the performance of guessing, which is not known here: "
            "give it with `Metric(chance=...)`, or leave out `chance`."
        )
    return base.chance


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
        return ROBUST
    return FRAGILE if value < 0 else ANTIFRAGILE


def classify_all(
    values: Float[np.ndarray, " rows"], tolerance: float
) -> Shaped[np.ndarray, " rows"]:
    """Return the classes of scores, see ``classify``."""
    labels = np.select(
        [np.isnan(values), np.abs(values) <= tolerance, values < 0],
        [UNDEFINED, ROBUST, FRAGILE],
        default=ANTIFRAGILE,
    )
    return labels.astype(object)


def divisor(sweeps: Sweeps, name: str, base: Base, scoring: Scoring) -> Divisor:
    """Return the divisor of the responses of each sweep, as a column.

    Args:
        sweeps: Responses.
        name: ``"clean"`` or ``"adversarial"``.
        base: Performance of the unfiltered network.
        scoring: Which base.
    """
    column = sweeps.columns[name].astype(np.float64)
    if scoring.base == "first":
        return column[:, :1]
    return np.full((len(column), 1), base.divisor(name))


def sweep_scores(sweeps: Sweeps, base: Base, scoring: Scoring) -> Float[np.ndarray, "three sweeps"]:
    """Return the clean, adversarial and difference score of every target and filter.

    ``S_c = ∫ [p_c/p_c(base) − r] dx``, ``S_a = ∫ [p_a/p_a(base) − r] dx`` and
    ``S_d = ∫ [p_a/p_a(base) − p_c/p_c(base)] dx`` (METHOD, section 4).

    Args:
        sweeps: Responses, with columns ``clean``, ``adversarial`` and ``density``; for the random
            reference also ``random_clean`` and ``random_adversarial``.
        base: Performance of the unfiltered network.
        scoring: Which base and which reference, and whether to count from chance.

    Returns:
        The scores in the order of ``SCORES``; NaN where the base is zero.

    Raises:
        SettingError: If the random reference is asked for and its control was not measured.

    Example:
        >>> sweep = pd.DataFrame({"target": "w", "filter": "low_pass", "step": [0, 1, 2],
        ...                       "density": [1.0, 0.5, 0.0], "clean": [0.8, 0.8, 0.8],
        ...                       "adversarial": [0.4, 0.2, 0.0]})
        >>> sweep_scores(as_sweeps(sweep), Base(0.8, 0.4), Scoring())[:, 0].tolist()
        [0.0, -0.5, -0.5]
    """
    if scoring.reference == "random" and "random_clean" not in sweeps.columns:
        raise SettingError(
            "The reference 'random' needs the random control; measure it with `control`."
        )
    curves, references = [], []
    for name in ("clean", "adversarial"):
        by = divisor(sweeps, name, base, scoring)
        curve = quotient(sweeps.columns[name].astype(float), by, base, scoring)
        curves.append(curve)
        if scoring.reference == "density":
            references.append(sweeps.columns["density"].astype(float))
        elif scoring.reference == "base":
            references.append(np.ones_like(curve))
        else:
            control = sweeps.columns[f"random_{name}"].astype(float)
            references.append(quotient(control, by, base, scoring))
    clean, adversarial = curves
    points = uneven_points(sweeps)
    return np.stack(
        [
            integral(clean - references[0], points),
            integral(adversarial - references[1], points),
            integral(adversarial - clean, points),
        ]
    )


@dataclass(frozen=True)
class ScoreLayout:
    """The rows of a table of scores, as means of sweeps.

    Args:
        names: Target and filter of each row; the ``combined`` filter comes after the filters of a
            target, if all three were swept, or if one replacement was drawn several times.
        mean: Rows × sweeps: weights of the sweeps in the mean of each row.
    """

    names: tuple[tuple[str, str], ...]
    mean: csr_array


def score_layout(sweeps: Sweeps, only: str | None = None) -> ScoreLayout:
    """Return the rows of a table of scores.

    Args:
        sweeps: Responses.
        only: A single filter, or ``combined``; None takes all.
    """
    names: list[tuple[str, str]] = []
    entries: list[tuple[int, int, float]] = []

    def add(target: str, name: str, members: list[int]) -> None:
        if only in (None, name):
            entries.extend((len(names), member, 1 / len(members)) for member in members)
            names.append((target, name))

    rows_of: dict[str, dict[str, int]] = {}
    for row, (target, name) in enumerate(sweeps.names):
        rows_of.setdefault(target, {})[name] = row
    for target, rows in rows_of.items():
        for name, row in rows.items():
            add(target, name, [row])
        if all(name in rows for name in DEFAULT_FILTERS):
            add(target, COMBINED, [rows[name] for name in DEFAULT_FILTERS])
        elif draws_of([*rows]):
            add(target, COMBINED, [*rows.values()])
    row, column, weight = zip(*entries, strict=True) if entries else ((), (), ())
    shape = (len(names), len(sweeps.names))
    return ScoreLayout(tuple(names), csr_array((weight, (row, column)), shape=shape))


def plain_scoring(scoring: Scoring) -> dict[str, Any]:
    """Return a scoring as plain values; newer fields are left out at their defaults.

    Example:
        >>> asked = plain_scoring(Scoring(chance_corrected=True))
        >>> sorted(set(asked) - set(plain_scoring(Scoring())))
        ['chance_corrected']
    """
    defaults = {"chance_corrected": False, "population": POPULATIONS[0]}
    return {name: value for name, value in asdict(scoring).items() if defaults.get(name) != value}


def score_table(responses: pd.DataFrame, base: Base, scoring: Scoring) -> pd.DataFrame:
    """Return every score of a study with its class.

    Args:
        responses: One row a target, filter and step, with the columns that ``sweep_scores``
            names and ``target``, ``filter``, ``step`` and ``changed``.
        base: Performance of the unfiltered network.
        scoring: Base, reference and tolerance.

    Returns:
        Columns ``target``, ``filter``, ``score``, ``value``, ``class``. The ``combined`` filter is
        the mean over the three, if all were swept, or over the draws of one replacement. A target
        whose removals changed no logit is ``untested``, without a value; a score over a base of
        zero is ``undefined``.
    """
    sweeps = as_sweeps(responses)
    rows = score_layout(sweeps)
    values = (rows.mean @ sweep_scores(sweeps, base, scoring).T).ravel()
    reached = responses.loc[responses["changed"].astype(bool), "target"].unique()
    table = pd.DataFrame(
        [(target, name, score) for target, name in rows.names for score in SCORES],
        columns=["target", "filter", "score"],
    )
    tested = table["target"].isin(reached).to_numpy()
    table["value"] = np.where(tested, values, np.nan)
    table["class"] = np.where(tested, classify_all(values, scoring.tolerance), UNTESTED)
    return table
