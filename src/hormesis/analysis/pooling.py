"""Several trainings of one network, pooled: the mean score, and how far other trainings differ."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from hormesis.analysis.classes import ANTIFRAGILE
from hormesis.analysis.compare import Measured, of_fewer, points_of, sums_of
from hormesis.analysis.moments import StandardErrors
from hormesis.analysis.scores import SCORES, classes
from hormesis.analysis.uncertainty import IntervalMethod, Student, with_intervals
from hormesis.analysis.verdicts import ATTACKED, summed_up
from hormesis.settings.scoring import Scoring

_EXACT = 1 << 40  # stands for as many samples as make no difference


def pooled(
    matches: Sequence[str],
    runs: Sequence[Measured],
    group: Mapping[str, Any],
    scoring: Scoring,
) -> pd.DataFrame:
    """Return the mean scores of several runs, with intervals over runs and samples.

    Runs that were measured on the same samples are crossed with them. With ``A`` the variance of
    the mean that samples carry, ``B`` that of the mean over runs, and ``C`` what both have in
    common (``MS_interaction/(nK)`` of ``K`` runs and ``n`` samples, as for the draws of the random
    control), the variance of the mean for other trainings and other samples is ``A + (B − C)``, and
    each part has its own law, see ``with_draws``. For runs on samples of their own ``C`` is ``A``.

    Args:
        matches: Names of the targets.
        runs: At least two.
        group: What the runs have in common, as columns.
        scoring: Level, tolerance and multiplicity.

    Returns:
        The columns of ``group``, then ``score``, ``match``, ``runs``, ``mean``, ``low`` and
        ``high`` (Student's t over runs: for other trainings on these samples), ``sampling_low`` and
        ``sampling_high`` (for these very runs on other samples), ``total_low`` and ``total_high``
        (for other trainings on other samples), ``class`` (of the mean, by the last interval;
        ``undecided`` where it is not certain), ``certain`` and ``point``, the class by the estimate
        alone.
    """
    values = np.stack([run.values.T.ravel() for run in runs])
    count, mean = len(runs), values.mean(axis=0)
    between = values.var(axis=0, ddof=1) / count
    sampling, shared = _sampling(runs)
    law = _law(runs, scoring)
    table = pd.DataFrame(
        {
            **group,
            "score": list(SCORES) * len(matches),
            "match": np.repeat(np.asarray(matches, dtype=object), len(SCORES)),
            "runs": count,
            "value": mean,
            "class": classes(mean, scoring.tolerance),
        }
    )
    if sampling is None:
        nothing = np.zeros_like(mean)
        whole = StandardErrors(nothing, nothing, nothing, draws=np.sqrt(between), freedom=count - 1)
        half = np.full_like(mean, np.nan)
    else:
        more = np.sqrt(np.maximum(between - shared, 0.0))
        error, unseen = sampling.above, sampling.unseen
        whole = StandardErrors(error, error, unseen, draws=more, freedom=count - 1)
        log = np.log(2 / (1 - scoring.level))
        half = np.maximum(law.critical() * error, log * unseen)
    # One family a score, as in the table of the studies' own scores.
    table = with_intervals(table.assign(filter=""), whole, law, scoring)
    named = {"value": "mean", "low": "total_low", "high": "total_high"}
    table = table.drop(columns=["filter", "level"]).rename(columns=named)
    table["class"] = _confirmed(table["class"].to_numpy(dtype=object), matches, runs, scoring)
    runs_half = stats.t.ppf((1 + scoring.level) / 2, count - 1) * np.sqrt(between)
    return table.assign(
        low=mean - runs_half,
        high=mean + runs_half,
        sampling_low=mean - half,
        sampling_high=mean + half,
    )


def _confirmed(
    label: np.ndarray, matches: Sequence[str], runs: Sequence[Measured], scoring: Scoring
) -> np.ndarray:
    """Return the classes, those of claims under attack as the runs that make them have them."""
    members = np.stack([points_of(matches, run, scoring) for run in runs])
    attacked = np.tile([score in ATTACKED for score in SCORES], len(matches))
    label = label.copy()
    for row in np.flatnonzero(attacked & (label == ANTIFRAGILE)):
        label[row] = summed_up(members[:, row].tolist())
    return label


def _law(runs: Sequence[Measured], scoring: Scoring) -> IntervalMethod:
    laws = [run.law for run in runs if run.law is not None]
    if len(laws) < len(runs):
        return Student(_EXACT, scoring.level)
    return reduce(of_fewer, laws)


def _sampling(runs: Sequence[Measured]) -> tuple[StandardErrors | None, np.ndarray]:
    """Return the spread of the mean that samples carry, and what runs and samples share.

    The second is a variance, one a row; no spread where a run has no outcomes.
    """
    sums = [run.sums for run in runs if run.sums is not None]
    if len(sums) < len(runs):
        return None, np.zeros(runs[0].values.size)
    if not all(run.paired(runs[0]) for run in runs):
        each = [run.spread() for run in runs]
        errors = np.sqrt(np.square([one.above for one in each]).sum(axis=0)) / len(runs)
        unseen = np.sqrt(np.square([one.unseen for one in each]).sum(axis=0)) / len(runs)
        return StandardErrors(errors, errors, unseen), np.square(errors)
    influence = [run.influence for run in runs if run.influence is not None]
    together = np.asarray(sum(influence)) / len(runs)
    most = np.mean([each.most for each in sums], axis=0)
    spread = sums_of(together, most).spread(runs[0].population)
    n = together.shape[-1]
    rest = sum(np.square(own - together, dtype=np.float64).sum(axis=-1) for own in influence)
    shared = np.asarray(rest) / (max(n - 1, 1) * (len(runs) - 1) * n * len(runs))
    return spread, shared.T.ravel()
