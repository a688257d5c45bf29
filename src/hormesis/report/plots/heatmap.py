"""The heat map of scores: a row a target, a column a score, for papers."""

import math

import numpy as np

from hormesis.analysis.classes import UNDECIDED
from hormesis.report.plots.heat_drawing import (
    draw_heat,
    explain_colours,
    part_groups,
    reach_of,
    score_text,
    write_beside,
    write_cells,
)
from hormesis.report.plots.style import (
    COLUMN_INCHES,
    Picture,
    freeze_layout,
    paper,
    picture,
    short_all,
)
from hormesis.report.views.figures import ScoreRow, main_filter, target_rows
from hormesis.report.views.layers import target_groups
from hormesis.results.study import Study

_ROW = 0.115  # inches
_REST = 0.85  # for names and colours
# Whole words would touch each other.
_COLUMNS = {"clean": "clean", "adversarial": "adv.", "difference": "diff."}
_LETTERS = {"single": 26, "double": 34}


def draw_heatmap(study: Study, targets: list[str], width: str) -> Picture:
    """Draw the scores of targets: of the combined filter, on two columns of every filter.

    A question mark says that the class is undecided. On one column the other reading of the
    adversarial score stands at the right, in its own words.

    Args:
        study: Any study.
        targets: Names of swept targets, at least one.
        width: One of ``style.COLUMN_INCHES``.
    """
    filters = [main_filter(study.scores)]
    if width == "double":
        filters = list(dict.fromkeys([*study.scores["filter"], *filters]))
    shown = {name.removesuffix(".weight") for name in targets}
    parts = [[row for row in target_rows(study, name) if row.target in shown] for name in filters]
    values = [np.array([row.values for row in rows], dtype=float) for rows in parts]
    columns = [_COLUMNS[score] for score in study.score_names]
    if study.given:
        columns[1] = "str."
    reach = reach_of(np.concatenate(values))
    with paper():
        figure = picture(COLUMN_INCHES[width], _REST + _ROW * len(targets))
        panels = list(figure.subplots(1, len(filters), sharey=True, squeeze=False)[0])
        explained = []
        for axes, name, rows, numbers in zip(panels, filters, parts, values, strict=True):
            names = short_all([row.target for row in rows], _LETTERS[width])
            image = draw_heat(axes, numbers, names, columns, reach)
            axes.xaxis.tick_top()
            axes.set_title(name.replace("_", " ") if width == "double" else "")
            write_cells(axes, image, [_texts(row) for row in rows], size=5.5)
            if len(filters) == 1 and study.beside:
                readings = [row.reading for row in rows]
                write_beside(axes, readings, study.beside, size=5.5)
            part_groups(axes, target_groups(study, [row.target for row in rows]))
            explained.append(image)
        several = "stress" if study.replaces else "filtering"
        explain_colours(panels, explained[0], filters[0] if len(filters) == 1 else several)
        return freeze_layout(figure)


def _texts(row: ScoreRow) -> list[str]:
    return [_text(value, label) for value, label in zip(row.values, row.classes, strict=True)]


def _text(value: float, label: str) -> str:
    return label if math.isnan(value) else score_text(value) + "?" * (label == UNDECIDED)
