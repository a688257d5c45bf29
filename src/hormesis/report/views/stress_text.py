"""What a study did to parameters, in words: filters remove values, replacements change them."""

import math

from hormesis.results.study import Study
from hormesis.settings.replacement import is_draw_of
from hormesis.stress.filters import display_filter


def stress_name(study: Study, name: str) -> str:
    """Return a filter or a replacement as the subject of a sentence.

    Args:
        study: Any study.
        name: Name of one that was swept, or ``combined``.
    """
    return display_filter(name).label if study.replaces else f"{name} filter"


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
