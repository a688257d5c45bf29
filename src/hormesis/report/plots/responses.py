"""The picture of responses: how targets respond to each filter, and what a score measures."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from hormesis.report.plots.style import (
    ADVERSARIAL,
    CLEAN,
    COLUMN_INCHES,
    REFERENCE,
    Picture,
    freeze_layout,
    paper,
    picture,
    short,
)
from hormesis.report.views.curves import RelativeCurve, RelativeResponses, relative_responses
from hormesis.report.views.figures import target_sweeps
from hormesis.report.views.stress_text import axis_label, level_text, score_word
from hormesis.results.series import StudySeries
from hormesis.results.study import Study

_ROW = 1.05  # inches
_REST = 0.65  # for names and the legend
_LETTERS = {"single": 18, "double": 22}
_MOST_LEVELS = 6
REFERENCE_LABELS = {
    "density": "density (share kept)",
    "base": "base (unfiltered)",
    "random": "as many at random",
}


def draw_responses(study: Study, targets: list[str], width: str) -> Picture:
    """Draw relative responses with their intervals, a row a target and a column a filter.

    A score is the area between a curve and its reference.

    Args:
        study: Any study.
        targets: Names of swept targets, at least one.
        width: One of ``style.COLUMN_INCHES``.
    """
    responses_by_target = [relative_responses(study, target) for target in targets]
    with paper():
        figure = picture(COLUMN_INCHES[width], _REST + _ROW * len(targets))
        panels = figure.subplots(
            len(targets),
            len(responses_by_target[0]),
            sharex="col" if study.replaces else True,
            sharey=True,
            squeeze=False,
        )
        for row, responses in zip(panels, responses_by_target, strict=True):
            for axes, response in zip(row, responses, strict=True):
                _draw(axes, response, study)
            name = short(responses[0].target.removesuffix(".weight"), _LETTERS[width])
            row[-1].text(
                1.03, 0.5, name, transform=row[-1].transAxes, rotation=270, va="center", ha="left"
            )
        for axes, response in zip(panels[0], responses_by_target[0], strict=True):
            axes.set_title(response.filter.replace("_", " "))
        figure.supxlabel(axis_label(study), fontsize="medium")
        figure.supylabel("relative performance", fontsize="medium")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        columns = 2 if len(labels) > 3 and width == "single" else 4
        figure.legend(handles, labels, loc="outside upper center", ncols=columns, frameon=False)
        return freeze_layout(figure)


def _draw(axes: Axes, response: RelativeResponses, study: Study) -> None:
    reference, stressed = study.scoring.reference, study.stressed
    draw_curve(axes, response.progress, response.clean, CLEAN, "clean")
    if stressed:
        label = score_word(study, "adversarial")
        draw_curve(axes, response.progress, response.adversarial, ADVERSARIAL, label)
    axes.plot(
        response.progress, response.clean.reference, label=REFERENCE_LABELS[reference], **REFERENCE
    )
    if study.beside == "density":  # the notebooks' reference stands beside it, thinner
        look = {**REFERENCE, "linewidth": 0.6}
        axes.plot(response.progress, response.density, label=REFERENCE_LABELS["density"], **look)
    if reference == "random" and stressed:  # the adversarial curve has a control of its own
        axes.plot(response.progress, response.adversarial.reference, **REFERENCE)
    axes.set_xlim(0, 1)
    if study.replaces:
        _mark_levels(axes, response.progress, response.alpha)
        return
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    for label, side in zip(axes.get_xticklabels(), ("left", "center", "right"), strict=False):
        label.set_horizontalalignment(side)  # or neighbours' labels would touch


def _mark_levels(axes: Axes, progress: Sequence[float], levels: Sequence[float]) -> None:
    """Write levels below the axis, at most so many as there is room for."""
    every = -(-len(levels) // _MOST_LEVELS)
    axes.set_xticks(progress[::every], [level_text(level) for level in levels[::every]])
    if len(levels) == 1:  # a curve of one point is no line
        axes.set_xlim(-0.5, 0.5)
        for line in axes.lines:
            line.set_marker("o")
            line.set_markersize(2)


def draw_response_rows(
    figure: SubFigure,
    study: Study | StudySeries,
    targets: list[str],
    draw: Callable[[np.ndarray, str], None],
) -> None:
    """Draw a row of panels for each target, a panel a filter, and one legend for all.

    Args:
        figure: Part of a figure.
        study: The study, or the studies of several epochs.
        targets: Names of swept targets, at least one.
        draw: Draws the panels of a target.
    """
    columns = len(study.responses["filter"].unique())
    first = study if isinstance(study, Study) else next(iter(study.members.values()))
    shared = "col" if first.replaces else True
    panels = figure.subplots(len(targets), columns, sharex=shared, sharey=True, squeeze=False)
    for row, target in zip(panels, targets, strict=True):
        draw(row, target)
    for axes, (_, sweep) in zip(
        panels[-1], target_sweeps(first.responses, targets[0]), strict=True
    ):
        axes.set_xlabel(axis_label(first))
        if first.replaces:
            _mark_levels(axes, sweep["progress"].tolist(), sweep["alpha"].tolist())
    legend = panels[0, 0].get_legend_handles_labels()
    figure.legend(*legend, loc="outside upper center", ncols=4, frameon=False)


def draw_curve(
    axes: Axes, x: tuple[float, ...], curve: RelativeCurve, look: dict[str, Any], label: str
) -> None:
    """Draw a curve, and its intervals as a band behind it.

    Args:
        axes: Axes to draw on.
        x: Positions of the thresholds.
        curve: The curve.
        look: Style of the line.
        label: Its label in the legend.
    """
    axes.plot(x, curve.values, label=label, zorder=3, **look)
    if curve.low:
        axes.fill_between(
            x, curve.low, curve.high, color=look["color"], alpha=0.2, linewidth=0, zorder=1
        )
