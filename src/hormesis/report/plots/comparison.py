"""The pictures of a comparison: heat map, ranks, agreement, and means over trainings."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from hormesis.analysis.classes import POINTS
from hormesis.report.plots.heat_drawing import draw_heat, explain_colours, reach_of, write_cells
from hormesis.report.plots.style import STYLE, Picture, picture, save, short_all
from hormesis.report.views.palette import BAND, CLASS_LOOKS, GUIDE, LINES, letters_on
from hormesis.results.comparison import Comparison
from hormesis.storage.atomic import replacing

_MOST_ROWS = 80
_NAMED_RANKS = 40
_DPI = 150.0


def draw_comparison(comparison: Comparison, folder: Path, score: str, form: str) -> list[Path]:
    """Draw the pictures of one score.

    Args:
        comparison: Any comparison.
        folder: Folder of the files.
        score: Name of the score.
        form: ``png``, ``svg`` or ``pdf``.
    """
    paths = []
    for name, drawn in pictures_of(comparison, score):
        path = folder / f"{name}.{form}"
        with replacing(path) as temporary:
            save(drawn, temporary, dpi=_DPI)
        paths.append(path)
    return paths


def pictures_of(
    comparison: Comparison, score: str, names: Sequence[str] = (), *, least: float = 0.0
) -> Iterator[tuple[str, Picture]]:
    """Yield the pictures of one score, with their names.

    Args:
        comparison: Any comparison.
        score: Name of the score.
        names: Some of ``COMPARISON_PICTURES``; all by default.
        least: Width that a picture has at least, in inches; by default what its content needs.
    """
    for name in names or COMPARISON_PICTURES:
        if name != "pooled" or len(comparison.pooled):
            with mpl.rc_context(STYLE):
                yield name, COMPARISON_PICTURES[name](comparison, score, least)


def _wide(comparison: Comparison, score: str, column: str) -> pd.DataFrame:
    """Return one column as targets × studies."""
    chosen = comparison.scores.loc[comparison.scores["score"] == score]
    matches = list(dict.fromkeys(chosen["match"]))
    wide = chosen.pivot(index="match", columns="study", values=column)
    return wide.loc[matches, list(comparison.studies["study"])]


def heat_map(comparison: Comparison, score: str, least: float = 0.0) -> Picture:
    """Return scores of all targets in all studies; a dot marks a class that is certain."""
    values = _wide(comparison, score, "value").head(_MOST_ROWS)
    certain = _wide(comparison, score, "certain").head(_MOST_ROWS).to_numpy(dtype=bool)
    rows, columns = values.shape
    figure = picture(max(least, 4.5, 2.6 + 0.45 * min(columns, 30)), max(3.0, 1.4 + 0.2 * rows))
    axes = figure.subplots()
    numbers = values.to_numpy(dtype=float)
    reach = reach_of(numbers)
    names = short_all([str(name).removesuffix(".weight") for name in values.index])
    image = draw_heat(axes, numbers, names, list(values.columns), reach)
    size = 9 if columns <= 30 else 2
    vertical, horizontal = np.nonzero(certain)
    below = image.to_rgba(numbers)[vertical, horizontal]
    axes.scatter(horizontal, vertical, s=size, c=list(map(letters_on, below)), linewidths=0)
    _name_studies(axes, list(values.columns))
    cut = f"; the first {rows}" if len(_wide(comparison, score, "value")) > rows else ""
    axes.set_title(f"{score} score over {comparison.over}{cut}\n• class is certain", fontsize=9)
    explain_colours([axes], image)
    return figure


def _name_studies(axes: Axes, names: list[str]) -> None:
    step = -(-len(names) // 30)
    long = max(map(len, names)) > 4
    axes.set_xticks(range(0, len(names), step), short_all(names)[::step])
    if long:
        axes.tick_params(axis="x", labelrotation=30)
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("right")


def rank_plot(comparison: Comparison, score: str, least: float = 0.0) -> Picture:
    """Return the rank of each target by score, from study to study; 1 is the lowest score."""
    values = _wide(comparison, score, "value").dropna().head(_MOST_ROWS)
    labels = _wide(comparison, score, "class").loc[values.index]
    ranks = values.rank(axis=0, method="first")
    rows, columns = ranks.shape
    figure = picture(max(least, 6.0, 3.8 + 0.6 * min(columns, 12)), max(3.0, 1.2 + 0.17 * rows))
    axes = figure.subplots()
    for match in ranks.index:
        line = ranks.loc[match].to_numpy(dtype=float)
        axes.plot(range(columns), line, color=GUIDE, linewidth=1, zorder=1)
    for label in CLASS_LOOKS:
        row, column = np.nonzero(labels.to_numpy() == label)
        if len(row) or label in POINTS:
            _draw_marks(axes, column, ranks.to_numpy()[row, column], label, size=24.0)
    if rows and rows <= _NAMED_RANKS:
        right = axes.secondary_yaxis("right")
        right.spines[:].set_visible(False)
        for side, column in ((axes, 0), (right, -1)):
            order = ranks.iloc[:, column].sort_values()
            names = short_all([str(name).removesuffix(".weight") for name in order.index])
            side.set_yticks(order.to_list(), names, fontsize=7.0)
            side.tick_params(length=0)
    _name_studies(axes, list(ranks.columns))
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    axes.set_title(f"targets in the order of their {score} scores, lowest below", fontsize=9)
    axes.spines[:].set_visible(False)
    return figure


def agreement_matrix(comparison: Comparison, score: str, least: float = 0.0) -> Picture:
    """Return Spearman's correlation of every two studies."""
    names = list(comparison.studies["study"])
    matrix = pd.DataFrame(np.eye(len(names)), index=names, columns=names)
    if len(comparison.pairs):
        chosen = comparison.pairs.loc[comparison.pairs["score"] == score]
        for row in chosen.to_dict("records"):
            matrix.loc[row["from"], row["to"]] = row["spearman"]
            matrix.loc[row["to"], row["from"]] = row["spearman"]
    side = max(3.8, 1.8 + 0.4 * min(len(names), 20))
    figure = picture(max(least, side + 1.0), side)
    axes = figure.subplots()
    numbers = matrix.to_numpy(dtype=float)
    labels = short_all(names)
    image = draw_heat(axes, numbers, labels, labels, reach=1.0)
    axes.set_aspect("equal")
    if len(names) <= 12:
        write_cells(axes, image, [[f"{value:.2f}" for value in row] for row in numbers], size=7.0)
    _name_studies(axes, names)
    step = -(-len(names) // 30)
    axes.set_yticks(range(0, len(names), step), labels[::step])
    axes.set_title(f"Spearman's correlation of {score} scores", fontsize=9)
    figure.colorbar(image, ax=axes, fraction=0.046, pad=0.04)
    return figure


def pooled_plot(comparison: Comparison, score: str, least: float = 0.0) -> Picture:
    """Return mean scores over trainings: a thick line between runs, a thin one for samples too."""
    table = comparison.pooled.loc[comparison.pooled["score"] == score]
    about = [name for name in ("model", "data", "epoch") if name in table]
    groups = [*table.groupby(about, sort=False, dropna=False)]
    most = min(_MOST_ROWS, max(len(rows) for _, rows in groups))
    figure = picture(max(least, 2.4 + 3.2 * len(groups)), max(2.2, 1.2 + 0.17 * most))
    panels = figure.subplots(1, len(groups), sharex=True, squeeze=False)[0]
    tolerance = comparison.scoring.tolerance
    for axes, (key, rows) in zip(panels, groups, strict=True):
        _draw_means(axes, rows.head(_MOST_ROWS))
        axes.axvspan(-tolerance, tolerance, color=BAND, zorder=0)
        axes.set_title(", ".join(str(part) for part in key if not pd.isna(part)), fontsize=9)
        axes.set_xlabel(f"mean {score} score")
    labels = {
        text: line
        for axes in panels
        for line, text in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(labels.values(), labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_means(axes: Axes, rows: pd.DataFrame) -> None:
    positions = np.arange(len(rows))
    for low, high, width, label in (
        ("total_low", "total_high", 0.8, "other trainings and samples"),
        ("low", "high", 3.0, "other trainings"),
    ):
        look = {"color": LINES["reference"].colour.light, "linewidth": width, "label": label}
        axes.hlines(positions, rows[low], rows[high], **look)
    for name in CLASS_LOOKS:
        own = (rows["class"] == name).to_numpy()
        if own.any():
            _draw_marks(axes, rows["mean"].to_numpy(float)[own], positions[own], name, size=22.0)
    axes.set_yticks(positions, short_all([name.removesuffix(".weight") for name in rows["match"]]))
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)


def _draw_marks(axes: Axes, x: np.ndarray, y: np.ndarray, label: str, *, size: float) -> None:
    """Draw the marks of one class; those that are only strokes have the colour of its edge."""
    look = CLASS_LOOKS[label]
    is_stroke = look.mark.marker in "x_"
    colours: dict[str, Any] = {"c": look.edge if is_stroke else look.fill}
    if not is_stroke:  # of which Matplotlib would warn
        colours["edgecolors"] = look.edge
    width = 0.5 if look.filled else 1.0
    marker = look.mark.marker
    axes.scatter(x, y, s=size, marker=marker, linewidths=width, label=label, zorder=3, **colours)


COMPARISON_PICTURES: dict[str, Callable[[Comparison, str, float], Picture]] = {
    "heatmap": heat_map,
    "ranks": rank_plot,
    "agreement": agreement_matrix,
    "pooled": pooled_plot,
}
"""The pictures of a comparison by their names; of pooled trainings only where there are any."""
