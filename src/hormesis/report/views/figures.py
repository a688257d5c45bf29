"""The numbers of each picture, as plain data; drawing them comes second."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hormesis.analysis.scores import COMBINED
from hormesis.results.study import Study


@dataclass(frozen=True)
class ScoreRow:
    """One target in the table and the heat map.

    Args:
        target: Name of the target, without a trailing ``.weight``.
        size: Number of values.
        values: The scores that the study has, in their order; NaN where there is none.
        classes: Their classes, ``undecided`` among them.
        points: Their classes by the estimate alone.
        widths: Half the width of their intervals, the wider side; NaN where there is none.
        beside: The same scores by the other reading; NaN where there is none.
        says: Words of that reading.
    """

    target: str
    size: int
    values: tuple[float, ...]
    classes: tuple[str, ...]
    points: tuple[str, ...]
    widths: tuple[float, ...]
    beside: tuple[float, ...] = (math.nan, math.nan, math.nan)
    says: tuple[str, ...] = ("", "", "")

    @property
    def reading(self) -> str:
        """The other reading of the adversarial score or, where it has none, of the clean one."""
        for score in reversed(range(len(self.says[:2]))):
            if self.says[score]:
                return f"{self.beside[score]:+.2f} {self.says[score]}"
        return ""


def main_filter(scores: pd.DataFrame) -> str:
    """Return the filter to show where one has to do: the combined one, or else the first.

    Example:
        >>> main_filter(pd.DataFrame({"filter": ["low_pass", "high_pass"]}))
        'low_pass'
    """
    names = scores["filter"].tolist()
    return COMBINED if COMBINED in names else str(names[0])


def target_rows(study: Study, filter_name: str | None = None) -> list[ScoreRow]:
    """Return the scores of every swept target, in the order in which data reach it.

    Args:
        study: Any study.
        filter_name: Which filter's scores; by default the combined ones.
    """
    scores = study.scores
    chosen = scores.loc[scores["filter"] == (filter_name or main_filter(scores))]
    readings = study.readings.loc[chosen.index]
    chosen = chosen.assign(beside=readings["value"], says=readings["says"])
    sizes = dict(zip(study.targets["target"], study.targets["size"], strict=True))
    sides = chosen["value"] - chosen["low"], chosen["high"] - chosen["value"]
    chosen = chosen.assign(width=np.maximum(*sides)).set_index(["target", "score"])
    rows = []
    for target in chosen.index.unique("target"):
        scores_of_target = chosen.loc[target].loc[list(study.score_names)]
        rows.append(
            ScoreRow(
                target=str(target).removesuffix(".weight"),
                size=int(sizes[target]),
                values=tuple(scores_of_target["value"]),
                classes=tuple(scores_of_target["class"]),
                points=tuple(scores_of_target["point"]),
                widths=tuple(scores_of_target["width"]),
                beside=tuple(scores_of_target["beside"]),
                says=tuple(scores_of_target["says"]),
            )
        )
    return rows


def target_sweeps(responses: pd.DataFrame, target: str) -> list[tuple[str, pd.DataFrame]]:
    """Return the responses of one target, by filter, in the order of the thresholds.

    Args:
        responses: The responses of a study.
        target: Name of a swept target.
    """
    rows = responses.loc[responses["target"] == target].sort_values("step")
    return [(str(name), sweep) for name, sweep in rows.groupby("filter", sort=False)]


def extreme_targets(study: Study, most: int) -> list[str]:
    """Return at most so many targets: those of the lowest and of the highest scores.

    Args:
        study: Any study.
        most: How many there may be.
    """
    names = study.responses["target"].unique().tolist()
    if len(names) <= most:
        return names
    order, values = study.estimates(main_filter(study.scores))
    deciding = values[1] if not np.isnan(values[1]).all() else values[0]
    ranked = [order[index] for index in np.argsort(deciding, kind="stable")]
    extremes = {*ranked[: most // 2], *ranked[len(ranked) - (most - most // 2) :]}
    return [name for name in names if name in extremes]


def telling_targets(study: Study) -> list[str]:
    """Return up to three targets worth a look: lowest, median and highest adversarial score.

    Where the adversarial score is undefined, the clean one decides.
    """
    scores = study.scores
    chosen = scores.loc[scores["filter"] == main_filter(scores)].dropna(subset=["value"])
    for score in ("adversarial", "clean"):
        ranked = chosen.loc[chosen["score"] == score].sort_values("value", kind="stable")
        if len(ranked):
            ranks = sorted({0, len(ranked) // 2, len(ranked) - 1})
            return [str(ranked["target"].iloc[rank]) for rank in ranks]
    return []


def moved_targets(scores: pd.DataFrame, axis: str = "epoch") -> list[str]:
    """Return up to three targets: the lowest and highest at the end, and the one that moved most.

    Args:
        scores: Of one filter: ``epoch``, ``target``, ``score``, ``value``. The adversarial score
            decides, or the clean one where that is undefined.
        axis: The column that orders the studies.

    Example:
        >>> rows = [(epoch, name, "adversarial", value * epoch)
        ...         for epoch in (1, 2) for name, value in (("a", 0.1), ("b", -0.4), ("c", 0.0))]
        >>> moved_targets(pd.DataFrame(rows, columns=["epoch", "target", "score", "value"]))
        ['b', 'a']
    """
    for score in ("adversarial", "clean"):
        rows = scores.loc[scores["score"] == score]
        wide = rows.pivot_table(index="target", columns=axis, values="value", sort=False)
        if wide.empty:
            continue
        last = wide.iloc[:, -1].dropna()
        moved = (wide.max(axis=1) - wide.min(axis=1)).dropna()
        if len(last):
            return list(
                dict.fromkeys([str(last.idxmin()), str(moved.idxmax()), str(last.idxmax())])
            )
    return []
