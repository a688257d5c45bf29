"""What each cell of a study changes, paired by sample, with the low end of its interval."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Float

from hormesis.errors import SettingError, StudyError
from hormesis.results.study import Study
from hormesis.settings.choices import SIDES


def check_budget(study: Study, budget: float | int, on: str) -> None:
    """Refuse a budget, or a side of a study, that is none.

    Raises:
        SettingError: It names the setting.
        StudyError: If the study did not keep its outcomes.
    """
    if not 0 <= budget < math.inf:
        raise SettingError(f"Expected `budget` to be at least 0, got {budget}.")
    if on not in SIDES[: 1 + study.stressed]:
        known = " or ".join(map(repr, SIDES[: 1 + study.stressed]))
        raise SettingError(f"Expected `on` to be {known}, got {on!r}.")
    if not study.has_outcomes:
        raise StudyError(
            "The study keeps no outcomes, which the intervals need: analyse with `out` to write "
            "them."
        )


def with_changes(study: Study, rows: pd.DataFrame, on: str) -> pd.DataFrame:
    """Return responses with the paired change of each cell, and the low end of its interval.

    Where no sample changes, the variance of an accuracy is taken as if one did.

    Args:
        study: A study that kept its outcomes.
        rows: Some rows of its responses. Column ``comparisons``, if there is one, is the number of
            comparisons among which a row's error is shared (Bonferroni); else it is one.
        on: One of ``SIDES``.

    Returns:
        The rows, grouped by when their targets were settled, with ``performance``, ``change`` from
        the unfiltered network (above 0: for the better) and ``low``, in units of the metric.
    """
    comparisons = rows["comparisons"] if "comparisons" in rows else pd.Series(1, rows.index)
    parts = []
    for group in study.settled_groups:
        chosen = rows["target"].isin(group.targets)
        part = rows.loc[chosen]
        if part.empty:
            continue
        outcomes = part["outcome"].to_numpy()
        mean, square = _moments(study, outcomes, group.samples, on)
        variance = np.maximum(square - mean**2, 0.0)
        if study.metadata.binary:
            variance = np.maximum(variance, 1 / group.samples)
        factors = comparisons.loc[chosen].map(
            {number: _factor(study, group.samples, int(number)) for number in set(comparisons)}
        )
        low = mean - factors.to_numpy(float) * np.sqrt(variance / (group.samples - 1))
        unchanged = outcomes < 0  # the values came back bit for bit
        low = np.where(unchanged, 0.0, low)
        parts.append(part.assign(performance=part[on], change=mean, low=low))
    return pd.concat(parts)


def _factor(study: Study, samples: int, comparisons: int) -> float:
    """Return how many standard errors an interval of one of several comparisons reaches."""
    scoring = study.scoring
    if comparisons > 1:
        scoring = replace(scoring, level=1 - (1 - scoring.level) / comparisons)
    return float(study.interval_method(scoring, samples).critical())


def _moments(
    study: Study, outcomes: np.ndarray, samples: int, on: str
) -> tuple[Float[np.ndarray, " cells"], Float[np.ndarray, " cells"]]:
    """Return the mean of the changes of single samples, and the mean of their squares."""
    sign = 1.0 if study.base.higher_is_better else -1.0
    total, squares, seen = np.zeros(len(outcomes)), np.zeros(len(outcomes)), 0
    for values in _changes(study, outcomes, on):
        values = sign * values[:, : samples - seen]
        total += values.sum(axis=1)
        squares += np.square(values).sum(axis=1)
        seen += values.shape[1]
        if seen >= samples:
            break
    return total / samples, squares / samples


def _changes(
    study: Study, outcomes: np.ndarray, on: str
) -> Iterator[Float[np.ndarray, "cells samples"]]:
    for block in study.blocks():
        own = getattr(block, on).astype(np.float64)
        base = getattr(block, f"base_{on}").astype(np.float64)
        yield np.vstack([own, base])[outcomes] - base  # the last row answers for -1
