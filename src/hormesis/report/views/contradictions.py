"""Contradictions between the two readings of a response, in sentences."""

import pandas as pd

from hormesis.analysis.classes import FRAGILE
from hormesis.report.views.figures import main_filter
from hormesis.report.views.stress_text import score_phrase
from hormesis.results.study import Study

_NAMED = 3
_YET = {  # by the reading beside, and whether the class is fragile
    ("density", True): "performance falls more slowly than {it} emptied",
    ("density", False): "performance falls faster than {it} emptied",
    ("base", True): "the network does better without what is removed",
    ("base", False): "the network does worse without what is removed",
}


def contradictions(study: Study) -> list[str]:
    """Return a sentence for each way in which classes and the other reading contradict each other.

    Both are certain, by the study's main filter, and point in opposite directions: as where the
    filtered network does worse for certain, and yet performance falls more slowly than the tensor
    is emptied.
    """
    scores = study.scores
    rows = scores.loc[scores["filter"] == main_filter(scores)]
    readings = study.readings.loc[rows.index]
    sentences = []
    for score in ("clean", "adversarial"):
        phrase = score_phrase(study, score)
        contradicting = rows.loc[(rows["score"] == score) & readings["contradicts"]]
        for fragile in (True, False):
            part = contradicting.loc[(contradicting["class"] == FRAGILE) == fragile]
            if len(part):
                total = int((rows["score"] == score).sum())
                sentences.append(_sentence(study, part, phrase, total))
    return sentences


def _sentence(study: Study, part: pd.DataFrame, phrase: str, total: int) -> str:
    names = [str(name).removesuffix(".weight") for name in part["target"]]
    listed = ", ".join(names[:_NAMED]) + (" and others" if names[_NAMED:] else "")
    label, reading = str(part["class"].iloc[0]), study.beside
    verb, it = ("is", "it is") if len(names) == 1 else ("are", "they are")
    contrast = _YET[reading, label == FRAGILE].format(it=it)
    return (
        f"{len(names)} of {total} {verb} {label} {phrase} by {study.scoring.reference}, and yet "
        f"{contrast}, both for certain: {listed}."
    )
