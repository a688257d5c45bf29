"""``hormesis status``: the progress of a study or a training."""

from pathlib import Path

from hormesis.cli.options import FolderOptions
from hormesis.cli.parser import Arguments
from hormesis.errors import StudyError
from hormesis.report.text.console import console
from hormesis.report.text.summary import print_summary, report_step
from hormesis.results.study import load_study
from hormesis.storage.folders import is_study
from hormesis.storage.lock import describe_holder
from hormesis.storage.series_folders import series_folders
from hormesis.storage.verify import Health, format_seconds, verify_study
from hormesis.training.verify import RunHealth, damaged_tables, is_run, runs_in, verify_run


def run(arguments: Arguments) -> None:
    """Print the progress of a study or a training, and the estimates of a study."""
    out, path = console(soft_wrap=True), Path(arguments[FolderOptions].study)
    if is_run(path):
        for line in training_status(path):
            out.print(line, markup=False)
        return
    folders = study_folders(path)
    for folder in folders:
        health = verify_study(folder)
        out.print()
        out.print(str(folder), markup=False)
        for line in study_status(health):
            out.print(line, markup=False)
        if len(folders) == 1 and health.whole and not (health.finished and health.damaged):
            print_summary(load_study(folder))
    if len(folders) > 1:
        out.print()
        out.print(report_step(path), markup=False)


def study_status(health: Health) -> list[str]:
    """Return the progress of a study, in lines."""
    shards = len(health.whole) + len(health.missing)
    last = max((end for _, end in (*health.whole, *health.missing)), default=0)
    state = "finished" if health.finished else "unfinished"
    return [
        f"{state}: {len(health.whole)} of {shards} shards, {health.samples} of {last} samples",
        *_damage_and_work(health, "the command that made the study measures them again"),
    ]


def _damage_and_work(health: Health | RunHealth, remedy: str) -> list[str]:
    """Return the damaged files, who works on the rest, and how long that takes, in lines."""
    lines = [f"damaged: {name}: {fault}" for name, fault in health.damaged.items()]
    if health.damaged:
        lines.append(f"         {remedy}")
    if health.holder is not None:
        lines.append(f"at work: {describe_holder(health.holder)}")
    if not health.finished:
        time = "" if health.left is None else f"some {format_seconds(health.left)}"
        idle = "" if health.holder is not None else "nobody works on it"
        remainder = ", but ".join(part for part in (time, idle) if part)
        lines.extend([f"to go:   {remainder}"] if remainder else [])
    return lines


def training_status(folder: Path) -> list[str]:
    """Return the progress of a training, or of every arm of a retraining, in lines."""
    lines = list[str]()
    for run in runs_in(folder):
        lines += ["", str(run), *run_status(verify_run(run))]
    lines.extend(f"damaged: {name}: {wrong}" for name, wrong in damaged_tables(folder).items())
    return lines


def run_status(health: RunHealth) -> list[str]:
    """Return the progress of a training, in lines."""
    state = "finished" if health.finished else "unfinished"
    epochs = ", ".join(map(str, health.checkpoints)) or "none"
    lines = [
        f"{state}: {health.done} of {health.epochs or '?'} epochs{unsealed_note(health)}",
        f"checkpoints of epochs {epochs}",
    ]
    if health.states:
        states = " or ".join(map(str, sorted(health.states)))
        lines.append(f"it can go on after epoch {states}")
    remedy = "the command that trained it mends it, or says what to do"
    return [*lines, *_damage_and_work(health, remedy)]


def study_folders(folder: Path) -> list[Path]:
    """Return the study in a folder, or those of a series."""
    if is_study(folder):
        return [folder]
    members = list(series_folders(folder).members.values())
    if not members:
        raise StudyError(
            f"The folder {folder} is no study and no training: it has no manifest.json."
        )
    return members


def unsealed_note(health: RunHealth) -> str:
    """Return a remark for a training whose files have no checksums."""
    return "" if health.sealed else " (of an earlier version, without checksums)"
