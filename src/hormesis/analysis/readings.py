"""Two readings of one response: relative to the unfiltered network, and to the share kept.

``base`` asks whether the filtered network does better or worse than the unfiltered one; classes
are made from it. ``density`` asks whether performance falls slower or faster than the tensor is
emptied. Neither reference has an error, so a score and its interval by one are those by the other,
shifted by ``∫(1 − ρ) dx``. In the combined score that is about ``(1 + 1/A)/3`` for every target
(METHOD, section 4).
"""

import numpy as np
import pandas as pd
from jaxtyping import Float

from hormesis.analysis.classes import AT_CHANCE, FRAGILE, IMPROVING
from hormesis.analysis.integration import integral, uneven_points
from hormesis.analysis.responses import Sweeps
from hormesis.analysis.scores import score_layout
from hormesis.settings.scoring import Scoring

SAYS = {"density": ("faster", "even", "slower"), "base": ("worse", "as good", "better")}
"""The word of a reading for a score below, within and above the tolerance."""

MEANINGS = {
    "density": "whether performance falls slower or faster than the tensor is emptied",
    "base": "whether the filtered network does better or worse than the unfiltered one",
}


def other_reading(scoring: Scoring) -> str:
    """Return the other reading of the scores: ``density`` for ``base``, else ``base``.

    Example:
        >>> other_reading(Scoring()), other_reading(Scoring(reference="density"))
        ('density', 'base')
    """
    return "density" if scoring.reference == "base" else "base"


def removed_share(sweeps: Sweeps) -> Float[np.ndarray, " rows"]:
    """Return ``∫(1 − ρ) dx`` of every target and filter, in the order of a table of scores.

    Args:
        sweeps: Responses, with the column ``density``.
    """
    gone = 1.0 - sweeps.columns["density"].astype(np.float64)
    return np.asarray(score_layout(sweeps).mean @ integral(gone, uneven_points(sweeps))).ravel()


def shift_scores(scores: pd.DataFrame, sweeps: Sweeps, scoring: Scoring) -> pd.DataFrame:
    """Return the scores by the other of the references ``base`` and ``density``.

    Args:
        scores: The table of scores of the sweeps, by ``scoring``: three rows a target and filter,
            or one without an attack.
        sweeps: Responses.
        scoring: Its reference is ``base`` or ``density``.

    Returns:
        The columns ``target``, ``filter``, ``score``, ``value``, ``low`` and ``high``; numbers are
        NaN for the difference score, which has no reference.
    """
    sign = {"base": 1.0, "density": -1.0}[scoring.reference]
    removed = removed_share(sweeps)
    shift = np.repeat(sign * removed, len(scores) // max(len(removed), 1))
    shift[scores["score"].to_numpy() == "difference"] = np.nan
    table = scores.loc[:, ["target", "filter", "score"]].copy()
    for name in ("value", "low", "high"):
        table[name] = scores[name].to_numpy(float) + shift
    return table


def describe_readings(
    table: pd.DataFrame, scores: pd.DataFrame, reading: str, tolerance: float
) -> pd.DataFrame:
    """Return a reading in words, and where it contradicts the classes.

    Args:
        table: ``value``, ``low`` and ``high`` by the reading, in the order of ``scores``.
        scores: The scores that stand beside it.
        reading: ``density`` or ``base``.
        tolerance: Half-width of the band around zero.

    Returns:
        The table with ``says``: one of ``SAYS``, with a question mark where the interval straddles
        a border, and empty where the class is ``at chance``; and ``contradicts``: whether a certain
        class and a certain reading are opposite.
    """
    below, within, above = SAYS[reading]
    value, low, high = (table[name].to_numpy(float) for name in ("value", "low", "high"))
    point = np.select([value < -tolerance, value > tolerance], [below, above], within)
    sure = np.select(
        [high < -tolerance, low > tolerance, (low >= -tolerance) & (high <= tolerance)],
        [below, above, within],
        "",
    )
    unsure = np.char.add(point.astype(str), "?")
    words_of = np.where(np.isnan(low), point, np.where(sure == "", unsure, sure))
    certain = scores["certain"].to_numpy(bool)
    label = scores["class"]
    worse, better = (label == FRAGILE).to_numpy(), label.isin(IMPROVING).to_numpy()
    opposite = certain & ((worse & (sure == above)) | (better & (sure == below)))
    words = np.where(np.isnan(value) | (label == AT_CHANCE).to_numpy(), "", words_of)
    return table.assign(says=words, contradicts=opposite)


def count_readings(readings: pd.DataFrame, filter_name: str, score: str = "adversarial") -> str:
    """Return the number of targets for each word of a reading, such as ``3 slower, 1 even?``.

    Args:
        readings: What ``describe_readings`` returned.
        filter_name: A filter that was swept, or ``combined``.
        score: ``clean`` or ``adversarial``.
    """
    rows = (readings["filter"] == filter_name) & (readings["score"] == score)
    counts = readings.loc[rows, "says"].value_counts()
    words = [
        f"{word}{mark}" for three in SAYS.values() for word in three[::-1] for mark in ("", "?")
    ]
    return ", ".join(f"{counts[word]} {word}" for word in words if counts.get(word))
