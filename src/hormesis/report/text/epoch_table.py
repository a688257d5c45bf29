"""The studies of several epochs in the terminal."""

from pathlib import Path

from rich.table import Table
from rich.text import Text

from hormesis.analysis.readings import MEANINGS, count_readings
from hormesis.analysis.scores import main_score
from hormesis.report.text.console import console as terminal
from hormesis.report.text.score_table import targets_by_class
from hormesis.report.views.contradictions import contradictions
from hormesis.report.views.figures import main_filter
from hormesis.report.views.method_text import attack_text
from hormesis.results.series import StudySeries
from hormesis.results.study import Study

_HEADS = {"epsilon": "ε"}


def print_evolution(studies: StudySeries, *, picture: Path | None = None) -> None:
    """Print the unfiltered networks and the classes of their targets, epoch by epoch.

    Args:
        studies: Studies of several epochs.
        picture: File of their picture, if any.
    """
    first = next(iter(studies.members.values()))
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
    table = Table(box=None, pad_edge=False, header_style="bold")
    figures = studies.base.set_index("epoch").dropna(axis=1, how="all")  # without an attack: clean
    score = main_score(stressed=first.stressed)
    for name in ("epoch", *figures.columns):
        table.add_column(_HEADS.get(name, name), justify="right", no_wrap=True)
    table.add_column(f"targets by {score} score")
    reading = first.beside
    if reading:
        table.add_column(f"by {reading}", header_style="dim", style="dim")
    for epoch, study in studies.members.items():
        counts = targets_by_class(study)[score]
        says = count_readings(study.readings, main_filter(study.scores), score)
        table.add_row(
            str(epoch),
            *(f"{value:.4g}" for value in figures.loc[epoch]),
            ", ".join(f"{count} {name}" for name, count in counts.items()),
            *([says] if reading else []),
        )
    console.print(table)
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
    for epoch, study in studies.members.items():
        for note in (*study.notes, *contradictions(study)):
            console.print(Text(f"epoch {epoch}: {note}"))
    lines = [f"studies: {studies.folder}"]
    if picture is not None:
        lines.append(f"picture: {picture}")
    lines.append(f"next:    hormesis export {studies.folder} --what scores --format csv")
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def _adversary(study: Study) -> str:
    if not study.stressed:
        return attack_text(study)
    question = study.metadata.question
    return f"{question.attack.name.upper()}, {question.sweep.adversary} adversary"
