"""Accuracies of retrained networks and their differences, with intervals over seeds and samples."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import t as student

CLEAN = "clean"
STRONGER = {"fgsm": "pgd"}  # a gain under the first has to be confirmed under the second
GAIN, LOSS, NOTHING = "gain", "loss", "no difference shown"
MASKING = "masking: PGD does not confirm"
CONFIRMED = "gain, confirmed by PGD"
KEYS = ["attack", "epsilon"]


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval.

    Args:
        value: The mean over seeds and samples.
        low: Lower end of the interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def crossed_mean(values: Float[np.ndarray, "seeds samples"], level: float = 0.95) -> Estimate:
    """Return the mean over seeds and samples, with an interval for other seeds and samples.

    The networks of all seeds are measured on the same samples. The variance of the mean is at most
    ``V_seeds / S + V_samples / n``, from the means of ``S`` seeds and of ``n`` samples; the degrees
    of freedom are Satterthwaite's, so that three seeds which disagree give a wide interval. With a
    single seed the interval is over samples alone. As in ``analysis.uncertainty``, a term for one
    more sample is added, so that equal outcomes have an interval too.

    Args:
        values: Outcomes, or differences of outcomes, between -1 and 1.
        level: Confidence level.

    Example:
        >>> found = crossed_mean(np.array([[1.0, 1.0, 0.0, 1.0]] * 2))
        >>> round(found.value, 2), found.low < 0.75 < found.high
        (0.75, True)
    """
    seeds, samples = values.shape
    parts = [(values.mean(axis=0).var(ddof=1) / samples, samples - 1)]
    if seeds > 1:
        parts.append((values.mean(axis=1).var(ddof=1) / seeds, seeds - 1))
    unseen = (1 / (3 * samples)) ** 2
    variance = sum(part for part, _ in parts) + unseen
    freedom = variance**2 / (sum(p**2 / f for p, f in parts) + unseen**2 / (samples - 1))
    half = float(student.ppf((1 + level) / 2, freedom)) * math.sqrt(variance)
    mean = float(values.mean())
    return Estimate(mean, mean - half, mean + half)


def accuracy_table(outcomes: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return the accuracy of every arm and seed, with an interval over samples.

    Args:
        outcomes: Columns ``arm``, ``seed``, ``attack``, ``epsilon``, ``sample``, ``right``.
        level: Confidence level.

    Returns:
        Columns ``arm``, ``seed``, ``attack``, ``epsilon``, ``samples``, ``accuracy``, ``low`` and
        ``high``, all from 0 to 1.
    """
    rows = []
    for key, part in _groups(outcomes, ["arm", "seed", *KEYS]):
        mean = crossed_mean(part["right"].to_numpy(float)[None], level)
        ends = max(mean.low, 0.0), min(mean.high, 1.0)
        rows.append((*key, len(part), mean.value, *ends))
    columns = ["arm", "seed", *KEYS, "samples", "accuracy", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def pooled_accuracy(outcomes: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return the mean accuracy of every arm over its seeds, with an interval over both.

    Args:
        outcomes: As ``accuracy_table`` takes them.
        level: Confidence level.

    Returns:
        Columns ``arm``, ``attack``, ``epsilon``, ``seeds``, ``samples``, ``accuracy``, ``low`` and
        ``high``.
    """
    rows = []
    for key, part in _groups(outcomes, ["arm", *KEYS]):
        values = _wide(part)
        mean = crossed_mean(values, level)
        ends = max(mean.low, 0.0), min(mean.high, 1.0)
        rows.append((*key, *values.shape, mean.value, *ends))
    columns = ["arm", *KEYS, "seeds", "samples", "accuracy", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def effect_table(
    outcomes: pd.DataFrame, against: str = "everything", level: float = 0.95
) -> pd.DataFrame:
    """Return the difference of each arm from another arm, paired by seed and sample.

    Args:
        outcomes: As ``accuracy_table`` takes them.
        against: The arm that the others are compared with; only common seeds count.
        level: Confidence level.

    Returns:
        Columns ``arm``, ``attack``, ``epsilon``, ``difference``, ``low``, ``high`` and ``verdict``:
        a gain under FGSM that PGD does not confirm at the same epsilon is called masking.
    """
    wide = {
        key: part.pivot(index="seed", columns="sample", values="right")
        for key, part in _groups(outcomes, ["arm", *KEYS])
    }
    rows = []
    for (arm, attack, epsilon), table in wide.items():
        baseline = wide.get((against, attack, epsilon))
        if arm == against or baseline is None:
            continue
        seeds = table.index.intersection(baseline.index)
        if len(seeds):
            left, right = (
                table.loc[seeds, table.columns].to_numpy(float) for table in (table, baseline)
            )
            mean = crossed_mean(left - right, level)
            rows.append((arm, attack, epsilon, mean.value, mean.low, mean.high))
    table = pd.DataFrame(rows, columns=["arm", *KEYS, "difference", "low", "high"])
    return table.assign(verdict=_verdicts(table))


def mean_effect(
    outcomes: pd.DataFrame, arm: str, against: str, attack: str, level: float = 0.95
) -> Estimate | None:
    """Return the difference of one arm from another under an attack, as a mean over its epsilons.

    Args:
        outcomes: As ``accuracy_table`` takes them.
        arm: The one arm.
        against: The other; only common seeds count.
        attack: Which attack, or ``clean``.
        level: Confidence level.

    Returns:
        The mean, paired by seed and sample, from -1 to 1; None if no seed is common.
    """
    rows = outcomes.loc[outcomes["attack"] == attack]
    means = {
        name: rows.loc[rows["arm"] == name].pivot_table(
            index="seed", columns="sample", values="right", aggfunc="mean"
        )
        for name in (arm, against)
    }
    seeds = means[arm].index.intersection(means[against].index)
    if not len(seeds):
        return None
    samples = means[arm].columns
    left, right = (means[name].loc[seeds, samples].to_numpy(float) for name in (arm, against))
    return crossed_mean(left - right, level)


def _groups(table: pd.DataFrame, keys: list[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    for key, part in table.groupby(keys, sort=False):
        yield key if isinstance(key, tuple) else (key,), part


def _verdicts(effects: pd.DataFrame) -> list[str]:
    """Return the verdict on each difference, in words."""
    verdicts = [
        _verdict(low, high) for low, high in zip(effects["low"], effects["high"], strict=True)
    ]
    verdict_of = {
        (row["arm"], row["attack"], row["epsilon"]): verdict
        for row, verdict in zip(effects.to_dict("records"), verdicts, strict=True)
    }
    confirmed = []
    for (arm, attack, epsilon), verdict in verdict_of.items():
        stronger = verdict_of.get((arm, STRONGER.get(attack), epsilon))
        if verdict == GAIN and stronger is not None:
            verdict = CONFIRMED if stronger == GAIN else MASKING
        confirmed.append(verdict)
    return confirmed


def _verdict(low: float, high: float) -> str:
    return GAIN if low > 0 else LOSS if high < 0 else NOTHING


def _wide(part: pd.DataFrame) -> Float[np.ndarray, "seeds samples"]:
    return part.pivot(index="seed", columns="sample", values="right").to_numpy(float)
