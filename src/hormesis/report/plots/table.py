"""Every picture of ``study.plot``, ``series.plot`` and ``hormesis plot``, by its name.

A picture is a line here and a module of its name beside this one, with ``draw_NAME(study, targets,
width)``. Nothing is imported before it is drawn, so that the command line may read the names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

WIDTHS = ("single", "double")


@dataclass(frozen=True)
class Plot:
    """A picture, and the number of targets that it shows.

    Args:
        about: What it shows, in a line.
        most: Largest number of targets on one and on two columns.
        telling: Number of telling targets that it shows by default; all targets if empty.
        series: Whether it shows the studies of a series.
    """

    about: str
    most: Mapping[str, int]
    telling: Mapping[str, int] = field(default_factory=dict)
    series: bool = False


def _by_width(single: int, double: int) -> dict[str, int]:
    return dict(zip(WIDTHS, (single, double), strict=True))


PLOTS = {
    "network": Plot(
        "layers in the order of the data: size, class and shortcuts", _by_width(400, 400)
    ),
    "responses": Plot("responses with intervals and reference", _by_width(8, 8), _by_width(3, 3)),
    "heatmap": Plot("scores, a row a target; on two columns of every filter", _by_width(80, 80)),
    "epochs": Plot(
        "scores of a series, a column an epoch or a magnitude", _by_width(80, 80), series=True
    ),
    "surface": Plot(
        "both stresses: magnitudes of the attack against thresholds",
        _by_width(6, 8),
        _by_width(3, 3),
        series=True,
    ),
    "weights": Plot("responses above the weights they remove", _by_width(2, 4), _by_width(1, 3)),
}
"""All pictures by name."""
