"""The picture of scores over the epochs of a training, for papers."""

from hormesis.report.plots.heat_drawing import draw_score_maps, explain_colours
from hormesis.report.plots.style import COLUMN_INCHES, Picture, freeze_layout, paper, picture
from hormesis.report.views.figures import main_filter
from hormesis.results.series import StudySeries

_ROW = 0.115  # inches
_REST = 0.95  # for names and colours
_SIZES = {"single": (4.5, 6.0), "double": (5.5, 7.0)}  # of letters, in points


def draw_epochs(studies: StudySeries, targets: list[str], width: str) -> Picture:
    """Draw the scores of targets over epochs, a heat map each.

    Args:
        studies: Studies of several epochs.
        targets: Names of swept targets, at least one.
        width: One of ``style.COLUMN_INCHES``.
    """
    scores = studies.scores
    main = main_filter(scores)
    shown = scores.loc[(scores["filter"] == main) & scores["target"].isin(targets)]
    with paper():
        figure = picture(COLUMN_INCHES[width], _REST + _ROW * len(targets))
        panels = list(figure.subplots(1, shown["score"].nunique(), sharey=True, squeeze=False)[0])
        image = draw_score_maps(panels, studies, shown, _SIZES[width])
        explain_colours(panels, image, main)
        return freeze_layout(figure)
