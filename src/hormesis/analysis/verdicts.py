"""Verdicts: scores at chance, masked or unconfirmed lose their class."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Float

from hormesis.analysis.classes import (
    ANTIFRAGILE,
    AT_CHANCE,
    FIXED_ONLY,
    FRAGILE,
    MASKED,
    POINTS,
    ROBUST,
    UNCONFIRMED,
)

ATTACKED = ("adversarial", "difference")
"""The scores that depend on an attack."""
_CERTAIN = (*POINTS, FIXED_ONLY)

Claim = tuple[str, str, str]
"""Target, filter and score."""


@dataclass(frozen=True)
class Evidence:
    """Evidence besides scores and their intervals.

    Args:
        at_chance: Whether the unfiltered network cannot be told from guessing, on clean and on
            perturbed inputs.
        masked: Whether its adversarial figure is masked.
        unmasked: The scores if no masked cell did better than the unfiltered network, one value per
            row of the table; None if no cell is masked.
        confirmed: Verdicts on claims by stronger attacks: ``antifragile``, ``fixed attack only`` or
            ``masked``. Other claims are unconfirmed.
        given: Whether a second data set is the stress. No network changed its samples, so that a
            claim needs no confirmation, and a gain over guessing is one.
    """

    at_chance: tuple[bool, bool] = (False, False)
    masked: bool = False
    unmasked: Float[np.ndarray, " rows"] | None = None
    confirmed: Mapping[Claim, str] = field(default_factory=dict)
    given: bool = False


def with_verdicts(scores: pd.DataFrame, evidence: Evidence, tolerance: float) -> pd.DataFrame:
    """Return a table of scores with the classes that the evidence supports.

    Args:
        scores: From ``with_intervals``.
        evidence: Further evidence.
        tolerance: Half-width of the robust band.

    Returns:
        The table, with ``class`` as in ``analysis.classes``. ``antifragile`` under attack stays
        only if it was confirmed, also in ``point``, which otherwise is the class of the estimate.
        ``certain`` is possible for the three classes of the method and ``fixed attack only``.
    """
    label = scores["class"].to_numpy(dtype=object)
    point = scores["point"].to_numpy(dtype=object)
    attacked = scores["score"].isin(ATTACKED).to_numpy()
    scored = np.isin(point, POINTS)
    keys = zip(scores["target"], scores["filter"], scores["score"], strict=True)
    untold = ANTIFRAGILE if evidence.given else UNCONFIRMED
    confirmed = np.asarray([evidence.confirmed.get(key, untold) for key in keys], dtype=object)
    claimed = attacked & (label == ANTIFRAGILE)
    if evidence.unmasked is not None:
        masked = _rests_on_masks(scores, evidence.unmasked, tolerance)
        masked &= ~(claimed & (confirmed == FIXED_ONLY))  # which says more, and is no better
        label = np.where(masked, MASKED, label)
        claimed &= ~masked
    label = np.where(claimed, confirmed, label)
    if evidence.masked:
        label = np.where(attacked & scored, MASKED, label)
    clean, adversarial = evidence.at_chance
    lost = attacked & adversarial
    if evidence.given:
        lost &= ~_gains_on_stressed(scores, label)
    guessing = scored & (clean | lost)
    label = np.where(guessing, AT_CHANCE, label)
    claimed = attacked & (point == ANTIFRAGILE)
    tested = np.isin(label, (ANTIFRAGILE, FIXED_ONLY))
    return scores.assign(
        **{"class": label},
        point=np.where(claimed, np.where(tested, label, untold), point),
        certain=scores["certain"].to_numpy() & np.isin(label, _CERTAIN),
    )


def _gains_on_stressed(scores: pd.DataFrame, label: np.ndarray) -> np.ndarray:
    """Return where a gain on stressed samples is behind an antifragile score.

    Where there is nothing to lose, a difference score rises with every loss on clean samples.
    """
    keys = list(zip(scores["target"], scores["filter"], strict=True))
    improved = label == ANTIFRAGILE
    stressed = (scores["score"] == "adversarial").to_numpy() & improved
    gained = {key for key, gains in zip(keys, stressed, strict=True) if gains}
    return improved & np.asarray([key in gained for key in keys], dtype=bool)


def _rests_on_masks(
    scores: pd.DataFrame, unmasked: Float[np.ndarray, " rows"], tolerance: float
) -> np.ndarray:
    """Return where a class would differ without the gains of masked cells."""
    value = scores["value"].to_numpy(dtype=float)
    low = np.where(scores["low"].isna(), value, scores["low"])
    left = low - (value - unmasked)
    label = scores["class"].to_numpy(dtype=object)
    with np.errstate(invalid="ignore"):
        gained = value > unmasked
        fallen = ((label == ANTIFRAGILE) & (left <= tolerance)) | (
            (label == ROBUST) & (left < -tolerance)
        )
    return gained & fallen


def combine_classes(members: list[str]) -> str:
    """Return the class of a mean that is estimated as antifragile under attack.

    Args:
        members: Classes of the targets.

    Example:
        >>> combine_classes(["antifragile", "antifragile"])
        'antifragile'
        >>> combine_classes(["antifragile", "fragile"])
        'antifragile (unconfirmed)'
    """
    kinds = set(members)
    return kinds.pop() if len(kinds) == 1 and not kinds & {FRAGILE, ROBUST} else UNCONFIRMED
