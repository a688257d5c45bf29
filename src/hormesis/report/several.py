"""Several studies together: small multiples, paths of ranks, what stays the same."""

from typing import Any

import pandas as pd

from hormesis.analysis.classes import CLASSES
from hormesis.analysis.scores import SCORES
from hormesis.comparison import Comparison, compare
from hormesis.errors import SettingError, StudyError
from hormesis.report.comparison import LEGEND, agreement_lines, beside_line, invariants
from hormesis.report.gathered import Gathered
from hormesis.report.numbers import plain

_MOST_ROWS = 400
_MOST_CHANGES = 12


def several_payload(gathered: Gathered) -> dict[str, Any] | None:
    """Return what the page shows of several studies together; None for a single one.

    Where they cannot be compared, the page says why and shows each on its own.
    """
    if not gathered.over:
        return None
    try:
        found = compare(list(gathered.studies), over=gathered.over)
    except (StudyError, SettingError) as error:
        return {"over": gathered.over, "refused": str(error), "notes": list(gathered.notes)}
    return {"over": gathered.over, "refused": "", **_tables(found, gathered)}


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
