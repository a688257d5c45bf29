"""The columns of tables that name the random controls of a cell: one a draw."""

from collections.abc import Iterable
from itertools import count, takewhile

CONTROL = "control"
ONE_DRAW = (
    "The random control was drawn once a cell: intervals leave out the variance between draws. "
    "Measure more draws with `control`; `extend` takes over the first."
)


def control_names(draws: int) -> list[str]:
    """Return the columns that name the rows of outcomes of a cell's random controls.

    Example:
        >>> control_names(3)
        ['control', 'control_2', 'control_3']
    """
    return [CONTROL if draw == 1 else f"{CONTROL}_{draw}" for draw in range(1, draws + 1)]


def control_columns(columns: Iterable[str]) -> list[str]:
    """Return the columns of random controls among those of a table, in the order of the draws.

    Example:
        >>> control_columns(["outcome", "control_2", "control"])
        ['control', 'control_2']
    """
    present = {*columns}
    names = takewhile(present.__contains__, (control_names(draw)[-1] for draw in count(1)))
    return list(names)
