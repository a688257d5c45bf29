"""The pictures of a comparison: heat map, ranks, agreement."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hormesis.analysis.classes import CLASSES, POINTS
from hormesis.report.plots.heat import draw_heat, explain_colours, reach_of, write_cells
from hormesis.report.plots.style import STYLE, picture, save, short
from hormesis.results.comparison import Comparison
from hormesis.storage.atomic import replacing

DRAWN = ("heatmap", "ranks", "agreement")
_MOST_ROWS = 80
_NAMED_RANKS = 40
_DPI = 150.0


def draw_comparison(comparison: Comparison, folder: Path, score: str, form: str) -> list[Path]:
    """Draw the pictures of one score.

    Args:
        comparison: Any comparison.
        folder: Where they go.
        score: Whose.
        form: ``png``, ``svg`` or ``pdf``.
    """
    pictures: dict[str, Callable[[Comparison, str], Figure]] = {
        "heatmap": heat_map,
        "ranks": rank_plot,
        "agreement": agreement_matrix,
    }
    paths = []
    for name, draw in pictures.items():
        with mpl.rc_context(STYLE):
            figure = draw(comparison, score)
            path = folder / f"{name}.{form}"
            with replacing(path) as temporary:
                save(figure, temporary, dpi=_DPI)
            paths.append(path)
    return paths


def _wide(comparison: Comparison, score: str, column: str) -> pd.DataFrame:
    """Return one column as targets × studies."""
    chosen = comparison.scores.loc[comparison.scores["score"] == score]
    matches = list(dict.fromkeys(chosen["match"]))
    wide = chosen.pivot(index="match", columns="study", values=column)
    return wide.loc[matches, list(comparison.studies["study"])]


def heat_map(comparison: Comparison, score: str) -> Figure:
    """Return scores of all targets in all studies; a dot marks a class that is certain."""
    values = _wide(comparison, score, "value").head(_MOST_ROWS)
    certain = _wide(comparison, score, "certain").head(_MOST_ROWS).to_numpy(dtype=bool)
    rows, columns = values.shape
    figure = picture(max(4.5, 2.6 + 0.45 * min(columns, 30)), max(3.0, 1.4 + 0.2 * rows))
    axes = figure.subplots()
    numbers = values.to_numpy(dtype=float)
    reach = reach_of(numbers)
    names = [short(str(name).removesuffix(".weight")) for name in values.index]
    image = draw_heat(axes, numbers, names, list(values.columns), reach)
    size = 9 if columns <= 30 else 2
    vertical, horizontal = np.nonzero(certain)
    dark = np.abs(numbers[vertical, horizontal]) > 0.55 * reach
    axes.scatter(horizontal, vertical, s=size, c=np.where(dark, "white", "black"), linewidths=0)
    _name_studies(axes, list(values.columns))
    cut = f"; the first {rows}" if len(_wide(comparison, score, "value")) > rows else ""
    axes.set_title(f"{score} score over {comparison.over}{cut}\n• class is certain", fontsize=9)
    explain_colours([axes], image)
    return figure


def _name_studies(axes: Axes, names: list[str]) -> None:
    step = -(-len(names) // 30)
    long = max(map(len, names)) > 4
    axes.set_xticks(range(0, len(names), step), [short(name) for name in names[::step]])
    if long:
        axes.tick_params(axis="x", labelrotation=30)
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("right")


def rank_plot(comparison: Comparison, score: str) -> Figure:
    """Return the rank of each target by score, from study to study; 1 is the lowest score."""
    values = _wide(comparison, score, "value").dropna().head(_MOST_ROWS)
    points = _wide(comparison, score, "point").loc[values.index]
    ranks = values.rank(axis=0, method="first")
    rows, columns = ranks.shape
    figure = picture(max(6.0, 3.8 + 0.6 * min(columns, 12)), max(3.0, 1.2 + 0.17 * rows))
    axes = figure.subplots()
    for match in ranks.index:
        line = ranks.loc[match].to_numpy(dtype=float)
        axes.plot(range(columns), line, color="#cccccc", linewidth=1, zorder=1)
    for label, kind in CLASSES.items():
        row, column = np.nonzero(points.to_numpy() == label)
        if len(row) or label in POINTS:
            at = ranks.to_numpy()[row, column]
            look: dict[str, Any] = {"c": kind.fill, "marker": kind.marker, "edgecolors": kind.edge}
            axes.scatter(column, at, s=14, linewidths=0.5, label=label, zorder=2, **look)
    if rows and rows <= _NAMED_RANKS:
        right = axes.secondary_yaxis("right")
        right.spines[:].set_visible(False)
        for side, column in ((axes, 0), (right, -1)):
            order = ranks.iloc[:, column].sort_values()
            names = [short(str(name).removesuffix(".weight")) for name in order.index]
            side.set_yticks(order.to_list(), names, fontsize=7.0)
            side.tick_params(length=0)
    _name_studies(axes, list(ranks.columns))
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    axes.set_title(f"targets in the order of their {score} scores, lowest below", fontsize=9)
    axes.spines[:].set_visible(False)
    return figure


def agreement_matrix(comparison: Comparison, score: str) -> Figure:
    """Return Spearman's correlation of every two studies."""
    names = list(comparison.studies["study"])
    matrix = pd.DataFrame(np.eye(len(names)), index=names, columns=names)
    if len(comparison.pairs):
        chosen = comparison.pairs.loc[comparison.pairs["score"] == score]
        for row in chosen.to_dict("records"):
            matrix.loc[row["from"], row["to"]] = row["spearman"]
            matrix.loc[row["to"], row["from"]] = row["spearman"]
    side = max(3.8, 1.8 + 0.4 * min(len(names), 20))
    figure = picture(side + 1.0, side)
    axes = figure.subplots()
    numbers = matrix.to_numpy(dtype=float)
    spelled = [short(name) for name in names]
    image = draw_heat(axes, numbers, spelled, spelled, reach=1.0)
    axes.set_aspect("equal")
    if len(names) <= 12:
        write_cells(axes, image, [[f"{value:.2f}" for value in row] for row in numbers], size=7.0)
    _name_studies(axes, names)
    step = -(-len(names) // 30)
    axes.set_yticks(range(0, len(names), step), spelled[::step])
    axes.set_title(f"Spearman's correlation of {score} scores", fontsize=9)
    figure.colorbar(image, ax=axes, fraction=0.046, pad=0.04)
    return figure
