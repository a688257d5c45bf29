"""``hormesis verify``: every file of a study or a training, checked."""

from pathlib import Path

from hormesis.cli.commands.status import study_folders, unsealed_note
from hormesis.cli.options import FolderOptions
from hormesis.cli.parser import Arguments
from hormesis.report.text.console import console
from hormesis.storage.verify import verify_study
from hormesis.training.verify import damaged_tables, is_run, runs_in, verify_run


def run(arguments: Arguments) -> int:
    """Print every file that is damaged or missing, and return 1 if there is one."""
    path = Path(arguments[FolderOptions].study)
    lines, damaged = _training(path) if is_run(path) else _studies(path)
    out = console(soft_wrap=True)
    for line in lines:
        out.print(line, markup=False)
    return int(damaged > 0)


def _studies(path: Path) -> tuple[list[str], int]:
    """Return what is damaged or missing of a study or several, in lines, and how much."""
    lines, damaged = list[str](), 0
    for folder in study_folders(path):
        health = verify_study(folder)
        lines.extend(f"{folder / name}: {fault}" for name, fault in health.damaged.items())
        state = "" if health.finished else "; unfinished"
        counted = _counted(len(health.damaged))
        lines.append(f"{folder}: {counted}, {len(health.whole)} shards{state}")
        damaged += len(health.damaged)
    return lines, damaged


def _training(path: Path) -> tuple[list[str], int]:
    """Return what is damaged or missing of a training or a retraining, in lines, and how much."""
    lines, damaged = list[str](), 0
    for run_folder in runs_in(path):
        health = verify_run(run_folder)
        lines.extend(f"{run_folder / name}: {fault}" for name, fault in health.damaged.items())
        state = "" if health.finished else "; unfinished"
        counted = _counted(len(health.damaged))
        lines.append(f"{run_folder}: {counted}, {health.done} epochs{state}{unsealed_note(health)}")
        damaged += len(health.damaged)
    tables = damaged_tables(path)
    lines.extend(f"{path / name}: {fault}" for name, fault in tables.items())
    return lines, damaged + len(tables)


def _counted(count: int) -> str:
    return f"{count} damaged or missing" if count else "every file is whole"
