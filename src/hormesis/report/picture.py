"""The picture that every study ends with: scores of all targets, responses of the telling ones."""

import math
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hormesis.analysis.scores import SCORES
from hormesis.report.figures import (
    ScoreRow,
    main_filter,
    response_curves,
    score_rows,
    telling_targets,
)
from hormesis.study import Study

_CLEAN, _ADVERSARIAL, _DENSITY = "#0072B2", "#D55E00", "#777777"  # Okabe and Ito
_MOST_ROWS = 60
_MOST_LETTERS = 34  # of a target's name; more would squeeze the panels
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a name may hold dollar signs
}


def draw_overview(study: Study, path: Path) -> None:
    """Draw a study's overview: a heat map of scores, and response curves of three targets.

    Args:
        study: Any study with at least one swept target.
        path: File to write; its suffix (``.png``, ``.svg``, ``.pdf``) chooses the format.
    """
    every = score_rows(study)
    rows = every[:_MOST_ROWS]
    telling = telling_targets(study)
    height = max(4.2, 1.3 + 0.24 * len(rows))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, height), layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1.0, 1.35))[0]
        _draw_scores(left.subplots(), rows, study)
        if telling:
            columns = study.responses["filter"].nunique()
            panels = right.subplots(len(telling), columns, sharex=True, sharey=True, squeeze=False)
            for place, target in enumerate(telling):
                _draw_responses(panels[place], study, target, last=place == len(telling) - 1)
            right.legend(
                *panels[0, 0].get_legend_handles_labels(),
                loc="outside upper center",
                ncols=3,
                frameon=False,
            )
        shown = f"; the first {len(rows)} of {len(every)} targets" if len(every) > len(rows) else ""
        figure.suptitle(_title(study) + shown, fontsize=9)
        figure.savefig(path, dpi=150)


def _draw_scores(axes: Axes, rows: list[ScoreRow], study: Study) -> None:
    values = np.array([row.values for row in rows], dtype=float)
    reach = max(0.1, float(np.nanmax(np.abs(values), initial=0.0)))
    colours = mpl.colormaps["PuOr"].with_extremes(bad="#eeeeee")
    image = axes.imshow(values, aspect="auto", cmap=colours, vmin=-reach, vmax=reach)
    axes.set_xticks(range(len(SCORES)), SCORES)
    axes.set_yticks(range(len(rows)), [short(row.target) for row in rows])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for place, row in enumerate(rows):
        for column, (value, label) in enumerate(zip(row.values, row.classes, strict=True)):
            width = row.widths[column]
            between = "" if math.isnan(width) else f" ±{width:.2f}"
            text = label if math.isnan(value) else f"{value:+.2f}{between} {label}"
            dark = not math.isnan(value) and abs(value) > 0.55 * reach
            colour = "white" if dark else "black"
            axes.text(column, place, text, ha="center", va="center", fontsize=6, color=colour)
    axes.set_title(f"{main_filter(study.scores)} scores".replace("_", " "))
    bar = axes.figure.colorbar(image, ax=axes, location="bottom", fraction=0.03, pad=0.02)
    bar.set_label("fragile  ←  filtering score  →  antifragile")


def _draw_responses(panels: np.ndarray, study: Study, target: str, *, last: bool) -> None:
    curves = response_curves(study, target)
    for axes, curve in zip(panels, curves, strict=True):
        axes.plot(curve.progress, curve.clean, color=_CLEAN, label="clean")
        axes.plot(
            curve.progress, curve.adversarial, color=_ADVERSARIAL, ls="--", label="adversarial"
        )
        axes.plot(
            curve.progress, curve.density, color=_DENSITY, ls=":", label="density (share kept)"
        )
        name = short(target.removesuffix(".weight"))
        axes.set_title(f"{name}\n{curve.filter.replace('_', ' ')}", fontsize=8)
        if last:
            axes.set_xlabel("normalised threshold")
    panels[0].set_ylabel(study.manifest["question"]["performance"]["name"])


def short(name: str) -> str:
    """Return the end of a long name, which tells targets apart."""
    return name if len(name) <= _MOST_LETTERS else f"…{name[1 - _MOST_LETTERS :]}"


def _title(study: Study) -> str:
    question, attack = study.manifest["question"], study.manifest["attack"]
    return (
        f"{question['network']['name']} on {question['data']['name']}, "
        f"{question['data']['samples']} samples; {attack['name'].upper()}, "
        f"ε = {float(attack['epsilon']):.3g}"
    )
