"""The sources of a report: studies and retrainings, from memory or folders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hormesis.errors import StudyError
from hormesis.results.comparability import describe_studies, in_order, study_labels
from hormesis.results.comparison import load_all
from hormesis.results.retraining import Retraining, is_retraining, load_retraining
from hormesis.results.study import Study
from hormesis.settings.scoring import Scoring

_NAMED = 4  # networks, data sets or epochs that a title lists


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


def study_heading(study: Study) -> str:
    """Return the network and the data of a study, and the epoch if it is of a checkpoint."""
    question, epoch = study.metadata.question, study.metadata.origin.epoch
    of_epoch = "" if epoch is None else f", epoch {epoch}"
    return f"{question.network.name} on {question.data.name}{of_epoch}"


def headings(sources: ReportSources) -> list[str]:
    """Return the heading of each study, with its label where headings alone are alike."""
    plain = [study_heading(study) for study in sources.studies]
    return [
        f"{heading}, {_label_words(study, label)}" if plain.count(heading) > 1 else heading
        for study, heading, label in zip(sources.studies, plain, sources.labels, strict=True)
    ]


def _label_words(study: Study, label: str) -> str:
    """Return a label with what it is, if it is but a number: a seed, or a place in the list."""
    if not label.isdecimal():
        return label
    seed = study.metadata.origin.training.question.recipe.seed
    return f"{'seed' if label == str(seed) else 'study'} {label}"


def page_title(sources: ReportSources) -> str:
    """Return what all studies of a page are of: networks, data, and what varies between them."""
    if not sources.studies:
        about = [item.manifest["study"] for item in sources.retrainings]
        names = _listed([_title_of(each) for each in about], "networks")
        return f"Selective retraining of {names}"
    if len(sources.studies) == 1:
        return headings(sources)[0]
    questions = [study.metadata.question for study in sources.studies]
    networks = _listed([question.network.name for question in questions], "networks")
    data = _listed([question.data.name for question in questions], "data sets")
    return f"{networks} on {data}{_varying(sources)}"


def _title_of(about: Mapping[str, Any]) -> str:
    """Return network, data and epoch of the study that a retraining began with."""
    of_epoch = "" if about.get("epoch") is None else f", epoch {about['epoch']}"
    return f"{about['network']} on {about['data']}{of_epoch}"


def _varying(sources: ReportSources) -> str:
    """Return the epochs or magnitudes of studies, or how many trainings they are."""
    if sources.over == "epochs":
        epochs = [str(study.metadata.origin.epoch) for study in sources.studies]
        few = len(epochs) <= _NAMED
        return f", epochs {_listed(epochs, '') if few else f'{epochs[0]} to {epochs[-1]}'}"
    if sources.over == "epsilons":
        return f", ε = {', '.join(label.removeprefix('ε ') for label in sources.labels)}"
    return f", {len(sources.studies)} studies" if sources.over == "seeds" else ""


def _listed(names: Sequence[str], noun: str) -> str:
    """Return different names as a list, or how many they are."""
    different = list(dict.fromkeys(names))
    if noun and len(different) > _NAMED:
        return f"{len(different)} {noun}"
    return " and ".join([*([", ".join(different[:-1])] if different[1:] else []), different[-1]])


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
