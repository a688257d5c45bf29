"""What a report is about: studies and retrainings, wherever they come from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hormesis.errors import StudyError
from hormesis.results.comparability import describe_studies, study_labels
from hormesis.results.comparison import load_all
from hormesis.results.retraining import Retraining, is_retraining, load_retraining
from hormesis.results.study import Study
from hormesis.settings.scoring import Scoring


@dataclass(frozen=True)
class Gathered:
    """Studies and retrainings to report on.

    Args:
        studies: In the order in which they were given; those of several epochs by epoch.
        labels: What the page calls each study.
        over: What varies between them: ``epochs``, ``data``, ``models`` or ``seeds``; empty for a
            single one.
        retrainings: In the order in which they were given.
        notes: What a reader has to know about the choice, in sentences.
    """

    studies: tuple[Study, ...]
    labels: tuple[str, ...]
    over: str
    retrainings: tuple[Retraining, ...] = ()
    notes: tuple[str, ...] = ()


def gather(given: Any) -> Gathered:  # noqa: ANN401
    """Return what a report is about.

    Args:
        given: A study, an object that holds several as ``members``, a retraining, a folder of any
            of these, or a list of them; what was gathered before comes back as it is.

    Raises:
        StudyError: If there is none, or a folder holds something else.
        TrainingError: If a retraining is damaged.
    """
    if isinstance(given, Gathered):
        return given
    several = isinstance(given, Sequence) and not isinstance(given, str)
    studies: list[Study] = []
    retrainings: list[Retraining] = []
    notes: list[str] = []
    for one in given if several else [given]:
        if isinstance(one, Retraining):
            retrainings.append(one)
        elif isinstance(one, str | Path) and is_retraining(Path(one).expanduser()):
            retrainings.append(load_retraining(one))
        else:
            opened, said = load_all(one)
            studies += opened
            notes += said
    if not studies and not retrainings:
        raise StudyError("A report needs at least one study or retraining, got none.")
    over = varying(studies)
    if over == "epochs":  # in the order in which a comparison has them
        studies.sort(key=lambda study: study.manifest["origin"]["epoch"])
    return Gathered(
        tuple(studies), tuple(_labels(studies, over)), over, tuple(retrainings), tuple(notes)
    )


def _labels(studies: Sequence[Study], over: str) -> list[str]:
    """Return what tells studies apart, without the marks for what is not known of some."""
    if not over:
        return [study.manifest["question"]["network"]["name"] for study in studies]
    whole = study_labels(studies, describe_studies(studies), over)
    short = [" ".join(word for word in label.split() if word != "?") for label in whole]
    return short if all(short) and len(set(short)) == len(short) else whole


def varying(studies: Sequence[Study]) -> str:
    """Return what varies between studies, as ``hormesis.compare`` names it; empty for one."""
    if len(studies) < 2:
        return ""
    about = describe_studies(studies)
    if len(set(about["model"])) > 1:
        return "models"
    if len(set(about["data"])) > 1:
        return "data"
    epochs = about["epoch"].dropna().tolist()
    return "epochs" if len(epochs) == len(about) and len(set(epochs)) > 1 else "seeds"


def scored(gathered: Gathered, scoring: Scoring) -> Gathered:
    """Return the same with another scoring for all studies."""
    return replace(
        gathered, studies=tuple(study.with_scoring(scoring) for study in gathered.studies)
    )
