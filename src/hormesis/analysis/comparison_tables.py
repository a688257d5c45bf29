"""Tables of a comparison of studies: scores, paths of classes, changes, agreement."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, pairwise
from typing import Any, cast

import numpy as np
import pandas as pd
from jaxtyping import Float

from hormesis.analysis.agreement import correlation_interval, kendall, measure_agreement, spearman
from hormesis.analysis.classes import ANTIFRAGILE, CLASSES, IMPROVING, POINTS, UNDECIDED, UNDEFINED
from hormesis.analysis.confidence_sequence import ConfidenceSequence
from hormesis.analysis.moments import InfluenceMoments, StandardErrors
from hormesis.analysis.scores import SCORES, classify_all
from hormesis.analysis.uncertainty import (
    IntervalMethod,
    adjust_p_values,
    lacks_interval,
    rule_of_three,
    with_draws,
    with_intervals,
)
from hormesis.analysis.verdicts import Evidence, with_verdicts
from hormesis.settings.scoring import Scoring

_ABOVE = str.maketrans({CLASSES[name].letter.lower(): "a" for name in IMPROVING})
_ALL_PAIRS = 10  # of studies; with more, each is compared with the first


@dataclass(frozen=True)
class MatchedScores:
    """The scores of one study for the matched targets.

    Args:
        label: Name of the study in tables.
        values: Three scores × matches; NaN where a score is undefined.
        influence: Contribution of each sample to them; None if no outcomes were stored.
        moments: Of the influence values; None if no outcomes were stored.
        interval_method: Critical values and p-values; None if no outcomes were stored.
        samples: Equal for studies of the same samples in the same order.
        evidence: Further evidence on the classes, with claims by match, label and score.
        population: Size of the population for intervals of a finite population; else None.
    """

    label: str
    values: Float[np.ndarray, "three matches"]
    influence: Float[np.ndarray, "three matches samples"] | None
    moments: InfluenceMoments | None
    interval_method: IntervalMethod | None
    samples: tuple[Any, ...]
    evidence: Evidence = field(default_factory=Evidence)
    population: int | None = None

    def standard_errors(self) -> StandardErrors:
        """Return the standard errors of the scores; needs ``moments``."""
        assert self.moments is not None
        return self.moments.standard_errors(self.population)

    def paired(self, other: "MatchedScores") -> bool:
        """Return whether both have outcomes of the same samples."""
        have_outcomes = self.influence is not None and other.influence is not None
        return have_outcomes and self.samples == other.samples


def average_moments(
    moments: InfluenceMoments, influence: np.ndarray, groups: Sequence[Sequence[int]]
) -> InfluenceMoments:
    """Return the moments of means over groups of targets.

    Args:
        moments: One row per target.
        influence: Influence values of the means: three scores × groups × samples.
        groups: Rows of the targets of each group.
    """

    def mean(values: np.ndarray | None, power: int = 1) -> np.ndarray | None:
        if values is None:
            return None
        parts = [values[..., list(g)].sum(axis=-1) / len(g) ** power for g in groups]
        return np.stack(parts, axis=-1)

    most = mean(moments.most)
    assert most is not None
    return replace(
        moments_of(influence, most),
        shared=mean(moments.shared),
        divisor=mean(moments.divisor),
        draws=mean(moments.draws, 2),  # each target draws its own
        freedom=moments.freedom,
        extra=mean(moments.extra),
    )


def moments_of(influence: np.ndarray, most: np.ndarray) -> InfluenceMoments:
    """Return the moments of influence values.

    Args:
        influence: Three scores × rows × samples.
        most: The largest possible contribution of one sample, times the number of samples.
    """
    second, fourth = np.empty(influence.shape[:2]), np.empty(influence.shape[:2])
    for row in range(influence.shape[1]):  # row by row, so that memory stays in bounds
        squares = np.square(influence[:, row], dtype=np.float64)
        second[:, row] = squares.sum(axis=-1)
        fourth[:, row] = np.square(squares).sum(axis=-1)
    return InfluenceMoments(second, fourth, most, influence.shape[-1])


def comparison_scores(
    matches: Sequence[str], measured: Sequence[MatchedScores], scoring: Scoring
) -> pd.DataFrame:
    """Return the studies' scores of the matched targets, with intervals.

    Columns ``study``, ``match``, ``score``, ``value``, ``class``, ``low``, ``high``, ``level``,
    ``certain``, ``point``; studies in their order.
    """
    rows = len(matches) * len(SCORES)
    values = np.concatenate([study.values.T.ravel() for study in measured])
    table = pd.DataFrame(
        {
            "study": np.repeat(np.asarray([study.label for study in measured], dtype=object), rows),
            "match": _row_matches(matches, len(measured)),
            "score": list(SCORES) * (len(matches) * len(measured)),
            "value": values,
            "class": classify_all(values, scoring.tolerance),
        }
    ).assign(filter=lambda table: table["study"])  # a family for the control of multiplicity
    parts = []
    for index, study in enumerate(measured):
        own = table.iloc[index * rows : (index + 1) * rows]
        standard_errors = None if study.moments is None else study.standard_errors()
        scored = with_intervals(own, standard_errors, study.interval_method, scoring).assign(
            target=own["match"]
        )
        parts.append(with_verdicts(scored, study.evidence, scoring.tolerance))
    return pd.concat(parts).drop(columns=["filter", "target"])


def estimated_classes(matches: Sequence[str], study: MatchedScores, scoring: Scoring) -> np.ndarray:
    """Return the classes by the estimates of one study, in the order of ``comparison_scores``."""
    return _decided_classes(comparison_scores(matches, [study], scoring)).to_numpy(dtype=object)


def _decided_classes(scores: pd.DataFrame) -> pd.Series:
    """Return the classes; undecided ones are replaced by those of the estimates."""
    label, point = scores["class"], scores["point"]
    return pd.Series(np.where(label == UNDECIDED, point, label), index=scores.index)


def _row_matches(matches: Sequence[str], times: int) -> np.ndarray:
    """Return the match of every row of ``times`` tables, which have a row for each score."""
    return np.tile(np.repeat(np.asarray(matches, dtype=object), len(SCORES)), times)


def class_paths(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the path of classes of each target, and whether its class is invariant.

    Args:
        scores: Of all studies, in their order: ``study``, ``match``, ``score``, ``point``,
            ``certain``.

    Returns:
        Columns ``score``, ``match``, ``path`` (one letter per study, see ``analysis.classes``:
        ``F``, ``R``, ``A`` where the class is certain, ``f``, ``r``, ``u`` and so on where it is
        not, and ``-`` undefined), ``changes`` (number of changes of the estimated class from one
        study to the next) and ``invariant``: ``certain``, ``undecided`` (the estimated class stays
        the same, but is not always certain), ``no``, or ``undefined``, also at chance.
    """
    rows = []
    letters = _decided_classes(scores).map(lambda name: CLASSES[name].letter)
    letters = letters.where(scores["certain"], letters.str.lower())
    grouped = scores.assign(letter=letters).groupby(["score", "match"], sort=False)
    for key, part in grouped:
        score, match = cast(tuple[str, str], key)
        path = "".join(part["letter"])
        lower = path.lower().translate(_ABOVE)
        changes = sum(before != after for before, after in pairwise(lower))
        if {"-", "c"} & set(path):
            kind = UNDEFINED
        elif changes:
            kind = "no"
        else:
            kind = "certain" if path.isupper() else "undecided"
        rows.append((score, match, path, changes, kind))
    return pd.DataFrame(rows, columns=["score", "match", "path", "changes", "invariant"])


