"""Several studies together: what stays the same, what changes, and means over trainings."""

from typing import Any

import numpy as np
import pandas as pd

from hormesis.analysis.classes import CLASSES
from hormesis.errors import SettingError, StudyError
from hormesis.report.views.comparison_text import (
    KAPPA,
    POOLED,
    RHO,
    agreement_cells,
    answer_sentences,
    beside_line,
    invariants,
    legend_line,
)
from hormesis.report.views.numbers import finite_numbers, rounded_numbers
from hormesis.report.views.sources import ReportSources, page_title
from hormesis.report.views.turns import magnitude_series, turn_lines
from hormesis.results.comparability import describe_studies
from hormesis.results.comparison import Comparison, compare

_MOST_ROWS = 400
_MOST_CHANGES = 12
_MOST_MOVES = 60  # targets whose scores move with the slider
_ORDERED = ("epochs", "epsilons")  # what a slider can run through
_ALIKE = ("model", "data", "epoch")  # what trainings have in common that are pooled
_INTERVALS = {"between": "", "sampling": "sampling_", "both": "total_"}


def compare_sources(sources: ReportSources) -> Comparison | str:
    """Return the comparison of all studies, or the reason against one; empty for a single study.

    Several trainings of one network are pooled, whatever is compared.
    """
    if not sources.over:
        return ""
    try:
        description = describe_studies(list(sources.studies))
        repeated = bool(description.duplicated(list(_ALIKE)).any())
        pool = _ALIKE if repeated and sources.over in ("models", "data") else ()
        return compare(list(sources.studies), over=sources.over, group_by=pool)
    except (StudyError, SettingError) as error:
        return str(error)


def comparison_payload(
    sources: ReportSources, comparison: Comparison | str
) -> dict[str, Any] | None:
    """Return the values that the page shows of several studies together; None for a single one.

    Where they cannot be compared, the page says why and shows each on its own.

    Args:
        sources: The studies of the page.
        comparison: What ``compare_sources`` returned of it.
    """
    if not sources.over:
        return None
    about = {
        "over": sources.over,
        "heading": page_title(sources),
        "chosen": len(sources.studies) - 1 if sources.over == "epochs" else 0,
    }
    if isinstance(comparison, str):
        return {**about, "refused": comparison, "notes": list(sources.notes)}
    turns = list[str]()
    if sources.over == "epsilons":
        turns += turn_lines(magnitude_series(sources.studies))
    return {**about, "refused": "", "turns": turns, **_tables(comparison, sources)}


def _pooled_groups(comparison: Comparison, matches: list[str]) -> list[dict[str, Any]]:
    """Return mean scores over several trainings, one entry a network, with all three intervals."""
    code = {name: number for number, name in enumerate(CLASSES)}
    groups = []
    if not len(comparison.pooled):
        return groups
    shown = comparison.pooled.loc[comparison.pooled["match"].isin(matches)]
    for (model, data, epoch), group in shown.groupby(list(_ALIKE), sort=False, dropna=False):  # pyright: ignore[reportGeneralTypeIssues]
        when = "" if pd.isna(epoch) else f", epoch {int(epoch)}"
        rows: dict[str, list[dict[str, Any]]] = {score: [] for score in comparison.score_names}
        for row in group.to_dict("records"):
            ends = {
                kind: finite_numbers([row[f"{name}low"], row[f"{name}high"]])
                for kind, name in _INTERVALS.items()
            }
            mean = finite_numbers([row["mean"]])[0]
            description = {"match": row["match"], "runs": int(row["runs"]), "mean": mean, **ends}
            rows[row["score"]].append({**description, "class": code[str(row["class"])]})
        groups.append({"name": f"{model} on {data}{when}", "scores": rows})
    return groups


def _tables(comparison: Comparison, sources: ReportSources) -> dict[str, Any]:
    names = [str(name) for name in comparison.studies["study"]]
    matches = list(dict.fromkeys(comparison.scores["match"]))
    shown = matches[:_MOST_ROWS]
    note = [f"The first {len(shown)} of {len(matches)} targets are shown."]
    return {
        "notes": [
            beside_line(comparison),
            *sources.notes,
            *comparison.notes,
            *(note if len(matches) > len(shown) else []),
        ],
        "studies": list(sources.labels),
        "base": {name: finite_numbers(comparison.studies[name]) for name in comparison.figures},
        "matches": shown,
        "paths": _paths(comparison, shown),
        "pooled": _pooled_groups(comparison, shown),
        "pooled_says": f"{POOLED} {100 * comparison.scoring.level:g} % each, by Student's t.",
        "legend": legend_line(comparison),
        "answer": answer_sentences(comparison, sources.labels),
        "agreement": _agreement(comparison),
        "explained": [KAPPA, RHO],
        "moves": _moves(comparison) if sources.over in _ORDERED else {},
        "changes": {
            score: _changes(comparison, score, dict(zip(names, sources.labels, strict=True)))
            for score in comparison.score_names
        },
    }


def _agreement(comparison: Comparison) -> list[list[str]]:
    """Return for each score its name, what stays, and how far the studies agree."""
    stays = dict(line.split(":", 1) for line in invariants(comparison))
    return [
        [score, " ".join(stays[score].split()), kappa, ranks]
        for score, kappa, ranks in agreement_cells(comparison)
    ]


def _moves(comparison: Comparison) -> dict[str, Any]:
    """Return scores and classes of the targets that move most, of each target a list over studies.

    The targets are in the order of the network.
    """
    code = {name: number for number, name in enumerate(CLASSES)}
    moves = {}
    for score in comparison.score_names:
        rows = comparison.scores.loc[comparison.scores["score"] == score]
        chosen = _most_moved(rows)
        parts = rows.loc[rows["match"].isin(chosen)].groupby("match", sort=False)
        moves[score] = [
            [match, rounded_numbers(part["value"]), [code[str(name)] for name in part["class"]]]
            for match, part in parts
        ]
    return moves


def _most_moved(rows: pd.DataFrame) -> list[str]:
    wide = rows.pivot(index="match", columns="study", values="value")
    moved = (wide.max(axis=1) - wide.min(axis=1)).fillna(0.0)
    order = np.argsort(-moved.to_numpy(dtype=float), kind="stable")
    return [str(wide.index[place]) for place in order[:_MOST_MOVES]]


def _paths(comparison: Comparison, matches: list[str]) -> dict[str, list[list[str]]]:
    table = comparison.paths.set_index(["score", "match"])
    return {
        score: [
            [str(table.loc[(score, match), "path"]), str(table.loc[(score, match), "invariant"])]
            for match in matches
        ]
        for score in comparison.score_names
    }


def _changes(comparison: Comparison, score: str, labels: dict[str, str]) -> list[list[Any]]:
    """Return the largest changes: target, from, to, difference, interval, whether certain."""
    rows: pd.DataFrame = comparison.changes.loc[comparison.changes["score"] == score].head(
        _MOST_CHANGES
    )
    return [
        [
            str(row["match"]),
            *(labels[str(row[name])] for name in ("from", "to")),
            *finite_numbers([row["difference"], row["low"], row["high"]]),
            bool(row["certain"]),
        ]
        for row in rows.to_dict("records")
    ]
