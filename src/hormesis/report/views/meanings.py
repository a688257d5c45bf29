"""What fragile, robust and antifragile mean in a study, for somebody who reads it first."""

from typing import Any

from hormesis.analysis.classes import POINTS
from hormesis.results.study import Study

_BY_REFERENCE = {
    "base": (
        "the network does worse without them",
        "the network does about as well without them",
        "the network does better without them",
    ),
    "density": (
        "performance falls faster than they are removed",
        "performance falls about as fast as they are removed",
        "performance falls more slowly than they are removed",
    ),
    "random": (
        "worse than without as many at random",
        "about as well as without as many at random",
        "better than without as many at random",
    ),
}
_REPLACED = (
    "the network does worse when they are changed",
    "the network does about as well when they are changed",
    "the network does better when they are changed",
)


def meanings(study: Study) -> dict[str, Any]:
    """Return what the three classes mean, a line each, by the reference of the study's scores.

    Args:
        study: Any study.

    Returns:
        ``intro``: what was done to the weights; ``lines``: a name and what it says, for each class.
    """
    lines = _REPLACED if study.replaces else _BY_REFERENCE[study.scoring.reference]
    done = "changed, from mild to strong" if study.replaces else "removed step by step"
    groups = any(kind == "group" for kind in study.targets["kind"])
    scope = "a group" if groups else "one layer"
    return {
        "intro": f"The weights of {scope} are {done}, and the network is measured at every step.",
        "lines": [list(pair) for pair in zip(POINTS, lines, strict=True)],
    }
