"""A study in the terminal."""

from pathlib import Path

from rich.text import Text

from hormesis.report.text.console import console as terminal
from hormesis.report.text.score_table import reading_lines, score_overview, targets_by_class
from hormesis.report.views.method_text import (
    adversary_text,
    choice_text,
    idle_text,
    normalization_text,
    unfiltered,
    untested_parameters,
    untested_text,
)
from hormesis.results.study import Study


def print_summary(study: Study, *, picture: Path | None = None) -> None:
    """Print a study: what was measured, the scores of all targets, and the next commands.

    Args:
        study: Any study.
        picture: File of its picture, if any.
    """
    table, classes = score_overview(study), targets_by_class(study)  # what may fail comes first
    console = terminal()
    console.print()
    for line in study_lines(study):
        console.print(Text(line))
    console.print()
    console.print(table)
    console.print()
    for score, counts in classes.items():
        text = ", ".join(f"{count} {name}" for name, count in counts.items())
        console.print(Text(f"{score + ':':<13}{text}"))
    for line in reading_lines(study):
        console.print(Text(line, style="dim"))
    if not study.has_outcomes:
        console.print(Text("no intervals, and no class is certain: the outcomes were not kept"))
    for line in untested_lines(study):
        console.print(Text(line))
    if study.folder is not None:
        console.print()
        for line in next_steps(study.folder, picture, replaces=study.replaces):
            console.print(Text(line), soft_wrap=True)


def study_lines(study: Study) -> list[str]:
    """Return what was measured, and the metric of the unfiltered network, in lines."""
    question = study.metadata.question
    data = question.data
    number = "{:.1%}" if study.metadata.binary else "{:.4g}"
    base = ", ".join(f"{number.format(value)} {kind}" for kind, value in unfiltered(study).items())
    chance = study.base.chance
    guessing = "" if chance is None else f"; guessing: {number.format(chance)}"
    classes = f", {data.classes} classes" if data.classes else ""
    choice = choice_text(study.manifest["attack"])
    chosen = f", chosen {choice}" if choice.startswith("to ") else ""
    return [
        f"{question.network.name} on {data.name}: {data.samples} samples{classes}",
        *normalization_lines(study),
        adversary_text(study, chosen),
        f"unfiltered {question.metric.name}: {base}{guessing}",
        *([f"reach of the attack: {idle}"] if (idle := idle_text(study)) else []),
        *study.notes,
    ]


def normalization_lines(study: Study) -> list[str]:
    """Return the normalisation in front of the network as one line, or no line."""
    text = normalization_text(study)
    return [f"in front of the network: {text}"] if text else []


def untested_lines(study: Study) -> list[str]:
    """Return how many parameters were not tested, with their share and by reason, in lines."""
    text, reasons = untested_text(study), untested_parameters(study)
    reasons.sort(key=lambda row: -row[1])
    lines = [f"{count} not tested: {reason}" for reason, count, *_ in reasons]
    return [text, *lines] if text else []


def next_steps(folder: Path, picture: Path | None, *, replaces: bool) -> list[str]:
    """Return the folder of the study and the next commands, in lines."""
    drawn = [] if picture is None else [f"picture: {picture}"]
    density = [] if replaces else [f"         hormesis show {folder} --reference density"]
    return [
        f"study:   {folder}",
        *drawn,
        report_step(folder),
        *density,
        f"         hormesis export {folder} --what scores --format csv",
    ]


def report_step(folder: Path) -> str:
    """Return the command that makes a page of a folder, as the first of the next steps."""
    return f"next:    hormesis report {folder} --out report.html"
