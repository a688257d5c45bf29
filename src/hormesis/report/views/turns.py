"""Where classes turn along several magnitudes, in sentences."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from hormesis.analysis.scores import main_score
from hormesis.report.views.figures import main_filter
from hormesis.results.series import StudySeries
from hormesis.results.study import Study
from hormesis.settings.magnitudes import short_epsilon
from hormesis.storage.series_folders import EPSILON

_MOST = 12  # turns that are told


def magnitude_series(studies: Sequence[Study]) -> StudySeries:
    """Return studies of one network under several magnitudes as a series."""
    members: dict[int | float, Study] = {one.metadata.attack.epsilon: one for one in studies}
    return StudySeries(members, Path(), EPSILON)


def turn_lines(studies: StudySeries) -> Iterator[str]:
    """Yield a sentence for each target whose class turns as the attack grows.

    Args:
        studies: A series; of one over epochs, nothing is told.
    """
    if studies.axis != EPSILON:
        return
    score = main_score(stressed=studies.first.stressed)
    turns = studies.turns
    main = main_filter(studies.scores)
    told = turns.loc[(turns["score"] == score) & (turns["filter"] == main)]
    if told.empty:
        yield f"No class turns between these magnitudes by {score} score."
    for turn in told.head(_MOST).itertuples():
        doubt = "" if turn.certain else " (not certain)"
        yield (
            f"{str(turn.target).removesuffix('.weight')} turns from {turn.before} to {turn.after} "
            f"at about ε {short_epsilon(turn.at)}{doubt}."
        )
    if len(told) > _MOST:
        yield f"{len(told) - _MOST} more turns: hormesis export FOLDER --what turns."
