"""A study in a notebook: a summary, and the scores as a heat map.

Plain tables with colours of their own, letters included, so that they read the same on light and on
dark, in exported pages, and where styles are taken out.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex

from hormesis.analysis.classes import legend, letter
from hormesis.analysis.readings import MEANINGS
from hormesis.analysis.scores import SCORES, main_score
from hormesis.report.plots.heat_drawing import reach_of, score_text
from hormesis.report.text.score_table import targets_by_class
from hormesis.report.text.summary import study_lines
from hormesis.report.views.contradictions import contradictions
from hormesis.report.views.figures import ScoreRow, main_filter, target_rows
from hormesis.report.views.method_text import unfiltered
from hormesis.report.views.palette import DIVERGING, letters_on
from hormesis.report.views.stress_text import score_word, stress_name
from hormesis.results.series import StudySeries
from hormesis.results.study import Study
from hormesis.storage.series_folders import EPSILON

_MOST_ROWS = 200
_NEXT = 'Charts, curves and tables on a page of their own: hm.write_report({}, "report.html")'
_BOX = "max-height:32em;overflow:auto;display:inline-block"


@dataclass(frozen=True)
class HeatCell:
    """One cell of a heat map.

    Args:
        value: A score; NaN where there is none.
        text: Its text.
        hint: Its full text, under the pointer.
        plain: Whether it has no colour.
    """

    value: float
    text: str
    hint: str
    plain: bool = False


def study_html(study: Study) -> str:
    """Return a summary of a study and the heat map of its scores.

    Args:
        study: Any study.
    """
    rows = target_rows(study)
    title, *lines = study_lines(study)
    counts = [
        f"{score}: {', '.join(f'{count} {name}' for name, count in counts.items())}"
        for score, counts in targets_by_class(study).items()
    ]
    scoring = study.scoring
    settings = (
        f"{stress_name(study, main_filter(study.scores))}, base {scoring.base}, "
        f"reference {scoring.reference}, robust within ±{scoring.tolerance:g}; "
        f"{legend(name for row in rows for name in row.classes)}, f? r? a? undecided"
    )
    reading = study.beside
    heat = _heat_map(
        [
            *(score_word(study, name) for name in study.score_names),
            *([f"by {reading}"] if reading else []),
        ],
        [
            (row.target, [*_cells(row), *([_reading_cell(row)] if reading else [])])
            for row in rows[:_MOST_ROWS]
        ],
    )
    more = len(rows) - _MOST_ROWS
    remainder = [f"{more} more targets are in study.scores"] if more > 0 else []
    score = main_score(stressed=study.stressed)
    word = score_word(study, score)
    beside = [f"by {reading}: {MEANINGS[reading]} ({word} score); no class"] if reading else []
    return _page(
        title,
        [*lines, *counts, *contradictions(study)],
        heat,
        [settings, *beside, *remainder, _NEXT.format("study")],
    )


def series_html(studies: StudySeries) -> str:
    """Return the scores of a series as a heat map: adversarial or, without an attack, clean.

    Args:
        studies: Studies of several epochs or magnitudes.
    """
    first = studies.first
    by_place = {place: target_rows(study) for place, study in studies.members.items()}
    score = main_score(stressed=first.stressed)
    place = first.score_names.index(score)
    rows: dict[str, list[HeatCell]] = {}
    for members in by_place.values():
        for row in members:
            rows.setdefault(row.target, []).append(_cells(row)[place])
    bases = [
        f"{studies.place_name(place)}: "
        f"{', '.join(f'{value:.4g} {kind}' for kind, value in base.items())}"
        + ("" if math.isnan(epsilon) or studies.axis == EPSILON else f", ε = {epsilon:.4g}")
        for place, epsilon, base in (
            (place, study.metadata.attack.epsilon, unfiltered(study))
            for place, study in studies.members.items()
        )
    ]
    heat = _heat_map(
        [studies.place_name(place) for place in by_place], list(rows.items())[:_MOST_ROWS]
    )
    word = score_word(first, score)
    settings = f"{stress_name(first, main_filter(first.scores))}, {word} score"
    beside = f"; under the pointer: by {first.beside}, no class" if first.beside else ""
    readings = f"reference {first.scoring.reference}{beside}"
    return _page(study_lines(first)[0], bases, heat, [settings, readings, _NEXT.format("studies")])


def _page(title: str, lines: Sequence[str], heat: str, below: Sequence[str]) -> str:
    body = "".join(f"<div>{html.escape(line)}</div>" for line in lines)
    small = "".join(f"<small>{html.escape(line)}</small><br>" for line in below)
    return f"<div><strong>{html.escape(title)}</strong>{body}{heat}<br>{small}</div>"


def _cells(row: ScoreRow) -> list[HeatCell]:
    cells = []
    columns = zip(row.values, row.classes, row.points, row.widths, strict=True)
    for score, (value, label, point, width) in enumerate(columns):
        interval = "" if math.isnan(width) else f" ±{width:.2f}"
        text = label if math.isnan(value) else f"{score_text(value)} {letter(label, point)}"
        reading = row.says[score]
        beside = f"; beside it {score_text(row.beside[score])} {reading}" if reading else ""
        hint = f"{row.target}: {score_text(value)}{interval} {label}{beside}"
        cells.append(HeatCell(value, text, hint))
    return cells


def _reading_cell(row: ScoreRow) -> HeatCell:
    """Return the other reading of a target: without a colour, as it is no class."""
    hint = "; ".join(
        f"{score} {score_text(value)} {reading}"
        for score, value, reading in zip(SCORES, row.beside, row.says, strict=False)
        if reading
    )
    return HeatCell(math.nan, row.reading, f"{row.target}: {hint}", plain=True)


def _heat_map(columns: Sequence[str], rows: Sequence[tuple[str, list[HeatCell]]]) -> str:
    reach = reach_of(np.array([[cell.value for cell in cells] for _, cells in rows], dtype=float))
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in ("", *columns))
    body = "".join(
        f'<tr><th scope="row" style="text-align:left">{html.escape(name)}</th>'
        f"{''.join(_cell_html(cell, reach) for cell in cells)}</tr>"
        for name, cells in rows
    )
    return (
        f'<div style="{_BOX}"><table style="color:inherit"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell_html(cell: HeatCell, reach: float) -> str:
    style = ""
    if not math.isnan(cell.value):
        colour = mpl.colormaps[DIVERGING]((cell.value / reach + 1) / 2)
        style = f"background:{to_hex(colour)};color:{to_hex(letters_on(np.array(colour)))};"
    hint = html.escape(cell.hint, quote=True)
    if cell.plain:
        return f'<td title="{hint}"><small>{html.escape(cell.text)}</small></td>'
    return f'<td style="{style}text-align:right" title="{hint}">{html.escape(cell.text)}</td>'
