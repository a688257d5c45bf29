"""The network as a picture: its layers in the order of the data, their sizes and classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import EngFormatter

from hormesis.analysis.classes import CLASSES
from hormesis.analysis.scores import main_score
from hormesis.report.plots.style import (
    COLUMN_INCHES,
    Picture,
    freeze_layout,
    paper,
    picture,
    short_all,
)
from hormesis.report.views.figures import ScoreRow, target_rows
from hormesis.report.views.layers import LayerGroup, Shortcut, layer_groups, shortcuts
from hormesis.report.views.network import network_picture
from hormesis.report.views.palette import CLASS_LOOKS, PAGE
from hormesis.report.views.stress_text import score_word
from hormesis.results.study import Study

_HEIGHT = 2.0  # inches
_FLOOR = 0.5  # of a layer's size: where bars begin on their logarithmic axis
_NAMED = {"single": 14, "double": 30}  # layers whose own names fit
_LETTERS = 18
_WORD = 12  # letters of a class, so that four stand side by side
_LETTER = 0.03  # inches that a letter of a turned name takes
_LEVEL = 0.09  # inches between shortcuts
_MOST_ABOVE = 0.6  # inches that all of them take
_FOOT = 0.2  # of the distance between layers
_BAR = 0.82  # of the distance between layers


def draw_network(study: Study, targets: list[str], width: str) -> Picture:
    """Draw layers in the order in which data reach them: size as height, class as colour and hatch.

    The bars have the class of the adversarial score, the strips below those of all three scores;
    without an attack, both have that of the clean score.

    Args:
        study: Any study.
        targets: Names of swept targets, at least one.
        width: One of ``style.COLUMN_INCHES``.
    """
    shown = {name.removesuffix(".weight") for name in targets}
    rows = [row for row in target_rows(study) if row.target in shown]
    names = _layer_names([row.target for row in rows], _NAMED[width])
    turned = _LETTER * max(len(label) for label in names.values())
    crossed = _visible_shortcuts(study, [row.target for row in rows])
    levels = 1 + max((way.level for way in crossed), default=-1)
    above = min(_MOST_ABOVE, _LEVEL * levels) if crossed else 0.0
    with paper():
        figure = picture(COLUMN_INCHES[width], _HEIGHT + turned + above)
        heights = [*([above] if crossed else []), 1.0, 0.2 * len(study.score_names)]
        *upper, bars, strips = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
        for axes in upper:
            _draw_shortcuts(axes, crossed, levels)
        _draw_sizes(bars, rows, study.score_names.index(main_score(stressed=study.stressed)))
        _draw_strips(strips, rows, tuple(score_word(study, name) for name in study.score_names))
        _name_layers(strips, names)
        labels = {label for row in rows for label in row.classes}
        figure.legend(
            handles=[Patch(label=name, **_look(name)) for name in CLASSES if name in labels],
            loc="outside upper center",
            ncols=6 if width == "double" else 4 - any(len(label) > _WORD for label in labels),
            frameon=False,
            handlelength=1.2,
            handletextpad=0.5,
        )
        return freeze_layout(figure)


def _look(label: str) -> dict[str, Any]:
    look = CLASS_LOOKS[label]
    return {"facecolor": look.fill, "edgecolor": look.edge, "hatch": look.hatch}


def _visible_shortcuts(study: Study, names: list[str]) -> list[Shortcut]:
    """Return the shortcuts past layers, if they are known and all layers are shown."""
    layers = network_picture(study)
    ordered = [row.name.removesuffix(".weight") for row in layers.rows if row.name]
    return shortcuts(layers.rows) if layers.known and ordered == names else []


def _draw_shortcuts(axes: Axes, lines: list[Shortcut], levels: int) -> None:
    """Draw shortcuts as brackets over the layers that they pass."""
    for shortcut in lines:
        first, last = (
            shortcut.first + _FOOT,
            shortcut.last - _FOOT,
        )  # shortcuts that meet stay apart
        x = (first, first + _FOOT, last - _FOOT, last)
        axes.plot(
            x,
            (0, shortcut.level + 1, shortcut.level + 1, 0),
            color=PAGE["soft"].light,
            lw=0.6,
            clip_on=False,
        )
    axes.set_ylim(0, levels)
    axes.axis("off")


def _draw_sizes(axes: Axes, rows: list[ScoreRow], score: int) -> None:
    for x, row in enumerate(rows):
        axes.bar(x, row.size, width=_BAR, **_look(row.classes[score]))
    axes.set_yscale("log")
    axes.set_ylim(bottom=_FLOOR * min(row.size for row in rows))
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.minorticks_off()
    axes.set_ylabel("parameters")
    axes.tick_params(axis="x", length=0, labelbottom=False)
    axes.spines["bottom"].set_visible(False)


def _draw_strips(axes: Axes, rows: list[ScoreRow], scores: Sequence[str]) -> None:
    for y, _ in enumerate(scores):
        for x, row in enumerate(rows):
            box = (x - _BAR / 2, y - _BAR / 2)
            axes.add_patch(Rectangle(box, _BAR, _BAR, **_look(row.classes[y])))
    axes.set_yticks(range(len(scores)), scores)
    axes.set_ylim(len(scores) - 0.5, -0.5)
    axes.set_xlim(-0.7, len(rows) - 0.3)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _layer_names(names: list[str], most: int) -> dict[LayerGroup, str]:
    """Return what is named, and how: every layer where there is room, else the stages.

    Of more than fit, every second, third or further one has a name.
    """
    groups = layer_groups(names)
    if len(names) <= most:
        groups = [LayerGroup(name, index, index) for index, name in enumerate(names)]
    labels = short_all([group.name for group in groups], _LETTERS)
    step = -(-len(groups) // most)
    return dict(list(zip(groups, labels, strict=True))[::step])


def _name_layers(axes: Axes, names: dict[LayerGroup, str]) -> None:
    turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(
        [(group.first + group.last) / 2 for group in names], [*names.values()], **turned
    )
    below = axes.get_xaxis_transform()
    for group in names:
        if group.first == group.last:
            continue
        ends = np.array([group.first - 0.35, group.last + 0.35])
        look = {"color": "black", "linewidth": 0.6, "solid_capstyle": "butt"}
        axes.plot(ends, [-0.04, -0.04], transform=below, clip_on=False, **look)
