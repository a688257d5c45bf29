"""The pictures of a study, as figures, for ``study.plot`` and ``hormesis plot``."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, runtime_checkable

import pandas as pd

from hormesis.report.plots.style import Picture
from hormesis.report.plots.table import PLOTS, WIDTHS
from hormesis.report.plots.target_selection import check_target_count, targets_matching
from hormesis.report.views.figures import main_filter, moved_targets, telling_targets
from hormesis.results.series import StudySeries
from hormesis.results.study import Study
from hormesis.settings.choices import check_choice


@runtime_checkable
class DrawPlot(Protocol):
    """Draws a picture, which a notebook shows and ``savefig`` writes."""

    def __call__(self, *targets: str, width: str = "single") -> Picture:
        """Draw it.

        Args:
            targets: Names, with or without ``.weight``, in which ``*`` and ``?`` stand for others;
                by default all, or those that tell most.
            width: ``"single"`` or ``"double"``, for one or two columns of a page.

        Raises:
            SettingError: If a target is unknown, or there are too many.
            StudyError: If the study lacks the data of the picture.
        """
        ...


@dataclass(frozen=True)
class StudyPlots:
    """Pictures of a study for papers and notebooks: ``network``, ``responses`` and so on.

    Each name of ``PLOTS`` that is not of a series is a method. It takes names of targets,
    with or without ``.weight``, in which ``*`` stands for anything, and ``width``: ``"single"`` or
    ``"double"``, for one or two columns of a page. It returns a figure of Matplotlib.

    Args:
        study: The study.
    """

    study: Study

    def __getattr__(self, name: str) -> DrawPlot:
        """Return the function that draws the picture of a name."""
        return _method(self.study, name, series=False)

    def __dir__(self) -> list[str]:
        """Return the names of the pictures."""
        return [name for name, plot in PLOTS.items() if not plot.series]


@dataclass(frozen=True)
class SeriesPlots:
    """Pictures of a series of studies: ``epochs`` and ``surface``, used like those of a study.

    Args:
        studies: The studies.
    """

    studies: StudySeries

    def __getattr__(self, name: str) -> DrawPlot:
        """Return the function that draws the picture of a name."""
        return _method(self.studies, name, series=True)

    def __dir__(self) -> list[str]:
        """Return the names of the pictures."""
        return [name for name, plot in PLOTS.items() if plot.series]


def _method(study: Study | StudySeries, name: str, *, series: bool) -> DrawPlot:
    if name not in PLOTS or PLOTS[name].series != series:
        raise AttributeError(f"no picture {name!r}")
    plot = PLOTS[name]
    module = import_module(f"hormesis.report.plots.{name}")
    draw: Callable[[Study | StudySeries, list[str], str], Picture] = getattr(module, f"draw_{name}")

    def method(*targets: str, width: str = "single") -> Picture:
        check_choice("width", width, WIDTHS)
        patterns = targets or ("*",)
        if plot.telling and not targets:
            telling = _telling(study) or swept_targets(study.responses)[:1]
            patterns = telling[: plot.telling[width]]
        shown = targets_matching(swept_targets(study.responses), patterns)
        return draw(study, check_target_count(shown, plot.most[width], width), width)

    method.__name__, method.__doc__ = name, draw.__doc__
    return method


def _telling(study: Study | StudySeries) -> list[str]:
    """Return the targets that tell most."""
    if isinstance(study, Study):
        return telling_targets(study)
    scores = study.scores
    return moved_targets(scores.loc[scores["filter"] == main_filter(scores)], study.axis)


def swept_targets(responses: pd.DataFrame) -> list[str]:
    """Return the names of the targets that were swept, in the order in which data reach them."""
    return [str(name) for name in responses["target"].unique()]
