"""The layers of a study as a table for the terminal."""

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hormesis.analysis.classes import CLASSES, legend, letter
from hormesis.analysis.readings import MEANINGS, count_readings
from hormesis.report.views.contradictions import contradictions
from hormesis.report.views.figures import ScoreRow, main_filter, target_rows
from hormesis.report.views.palette import CLASS_LOOKS
from hormesis.report.views.stress_text import score_word, stress_name
from hormesis.results.study import Study

_MOST_ROWS = 200


def score_overview(study: Study) -> RenderableType:
    """Return the table of all swept targets, with the study's scores and a class each.

    It fits 80 columns; long names are folded. Classes have a letter and a sign as well as
    a colour: ``F``, ``R`` and ``A`` are certain, ``f?``, ``r?`` and ``a?`` are by the estimate
    alone. Beside them stands the other reading of the adversarial score, in its own words. Without
    intervals there is room for classes in words, and none for that.
    """
    rows = target_rows(study)
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    table.add_column("target", overflow="fold", min_width=12)
    for score in study.score_names:
        table.add_column(score_word(study, score), no_wrap=True)
    has_readings = study.has_outcomes and bool(study.beside)
    if has_readings:
        table.add_column(f"by {study.beside}", no_wrap=True, header_style="dim")
    for row in rows[:_MOST_ROWS]:
        cells = [_cell(row, index) for index in range(len(row.values))]
        table.add_row(Text(row.target), *cells, *([Text(row.reading, style="dim")] * has_readings))
    footer = f"{stress_name(study, main_filter(study.scores))}; {_explain(study)}"
    if len(rows) > _MOST_ROWS:
        footer = f"{len(rows) - _MOST_ROWS} more targets are in the study; {footer}"
    return Group(table, Text(footer, style="dim"))


def targets_by_class(study: Study) -> dict[str, dict[str, int]]:
    """Return, for each score, how many targets fall into each class."""
    rows = target_rows(study)
    return {
        score_word(study, score): {
            name: count
            for name in CLASSES
            if (count := sum(row.classes[index] == name for row in rows))
        }
        for index, score in enumerate(study.score_names)
    }


def _cell(row: ScoreRow, index: int) -> Text:
    value, label, width = row.values[index], row.classes[index], row.widths[index]
    style = CLASS_LOOKS[label].terminal
    if math.isnan(value):
        return Text(f"      {label}", style=style)
    if math.isnan(width):
        return Text(f"{value:+.2f} {CLASSES[label].short}", style=style)
    return Text(f"{value:+.2f} ±{width:.2f} {letter(label, row.points[index])}", style=style)


def _explain(study: Study) -> str:
    scoring = study.scoring
    text = (
        f"base {scoring.base}, reference {scoring.reference}, robust within ±{scoring.tolerance:g}"
    )
    if not study.has_outcomes:
        return text
    adjusted = "" if scoring.multiplicity == "none" else f", {scoring.multiplicity}"
    beside = f"\nby {study.beside}: {MEANINGS[study.beside]}; no class" if study.beside else ""
    return (
        f"{text}\n{legend(name for row in target_rows(study) for name in row.classes)}; "
        "f? r? a? undecided; "
        f"± {100 * scoring.level:g}% interval{adjusted}{beside}"
    )


def reading_lines(study: Study) -> list[str]:
    """Return the other reading, and its contradictions to the classes, in lines."""
    lines = []
    for score in ("clean", "adversarial"):
        counts = count_readings(study.readings, main_filter(study.scores), score)
        if counts:
            lines.append(f"{score_word(study, score)} by {study.beside}: {counts}")
    return [*lines, *contradictions(study)]