_CODES = {name: place for place, name in enumerate(POINTS)}
_CODES |= dict.fromkeys(IMPROVING, POINTS.index(ANTIFRAGILE))


def study_pairs(studies: int, *, ordered: bool) -> list[tuple[int, int]]:
    """Return the pairs of studies whose scores are subtracted.

    Args:
        studies: Number of studies.
        ordered: Pair each study with the next, and the first with the last; otherwise every two
            or, of more than ten studies, each with the first.

    Example:
        >>> study_pairs(4, ordered=True)
        [(0, 1), (1, 2), (2, 3), (0, 3)]
    """
    if ordered:
        return [*pairwise(range(studies)), *([(0, studies - 1)] if studies > 2 else [])]
    if studies <= _ALL_PAIRS:
        return list(combinations(range(studies), 2))
    return [(0, other) for other in range(1, studies)]


def score_changes(
    matches: Sequence[str],
    measured: Sequence[MatchedScores],
    pairs: Sequence[tuple[int, int]],
    scoring: Scoring,
) -> pd.DataFrame:
    """Return how the scores differ between studies.

    For studies of the same samples, influence values are subtracted sample by sample; otherwise
    the errors are independent.

    Args:
        matches: Names of the targets.
        measured: The studies.
        pairs: Indices of the studies to compare, from and to.
        scoring: Level and tolerance.

    Returns:
        Columns ``score``, ``match``, ``from``, ``to``, ``from_class``, ``to_class`` (by the
        estimates), ``difference``, ``low``, ``high``, ``p`` (that there is no difference) and
        ``paired``.
    """
    rows = len(matches) * len(SCORES)
    sides = [(measured[first], measured[second]) for first, second in pairs]
    before, after = (
        np.concatenate([side[index].values.T.ravel() for side in sides]) for index in (0, 1)
    )
    labels = [np.asarray([side[index].label for side in sides], dtype=object) for index in (0, 1)]
    half, p = (
        np.concatenate(parts)
        for parts in zip(*(_half_width_and_p(*side, scoring.level) for side in sides), strict=True)
    )
    difference = after - before
    points = {
        index: estimated_classes(matches, measured[index], scoring)
        for pair in pairs
        for index in pair
    }
    from_class, to_class = (
        np.concatenate([points[pair[index]] for pair in pairs]) for index in (0, 1)
    )
    return pd.DataFrame(
        {
            "score": list(SCORES) * (len(matches) * len(pairs)),
            "match": _row_matches(matches, len(pairs)),
            "from": np.repeat(labels[0], rows),
            "to": np.repeat(labels[1], rows),
            "from_class": from_class,
            "to_class": to_class,
            "difference": difference,
            "low": difference - half,
            "high": difference + half,
            "p": p,
            "paired": np.repeat([first.paired(second) for first, second in sides], rows),
        }
    )


