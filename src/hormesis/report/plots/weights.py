"""The picture of weights: their distribution, and the responses of the network without them."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, MaxNLocator

from hormesis.analysis.response_intervals import KINDS
from hormesis.errors import StudyError
from hormesis.report.plots.responses import draw_curve
from hormesis.report.plots.style import (
    COLUMN_INCHES,
    Picture,
    filter_look,
    freeze_layout,
    paper,
    picture,
    short,
)
from hormesis.report.views.curves import RelativeResponses, relative_responses
from hormesis.report.views.histogram import Histogram, weight_histogram
from hormesis.report.views.palette import GUIDE, PAGE
from hormesis.report.views.stress_text import score_word
from hormesis.results.study import Study

_HEIGHT = 3.3  # inches
_PANEL = 0.9  # inches of it for one of the curves
_LETTERS = 28


def draw_weights(study: Study, targets: list[str], width: str) -> Picture:
    """Draw responses over the thresholds themselves, above the distribution of the weights.

    Args:
        study: Any study.
        targets: Names of swept targets, at least one; each gets a column.
        width: One of ``style.COLUMN_INCHES``.

    Raises:
        StudyError: If neither the high-pass nor the low-pass filter was swept.
    """
    kinds = KINDS[: 1 + study.stressed]
    histograms = [_histogram_of(study, target) for target in targets]
    with paper():
        figure = picture(COLUMN_INCHES[width], _HEIGHT - (2 - len(kinds)) * _PANEL)
        panels = figure.subplots(
            len(kinds) + 1,
            len(targets),
            sharex="col",
            sharey="row",
            squeeze=False,
            height_ratios=[*(1.0 for _ in kinds), 0.9],
        )
        for column, histogram in zip(panels.T, histograms, strict=True):
            responses = relative_responses(study, histogram.target)
            for axes, kind in zip(column, kinds, strict=False):
                _draw_curves(axes, responses, kind)
            _draw_histogram(column[-1], histogram)
            column[0].set_title(short(histogram.target.removesuffix(".weight"), _LETTERS))
            column[-1].set_xlabel(_axis_label(study))
        by = "first" if study.scoring.base == "first" else "unfiltered"
        for axes, kind in zip(panels[:, 0], kinds, strict=False):
            axes.set_ylabel(f"{score_word(study, kind)} /\n{by}")
        panels[-1, 0].set_ylabel("values")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
        return freeze_layout(figure)


def _histogram_of(study: Study, target: str) -> Histogram:
    histogram = weight_histogram(study, target)
    if histogram is None:
        raise StudyError(
            f"The distribution of {target} is not known from this study: sweep `high_pass` or "
            "`low_pass` to see it."
        )
    return histogram


def _axis_label(study: Study) -> str:
    by_magnitude = study.metadata.question.sweep.by == "magnitude"
    return "threshold α on the weights' magnitude" if by_magnitude else "weight, threshold α"


def _draw_curves(axes: Axes, responses: list[RelativeResponses], kind: str) -> None:
    for response in responses:
        label, look = response.filter.replace("_", " "), filter_look(response.filter)
        draw_curve(axes, response.alpha, getattr(response, kind), look, label)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(5))


def _draw_histogram(axes: Axes, histogram: Histogram) -> None:
    """Draw counts on a logarithmic axis, so that the few large weights are seen too."""
    edges, counts = np.array(histogram.edges), np.array(histogram.counts)
    axes.stairs(counts, edges, fill=True, color=GUIDE)
    axes.stairs(counts, edges, color=PAGE["soft"].light, linewidth=0.5)
    axes.set_yscale("log")
    axes.set_ylim(0.7, 2 * max(1, counts.max()))
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.minorticks_off()
    below = axes.get_xaxis_transform()  # the thresholds themselves, as a rug
    look = {"color": PAGE["ink"].light, "ms": 4, "clip_on": False, "transform": below}
    axes.plot(edges, np.zeros(len(edges)), "|", **look)
    beyond = {"below": histogram.below, "above": histogram.above}
    text = ", ".join(f"{count:,} {side}" for side, count in beyond.items() if count)
    axes.text(0.99, 0.95, text, transform=axes.transAxes, ha="right", va="top")
