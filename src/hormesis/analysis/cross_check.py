"""Cross-check of adversarial figures by random noise and by inputs perturbed on another network.

A gradient-based attack should do more harm than random noise of the same magnitude, and than inputs
that were perturbed on another network. If it does not, the gradient misleads: the figure is masked
(Athalye et al. 2018, arXiv:1802.00420; Carlini et al. 2019, arXiv:1902.06705, section 4).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy import stats

from hormesis.analysis.confirmation import COLUMNS, NOISE, TRANSFER
from hormesis.analysis.scores import Base
from hormesis.settings.choices import UNFILTERED

CROSS = "cross"
"""Value of ``stress`` in the rows of the cross-check."""
SURROGATES = "surrogates"
"""An attack besides ``noise`` and ``transfer``: computed on filtered versions of the network."""
MARGIN = 0.02
"""Share of the unfiltered network's clean performance by which another attack may do more harm."""
_ATTACK_TEXTS = {
    NOISE: "random noise of the same ε",
    TRANSFER: "inputs perturbed on the unfiltered network",
    SURROGATES: "inputs perturbed on filtered versions of the network",
}


@dataclass(frozen=True)
class Figures:
    """Outcomes of every sample under one attack.

    Args:
        base: Of the unfiltered network.
        removals: Of every removal; NaN where it was not measured.
    """

    base: Float[np.ndarray, " samples"]
    removals: Float[np.ndarray, "removals samples"]


def find_working_cells(responses: pd.DataFrame, base: Base) -> Bool[np.ndarray, " cells"]:
    """Return which filtered networks still work: they keep half of the performance above chance.

    The adversarial figure of a network at chance has no meaning.

    Args:
        responses: Column ``clean``.
        base: Performance of the unfiltered network, and of guessing.

    Example:
        >>> responses = pd.DataFrame({"clean": [0.9, 0.5, 0.49]})
        >>> find_working_cells(responses, Base(0.9, 0.5, chance=0.1)).tolist()
        [True, True, False]
    """
    clean = responses["clean"].to_numpy(dtype=float)
    least = (base.clean + (base.chance or 0.0)) / 2 if base.larger_is_better else 2 * base.clean
    return clean >= least if base.higher_is_better else clean <= least


def compare_attacks(
    cells: pd.DataFrame, own: Figures, other: Figures, level: float, *, higher_is_better: bool
) -> pd.DataFrame:
    """Return how much more harm another attack does than the study's own, with intervals.

    Args:
        cells: Columns ``target``, ``filter``, ``step``, ``outcome``, a row of the figures, and
            ``working``, see ``find_working_cells``.
        own: By the study's own attack.
        other: By the other one, on the same samples.
        level: Confidence level of Student's interval of the paired differences.
        higher_is_better: Whether a larger performance is better.

    Returns:
        The unfiltered network first, with an empty ``target`` and ``filter``; then every cell: the
        columns of ``analysis.confirmation.COLUMNS`` except ``stress`` and ``attack``, and
        ``step`` and ``working``. ``value``, ``low`` and ``high`` are in units of the performance,
        positive if the other attack does more harm; ``base`` is the figure under the study's own
        attack.

    Example:
        >>> cells = pd.DataFrame({"target": ["w"], "filter": "low_pass", "step": 0, "outcome": 0,
        ...                       "working": True})
        >>> own = Figures(np.ones(4), np.ones((1, 4)))
        >>> other = Figures(np.ones(4), np.array([[0.0, 1.0, 1.0, 0.0]]))
        >>> rows = compare_attacks(cells, own, other, 0.95, higher_is_better=True)
        >>> rows[["target", "value", "base"]].to_numpy().tolist()
        [['', 0.0, 1.0], ['w', 0.5, 1.0]]
    """
    first, second = (np.vstack([figures.removals, figures.base]) for figures in (own, other))
    more = first - second if higher_is_better else second - first
    count = (~np.isnan(more)).sum(axis=1)
    value, level_of = np.nanmean(more, axis=1), np.nanmean(first, axis=1)
    error = np.nanstd(more, axis=1, ddof=1) / np.sqrt(count)
    half = stats.t.ppf((1 + level) / 2, count - 1) * error
    rows = np.array([-1, *cells["outcome"].tolist()])
    rows[rows == UNFILTERED] = len(more) - 1
    base_cell = {"target": "", "filter": "", "step": 0, "working": True}
    names = pd.concat([pd.DataFrame([base_cell]), cells[list(base_cell)]], ignore_index=True)
    numbers = {"value": value, "low": value - half, "high": value + half, "base": level_of}
    return names.assign(
        score="adversarial",
        **{name: values[rows] for name, values in numbers.items()},
        unmasked=value[rows],
        zero_gradient=np.nan,
        unmoved=np.nan,
        samples=count[rows].astype(np.int64),
    )


