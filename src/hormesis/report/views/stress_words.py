"""What the stress of a study is called: an attack, or a second data set."""

from hormesis.results.study import Study

_ATTACK, _DATA = "under attack", "on the stressed data"


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
