"""What a study says, in sentences made from its numbers; silent where nothing is certain."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from scipy import stats

from hormesis.analysis.classes import ANTIFRAGILE, CLASSES, FRAGILE, UNDECIDED
from hormesis.analysis.scores import SCORES
from hormesis.report.views.contradictions import contradictions
from hormesis.report.views.figures import main_filter
from hormesis.results.study import Study

SAID = {
    "clean": "on clean inputs",
    "adversarial": "under attack",
    "difference": "in their difference",
}
_FEWEST_FOR_TREND = 8  # targets; a rank correlation of fewer says nothing
_SIGNIFICANT = 0.05
_NAMED = 3
_MOST = 3
_THIN = "\u202f"  # between number and percent sign, where no line is broken


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
    found = {key: (int(n), int(size)) for key, n, size in table.itertuples(name=None)}
    return {
        score: [ClassCount(name, *found[score, name]) for name in CLASSES if (score, name) in found]
        for score in SCORES
    }


def counts_sentence(study: Study) -> str:
    """Return in a sentence how many targets fall into each class, under attack and on clean inputs.

    The largest class, by values, comes with its share of the values that were filtered.
    """
    every = class_counts(study, main_filter(study.scores))
    parts = []
    for score in ("adversarial", "clean"):
        counts = sorted(every[score], key=lambda count: -count.values)
        total = sum(count.values for count in counts)
        shares = [f"{count.targets} {count.name}" for count in counts]
        shares[0] += f" ({100 * counts[0].values / total:.3g}{_THIN}% of the values)"
        parts.append(f"{SAID[score]}, {_listed(shares)}")
    targets = len(set(study.responses["target"]))
    noun = "target" if targets == 1 else "targets"
    return f"Of {targets} filtered {noun}: {'; '.join(parts)}."


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([*([", ".join(parts[:-1])] if parts[1:] else []), parts[-1]])


def findings(study: Study) -> list[str]:
    """Return up to three sentences on what is most telling, by the study's main filter.

    Each is made from scores whose class is certain, or from a correlation that is significant, and
    brings its numbers; there are none where nothing is. The last one is where the readings by
    ``base`` and by ``density`` contradict each other, if they do.
    """
    rows = _rows(study, main_filter(study.scores))
    kinds: tuple[Callable[[pd.DataFrame], str], ...] = (_extremes, _disagreement, _trend, _gain)
    said = [sentence for kind in kinds if (sentence := kind(rows))]
    said.extend(_shares(rows))
    contradicted = " ".join(contradictions(study))
    return [*said[: _MOST - 1], contradicted] if contradicted else said[:_MOST]


def _rows(study: Study, filter_name: str) -> pd.DataFrame:
    """Return the scores by one filter, with ``size`` and ``place`` of each target."""
    scores = study.scores
    rows = scores.loc[scores["filter"] == filter_name]
    sizes = study.targets.set_index("target")["size"]
    places = {name: place for place, name in enumerate(rows["target"].unique())}
    return rows.assign(size=rows["target"].map(sizes), place=rows["target"].map(places))


def _of(rows: pd.DataFrame, score: str) -> pd.DataFrame:
    return rows.loc[(rows["score"] == score) & rows["value"].notna()]


def _first_defined(rows: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """Return the adversarial scores or, where those are undefined, the clean ones."""
    for score in ("adversarial", "clean"):
        found = _of(rows, score)
        if len(found):
            return score, found
    return "clean", rows.head(0)


def _extremes(rows: pd.DataFrame) -> str:
    """Say which targets are lowest and highest, where their intervals do not meet."""
    score, found = _first_defined(rows)
    if len(found) < 2:
        return ""
    low, high = (
        found.loc[place].to_dict() for place in (found["value"].idxmin(), found["value"].idxmax())
    )
    if not low["high"] < high["low"]:
        return ""
    return (
        f"{_spelled(str(low['target']))} has the lowest {score} score, {_number(low)}; "
        f"{_spelled(str(high['target']))} the highest, {_number(high)}."
    )


def _number(row: Mapping[Any, Any]) -> str:
    label = str(row["class"])
    shown = label if label != UNDECIDED else f"{UNDECIDED}, by the estimate {row['point']}"
    ends = f"{_signed(row['low'])} to {_signed(row['high'])}"
    return f"{_signed(row['value'])} ({100 * row['level']:g}{_THIN}% interval {ends}; {shown})"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _disagreement(rows: pd.DataFrame) -> str:
    """Say which targets are fragile on clean inputs and antifragile under attack, or vice versa."""
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
    shown = ", ".join(map(_spelled, order[:_NAMED])) + (" and others" if order[_NAMED:] else "")
    targets = "target is" if len(order) == 1 else "targets are"
    return f"{len(order)} {targets} {before} on clean inputs and {after} under attack: {shown}."


def _trend(rows: pd.DataFrame) -> str:
    """Say how scores follow depth, where the rank correlation is significant."""
    found = []
    for score in SCORES:
        own = _of(rows, score)
        if len(own) >= _FEWEST_FOR_TREND and len(set(own["value"])) > 1:
            result: Any = stats.spearmanr(own["place"], own["value"])
            found.append((float(result.statistic), float(result.pvalue), score, len(own)))
    telling = [each for each in found if each[1] < _SIGNIFICANT]
    if not telling:
        return ""
    rho, p, score, count = max(telling, key=lambda each: abs(each[0]))
    way = "rise" if rho > 0 else "fall"
    value = f"{rho:.2f}".replace("-", "−")
    shown = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    return (
        f"{score.capitalize()} scores {way} with depth: Spearman's ρ = {value} over {count} "
        f"targets ({shown})."
    )


def _gain(rows: pd.DataFrame) -> str:
    """Say for how many targets filtering costs more, or less, under attack than without."""
    own = _of(rows, "difference")
    above, below = own.loc[own["low"] > 0], own.loc[own["high"] < 0]
    if own.empty or (above.empty and below.empty):
        return ""
    parts = [
        f"{what} for {len(part)} of {len(own)} targets"
        for part, what in ((above, "less"), (below, "more"))
        if len(part)
    ]
    return (
        f"Filtering costs {' and '.join(parts)} under attack than on clean inputs, by the "
        "intervals of the difference score."
    )


def _shares(rows: pd.DataFrame) -> Iterator[str]:
    """Say how large a part of the filtered values is of one class for certain."""
    for score in ("adversarial", "clean"):
        own = rows.loc[rows["score"] == score]
        certain = own.loc[own["certain"]]
        if certain.empty:
            continue
        sums = certain.groupby("class", sort=False)["size"].sum()
        name = str(sums.idxmax())
        count = int((certain["class"] == name).sum())
        share = float(sums[name]) / float(own["size"].sum())
        yield (
            f"{SAID[score][0].upper()}{SAID[score][1:]}, {count} of {len(own)} targets with "
            f"{100 * share:.3g}{_THIN}% of the filtered values are {name} for certain."
        )


def _spelled(target: str) -> str:
    return target.removesuffix(".weight")
