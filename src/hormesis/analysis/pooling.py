"""Pooling of several trainings of one network: mean scores, with intervals over trainings."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from hormesis.analysis.classes import ANTIFRAGILE
from hormesis.analysis.comparison_tables import (
    MatchedScores,
    estimated_classes,
    method_of_fewer,
    moments_of,
)
from hormesis.analysis.moments import StandardErrors
from hormesis.analysis.scores import SCORES, classify_all
from hormesis.analysis.uncertainty import IntervalMethod, Student, with_intervals
from hormesis.analysis.verdicts import ATTACKED, combine_classes
from hormesis.settings.scoring import Scoring

_EXACT = 1 << 40  # stands for as many samples as make no difference


def pool_runs(
    matches: Sequence[str],
    runs: Sequence[MatchedScores],
    group: Mapping[str, Any],
    scoring: Scoring,
) -> pd.DataFrame:
    """Return the mean scores of several runs, with intervals over runs and samples.

    Runs measured on the same samples are crossed with them. Let ``A`` be the variance of the mean
    over samples, ``B`` that over runs, and ``C`` their common part (``MS_interaction/(nK)`` for
    ``K`` runs and ``n`` samples, as for the draws of the random control). The variance of the mean
    for other trainings and other samples is ``A + (B − C)``, and each part has its own critical
    value, see ``with_draws``. For runs on different samples ``C`` is ``A``.

    Args:
        matches: Names of the targets.
        runs: At least two.
        group: Columns in which the runs agree.
        scoring: Level, tolerance and multiplicity.

    Returns:
        The columns of ``group``, then ``score``, ``match``, ``runs``, ``mean``, ``low`` and
        ``high`` (Student's t over runs: for other trainings on these samples), ``sampling_low`` and
        ``sampling_high`` (for the same runs on other samples), ``total_low`` and ``total_high``
        (for other trainings on other samples), ``class`` (of the mean, by the last interval;
        ``undecided`` where it is not certain), ``certain`` and ``point``, the estimated class.
    """
    values = np.stack([run.values.T.ravel() for run in runs])
    count, mean = len(runs), values.mean(axis=0)
    between = values.var(axis=0, ddof=1) / count
    sampling, shared = _sampling(runs)
    interval_method = _interval_method(runs, scoring)
    table = pd.DataFrame(
        {
            **group,
            "score": list(SCORES) * len(matches),
            "match": np.repeat(np.asarray(matches, dtype=object), len(SCORES)),
            "runs": count,
            "value": mean,
            "class": classify_all(mean, scoring.tolerance),
        }
    )
    if sampling is None:
        nothing = np.zeros_like(mean)
        standard_errors = StandardErrors(
            nothing, nothing, nothing, draws=np.sqrt(between), freedom=count - 1
        )
        half = np.full_like(mean, np.nan)
    else:
        between_runs = np.sqrt(np.maximum(between - shared, 0.0))
        error, unseen = sampling.above, sampling.unseen
        standard_errors = StandardErrors(
            error, error, unseen, draws=between_runs, freedom=count - 1
        )
        log = np.log(2 / (1 - scoring.level))
        half = np.maximum(interval_method.critical() * error, log * unseen)
    # One family a score, as in the table of the studies' own scores.
    table = with_intervals(table.assign(filter=""), standard_errors, interval_method, scoring)
    named = {"value": "mean", "low": "total_low", "high": "total_high"}
    table = table.drop(columns=["filter", "level"]).rename(columns=named)
    table["class"] = _with_common_claims(
        table["class"].to_numpy(dtype=object), matches, runs, scoring
    )
    runs_half = stats.t.ppf((1 + scoring.level) / 2, count - 1) * np.sqrt(between)
    return table.assign(
        low=mean - runs_half,
        high=mean + runs_half,
        sampling_low=mean - half,
        sampling_high=mean + half,
    )


def _with_common_claims(
    label: np.ndarray, matches: Sequence[str], runs: Sequence[MatchedScores], scoring: Scoring
) -> np.ndarray:
    """Return the classes; claims under attack get the common class of the runs."""
    members = np.stack([estimated_classes(matches, run, scoring) for run in runs])
    attacked = np.tile([score in ATTACKED for score in SCORES], len(matches))
    label = label.copy()
    for row in np.flatnonzero(attacked & (label == ANTIFRAGILE)):
        label[row] = combine_classes(members[:, row].tolist())
    return label


def _interval_method(runs: Sequence[MatchedScores], scoring: Scoring) -> IntervalMethod:
    methods = [run.interval_method for run in runs if run.interval_method is not None]
    if len(methods) < len(runs):
        return Student(_EXACT, scoring.level)
    return reduce(method_of_fewer, methods)


def _sampling(runs: Sequence[MatchedScores]) -> tuple[StandardErrors | None, np.ndarray]:
    """Return the standard errors of the mean over samples, and the part shared with runs.

    The second is a variance per row; the first is None if a run has no outcomes.
    """
    moments = [run.moments for run in runs if run.moments is not None]
    if len(moments) < len(runs):
        return None, np.zeros(runs[0].values.size)
    if not all(run.paired(runs[0]) for run in runs):
        of_runs = [run.standard_errors() for run in runs]
        errors = np.sqrt(
            np.square([errors_of_run.above for errors_of_run in of_runs]).sum(axis=0)
        ) / len(runs)
        unseen = np.sqrt(
            np.square([errors_of_run.unseen for errors_of_run in of_runs]).sum(axis=0)
        ) / len(runs)
        return StandardErrors(errors, errors, unseen), np.square(errors)
    influence = [run.influence for run in runs if run.influence is not None]
    together = np.asarray(sum(influence)) / len(runs)
    most = np.mean([of_runs.most for of_runs in moments], axis=0)
    standard_errors = moments_of(together, most).standard_errors(runs[0].population)
    n = together.shape[-1]
    rest = sum(np.square(own - together, dtype=np.float64).sum(axis=-1) for own in influence)
    shared = np.asarray(rest) / (max(n - 1, 1) * (len(runs) - 1) * n * len(runs))
    return standard_errors, shared.T.ravel()
