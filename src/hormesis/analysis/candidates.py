"""Which cells of a study are worth measuring again: what its responses promise of each."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hormesis.analysis.masking import masked_cells
from hormesis.analysis.scores import Base
from hormesis.settings.apply import Aim, Robust
from hormesis.settings.choices import UNFILTERED

_OF_A_TARGET = 4  # cells that are kept of each


@dataclass(frozen=True)
class Candidate:
    """A cell of a study that may be applied.

    Args:
        target: Name of the target.
        filter: Name of the filter.
        threshold: Place of the threshold in the sweep, from 0.
        alpha: The threshold, in units of the weights.
        outcome: Row of the removal among those of the study.
        promise: What it is worth by the study's responses, see ``worth``.
    """

    target: str
    filter: str
    threshold: int
    alpha: float
    outcome: int
    promise: float

    @property
    def key(self) -> tuple[str, str, int]:
        """What tells it from all others of the study."""
        return self.target, self.filter, self.threshold


def worth(aim: Aim, clean: Any, stressed: Any, removed: Any, noise: float) -> Any:  # noqa: ANN401
    """Return what a step is worth: the larger, the earlier it is taken.

    For robustness that is the gain under stress, for sparsity the number of values zeroed for what
    is lost. Half a sample's worth is added to a loss, so that no loss is not infinitely good.

    Args:
        aim: The aim.
        clean: Change of the clean performance, in units of the metric, above 0 for a better one.
        stressed: The same under stress; NaN without.
        removed: Number of values that the step zeroes.
        noise: What half a sample is worth, in units of the metric.
    """
    if isinstance(aim, Robust):
        return stressed
    loss = np.fmax(np.fmax(-np.asarray(clean), -np.asarray(stressed)), 0.0)
    return removed / (loss + noise)


def find_candidates(responses: pd.DataFrame, base: Base, aim: Aim, noise: float) -> list[Candidate]:
    """Return the cells that promise to serve an aim, the most promising first.

    A few are kept of each target; of cells that zero the same values, one.

    Args:
        responses: See ``response_table``.
        base: Performance of the unfiltered network.
        aim: The aim.
        noise: See ``worth``.
    """
    sign = 1 if base.higher_is_better else -1
    clean = sign * (responses["clean"].to_numpy(float) - base.clean)
    stressed = sign * (responses["adversarial"].to_numpy(float) - base.adversarial)
    there = (responses["outcome"] != UNFILTERED).to_numpy() & np.isfinite(clean)
    removed = responses["zeroed"].to_numpy(float)
    if isinstance(aim, Robust):
        fits = (clean >= -aim.most) & (stressed > 0) & ~masked_cells(responses)
    else:
        fits = (clean >= -aim.most) & ~(stressed < -aim.most) & (removed > 0)
    table = responses.assign(worth=worth(aim, clean, stressed, removed, noise))
    table = table.loc[there & fits].sort_values("worth", ascending=False, kind="stable")
    table = table.drop_duplicates("outcome").groupby("target", sort=False).head(_OF_A_TARGET)
    columns = ("target", "filter", "step", "alpha", "outcome", "worth")
    return [
        Candidate(str(target), str(name), int(step), float(alpha), int(outcome), float(promise))
        for target, name, step, alpha, outcome, promise in zip(
            *(table[column].tolist() for column in columns), strict=True
        )
    ]
