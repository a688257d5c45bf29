"""Masking: adversarial figures of samples without a gradient.

An attack follows the gradient of the loss at the input. If that is zero, as behind saturated or
quantised layers, a sample stays correct because it was not attacked, not because the network is
robust (Athalye et al. 2018, arXiv:1802.00420; Carlini et al. 2019, arXiv:1902.06705, section 3.3).
"""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from hormesis.analysis.scores import Base
from hormesis.storage.attack_schema import RunAttack

COLUMNS = ("zero_gradient", "unmoved")
MASKED_SHARE = 0.5
"""Share of the right answers above which an adversarial figure is called masked.

If more than half of them were not attacked, the figure is at least half of the clean one however
fragile the network is."""


def is_masked(zero_gradient: float, unmoved: float) -> bool:
    """Return whether an adversarial figure is masked.

    Args:
        zero_gradient: Share of right answers whose gradient is zero, 0 to 1; NaN if there are none.
        unmoved: Share of those whose input the attack left as it was.

    Example:
        >>> is_masked(0.1, 0.2), is_masked(0.0, 0.8), is_masked(float("nan"), float("nan"))
        (False, True, False)
    """
    return bool(np.fmax(zero_gradient, unmoved) > MASKED_SHARE)


def trusted_responses(responses: pd.DataFrame, attack: RunAttack) -> pd.DataFrame:
    """Return responses without shares that say nothing about masking.

    An attack of a user or another library may return an input as it was where it did not succeed,
    which is no sign that it had nothing to work with.

    Args:
        responses: See ``response_table``.
        attack: The attack that they were measured under.
    """
    return responses.drop(columns=list(COLUMNS), errors="ignore") if attack.function else responses


def masked_cells(responses: pd.DataFrame) -> Bool[np.ndarray, " cells"]:
    """Return which cells are masked; none if that was not measured.

    Args:
        responses: Columns ``zero_gradient`` and ``unmoved`` for an adaptive adversary, and
            ``crossed`` after a cross-check: whether it calls the cell masked.
    """
    crossed = np.zeros(len(responses), dtype=bool)
    if "crossed" in responses:
        crossed = responses["crossed"].to_numpy(dtype=bool)
    if not set(COLUMNS) <= set(responses.columns):
        return crossed
    shares: Float[np.ndarray, "cells two"] = responses[list(COLUMNS)].to_numpy(dtype=float)
    return crossed | (np.fmax.reduce(shares, axis=1) > MASKED_SHARE)


def without_masked_gains(responses: pd.DataFrame, base: Base) -> pd.DataFrame:
    """Return responses in which no masked cell does better than the unfiltered network.

    The loss of a score is the part that rests on masked figures.

    Args:
        responses: See ``response_table``.
        base: Performance of the unfiltered network.
    """
    masked = masked_cells(responses)
    worse = np.minimum if base.higher_is_better else np.maximum
    figures = responses["adversarial"].to_numpy(dtype=float)
    return responses.assign(adversarial=np.where(masked, worse(figures, base.adversarial), figures))