def merge_confirmations(table: pd.DataFrame | None, rows: pd.DataFrame) -> pd.DataFrame:
    """Return a study's table of confirmations, with new rows replacing those of the same kind.

    Args:
        table: The previous table, or None.
        rows: Either all from the cross-check, or none.
    """
    crossed = bool((rows["stress"] == CROSS).all())
    parts = [rows]
    if table is not None:
        kept = table.loc[(table["stress"] == CROSS) != crossed]
        parts = [kept, rows] if crossed else [rows, kept]
    whole = pd.concat([part for part in parts if len(part)], ignore_index=True)
    if "step" not in whole:
        return whole.loc[:, list(COLUMNS)]
    step = whole["step"].fillna(0).astype(np.int64)
    working = [value is True or value == 1 for value in whole["working"]]
    return whole.assign(step=step, working=working).loc[:, [*COLUMNS, "step", "working"]]


def masked_rows(table: pd.DataFrame | None, settings: Mapping[str, Any]) -> pd.DataFrame | None:
    """Return the rows of figures that the cross-check calls masked; None without a cross-check.

    Args:
        table: A study's table of confirmations.
        settings: The entry ``cross_check`` of its manifest.
    """
    if table is None or "working" not in table or "margin" not in settings:
        return None
    judged = (table["stress"] == CROSS) & table["working"].astype(bool)
    return table.loc[judged & (table["low"] > float(settings["margin"]))]


def mark_masked_cells(responses: pd.DataFrame, masked: pd.DataFrame | None) -> pd.DataFrame:
    """Return responses with the column ``crossed``: whether a cell is among the masked rows."""
    if masked is None:
        return responses
    keys = ["target", "filter", "step"]
    masked_cells = set(masked[keys].itertuples(index=False, name=None))
    cells = responses[keys].itertuples(index=False, name=None)
    return responses.assign(crossed=[cell in masked_cells for cell in cells])


def base_is_masked(masked: pd.DataFrame | None) -> bool:
    """Return whether the unfiltered network's figure is among the masked rows."""
    return masked is not None and bool((masked["target"] == "").any())


def cross_notes(table: pd.DataFrame | None, settings: Mapping[str, Any], metric: str) -> list[str]:
    """Return the results of the cross-check, in sentences; nothing without a cross-check.

    Args:
        table: A study's table of confirmations.
        settings: The entry ``cross_check`` of its manifest.
        metric: Name of the metric.
    """
    masked = masked_rows(table, settings)
    if table is None or masked is None:
        return []
    rows = table.loc[(table["stress"] == CROSS) & table["working"].astype(bool)]
    ways = ", ".join(
        _ATTACK_TEXTS[name] for name in dict.fromkeys(rows["attack"]) if name in _ATTACK_TEXTS
    )
    notes = [
        _network_note(row, metric) for row in masked.loc[masked["target"] == ""].to_dict("records")
    ]
    counts = rows.loc[rows["target"] != ""].groupby("attack").size()
    worst = masked.loc[masked["target"] != ""].sort_values("value", ascending=False)
    for attack, masked_by_attack in worst.groupby("attack", sort=False):
        row = masked_by_attack.iloc[0]
        notes.append(
            f"{len(masked_by_attack)} of {counts[attack]} adversarial figures of filtered networks "
            f"are masked: under {_ATTACK_TEXTS[str(attack)]} they are worse than under the "
            f"attack, most of all {str(row['target']).removesuffix('.weight')}, "
            f"{row['filter'].replace('_', '-')}, step {row['step']}, by {_interval_text(row)}."
        )
    if not notes:
        count = len(rows[["target", "filter", "step"]].drop_duplicates())
        notes.append(
            f"Cross-check of {count} adversarial figures on {settings.get('samples', '?')} "
            f"samples: none is masked. Compared with: {ways}. Filtered networks that hardly "
            "work are not judged."
        )
    if not settings.get("surrogates"):
        notes.append(
            "No filtered network was good enough to perturb inputs on: the cross-check is by "
            f"{ways} alone."
        )
    return notes


def _network_note(row: Mapping[Any, Any], metric: str) -> str:
    return (
        f"The unfiltered network's adversarial {metric} is masked: under "
        f"{_ATTACK_TEXTS[str(row['attack'])]} it is worse by {_interval_text(row)} than under the "
        f"attack, which leaves {row['base']:.3f}. No adversarial or difference score has a class."
    )


def _interval_text(row: Mapping[Any, Any] | pd.Series) -> str:
    return f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
