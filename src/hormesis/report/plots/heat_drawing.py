"""A heat map of scores, as every picture draws it."""

import math
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from hormesis.report.plots.style import short_all
from hormesis.report.views.layers import LayerGroup
from hormesis.report.views.palette import DIVERGING, MISSING_COLOUR, PAGE, letters_on
from hormesis.results.series import StudySeries
from hormesis.storage.series_folders import EPOCH

_MOST_WRITTEN = 6  # columns; of more, the cells are too narrow for numbers
_SHADES = 65  # more than eyes tell apart; odd, so that zero has one
_BAR = 0.09  # inches that the bar of colours is high
Scores = Float[np.ndarray, "rows columns"]
_LEVELS = "/255"


def reach_of(values: Scores) -> float:
    """Return the value at either end of the colours: the largest there is, at least 0.1.

    Example:
        >>> reach_of(np.array([[0.02, -0.4, float("nan")]]))
        0.4
    """
    return max(0.1, float(np.nanmax(np.abs(values), initial=0.0)))


def score_scale() -> list[list[str]]:
    """Return the colours of scores from the lowest to the highest, each with that of its letters.

    Example:
        >>> [letters for _, letters in score_scale()][:: _SHADES // 2]
        ['white', 'black', 'white']
    """
    shades = mpl.colormaps[DIVERGING](np.linspace(0, 1, _SHADES))
    return [[to_hex(shade), letters_on(shade)] for shade in shades]


def draw_heat(
    axes: Axes, values: Scores, rows: list[str], columns: list[str], reach: float
) -> AxesImage:
    """Draw scores as colours, fragile orange and antifragile purple.

    Args:
        axes: Axes to draw on.
        values: Scores; NaN where there is none.
        rows: Names of the rows.
        columns: Names of the columns.
        reach: The value at either end of the colours.
    """
    colours = mpl.colormaps[DIVERGING].with_extremes(bad=MISSING_COLOUR)
    image = axes.imshow(values, aspect="auto", cmap=colours, vmin=-reach, vmax=reach)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image


def write_cells(axes: Axes, image: AxesImage, texts: list[list[str]], size: float) -> None:
    """Write a text on each cell, black or white, whichever stands out more from its colour.

    Args:
        axes: Axes with the image.
        image: The result of ``draw_heat``.
        texts: Text of each cell, as rows of columns.
        size: Of the letters, in points.
    """
    colours = image.to_rgba(np.ma.asarray(image.get_array()))
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            letters = {"fontsize": size, "color": letters_on(colours[row, column])}
            axes.text(column, row, text, ha="center", va="center", **letters)


def draw_score_maps(
    panels: list[Axes], studies: StudySeries, scores: pd.DataFrame, sizes: tuple[float, float]
) -> AxesImage:
    """Draw the scores of targets over epochs or magnitudes, a heat map each.

    Where the cells are too narrow for numbers, scores below zero are hatched.

    Args:
        panels: One for each score of the table.
        studies: The series.
        scores: Its scores of one filter, some targets of it.
        sizes: Of the letters in the cells and of the targets' names, in points.

    Returns:
        One of the images, for ``explain_colours``.
    """
    axis = studies.axis
    places = sorted(scores[axis].unique())
    columns, label = axis_labels(studies)
    targets = list(dict.fromkeys(scores["target"]))
    reach = reach_of(scores["value"].to_numpy(float)[:, None])
    names = short_all([name.removesuffix(".weight") for name in targets])
    images = []
    for panel, score in zip(panels, dict.fromkeys(scores["score"]), strict=True):
        rows = scores.loc[scores["score"] == score]
        wide = rows.pivot(index="target", columns=axis, values="value")
        values = wide.reindex(index=targets, columns=places).to_numpy(float)
        images.append(draw_heat(panel, values, names, columns, reach))
        step = -(-len(places) // _MOST_WRITTEN)
        panel.set_xticks(range(0, len(places), step), columns[::step])
        panel.tick_params(axis="y", labelsize=sizes[1])
        panel.set_title(score)
        panel.set_xlabel(label)
        if len(places) <= _MOST_WRITTEN:
            write_cells(
                panel, images[-1], [list(map(score_text, line)) for line in values], sizes[0]
            )
        else:
            _hatch_negative(panel, values)
    return images[0]


def axis_labels(studies: StudySeries) -> tuple[list[str], str]:
    """Return what the studies of a series, and what varies between them, are called below a map.

    Magnitudes that are all of 255 get their numerators, as there is little room.
    """
    names = list(map(studies.place_text, studies.members))
    if studies.axis == EPOCH:
        return names, "epoch"
    if all(name.endswith(_LEVELS) for name in names):
        return [name.removesuffix(_LEVELS) for name in names], "ε × 255"
    return names, "ε"


def score_text(value: float) -> str:
    """Return a score as cells show it; nothing where there is none.

    Example:
        >>> score_text(-0.123), score_text(float("nan"))
        ('−0.12', '')
    """
    return "" if math.isnan(value) else f"{value:+.2f}".replace("-", "−")


def _hatch_negative(axes: Axes, values: Scores) -> None:
    for row, column in np.argwhere(values < 0):
        box = Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, hatch="/////", linewidth=0)
        axes.add_patch(box)


def part_groups(axes: Axes, groups: Sequence[LayerGroup]) -> None:
    """Draw a line between the rows of one layer or stage and those of the next.

    Args:
        axes: Those of a heat map.
        groups: Of its rows; where most have one row alone, lines would say nothing.
    """
    rows = groups[-1].last + 1 if groups else 0
    for group in groups[1:] if 2 * len(groups) <= rows else ():
        axes.axhline(group.first - 0.5, color=PAGE["ink"].light, linewidth=0.6)


def explain_colours(axes: list[Axes], image: AxesImage, name: str = "filtering") -> None:
    """Draw the colour bar below.

    Args:
        axes: The heat maps that it explains.
        image: One of them.
        name: Name of their scores.
    """
    figure = axes[0].figure
    share = _BAR * figure.dpi / figure.bbox.height  # of the height, whatever that is
    bar = figure.colorbar(image, ax=axes, location="bottom", fraction=share, pad=share, aspect=22)
    bar.set_label(f"fragile  ←  {name} score  →  antifragile")


def write_beside(axes: Axes, texts: Sequence[str], reading: str, *, size: float) -> None:
    """Write the other reading of each row at its right, in grey: it is no class.

    Args:
        axes: Those of a heat map.
        texts: One a row.
        reading: Name of the other reading.
        size: Of the letters, in points.
    """
    look = {"fontsize": size, "color": "0.45", "va": "center", "ha": "left"}
    right = len(axes.get_xticks()) - 0.42
    for row, text in enumerate(texts):
        axes.text(right, row, text.replace("-", "−"), **look)
    above = axes.xaxis.get_ticks_position() == "top"
    axes.text(right, -0.75 if above else len(texts) - 0.25, f"by {reading}", **look)
