"""The studies of a series in the terminal."""

from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

from hormesis.analysis.readings import MEANINGS, count_readings
from hormesis.analysis.scores import main_score
from hormesis.report.text.console import console as terminal
from hormesis.report.text.score_table import targets_by_class
from hormesis.report.text.summary import report_step
from hormesis.report.views.contradictions import contradictions
from hormesis.report.views.figures import main_filter
from hormesis.report.views.method_text import attack_text
from hormesis.report.views.turns import turn_lines
from hormesis.results.series import StudySeries
from hormesis.results.study import Study

_HEADS = {"epsilon": "ε"}
_TABLE = 72  # columns of a terminal that a table needs


def print_series(studies: StudySeries, *, picture: Path | None = None) -> None:
    """Print the unfiltered networks and the classes of their targets, study by study.

    Args:
        studies: Studies of several epochs or magnitudes.
        picture: File of their picture, if any.
    """
    first = studies.first
    question = first.metadata.question
    console = terminal()
    console.print()
    console.print(
        Text(
            f"{question.network.name} on {question.data.name}: "
            f"{question.data.samples} samples; {_adversary(first)}"
        )
    )
    console.print()
    rows = _rows(studies)
    if console.width < _TABLE:
        for row in rows:
            console.print(Text("\n".join(row.lines)))
    else:
        console.print(_table(studies, rows))
    reading = first.beside
    scoring = first.scoring
    console.print(
        Text(
            f"base {scoring.base}, reference {scoring.reference}, robust within "
            f"±{scoring.tolerance:g}"
            + (f"\nby {reading}: {MEANINGS[reading]}; no class" if reading else ""),
            style="dim",
        )
    )
    console.print()
    for line in turn_lines(studies):
        console.print(Text(line))
    for note, places in _notes(studies).items():
        console.print(Text(f"{_names(studies, places)}: {note}"))
    lines = [f"studies: {studies.folder}"]
    if picture is not None:
        lines.append(f"picture: {picture}")
    lines.append(report_step(studies.folder))
    lines.append(f"         hormesis export {studies.folder} --what scores --format csv")
    for line in lines:
        console.print(Text(line), soft_wrap=True)


@dataclass(frozen=True)
class _Row:
    """One study: figures by their headings, counts of classes, the other reading and its name."""

    figures: dict[str, str]
    counts: str
    reading: str
    beside: str

    @property
    def lines(self) -> list[str]:
        """All of it below each other, for terminals that are too narrow for a table."""
        heads = ", ".join(f"{name} {value}" for name, value in self.figures.items())
        return [
            heads,
            f"  {self.counts}",
            *([f"  by {self.beside}: {self.reading}"] if self.reading else []),
        ]


def _rows(studies: StudySeries) -> list[_Row]:
    axis, first = studies.axis, studies.first
    figures = studies.base.set_index(axis).dropna(axis=1, how="all")  # without an attack: clean
    score = main_score(stressed=first.stressed)
    rows = []
    for place, study in studies.members.items():
        counts = targets_by_class(study)[score]
        values = zip(map(str, figures.columns), figures.loc[place], strict=True)
        rows.append(
            _Row(
                {
                    _HEADS.get(axis, axis): studies.place_text(place),
                    **{_HEADS.get(name, name): f"{value:.4g}" for name, value in values},
                },
                ", ".join(f"{count} {name}" for name, count in counts.items()),
                count_readings(study.readings, main_filter(study.scores), score)
                if first.beside
                else "",
                first.beside,
            )
        )
    return rows


def _table(studies: StudySeries, rows: list[_Row]) -> Table:
    first = studies.first
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0].figures:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(f"targets by {main_score(stressed=first.stressed)} score")
    if first.beside:
        table.add_column(f"by {first.beside}", header_style="dim", style="dim")
    for row in rows:
        readings = [row.reading] if first.beside else []
        table.add_row(*row.figures.values(), row.counts, *readings)
    return table


def _notes(studies: StudySeries) -> dict[str, list[int | float]]:
    """Return the notes of all studies, and where in the series each holds."""
    notes: dict[str, list[int | float]] = {}
    for place, study in studies.members.items():
        for note in (*study.notes, *contradictions(study)):
            notes.setdefault(note, []).append(place)
    return notes


def _names(studies: StudySeries, places: list[int | float]) -> str:
    """Return epochs or magnitudes as one subject: ``ε 4/255, 8/255``."""
    word = studies.axis_word
    if len(places) == len(studies.members) > 1:
        return f"every {word}"
    plural = "epochs" if word == "epoch" and len(places) > 1 else word
    return f"{plural} {', '.join(map(studies.place_text, places))}"


def _adversary(study: Study) -> str:
    if not study.stressed or study.given:
        return attack_text(study)
    adversary = study.metadata.question.sweep.adversary
    return f"{study.metadata.attack.title}, {adversary} adversary"
