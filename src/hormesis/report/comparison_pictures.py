"""The pictures of a comparison: heat map, ranks, agreement."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hormesis.comparison import Comparison
from hormesis.report.picture import STYLE, short

_MOST_ROWS = 80
_NAMED_RANKS = 40
_COLOURS = {"fragile": "#D55E00", "robust": "#777777", "antifragile": "#0072B2"}  # Okabe and Ito


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
            figure.savefig(path, dpi=150)
            paths.append(path)
    return paths


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


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
    figure = _figure(max(4.5, 2.6 + 0.45 * min(columns, 30)), max(3.0, 1.4 + 0.2 * rows))
    axes = figure.subplots()
    numbers = values.to_numpy(dtype=float)
    reach = max(0.1, float(np.nanmax(np.abs(numbers), initial=0.0)))
    colours = mpl.colormaps["PuOr"].with_extremes(bad="#eeeeee")
    image = axes.imshow(numbers, aspect="auto", cmap=colours, vmin=-reach, vmax=reach)
    size = 9 if columns <= 30 else 2
    vertical, horizontal = np.nonzero(certain)
    dark = np.abs(numbers[vertical, horizontal]) > 0.55 * reach
    axes.scatter(horizontal, vertical, s=size, c=np.where(dark, "white", "black"), linewidths=0)
    axes.set_yticks(range(rows), [short(str(n).removesuffix(".weight")) for n in values.index])
    _name_studies(axes, list(values.columns))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    cut = f"; the first {rows}" if len(_wide(comparison, score, "value")) > rows else ""
    axes.set_title(f"{score} score over {comparison.over}{cut}\n• class is certain", fontsize=9)
    bar = figure.colorbar(image, ax=axes, location="bottom", fraction=0.03, pad=0.02)
    bar.set_label("fragile  ←  filtering score  →  antifragile")
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
    figure = _figure(max(6.0, 3.8 + 0.6 * min(columns, 12)), max(3.0, 1.2 + 0.17 * rows))
    axes = figure.subplots()
    for match in ranks.index:
        line = ranks.loc[match].to_numpy(dtype=float)
        axes.plot(range(columns), line, color="#cccccc", linewidth=1, zorder=1)
        colours = [_COLOURS.get(str(label), "black") for label in points.loc[match]]
        axes.scatter(range(columns), line, s=14, c=colours, zorder=2)
    if rows and rows <= _NAMED_RANKS:
        right = axes.secondary_yaxis("right")
        right.spines[:].set_visible(False)
        for side, column in ((axes, 0), (right, -1)):
            order = ranks.iloc[:, column].sort_values()
            names = [short(str(name).removesuffix(".weight")) for name in order.index]
            side.set_yticks(order.to_list(), names, fontsize=7)
            side.tick_params(length=0)
    _name_studies(axes, list(ranks.columns))
    for name, colour in _COLOURS.items():
        axes.scatter([], [], s=14, color=colour, label=name)
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
    figure = _figure(side + 1.0, side)
    axes = figure.subplots()
    numbers = matrix.to_numpy(dtype=float)
    image = axes.imshow(numbers, cmap="PuOr", vmin=-1, vmax=1)
    if len(names) <= 12:
        for row in range(len(names)):
            for column in range(len(names)):
                value = numbers[row, column]
                colour = "white" if abs(value) > 0.55 else "black"
                axes.text(
                    column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour
                )
    _name_studies(axes, names)
    step = -(-len(names) // 30)
    axes.set_yticks(range(0, len(names), step), [short(name) for name in names[::step]])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(f"Spearman's correlation of {score} scores", fontsize=9)
    figure.colorbar(image, ax=axes, fraction=0.046, pad=0.04)
    return figure
