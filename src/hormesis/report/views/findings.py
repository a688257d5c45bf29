"""The findings of a study, in sentences made from its numbers; none if nothing is certain."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from scipy import stats

from hormesis.analysis.classes import ANTIFRAGILE, CLASSES, FRAGILE, UNDECIDED
from hormesis.analysis.scores import SCORES
from hormesis.report.views.contradictions import contradictions
from hormesis.report.views.figures import main_filter
from hormesis.report.views.stress_text import (
    score_phrase,
    score_word,
    stress_phrase,
    touched,
)
from hormesis.results.study import Study

_FEWEST_FOR_TREND = 8  # targets; a rank correlation of fewer says nothing
_SIGNIFICANT = 0.05
_NAMED = 3
_MOST = 3
_THIN = "\u202f"  # between number and percent sign, where no line is broken


_Kind = Callable[[pd.DataFrame, Study], str]


@dataclass(frozen=True)
class ClassCount:
    """How much of a network falls into one class.

    Args:
        name: The class.
        targets: How many targets.
        values: How many values they have.
    """

    name: str
    targets: int
    values: int


def class_counts(study: Study, filter_name: str) -> dict[str, list[ClassCount]]:
    """Return how many swept targets, and values, fall into each class, by score.

    Args:
        study: Any study.
        filter_name: A filter that was swept, or ``combined``.

    Returns:
        For each score the classes that occur, in the order of ``CLASSES``.
    """
    rows = _rows(study, filter_name)
    table = rows.groupby(["score", "class"], sort=False)["size"].agg(["count", "sum"])
    counts = {key: (int(n), int(size)) for key, n, size in table.itertuples(name=None)}
    return {
        score: [
            ClassCount(name, *counts[score, name]) for name in CLASSES if (score, name) in counts
        ]
        for score in study.score_names
    }


def counts_sentence(study: Study) -> str:
    """Return in a sentence how many targets fall into each class, under attack and on clean inputs.

    A study without attack has the latter alone. The largest class, by values, comes with its share
    of the values that were filtered.
    """
    counts_by_score = class_counts(study, main_filter(study.scores))
    parts = []
    for score in ("adversarial", "clean"):
        if score not in counts_by_score:
            continue
        counts = sorted(counts_by_score[score], key=lambda count: -count.values)
        total = sum(count.values for count in counts)
        shares = [f"{count.targets} {count.name}" for count in counts]
        shares[0] += f" ({100 * counts[0].values / total:.3g}{_THIN}% of the values)"
        parts.append(f"{score_phrase(study, score)}, {_join(shares)}")
    targets = len(set(study.responses["target"]))
    noun = "target" if targets == 1 else "targets"
    return f"Of {targets} {touched(study)} {noun}: {'; '.join(parts)}."


def _join(parts: Sequence[str]) -> str:
    return " and ".join([*([", ".join(parts[:-1])] if parts[1:] else []), parts[-1]])


def findings(study: Study) -> list[str]:
    """Return up to three sentences on what is most telling, by the study's main filter.

    Each is made from scores whose class is certain, or from a significant correlation, and quotes
    its numbers. The last one says where the readings by ``base`` and by ``density`` contradict each
    other, if they do.
    """
    rows = _rows(study, main_filter(study.scores))
    kinds: tuple[_Kind, ...] = (_extremes, _disagreement, _trend, _gain)
    sentences = [sentence for kind in kinds if (sentence := kind(rows, study))]
    sentences.extend(_shares(rows, study))
    contradicted = " ".join(contradictions(study))
    return [*sentences[: _MOST - 1], contradicted] if contradicted else sentences[:_MOST]


def _rows(study: Study, filter_name: str) -> pd.DataFrame:
    """Return the scores by one filter, with ``size`` and ``position`` of each target."""
    scores = study.scores
    rows = scores.loc[scores["filter"] == filter_name]
    sizes = study.targets.set_index("target")["size"]
    positions = {name: position for position, name in enumerate(rows["target"].unique())}
    return rows.assign(size=rows["target"].map(sizes), place=rows["target"].map(positions))


def _defined(rows: pd.DataFrame, score: str) -> pd.DataFrame:
    return rows.loc[(rows["score"] == score) & rows["value"].notna()]


def _first_defined(rows: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """Return the adversarial scores or, where those are undefined, the clean ones."""
    for score in ("adversarial", "clean"):
        defined = _defined(rows, score)
        if len(defined):
            return score, defined
    return "clean", rows.head(0)


def _extremes(rows: pd.DataFrame, study: Study) -> str:
    """Return the lowest and highest targets, if their intervals do not meet."""
    score, defined = _first_defined(rows)
    if len(defined) < 2:
        return ""
    low, high = (
        defined.loc[index].to_dict()
        for index in (defined["value"].idxmin(), defined["value"].idxmax())
    )
    if not low["high"] < high["low"]:
        return ""
    return (
        f"{_short_name(str(low['target']))} has the lowest {score_word(study, score)} score, "
        f"{_score_text(low)}; "
        f"{_short_name(str(high['target']))} the highest, {_score_text(high)}."
    )


def _score_text(row: Mapping[Any, Any]) -> str:
    label = str(row["class"])
    shown = label if label != UNDECIDED else f"{UNDECIDED}, by the estimate {row['point']}"
    ends = f"{_signed(row['low'])} to {_signed(row['high'])}"
    return f"{_signed(row['value'])} ({100 * row['level']:g}{_THIN}% interval {ends}; {shown})"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _disagreement(rows: pd.DataFrame, study: Study) -> str:
    """Return the targets whose certain classes differ between clean inputs and attack."""
    certain = rows.loc[rows["certain"]]
    classes = certain.pivot(index="target", columns="score", values="class")
    if not {"clean", "adversarial"} <= set(classes.columns):
        return ""
    clean, adversarial = classes["clean"], classes["adversarial"]
    both = classes.loc[clean.notna() & adversarial.notna() & (clean != adversarial)]
    if both.empty:
        return ""
    pairs = both.groupby(["clean", "adversarial"], sort=False).size()
    opposite = [key for key in pairs.index if set(key) == {FRAGILE, ANTIFRAGILE}]
    before, after = opposite[0] if opposite else pairs.idxmax()
    names = both.index[(both["clean"] == before) & (both["adversarial"] == after)]
    order = [name for name in rows["target"].unique() if name in set(names)]
    shown = ", ".join(map(_short_name, order[:_NAMED])) + (" and others" if order[_NAMED:] else "")
    targets = "target is" if len(order) == 1 else "targets are"
    stress = stress_phrase(study)
    return f"{len(order)} {targets} {before} on clean inputs and {after} {stress}: {shown}."


def _trend(rows: pd.DataFrame, study: Study) -> str:
    """Return how scores follow depth, if the rank correlation is significant."""
    correlations = []
    for score in SCORES:
        defined = _defined(rows, score)
        if len(defined) >= _FEWEST_FOR_TREND and len(set(defined["value"])) > 1:
            result: Any = stats.spearmanr(defined["place"], defined["value"])
            correlations.append(
                (float(result.statistic), float(result.pvalue), score, len(defined))
            )
    significant = [correlation for correlation in correlations if correlation[1] < _SIGNIFICANT]
    if not significant:
        return ""
    rho, p, score, count = max(significant, key=lambda correlation: abs(correlation[0]))
    direction = "rise" if rho > 0 else "fall"
    value = f"{rho:.2f}".replace("-", "−")
    shown = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    return (
        f"{score_word(study, score).capitalize()} scores {direction} with depth: Spearman's "
        f"ρ = {value} over {count} targets ({shown})."
    )


def _gain(rows: pd.DataFrame, study: Study) -> str:
    """Return for how many targets a change costs more, or less, under attack than without."""
    cost = "Changing them" if study.replaces else "Filtering"
    defined = _defined(rows, "difference")
    above, below = defined.loc[defined["low"] > 0], defined.loc[defined["high"] < 0]
    if defined.empty or (above.empty and below.empty):
        return ""
    parts = [
        f"{comparison} for {len(part)} of {len(defined)} targets"
        for part, comparison in ((above, "less"), (below, "more"))
        if len(part)
    ]
    return (
        f"{cost} costs {' and '.join(parts)} {stress_phrase(study)} than on clean inputs, by "
        "the intervals of the difference score."
    )


def _shares(rows: pd.DataFrame, study: Study) -> Iterator[str]:
    """Yield which share of the filtered, or changed, values is of one class for certain."""
    for score in ("adversarial", "clean"):
        of_score = rows.loc[rows["score"] == score]
        certain = of_score.loc[of_score["certain"]]
        if certain.empty:
            continue
        sums = certain.groupby("class", sort=False)["size"].sum()
        name = str(sums.idxmax())
        count = int((certain["class"] == name).sum())
        share = float(sums[name]) / float(of_score["size"].sum())
        yield (
            f"{score_phrase(study, score).capitalize()}, {count} of {len(of_score)} targets with "
            f"{100 * share:.3g}{_THIN}% of the {touched(study)} values are {name} for certain."
        )


def _short_name(target: str) -> str:
    return target.removesuffix(".weight")
