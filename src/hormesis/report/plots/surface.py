"""The picture of both stresses together: magnitudes of the attack against thresholds."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from hormesis.errors import StudyError
from hormesis.report.plots.heat_drawing import draw_heat, reach_of
from hormesis.report.plots.style import (
    COLUMN_INCHES,
    Picture,
    freeze_layout,
    paper,
    picture,
    short,
)
from hormesis.report.views.curves import relative_responses
from hormesis.results.series import StudySeries
from hormesis.settings.magnitudes import short_epsilon
from hormesis.storage.series_folders import EPSILON

_ROW, _LINE = 0.45, 0.1  # inches of a target, and more for each magnitude
_REST = 0.95  # for names and colours
_BAR = 0.09  # inches that the bar of colours is high
_LETTERS = 20


def draw_surface(studies: StudySeries, targets: list[str], width: str) -> Picture:
    """Draw adversarial performance relative to the unfiltered network, a surface a filter.

    Thresholds run to the right, magnitudes upwards. A row at another magnitude is relative to the
    unfiltered network at that magnitude, as scores are.

    Args:
        studies: Studies of several magnitudes.
        targets: Names of swept targets, at least one.
        width: One of ``style.COLUMN_INCHES``.

    Raises:
        StudyError: For the studies of several epochs.
    """
    if studies.axis != EPSILON:
        raise StudyError(
            "A surface needs studies of several magnitudes, as `hormesis analyze --epsilon "
            "2/255,4/255` writes them; these are of several epochs."
        )
    surfaces = {target: relative_surfaces(studies, target) for target in targets}
    reach = reach_of(np.concatenate([part for one in surfaces.values() for part in one.values()]))
    filters = list(next(iter(surfaces.values())))
    magnitudes = [short_epsilon(place) for place in studies.members]
    row = _ROW + _LINE * len(magnitudes)
    with paper():
        figure = picture(COLUMN_INCHES[width], _REST + row * len(targets))
        panels = figure.subplots(len(targets), len(filters), sharex=True, squeeze=False)
        images = [
            _draw(axes, parts[name], [] if column else magnitudes, reach)
            for line, parts in zip(panels, surfaces.values(), strict=True)
            for column, (axes, name) in enumerate(zip(line, filters, strict=True))
        ]
        for axes, target in zip(panels[:, 0], surfaces, strict=True):
            axes.set_ylabel(short(target.removesuffix(".weight"), _LETTERS))
        for axes, name in zip(panels[0], filters, strict=True):
            axes.set_title(name.replace("_", " "))
        figure.supxlabel("normalised threshold", fontsize="medium")
        share = _BAR * figure.dpi / figure.bbox.height
        bar = figure.colorbar(
            images[0],
            ax=list(panels.flat),
            location="top",
            fraction=share,
            pad=2 * share,
            aspect=40,
        )
        bar.set_label("worse  ←  under attack, against the unfiltered network  →  better")
        return freeze_layout(figure)


def relative_surfaces(studies: StudySeries, target: str) -> dict[str, np.ndarray]:
    """Return how much better or worse a filtered network does under attack, by filter.

    Args:
        studies: Studies of several magnitudes.
        target: Name of a swept target.

    Returns:
        For each filter a matrix, magnitudes × thresholds: adversarial performance divided by that
        of the unfiltered network, less 1; NaN where the latter is zero.
    """
    curves = [relative_responses(study, target, bands=False) for study in studies.members.values()]
    return {
        responses[0].filter: np.array([one.adversarial.values for one in responses]) - 1.0
        for responses in zip(*curves, strict=True)
    }


def _draw(axes: Axes, values: np.ndarray, magnitudes: list[str], reach: float) -> AxesImage:
    image = draw_heat(axes, values, magnitudes, [], reach)
    if not magnitudes:
        axes.set_yticks([])
    axes.invert_yaxis()
    last = values.shape[1] - 1
    axes.set_xticks([0, last / 2, last], ["0", "0.5", "1"])
    return image
