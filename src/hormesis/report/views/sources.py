"""The sources of a report: studies and retrainings, from memory or folders."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hormesis.errors import StudyError
from hormesis.results.comparability import describe_studies, in_order, study_labels
from hormesis.results.comparison import load_all
from hormesis.results.retraining import Retraining, is_retraining, load_retraining
from hormesis.results.study import Study
from hormesis.settings.scoring import Scoring


@dataclass(frozen=True)
class ReportSources:
    """Studies and retrainings to report on.

    Args:
        studies: In the order of the arguments; those of several epochs by epoch.
        labels: Label of each study on the page.
        over: What varies between them: ``epochs``, ``data``, ``models``, ``seeds`` or ``epsilons``;
            empty for a single one.
        retrainings: In the order of the arguments.
        notes: Notes on the choice of studies, in sentences.
    """

    studies: tuple[Study, ...]
    labels: tuple[str, ...]
    over: str
    retrainings: tuple[Retraining, ...] = ()
    notes: tuple[str, ...] = ()


def gather(sources: Any) -> ReportSources:  # noqa: ANN401
    """Return the studies and retrainings of a report.

    Args:
        sources: A study, an object that holds several as ``members``, a retraining, a folder of any
            of these, or a list of them; what was sources before comes back as it is.

    Raises:
        StudyError: If there is none, or a folder holds something else.
        TrainingError: If a retraining is damaged.
    """
    if isinstance(sources, ReportSources):
        return sources
    is_list = isinstance(sources, Sequence) and not isinstance(sources, str)
    studies: list[Study] = []
    retrainings: list[Retraining] = []
    notes: list[str] = []
    for source in sources if is_list else [sources]:
        if isinstance(source, Retraining):
            retrainings.append(source)
        elif isinstance(source, str | Path) and is_retraining(Path(source).expanduser()):
            retrainings.append(load_retraining(source))
        else:
            opened, new_notes = load_all(source)
            studies += opened
            notes += new_notes
    if not studies and not retrainings:
        raise StudyError("A report needs at least one study or retraining, got none.")
    over = comparison_axis(studies)
    studies = in_order(studies, over)  # as a comparison has them
    return ReportSources(
        tuple(studies), tuple(_labels(studies, over)), over, tuple(retrainings), tuple(notes)
    )


def _labels(studies: Sequence[Study], over: str) -> list[str]:
    """Return labels that tell studies apart, without the marks for unknown values."""
    if not over:
        return [study.metadata.question.network.name for study in studies]
    long = study_labels(studies, describe_studies(studies), over)
    short = [" ".join(word for word in label.split() if word != "?") for label in long]
    return short if all(short) and len(set(short)) == len(short) else long


def comparison_axis(studies: Sequence[Study]) -> str:
    """Return what varies between studies, as ``hormesis.compare`` names it; empty for one."""
    if len(studies) < 2:
        return ""
    about = describe_studies(studies)
    if len(set(about["model"])) > 1:
        return "models"
    if len(set(about["data"])) > 1:
        return "data"
    if _differ_in_magnitude(studies):
        return "epsilons"
    epochs = about["epoch"].dropna().tolist()
    return "epochs" if len(epochs) == len(about) and len(set(epochs)) > 1 else "seeds"


def _differ_in_magnitude(studies: Sequence[Study]) -> bool:
    """Return whether the studies are of one network, each under another magnitude of an attack."""
    networks = {study.metadata.question.network.fingerprint for study in studies}
    magnitudes = {study.metadata.attack.epsilon for study in studies}
    return (
        len(networks) == 1
        and len(magnitudes) == len(studies)
        and all(study.stressed for study in studies)
    )


def with_scoring(sources: ReportSources, scoring: Scoring) -> ReportSources:
    """Return the same with another scoring for all studies."""
    return replace(sources, studies=tuple(study.with_scoring(scoring) for study in sources.studies))
