"""The pictures of a study, as figures: what ``study.plot`` and ``hormesis plot`` give."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from hormesis.report.plots.chosen import MOST_ROWS, chosen, limited
from hormesis.report.plots.epochs import draw_epochs
from hormesis.report.plots.heatmap import draw_heatmap
from hormesis.report.plots.network import draw_network
from hormesis.report.plots.responses import draw_responses
from hormesis.report.plots.style import WIDTHS, Picture
from hormesis.report.plots.weights import draw_weights
from hormesis.report.views.figures import telling_targets
from hormesis.results.series import StudySeries
from hormesis.results.study import Study
from hormesis.settings.choices import check_choice

_MOST_PANELS = 8  # rows of responses on a page
_MOST_COLUMNS = {"single": 2, "double": 4}  # of weights side by side
_MOST_BARS = 400


@dataclass(frozen=True)
class StudyPlots:
    """Pictures of a study for papers and notebooks.

    Each takes names of targets, with or without ``.weight``, in which ``*`` stands for anything;
    and ``width``, ``"single"`` or ``"double"``, for one or two columns of a page. Each returns a
    figure of Matplotlib, which a notebook shows and ``save`` of ``report.style`` writes.

    Args:
        study: What they show.
    """

    study: Study

    def network(self, *targets: str, width: str = "single") -> Picture:
        """Draw the layers in the order of the data: size as height, class as colour and hatch.

        Args:
            targets: Which; all by default.
            width: ``"single"`` or ``"double"``.

        Raises:
            SettingError: If a target is not known, or there are too many.
        """
        return self._drawn(draw_network, targets or ("*",), width, _MOST_BARS)

    def responses(self, *targets: str, width: str = "single") -> Picture:
        """Draw relative responses, clean and adversarial, with intervals and reference.

        Args:
            targets: Which; by default those with the lowest, median and highest score.
            width: ``"single"`` or ``"double"``.

        Raises:
            SettingError: If a target is not known, or there are too many.
        """
        return self._drawn(draw_responses, targets or self._telling, width, _MOST_PANELS)

    def heatmap(self, *targets: str, width: str = "single") -> Picture:
        """Draw scores as a heat map, a row a target; a question mark means *undecided*.

        Args:
            targets: Which; all by default.
            width: ``"single"`` for the combined filter, ``"double"`` for every filter.

        Raises:
            SettingError: If a target is not known, or there are too many.
        """
        return self._drawn(draw_heatmap, targets or ("*",), width, MOST_ROWS)

    def weights(self, *targets: str, width: str = "single") -> Picture:
        """Draw responses over the thresholds themselves, above the distribution of the weights.

        Args:
            targets: Which; by default the one with the lowest score or, on two columns, also those
                with the median and the highest.
            width: ``"single"`` or ``"double"``.

        Raises:
            SettingError: If a target is not known, or there are too many.
            StudyError: If the study cannot know the distribution.
        """
        telling = self._telling[:1] if width == "single" else self._telling
        most = _MOST_COLUMNS.get(width, 0)
        return self._drawn(draw_weights, targets or telling, width, most)

    @property
    def _telling(self) -> tuple[str, ...]:
        return tuple(telling_targets(self.study)) or (swept(self.study.responses)[0],)

    def _drawn(
        self,
        draw: Callable[[Study, list[str], str], Picture],
        targets: tuple[str, ...],
        width: str,
        most: int,
    ) -> Picture:
        check_choice("width", width, tuple(WIDTHS))
        wanted = chosen(swept(self.study.responses), targets)
        return draw(self.study, limited(wanted, most, width), width)


@dataclass(frozen=True)
class SeriesPlots:
    """Pictures of the studies of several epochs.

    Args:
        studies: What they show.
    """

    studies: StudySeries

    def epochs(self, *targets: str, width: str = "single") -> Picture:
        """Draw the three scores of targets over epochs, a heat map each.

        Args:
            targets: Names with or without ``.weight``, in which ``*`` stands for anything; all by
                default.
            width: ``"single"`` or ``"double"``, for one or two columns of a page.

        Raises:
            SettingError: If a target is not known, or there are too many.
        """
        check_choice("width", width, tuple(WIDTHS))
        wanted = chosen(swept(self.studies.responses), targets or ("*",))
        return draw_epochs(self.studies, limited(wanted, MOST_ROWS, width), width)


def swept(responses: pd.DataFrame) -> list[str]:
    """Return the names of the targets that were swept, in the order in which data reach them."""
    return [str(name) for name in responses["target"].unique()]
