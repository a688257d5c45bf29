"""The layers of a study as a table for the terminal."""

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hormesis.analysis.scores import SCORES
from hormesis.report.figures import main_filter, score_rows
from hormesis.study import Study

STYLES = {
    "fragile": "red",
    "robust": "default",
    "antifragile": "green",
    "untested": "dim",
    "undefined": "dim",
}
_MOST_ROWS = 200


def score_overview(study: Study) -> RenderableType:
    """Return the table of all swept targets, with three scores and a class each.

    It fits 80 columns; names of more than 23 letters are folded. Classes are told by a word and a
    sign as well as by colour.
    """
    rows = score_rows(study)
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    table.add_column("target", overflow="fold", min_width=12)
    for score in SCORES:
        table.add_column(score, no_wrap=True)
    for row in rows[:_MOST_ROWS]:
        cells = (_cell(v, c) for v, c in zip(row.values, row.classes, strict=True))
        table.add_row(Text(row.target), *cells)
    footer = f"{main_filter(study.scores)} filter; {_explain(study)}"
    if len(rows) > _MOST_ROWS:
        footer = f"{len(rows) - _MOST_ROWS} more targets are in the study; {footer}"
    return Group(table, Text(footer, style="dim"))


def class_counts(study: Study) -> dict[str, dict[str, int]]:
    """Return, for each score, how many targets fall into each class."""
    rows = score_rows(study)
    return {
        score: {
            name: count
            for name in STYLES
            if (count := sum(row.classes[place] == name for row in rows))
        }
        for place, score in enumerate(SCORES)
    }


def _cell(value: float, label: str) -> Text:
    number = "     " if math.isnan(value) else f"{value:+.2f}"
    return Text(f"{number} {label}", style=STYLES[label])


def _explain(study: Study) -> str:
    scoring = study.scoring
    return (
        f"base {scoring.base}, reference {scoring.reference}, robust within ±{scoring.tolerance:g}"
    )
