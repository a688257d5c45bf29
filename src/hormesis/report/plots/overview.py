"""The picture that every study ends with: scores of all targets, responses of the telling ones."""

import math
from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from hormesis.analysis.classes import CLASSES
from hormesis.report.plots.heat_drawing import (
    draw_heat,
    explain_colours,
    reach_of,
    write_beside,
    write_cells,
)
from hormesis.report.plots.responses import draw_response_rows
from hormesis.report.plots.style import (
    ADVERSARIAL,
    CLEAN,
    REFERENCE,
    STYLE,
    picture,
    save,
    short,
    short_all,
)
from hormesis.report.views.figures import (
    ScoreRow,
    main_filter,
    target_rows,
    target_sweeps,
    telling_targets,
)
from hormesis.report.views.method_text import attack_text
from hormesis.report.views.stress_text import score_word
from hormesis.results.study import Study
from hormesis.settings.threat import LINF, NORM_NAMES

_MOST_ROWS = 60
_DPI = 150.0


def draw_overview(study: Study, path: Path) -> None:
    """Draw a study's overview: a heat map of scores, and response curves of three targets.

    Args:
        study: Any study with at least one swept target.
        path: File to write; its suffix (``.png``, ``.svg``, ``.pdf``) chooses the format.
    """
    all_rows = target_rows(study)
    rows = all_rows[:_MOST_ROWS]
    telling = telling_targets(study)
    height = max(4.2, 1.3 + 0.24 * len(rows))
    with mpl.rc_context(STYLE):
        figure = picture(11.0, height)
        left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1.25, 1.25))[0]
        _draw_scores(left.subplots(), rows, study)
        if telling:
            draw_response_rows(right, study, telling, partial(_draw_responses, study))
        shown = (
            f"; the first {len(rows)} of {len(all_rows)} targets"
            if len(all_rows) > len(rows)
            else ""
        )
        figure.suptitle(_title(study) + shown, fontsize=9)
        save(figure, path, dpi=_DPI)


def _draw_scores(axes: Axes, rows: list[ScoreRow], study: Study) -> None:
    values = np.array([row.values for row in rows], dtype=float)
    names = short_all([row.target for row in rows])
    words = [score_word(study, name) for name in study.score_names]
    image = draw_heat(axes, values, names, words, reach_of(values))
    write_cells(axes, image, [_texts(row) for row in rows], size=5.4)
    axes.set_title(
        f"{main_filter(study.scores)} scores\nreference {study.scoring.reference}".replace("_", " ")
    )
    if study.beside:
        write_beside(axes, [row.reading for row in rows], study.beside, size=5.4)
    explain_colours([axes], image, "stress" if study.replaces else "filtering")


def _texts(row: ScoreRow) -> list[str]:
    texts = []
    for value, label, width in zip(row.values, row.classes, row.widths, strict=True):
        interval = "" if math.isnan(width) else f" ±{width:.2f}"
        texts.append(
            label if math.isnan(value) else f"{value:+.2f}{interval} {CLASSES[label].short}"
        )
    return texts


def _draw_responses(study: Study, panels: np.ndarray, target: str) -> None:
    sweeps = target_sweeps(study.responses, target)
    for axes, (filter_name, sweep) in zip(panels, sweeps, strict=True):
        axes.plot(sweep["progress"], sweep["clean"], label="clean", **CLEAN)
        if study.stressed:
            label = score_word(study, "adversarial")
            axes.plot(sweep["progress"], sweep["adversarial"], label=label, **ADVERSARIAL)
        if not study.replaces:
            look = {**REFERENCE, "label": "density (share kept)"}
            axes.plot(sweep["progress"], sweep["density"], **look)
        base = study.group_of[target].base
        axes.axhline(base.clean, color=CLEAN["color"], linewidth=0.6, zorder=0, label="unfiltered")
        if study.stressed:
            axes.axhline(base.adversarial, color=ADVERSARIAL["color"], linewidth=0.6, zorder=0)
        name = short(target.removesuffix(".weight"))
        axes.set_title(f"{name}\n{filter_name.replace('_', ' ')}", fontsize=8)
    panels[0].set_ylabel(study.metadata.question.metric.name)


def _title(study: Study) -> str:
    question, attack = study.metadata.question, study.metadata.attack
    attacked = study.stressed and not study.given
    shown = attack.title if attacked else attack_text(study)
    magnitude = f", ε = {attack.epsilon:.3g}" if attack.scaled else ""
    if attack.scaled and attack.norm != LINF:
        magnitude = f"{magnitude} in {NORM_NAMES[attack.norm]}"
    return (
        f"{question.network.name} on {question.data.name}, {question.data.samples} samples; "
        f"{shown}{magnitude}"
    )
