"""Several studies together: small multiples, paths of ranks, what stays the same."""

from typing import Any

import pandas as pd

from hormesis.analysis.classes import CLASSES
from hormesis.analysis.scores import SCORES
from hormesis.errors import SettingError, StudyError
from hormesis.report.text.comparison import (
    LEGEND,
    POOLED,
    agreement_lines,
    beside_line,
    invariants,
)
from hormesis.report.views.numbers import plain
from hormesis.report.views.sources import Gathered
from hormesis.results.comparability import describe_studies
from hormesis.results.comparison import Comparison, compare

_MOST_ROWS = 400
_MOST_CHANGES = 12
_ALIKE = ("model", "data", "epoch")  # what trainings have in common that are pooled
_INTERVALS = {"between": "", "sampling": "sampling_", "both": "total_"}


def several_payload(gathered: Gathered) -> dict[str, Any] | None:
    """Return what the page shows of several studies together; None for a single one.

    Where they cannot be compared, the page says why and shows each on its own.
    """
    if not gathered.over:
        return None
    try:
        found = _compared(gathered)
    except (StudyError, SettingError) as error:
        return {"over": gathered.over, "refused": str(error), "notes": list(gathered.notes)}
    return {"over": gathered.over, "refused": "", **_tables(found, gathered)}


def _compared(gathered: Gathered) -> Comparison:
    """Return the comparison; several trainings of one network are pooled, whatever is compared."""
    about = describe_studies(list(gathered.studies))
    repeated = bool(about.duplicated(list(_ALIKE)).any())
    pool = _ALIKE if repeated and gathered.over in ("models", "data") else ()
    return compare(list(gathered.studies), over=gathered.over, group_by=pool)


def _pooled(found: Comparison, matches: list[str]) -> list[dict[str, Any]]:
    """Return mean scores over several trainings, one entry a network, with all three intervals."""
    code = {name: number for number, name in enumerate(CLASSES)}
    groups = []
    if not len(found.pooled):
        return groups
    shown = found.pooled.loc[found.pooled["match"].isin(matches)]
    for (model, data, epoch), group in shown.groupby(list(_ALIKE), sort=False, dropna=False):  # pyright: ignore[reportGeneralTypeIssues]
        when = "" if pd.isna(epoch) else f", epoch {int(epoch)}"
        rows: dict[str, list[dict[str, Any]]] = {score: [] for score in SCORES}
        for row in group.to_dict("records"):
            ends = {
                kind: plain([row[f"{name}low"], row[f"{name}high"]])
                for kind, name in _INTERVALS.items()
            }
            mean = plain([row["mean"]])[0]
            about = {"match": row["match"], "runs": int(row["runs"]), "mean": mean, **ends}
            rows[row["score"]].append({**about, "class": code[str(row["class"])]})
        groups.append({"name": f"{model} on {data}{when}", "scores": rows})
    return groups


def _tables(found: Comparison, gathered: Gathered) -> dict[str, Any]:
    names = [str(name) for name in found.studies["study"]]
    matches = list(dict.fromkeys(found.scores["match"]))
    shown = matches[:_MOST_ROWS]
    cut = [f"The first {len(shown)} of {len(matches)} targets are shown."]
    return {
        "notes": [
            beside_line(found),
            *gathered.notes,
            *found.notes,
            *(cut if len(matches) > len(shown) else []),
        ],
        "studies": list(gathered.labels),
        "base": {name: plain(found.studies[name]) for name in ("clean", "adversarial", "epsilon")},
        "matches": shown,
        "scores": {score: _wide(found, score, shown, names) for score in SCORES},
        "paths": _paths(found, shown),
        "pooled": _pooled(found, shown),
        "pooled_says": f"{POOLED} {100 * found.scoring.level:g} % each, by Student's t.",
        "legend": LEGEND,
        "lines": [" ".join(line.split()) for line in [*invariants(found), *agreement_lines(found)]],
        "changes": {
            score: _changes(found, score, dict(zip(names, gathered.labels, strict=True)))
            for score in SCORES
        },
    }


def _wide(found: Comparison, score: str, matches: list[str], names: list[str]) -> dict[str, Any]:
    """Return the scores as one list a target, one entry a study."""
    rows = found.scores.loc[found.scores["score"] == score]
    code = {name: number for number, name in enumerate(CLASSES)}
    wide: dict[str, Any] = {}
    for column in ("value", "low", "high", "class", "point"):
        table = rows.pivot(index="match", columns="study", values=column).loc[matches, names]
        if column in ("class", "point"):
            wide[column] = [[code[str(label)] for label in row] for row in table.to_numpy()]
        else:
            wide[column] = [plain(row) for row in table.to_numpy(dtype=float)]
    return wide


def _paths(found: Comparison, matches: list[str]) -> dict[str, list[list[str]]]:
    table = found.paths.set_index(["score", "match"])
    return {
        score: [
            [str(table.loc[(score, match), "path"]), str(table.loc[(score, match), "invariant"])]
            for match in matches
        ]
        for score in SCORES
    }


def _changes(found: Comparison, score: str, spelled: dict[str, str]) -> list[list[Any]]:
    """Return the largest changes: target, from, to, difference, interval, whether certain."""
    rows: pd.DataFrame = found.changes.loc[found.changes["score"] == score].head(_MOST_CHANGES)
    return [
        [
            str(row["match"]),
            *(spelled[str(row[name])] for name in ("from", "to")),
            *plain([row["difference"], row["low"], row["high"]]),
            bool(row["certain"]),
        ]
        for row in rows.to_dict("records")
    ]
