"""Guessing: what a network scores that has learnt nothing, and whether one can be told from that.

Chance is the score of the best guess that never looks at the input. For accuracy that is always the
most frequent class; a uniform guess over the classes would do worse on uneven data, and a network
that predicts the majority for everything would then seem to know something. On even classes both
are ``1/classes``. The shares of the classes are those of the samples of the study and are taken as
known: the scores are compared on these samples.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from hormesis.analysis.response_intervals import wilson
from hormesis.settings.scoring import Scoring
from hormesis.stress.guessing import guessed_accuracy, guessed_top5

# How a guess scores, for studies whose manifest does not say.
_GUESSED_BEFORE = {"accuracy": guessed_accuracy, "top5": guessed_top5}
_CHOOSING = "accuracy"  # by which a magnitude is chosen


def mean_interval(
    mean: float, samples: int, factor: float, *, error: float | None = None
) -> tuple[float, float]:
    """Return the ends of a confidence interval of one mean performance.

    Args:
        mean: The mean over samples; a share of them, 0 to 1, if ``error`` is None.
        samples: How many, at least 1.
        factor: How many standard errors it extends, as ``critical`` of an interval's law says.
        error: Standard error of the mean; None for outcomes of 0 and 1, which take Wilson's.

    Example:
        >>> [round(end, 3) for end in mean_interval(0.5, 100, 1.96)]
        [0.404, 0.596]
    """
    if error is None:
        low, high = wilson(np.array([mean]), samples, factor)
        return float(low[0]), float(high[0])
    return mean - factor * error, mean + factor * error


def at_chance(
    interval: tuple[float, float], chance: float | None, *, higher_is_better: bool = True
) -> bool:
    """Return whether a performance cannot be told from guessing, or is worse.

    A base that is at chance makes no classes: whatever is done to such a network, there was nothing
    to lose.

    Args:
        interval: Confidence interval of the performance, see ``mean_interval``.
        chance: The guessing level; None, where it is not known, says no.
        higher_is_better: Of the performance.

    Example:
        >>> at_chance((0.08, 0.13), 0.1), at_chance((0.02, 0.05), 0.1), at_chance((0.3, 0.5), 0.1)
        (True, True, False)
    """
    if chance is None:
        return False
    low, high = interval
    if math.isnan(low) or math.isnan(high):
        return False
    return low <= chance if higher_is_better else high >= chance


def chose(attack: Mapping[str, Any], metric: str) -> bool:
    """Return whether the accuracy that is scored chose the magnitude of the attack itself.

    It is then tied to the clean one, half-way to chance, see ``analysis.influence``.

    Args:
        attack: As a manifest holds it.
        metric: Name of what is scored.

    Example:
        >>> chose({"chosen": {"clean": 0.9, "chance": 0.1, "unharmed": False}}, "accuracy")
        True
    """
    chosen = attack.get("chosen")
    if not chosen or metric != _CHOOSING or chosen.get("unharmed", True):
        return False
    return chosen.get("chance") is None or chosen["clean"] > chosen["chance"]


def tied_share(manifest: Mapping[str, Any]) -> float:
    """Return as what share of the samples that chose the magnitude a study scored, or 0.

    Args:
        manifest: Of the study; 0 where its magnitude was given.
    """
    question = manifest["question"]
    if not chose(manifest["attack"], question["performance"]["name"]):
        return 0.0
    total = int(question["data"]["samples"])
    return min(1.0, int(manifest["base"].get("samples", total)) / total)


def population_of(manifest: Mapping[str, Any], scoring: Scoring) -> int | None:
    """Return how many samples a study has, if the scores of just those are meant; else None."""
    samples = int(manifest["question"]["data"]["samples"])
    return samples if scoring.population == "finite" else None


def stored_chance(manifest: Mapping[str, Any], samples: pd.DataFrame | None) -> float | None:
    """Return the guessing level of a study, or None.

    Args:
        manifest: Of the study. Those from before do not hold it; it then follows from the labels,
            as long as the performance can only be our own.
        samples: Column ``label``, if it is known.
    """
    if "chance" in manifest:
        return float(manifest["chance"])
    name = manifest["question"]["performance"]["name"]
    if name not in _GUESSED_BEFORE or samples is None or samples.empty:
        return None
    return _GUESSED_BEFORE[name](samples["label"].to_numpy())


def bases_at_chance(
    base: Mapping[str, Any],
    chance: float | None,
    factor: float,
    *,
    binary: bool,
    stressed: float | None = None,
) -> tuple[bool, bool]:
    """Return whether the clean and the adversarial base of a study are at chance.

    Args:
        base: As a manifest holds it: ``clean``, ``adversarial``, ``samples``,
            ``higher_is_better``; ``clean_error`` and ``adversarial_error`` for a performance that
            is no share of samples, without which nothing is said.
        chance: The guessing level, or None.
        factor: How many standard errors an interval extends.
        binary: Whether the performance is a share of samples.
        stressed: The guessing level of stressed samples with other labels; None takes ``chance``.

    Example:
        >>> base = {"clean": 0.9, "adversarial": 0.12, "samples": 100}
        >>> bases_at_chance(base, 0.1, factor=1.98, binary=True)
        (False, True)
    """

    def one(kind: str) -> bool:
        error = None if binary else base.get(f"{kind}_error", math.nan)
        if kind not in base:  # without an attack
            return False
        interval = mean_interval(base[kind], base["samples"], factor, error=error)
        level = stressed if kind == "adversarial" and stressed is not None else chance
        return at_chance(interval, level, higher_is_better=base.get("higher_is_better", True))

    return one("clean"), one("adversarial")


def chance_notes(
    base: Mapping[str, Any],
    metric: str,
    chance: float | None,
    factor: float,
    *,
    binary: bool,
    given: bool = False,
) -> list[str]:
    """Return what a reader has to know about bases that are at chance, in sentences.

    Args:
        base: See ``bases_at_chance``.
        metric: Its name.
        chance: The guessing level, or None.
        factor: How many standard errors an interval extends.
        binary: Whether it is a share of samples.
        given: Whether ``chance`` is that of a second data set, the only base to look at.
    """
    clean, adversarial = bases_at_chance(base, chance, factor, binary=binary)
    form = "{:.1%}" if binary else "{:.4g}"
    level = "" if chance is None else form.format(chance)
    if given:
        return [
            f"On the stressed data the unfiltered network does no better than guessing: its "
            f"{metric} there is {form.format(base['adversarial'])}, that of guessing {level}. "
            "Stressed scores are relative to guessing, and only a gain over it has a class."
        ][: int(adversarial)]
    if clean:
        return [
            f"The unfiltered network is at chance: its clean {metric}, "
            f"{form.format(base['clean'])}, cannot be told from that of guessing, {level}, on "
            f"{base['samples']} samples. No score of it has a meaning"
            f"{', and no ε has' if 'adversarial' in base else ''}: train it further, or measure "
            "more samples."
        ]
    if adversarial and base["adversarial"]:
        return [
            f"Under attack the unfiltered network is at chance or below: its adversarial "
            f"{metric} is {form.format(base['adversarial'])}, that of guessing {level}. From "
            "there whatever is done to it brings it back, so that adversarial and difference "
            "scores have no meaning: choose a smaller ε, or measure more samples."
        ]
    return []


def corrected(
    performance: Float[np.ndarray, "*any"], base: Float[np.ndarray, "*base"], chance: float
) -> Float[np.ndarray, "*any"]:
    """Return a performance relative to its base, both counted from chance.

    ``(p − chance)/(p_base − chance)``: 1 where nothing changes, 0 where the network only guesses.
    The same holds for a loss, where both differences are negative. That is Cohen's κ of the
    filtered network over that of the unfiltered one, with guessing as what one expects (J. Cohen,
    "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20,
    1960), and the ratio of two skill scores.

    Args:
        performance: Mean performance.
        base: What it is divided by.
        chance: The guessing level.

    Returns:
        The quotient; NaN where the base is at chance exactly.

    Example:
        >>> corrected(np.array([0.9, 0.5, 0.1]), np.array(0.9), 0.1)
        array([1. , 0.5, 0. ])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = (performance - chance) / (base - chance)
    return np.where(np.isfinite(scaled), scaled, np.nan)
