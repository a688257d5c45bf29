"""The rows of an index of studies: what each is of, and what was found."""

from collections.abc import Sequence
from dataclasses import dataclass

from hormesis.analysis.scores import main_score
from hormesis.report.views.figures import main_filter
from hormesis.report.views.findings import ClassCount, class_counts
from hormesis.report.views.method_text import attack_text, metric_text, unfiltered
from hormesis.report.views.sources import ReportSources, headings
from hormesis.results.study import Study
from hormesis.settings.magnitudes import short_epsilon


@dataclass(frozen=True)
class Figure:
    """A number as it is sorted, and as it is written.

    Args:
        value: The number; NaN where there is none.
        text: Its text.
    """

    value: float | int
    text: str


@dataclass(frozen=True)
class IndexRow:
    """What an index says of one study.

    Args:
        heading: Network and data, and what else tells the study apart.
        network: Name of the network.
        data: Name of the data.
        attack: The attack, without its magnitude.
        epsilon: Its magnitude, in input units.
        samples: Number of samples measured.
        performance: Name of the metric.
        clean: Mean metric of the unfiltered network on clean samples.
        adversarial: The same under the attack, or on stressed data.
        counts: Targets and values of each class that occurs, by the main score.
        score: Name of that score.
    """

    heading: str
    network: str
    data: str
    attack: str
    epsilon: Figure
    samples: Figure
    performance: str
    clean: Figure
    adversarial: Figure
    counts: tuple[ClassCount, ...]
    score: str


def index_rows(sources: ReportSources) -> list[IndexRow]:
    """Return a row for each study, in their order.

    Args:
        sources: Any studies; retrainings have no row.
    """
    return [
        _row(study, heading)
        for study, heading in zip(sources.studies, headings(sources), strict=True)
    ]


def _row(study: Study, heading: str) -> IndexRow:
    question, score = study.metadata.question, main_score(stressed=study.stressed)
    planned = question.data.samples
    measured = study.metadata.base.samples or planned
    figures = [Figure(value, metric_text(study, value)) for value in unfiltered(study).values()]
    nothing = Figure(float("nan"), "-")
    clean, adversarial = [*figures, nothing][:2]
    attacked = study.stressed and not study.given
    epsilon = study.metadata.attack.epsilon if attacked else float("nan")
    return IndexRow(
        heading=heading,
        network=question.network.name,
        data=question.data.name,
        attack=study.metadata.attack.title if attacked else attack_text(study).partition(",")[0],
        epsilon=Figure(epsilon, short_epsilon(epsilon)) if epsilon == epsilon else nothing,
        samples=Figure(measured, _samples_text(measured, planned)),
        performance=question.metric.name,
        clean=clean,
        adversarial=adversarial,
        counts=tuple(class_counts(study, main_filter(study.scores))[score]),
        score=score,
    )


def _samples_text(measured: int, planned: int) -> str:
    """Return the number of samples; of an unfinished study, out of how many.

    Example:
        >>> _samples_text(200, 200), _samples_text(256, 900)
        ('200', '256 of 900')
    """
    few, all_of_them = (f"{number:,}".replace(",", "\u202f") for number in (measured, planned))
    return few if measured >= planned else f"{few} of {all_of_them}"


def index_title(rows: Sequence[IndexRow]) -> str:
    """Return the heading of an index.

    Example:
        >>> index_title([])
        '0 studies'
    """
    return f"{len(rows)} {'study' if len(rows) == 1 else 'studies'}"