def _half_width_and_p(
    first: MatchedScores, second: MatchedScores, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return half the width of the interval of each difference, and its p-value."""
    distance = np.abs(second.values - first.values).T.ravel()
    if (
        first.moments is None
        or second.moments is None
        or first.interval_method is None
        or second.interval_method is None
    ):
        return np.full_like(distance, np.nan), np.full_like(distance, np.nan)
    sides = first.standard_errors(), second.standard_errors()
    interval_method = method_of_fewer(first.interval_method, second.interval_method)
    if first.paired(second):
        assert first.influence is not None
        assert second.influence is not None
        most = np.hypot(first.moments.most, second.moments.most)
        standard_errors = moments_of(second.influence - first.influence, most).standard_errors(
            first.population
        )
    else:
        error = np.hypot(sides[0].above, sides[1].above)
        unseen = np.hypot(sides[0].unseen, sides[1].unseen)
        standard_errors = StandardErrors(error, error, unseen)
    draws = [side.draws for side in sides if side.draws is not None]
    if draws:
        freedom = min(side.freedom for side in sides if side.draws is not None)
        together = np.sqrt(np.sum(np.square(draws), axis=0))
        standard_errors = replace(standard_errors, draws=together, freedom=freedom)
    undefined = np.any([lacks_interval(side, interval_method) for side in sides], axis=0)
    standard_errors = with_draws(standard_errors, interval_method)
    error, unseen = standard_errors.above, standard_errors.unseen
    half = np.maximum(interval_method.critical() * error, np.log(2 / (1 - level)) * unseen)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        normal = interval_method.p_value(distance / error)
    p = np.minimum(np.maximum(normal, rule_of_three(distance, unseen)), 1.0)
    return np.where(undefined, np.nan, half), np.where(undefined, np.nan, p)


def method_of_fewer(first: IntervalMethod, second: IntervalMethod) -> IntervalMethod:
    """Return the interval method of fewer samples, row by row if a study's numbers differ."""
    interval_method = min(
        first, second, key=lambda interval_method: np.min(interval_method.samples)
    )
    if isinstance(first, ConfidenceSequence) and isinstance(second, ConfidenceSequence):
        fewer = np.minimum(first.samples, second.samples)
        return replace(interval_method, samples=fewer if fewer.ndim else int(fewer))
    return interval_method


def rank_changes(changes: pd.DataFrame, level: float) -> pd.DataFrame:
    """Return changes with ``certain``, the largest certain ones of each score first.

    Since the largest are selected from many, a change is certain only if it passes Holm's
    correction over all changes of its score.
    """
    p = np.full(len(changes), np.nan)
    for rows in changes.groupby("score", sort=False).indices.values():
        tested = rows[changes["p"].notna().to_numpy()[rows]]
        p[tested] = adjust_p_values(changes["p"].to_numpy()[tested], "holm")
    table = changes.assign(p=p, certain=p <= 1 - level, size=changes["difference"].abs())
    order = [SCORES.index(score) for score in table["score"].tolist()]
    table = table.assign(order=order).sort_values(
        ["order", "certain", "size"], ascending=[True, False, False], kind="stable"
    )
    return table.drop(columns=["order", "size"]).reset_index(drop=True)


def agreement_tables(
    scores: pd.DataFrame, studies: Sequence[str], level: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return agreement of every two studies, and of all.

    Args:
        scores: Of all studies.
        studies: Their labels, in order.
        level: Confidence level.

    Returns:
        One row a score and two studies: ``score``, ``from``, ``to``, ``targets``, ``spearman``,
        ``spearman_low``, ``spearman_high``, ``kendall``, ``kendall_low``, ``kendall_high``; and one
        row a score with the fields of ``measure_agreement.Agreement``, ``studies`` and ``targets``.
    """
    pairs, overall = [], []
    for score in dict.fromkeys(scores["score"].tolist()):
        chosen = scores.loc[scores["score"] == score]
        values = _wide(chosen, "value", studies).dropna(axis=1)
        codes = [_CODES.get(point, -1) for point in _decided_classes(chosen).tolist()]
        classes = _wide(chosen.assign(code=codes), "code", studies)[values.columns]
        defined = (classes >= 0).all(axis=0)  # at chance, nothing has a class to agree on
        values, classes = values.loc[:, defined], classes.loc[:, defined]
        targets = values.shape[1]
        if targets < 2:
            continue
        upper = np.triu_indices(len(studies), 1)
        table = {"score": score, "from": np.asarray(studies)[upper[0]]}
        table |= {"to": np.asarray(studies)[upper[1]], "targets": targets}
        for name, measure in (("spearman", spearman), ("kendall", kendall)):
            correlations = measure(values.to_numpy())[upper]
            low, high = correlation_interval(correlations, targets, level, kind=name)
            table |= {name: correlations, f"{name}_low": low, f"{name}_high": high}
        pairs.append(pd.DataFrame(table))
        agreement = measure_agreement(values.to_numpy(), classes.to_numpy().astype(int), level)
        overall.append(
            {"score": score, "studies": len(studies), "targets": targets, **vars(agreement)}
        )
    return (pd.concat(pairs, ignore_index=True) if pairs else pd.DataFrame()), pd.DataFrame(overall)


def _wide(scores: pd.DataFrame, column: str, studies: Sequence[str]) -> pd.DataFrame:
    return scores.pivot(index="study", columns="match", values=column).loc[list(studies)]
