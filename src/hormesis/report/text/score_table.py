"""The layers of a study as a table for the terminal."""

import math
from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
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
_NAME = 12  # columns that a name has at least
_AMPLE = 500  # columns
_WORDS = {"clean": "clean", "adversarial": "adv.", "stressed": "str.", "difference": "diff."}


def score_overview(study: Study) -> RenderableType:
    """Return the table of all swept targets, with the study's scores and a class each.

    It fits 80 columns; long names are folded. Classes have a letter and a sign as well as
    a colour: ``F``, ``R`` and ``A`` are certain, ``f?``, ``r?`` and ``a?`` are by the estimate
    alone. Beside them stands the other reading of the adversarial score, in its own words. Without
    intervals there is room for classes in words, and none for that. On a narrower terminal the
    names stay: the other reading goes first, then the intervals.
    """
    return _ScoreOverview(study)


class _ScoreOverview:
    """The table in the widest form for which the terminal has room."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._rows = target_rows(study)  # what may fail comes before anything is printed

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table | Text]:
        study, rows = self._study, self._rows
        has_reading = study.has_outcomes and bool(study.beside)
        forms = [(True, has_reading), (True, False), (False, False)]
        tables = [self._table(*form) for form in forms[0 if has_reading else 1 :]]
        ample = options.update(width=_AMPLE)  # else what a table needs is cut to what there is
        widths = [Measurement.get(console, ample, table).maximum for table in tables]
        longest = max(cell_len(row.target) for row in rows[:_MOST_ROWS]) if rows else _NAME
        room = options.max_width + max(0, longest - _NAME)  # names are folded
        fitting = [index for index, width in enumerate(widths) if width <= room]
        chosen = fitting[0] if fitting else len(tables) - 1
        yield tables[chosen]
        footer = f"{stress_name(study, main_filter(study.scores))}; {_explain(study)}"
        if len(rows) > _MOST_ROWS:
            footer = f"{len(rows) - _MOST_ROWS} more targets are in the study; {footer}"
        if chosen:
            footer = f"{footer}\na wider terminal shows more of each score"
        yield Text(footer, style="dim")

    def _table(self, wide: bool, has_reading: bool) -> Table:
        study = self._study
        table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
        table.add_column("target", overflow="fold", min_width=_NAME)
        for score in study.score_names:
            word = score_word(study, score)
            table.add_column(word if wide else _WORDS[word], no_wrap=True)
        if has_reading:
            table.add_column(f"by {study.beside}", no_wrap=True, header_style="dim")
        cell = _cell if wide else _narrow_cell
        for row in self._rows[:_MOST_ROWS]:
            cells = [cell(row, index) for index in range(len(row.values))]
            readings = [Text(row.reading, style="dim")] * has_reading
            table.add_row(Text(row.target), *cells, *readings)
        return table


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


def _narrow_cell(row: ScoreRow, index: int) -> Text:
    value, label = row.values[index], row.classes[index]
    mark = letter(label, row.points[index])
    shown = "" if math.isnan(value) else f"{value:+.2f} "
    return Text(f"{shown}{mark}", style=CLASS_LOOKS[label].terminal)


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
