"""Metrics of a whole set of samples: what makes one score of the numbers of all of them.

How such a score is worked out, also of resampled samples, and of all samples but one; what that is
for is in ``analysis.linearised``.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.stats import rankdata

from hormesis.errors import StudyError
from hormesis.stress.aggregates import (
    AGGREGATES,
    AUROC,
    CALIBRATION_ERROR,
    MACRO_F1,
    Aggregate,
)

BINS = 15
"""Of confidence, all of one width."""
_GROUPS = 200  # of samples that are left out together, where no closed form is known
Numbers = Float[np.ndarray, " samples"]
Labels = Int[np.ndarray, " samples"]
Counts = Float[np.ndarray, "samples replicates"]
Scores = Float[np.ndarray, " replicates"]


@runtime_checkable
class SetMetric(Protocol):
    """How the numbers of samples of known labels become one score."""

    def scores(self, numbers: Numbers, counts: Counts) -> Scores:
        """Return the score of every replicate, in which each sample occurs so many times."""
        ...

    def left_out(self, numbers: Numbers) -> Numbers:
        """Return the score of all other samples, for each sample."""
        ...


@dataclass(frozen=True)
class MacroF1:
    """The F1 of each class that occurs in the labels, ``2 TP/(true + predicted)``; their mean.

    A number is that of the predicted class. A class that does not occur among the samples left, as
    after its only sample is left out, does not count.

    Args:
        labels: Class of each sample.

    Example:
        >>> one = MacroF1(np.array([0, 0, 1]))
        >>> one.scores(np.array([0.0, 1.0, 1.0]), np.ones((3, 1))).round(3)
        array([0.667])
    """

    labels: Labels

    @cached_property
    def _classes(self) -> tuple[np.ndarray, np.ndarray]:
        """The classes that occur, and which of them each sample is of."""
        return np.unique(self.labels, return_inverse=True)

    def _predicted(self, numbers: Numbers) -> Int[np.ndarray, " samples"]:
        """Return which of the classes is predicted; their number for one that does not occur."""
        classes, _ = self._classes
        place = np.searchsorted(classes, numbers)
        return np.where(classes[place % len(classes)] == numbers, place, len(classes))

    def scores(self, numbers: Numbers, counts: Counts) -> Scores:
        """Return the score of every replicate, see ``SetMetric``."""
        (classes, true), predicted = self._classes, self._predicted(numbers)
        right = np.where(true == predicted, true, len(classes))
        sums = [_one_hot(part, len(classes) + 1) @ counts for part in (right, true, predicted)]
        hits, actual, guessed = (part[:-1] for part in sums)
        f1 = 2 * hits / np.maximum(actual + guessed, 1)
        return np.sum(f1, axis=0, where=actual > 0) / (actual > 0).sum(axis=0)

    def left_out(self, numbers: Numbers) -> Numbers:
        """Return the score of all other samples: at most two classes change."""
        (classes, true), predicted = self._classes, self._predicted(numbers)
        hit, size = true == predicted, len(classes)
        hits = np.bincount(true[hit], minlength=size)
        actual = np.bincount(true, minlength=size)
        guessed = np.bincount(predicted, minlength=size + 1)[:size]
        f1 = 2 * hits / (actual + guessed)
        left = actual[true] - 1
        both = np.maximum(left + guessed[true] - hit, 1)
        total = f1.sum() - f1[true] + np.where(left > 0, 2 * (hits[true] - hit) / both, 0.0)
        wrong = np.flatnonzero(~hit & (predicted < size))
        other = predicted[wrong]
        total[wrong] += 2 * hits[other] / (actual + guessed - 1)[other] - f1[other]
        return total / np.maximum(size - (left == 0), 1)


@dataclass(frozen=True)
class AreaUnderRoc:
    """The share of pairs of a positive and a negative sample whose numbers are in that order.

    Ties count half: it is the statistic of Mann and Whitney. The score without a sample follows
    from its placement among the other class, as does the variance of E. R. DeLong et al.,
    "Comparing the areas under two or more correlated receiver operating characteristic curves",
    Biometrics 44 (1988).

    Args:
        labels: 0 or 1. With fewer than two of either there are no scores without a sample.

    Example:
        >>> one = AreaUnderRoc(np.array([0, 0, 1, 1]))
        >>> one.scores(np.array([0.1, 0.4, 0.4, 0.8]), np.ones((4, 1)))
        array([0.875])
    """

    labels: Labels

    def scores(self, numbers: Numbers, counts: Counts) -> Scores:
        """Return the score of every replicate, see ``SetMetric``."""
        values, place = np.unique(numbers, return_inverse=True)
        positive = (self.labels == 1)[:, None]
        at = _one_hot(place, len(values))
        ones, zeros = at @ (counts * positive), at @ (counts * ~positive)
        below = np.cumsum(zeros, axis=0) - zeros / 2
        pairs = ones.sum(axis=0) * zeros.sum(axis=0)
        ordered = (ones * below).sum(axis=0)
        return np.divide(ordered, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)

    def left_out(self, numbers: Numbers) -> Numbers:
        """Return the score of all other samples, ``A + (A − V_i)/(m − 1)`` with placement ``V_i``.

        ``m`` is the size of the sample's own class.
        """
        positive = self.labels == 1
        ones, zeros = int(positive.sum()), int((~positive).sum())
        if min(ones, zeros) < 2:
            return np.full(len(numbers), np.nan)
        ranks, within = rankdata(numbers), np.empty(len(numbers))
        for own in (positive, ~positive):
            within[own] = rankdata(numbers[own])
        beaten = (ranks - within) / np.where(positive, zeros, ones)
        placement = np.where(positive, beaten, 1 - beaten)
        area = placement[positive].mean()
        return area + (area - placement) / (np.where(positive, ones, zeros) - 1)


@dataclass(frozen=True)
class CalibrationError:
    """The expected calibration error, in ``BINS`` equal bins of confidence.

    ``Σ_b |Σ_(i in b) (right_i − confidence_i)| / n`` (C. Guo et al., "On calibration of modern
    neural networks", ICML 2017, arXiv:1706.04599). A number is the confidence, 0 to 1, negative if
    the prediction is wrong; a border between bins belongs to the lower one.

    Args:
        labels: Not used.

    Example:
        >>> one = CalibrationError(np.array([0, 0]))
        >>> one.scores(np.array([0.75, -0.75]), np.ones((2, 1)))
        array([0.25])
    """

    labels: Labels

    def _binned(self, numbers: Numbers) -> tuple[np.ndarray, np.ndarray]:
        """Return the bin of each sample, and by how much it is right beyond its confidence."""
        confidence = np.abs(numbers)
        bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
        return bins, (numbers > 0) - confidence

    def scores(self, numbers: Numbers, counts: Counts) -> Scores:
        """Return the score of every replicate, see ``SetMetric``."""
        bins, beyond = self._binned(numbers)
        sums = _one_hot(bins, BINS) @ (counts * beyond[:, None])
        return np.abs(sums).sum(axis=0) / counts.sum(axis=0)

    def left_out(self, numbers: Numbers) -> Numbers:
        """Return the score of all other samples: a single bin changes."""
        bins, beyond = self._binned(numbers)
        sums = np.bincount(bins, beyond, minlength=BINS)
        own = sums[bins]
        total = np.abs(sums).sum() - np.abs(own) + np.abs(own - beyond)
        return total / max(len(numbers) - 1, 1)


@dataclass(frozen=True)
class UserSetMetric:
    """A function of the user's, of which nothing is known.

    Of more than 200 samples, 200 groups are left out in turn, each of every 200th sample. Their
    deviations are scaled so that the variance of the linearised values is that of the jackknife
    over groups (B. Efron, *The Jackknife, the Bootstrap and Other Resampling Plans*, 1982).

    Args:
        labels: Class of each sample.
        name: Of the metric.
        aggregate: The function.
    """

    labels: Labels
    name: str
    aggregate: Aggregate

    def scores(self, numbers: Numbers, counts: Counts) -> Scores:
        """Return the score of every replicate, see ``SetMetric``."""
        every = np.arange(len(numbers))
        chosen = (np.repeat(every, column.astype(np.int64)) for column in counts.T)
        return np.array([self._score(numbers, some) for some in chosen])

    def left_out(self, numbers: Numbers) -> Numbers:
        """Return the score of all other samples, or what its group makes of it."""
        samples = len(numbers)
        groups = min(samples, _GROUPS)
        group = np.arange(samples) % groups
        scores = [self._score(numbers, np.flatnonzero(group != one)) for one in range(groups)]
        left = np.array(scores)[group]
        scale = np.sqrt(samples / groups) * (groups - 1) / max(samples - 1, 1)
        return left.mean() + scale * (left - left.mean())

    def _score(self, numbers: Numbers, some: Int[np.ndarray, " some"]) -> float:
        try:
            return float(self.aggregate(numbers[some], self.labels[some]))
        except Exception as error:  # anything may come out of code that is not ours
            text = " ".join(str(error).split())[:200].rstrip(".")
            raise StudyError(
                f"The aggregate of the metric {self.name!r} failed on {len(some)} samples: "
                f"{type(error).__name__}: {text}."
            ) from error


_OWN = {MACRO_F1: MacroF1, AUROC: AreaUnderRoc, CALIBRATION_ERROR: CalibrationError}


def set_metric_of(name: str, labels: Labels) -> SetMetric:
    """Return what makes one score of the numbers of a metric.

    Args:
        name: Its ``Metric.aggregate``.
        labels: Class of each sample.

    Raises:
        StudyError: If it is not known in this process.

    Example:
        >>> set_metric_of("geometric", np.array([0, 1]))
        Traceback (most recent call last):
        hormesis.errors.StudyError: The score of a whole set by 'geometric' is not known here: ...
    """
    if name in _OWN:
        return _OWN[name](labels)
    if name not in AGGREGATES:
        raise StudyError(
            f"The score of a whole set by {name!r} is not known here: register it with "
            f"`hormesis.metrics.set_metric({name!r}, ...)` first, as where the study was made."
        )
    return UserSetMetric(labels, name, AGGREGATES[name])


def _one_hot(index: Int[np.ndarray, " samples"], size: int) -> csr_array:
    """Return a matrix that adds up what samples of the same index have."""
    samples = len(index)
    starts = np.concatenate([[0], np.cumsum(np.bincount(index, minlength=size))])
    order = np.argsort(index, kind="stable")
    return csr_array((np.ones(samples), order, starts), shape=(size, samples))
