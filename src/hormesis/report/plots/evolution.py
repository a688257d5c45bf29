"""The picture of how scores and responses change over a series of studies."""

from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np

from hormesis.report.plots.heat_drawing import draw_score_maps, explain_colours
from hormesis.report.plots.responses import draw_response_rows
from hormesis.report.plots.style import STYLE, picture, save
from hormesis.report.views.curves import relative_responses
from hormesis.report.views.figures import main_filter, moved_targets
from hormesis.report.views.method_text import attack_text
from hormesis.report.views.palette import SEQUENTIAL, SEQUENTIAL_END
from hormesis.report.views.stress_text import score_word
from hormesis.results.series import StudySeries

_MOST_ROWS = 60
_MANY_ROWS = 40  # of more, the letters are smaller
_DPI = 110.0
_LINES = {"clean": "-", "adversarial": "--"}


def draw_evolution(studies: StudySeries, path: Path) -> None:
    """Draw heat maps of scores over a series, and the responses of three telling targets.

    Args:
        studies: Studies of several epochs or magnitudes, with at least one swept target.
        path: File to write; its suffix chooses the format.
    """
    scores = studies.scores
    chosen = scores.loc[scores["filter"] == main_filter(scores)]
    targets = list(dict.fromkeys(chosen["target"]))
    shown = targets[:_MOST_ROWS]
    telling = moved_targets(chosen, studies.axis)
    with mpl.rc_context(STYLE):
        height = max(4.6, 1.3 + min(0.2 * len(shown), 7.0))
        figure = picture(12.0, height)
        left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1.0, 1.2))[0]
        columns = chosen["score"].nunique()
        maps = list(left.subplots(1, columns, sharey=True, squeeze=False)[0])
        sizes = (5.0, 6.0) if len(shown) > _MANY_ROWS else (6.0, 8.0)
        image = draw_score_maps(maps, studies, chosen.loc[chosen["target"].isin(shown)], sizes)
        explain_colours(maps, image, main_filter(scores))
        if telling:
            draw_response_rows(right, studies, telling, partial(_draw_responses, studies))
        cut = f"; the first {len(shown)} of {len(targets)}" if len(targets) > len(shown) else ""
        figure.suptitle(_title(studies) + cut, fontsize=9)
        save(figure, path, dpi=_DPI)


def _draw_responses(studies: StudySeries, panels: np.ndarray, target: str) -> None:
    """Draw relative performance, one colour a study."""
    colours = mpl.colormaps[SEQUENTIAL](np.linspace(0.0, SEQUENTIAL_END, len(studies.members)))
    for colour, (place, study) in zip(colours, studies.members.items(), strict=True):
        responses = relative_responses(study, target, bands=False)
        for axes, response in zip(panels, responses, strict=True):
            for kind, line in list(_LINES.items())[: 1 + study.stressed]:
                values = getattr(response, kind).values
                label = f"{studies.place_name(place)}, {score_word(study, kind)}"
                axes.plot(response.progress, values, ls=line, color=colour, lw=1.2, label=label)
            name = target.removesuffix(".weight")
            axes.set_title(f"{name}\n{response.filter.replace('_', ' ')}", fontsize=8)
    panels[0].set_ylabel("relative to unfiltered")


def _title(studies: StudySeries) -> str:
    study = studies.first
    question = study.metadata.question
    attacked = study.stressed and not study.given
    attack = study.metadata.attack.title if attacked else attack_text(study)
    return (
        f"{question.network.name} on {question.data.name}, {question.data.samples} samples; "
        f"{attack}"
    )
