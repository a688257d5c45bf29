"""Each sample's share in the score of a whole set.

A macro F1 is no mean over samples. It is made one by the jackknife's linearised values,

``v_i = S + (n − 1)(mean_j S_(−j) − S_(−i))``,

with ``S`` the score of all ``n`` samples and ``S_(−i)`` that of all but sample ``i``. Their mean is
``S``, and the variance of their mean is the jackknife's (B. Efron and C. Stein, "The jackknife
estimate of variance", Annals of Statistics 9, 1981). They take the place of outcomes: whatever is
worked out from means over samples, such as scores, their intervals and their differences, is worked
out from them.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from hormesis.analysis.responses import Means
from hormesis.analysis.set_metrics import Counts, Labels, Numbers, Scores, SetMetric
from hormesis.errors import StudyError
from hormesis.storage.outcomes import NAMES, StoredOutcomes, concatenate

_MOST_VALUES = 2_000_000  # resampled at a time, so that memory stays in bounds


def set_score(metric: SetMetric, numbers: Numbers) -> float:
    """Return the score of all samples; NaN if a number is NaN.

    Args:
        metric: From ``set_metric_of``.
        numbers: Of all samples.
    """
    if np.isnan(numbers).any():
        return float("nan")
    return float(metric.scores(numbers.astype(np.float64), np.ones((len(numbers), 1)))[0])


def linearised(metric: SetMetric, numbers: Numbers) -> Numbers:
    """Return the linearised value of each sample, whose mean is the score.

    Args:
        metric: From ``set_metric_of``.
        numbers: Of all samples.

    Returns:
        Values in units of the score; NaN if a number is NaN, or the score without some sample does
        not exist.

    Example:
        >>> from hormesis.analysis.set_metrics import set_metric_of
        >>> one = set_metric_of("auroc", np.array([0, 0, 1, 1]))
        >>> linearised(one, np.array([0.1, 0.4, 0.4, 0.8])).tolist()
        [1.25, 0.5, 0.5, 1.25]
    """
    if np.isnan(numbers).any():
        return np.full(len(numbers), np.nan)
    values = numbers.astype(np.float64)
    left = metric.left_out(values)
    return set_score(metric, values) + (len(values) - 1) * (left.mean() - left)


def linearised_outcomes(blocks: Iterable[StoredOutcomes], metric: SetMetric) -> StoredOutcomes:
    """Return outcomes that average to the score of every removal, from the numbers of samples.

    Args:
        blocks: The numbers of all samples, block by block; removals are measured on all.
        metric: From ``set_metric_of``.
    """
    whole = concatenate(list(blocks))
    values = {}
    for name in NAMES:
        numbers = getattr(whole, name)
        found = np.empty(numbers.shape, dtype=np.float32)
        for row in np.ndindex(numbers.shape[:-1]):
            found[row] = linearised(metric, numbers[row])
        values[name] = found
    return StoredOutcomes(
        **values, changed=whole.changed, base_idle=whole.base_idle, idle=whole.idle
    )


def set_means(outcomes: StoredOutcomes, *, stressed: bool) -> Means:
    """Return the scores of a whole set, in place of means over samples.

    Args:
        outcomes: From ``linearised_outcomes``.
        stressed: Whether there are outcomes on perturbed inputs.
    """
    means = Means(stressed=stressed, binary=False)
    means.add(outcomes)
    return means


def measured_labels(samples: pd.DataFrame | None, spans: Sequence[tuple[int, int]]) -> Labels:
    """Return the labels of the samples that were measured, in that order.

    Args:
        samples: Column ``label``, in the order of measurement.
        spans: First and end index of each stretch of samples.

    Raises:
        StudyError: If the study does not say.
    """
    if samples is None:
        raise StudyError("The study has no labels, which its score of a whole set needs.")
    labels = samples["label"].to_numpy()
    return np.concatenate([labels[first:end] for first, end in spans])


def resampled_set_scores(
    outcomes: StoredOutcomes,
    metric: SetMetric,
    own: Int[np.ndarray, " removals"],
    counts: Int[np.ndarray, "replicates samples"],
) -> Float[np.ndarray, "two outcomes replicates"]:
    """Return the scores of bootstrap samples, see ``analysis.bootstrap.Resample``.

    Args:
        outcomes: The numbers of all samples.
        metric: From ``set_metric_of``.
        own: Rows of the outcomes.
        counts: How often each sample was drawn.
    """
    by_sample = np.ascontiguousarray(counts.T, dtype=np.float64)
    clean = np.vstack([outcomes.clean[own], outcomes.base_clean])
    adversarial = np.vstack([outcomes.adversarial[own], outcomes.base_adversarial])
    return np.stack(
        [
            np.stack([_resampled(metric, numbers, by_sample) for numbers in kind])
            for kind in (clean, adversarial)
        ]
    )


def _resampled(metric: SetMetric, numbers: Numbers, counts: Counts) -> Scores:
    """Return the scores of one row of numbers, of a few replicates at a time."""
    samples, replicates = counts.shape
    if np.isnan(numbers).any():
        return np.full(replicates, np.nan)
    step, values = max(1, _MOST_VALUES // samples), numbers.astype(np.float64)
    parts = (counts[:, first : first + step] for first in range(0, replicates, step))
    return np.concatenate([metric.scores(values, part) for part in parts])
