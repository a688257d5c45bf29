"""What the stresses of a study are called.

Filters remove values, replacements change them; inputs are attacked, or those of a second data set
take their place.
"""

import math

from hormesis.results.study import Study
from hormesis.settings.choices import COMBINED
from hormesis.settings.replacement import is_draw_of
from hormesis.stress.filters import display_filter

_ATTACK, _DATA = "under attack", "on the stressed data"


def stress_name(study: Study, name: str) -> str:
    """Return a filter or a replacement as the subject of a sentence.

    Args:
        study: Any study.
        name: Name of one that was swept, or ``combined``.
    """
    if not study.replaces:
        return f"{name} filter"
    return "mean of the draws" if name == COMBINED else display_filter(name).label


def touched(study: Study) -> str:
    """Return what was done to the targets: ``filtered`` or ``changed``."""
    return "changed" if study.replaces else "filtered"


def level_unit(study: Study) -> str:
    """Return what a level is, where all replacements agree; empty for filters."""
    units = {entry.unit for entry in study.metadata.question.sweep.replacements.values()}
    if len(units) == 1:
        return units.pop()
    return "level" if units else ""


def unit_of(study: Study, name: str) -> str:
    """Return what the levels of a sweep are.

    Args:
        study: Any study whose values were replaced.
        name: Name of the sweep, of whichever draw.
    """
    replacements = study.metadata.question.sweep.replacements
    units = [entry.unit for own, entry in replacements.items() if is_draw_of(name, own)]
    return units[0] if units else "level"


def axis_label(study: Study) -> str:
    """Return what the horizontal axis of responses shows."""
    return level_unit(study) or "normalised threshold"


def level_text(value: float) -> str:
    """Return a level, as short as it is.

    Example:
        >>> level_text(8.0), level_text(0.03)
        ('8', '0.03')
    """
    return "" if math.isnan(value) else f"{value:.4g}"


def stress_phrase(study: Study) -> str:
    """Return where stressed samples stand in a sentence: under attack, or on the stressed data."""
    return _DATA if study.given else _ATTACK


def score_phrase(study: Study, score: str) -> str:
    """Return where a score stands in a sentence."""
    phrases = {"clean": "on clean inputs", "adversarial": stress_phrase(study)}
    return phrases.get(score, "in their difference")


def score_word(study: Study, score: str) -> str:
    """Return what a score or a response is called: that on a second data set is no adversarial one.

    Args:
        study: Any study.
        score: One of its scores, or text with its name.
    """
    return score.replace("adversarial", "stressed") if study.given else score
