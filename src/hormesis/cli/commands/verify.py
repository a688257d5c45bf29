"""``hormesis verify``: every file of a study or a training, checked."""

from collections.abc import Iterator, Mapping
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
    out, any_damaged = console(soft_wrap=True), False
    for folder, damaged, summary in _runs(path) if is_run(path) else _studies(path):
        any_damaged |= bool(damaged)
        for name, fault in damaged.items():
            out.print(f"{folder / name}: {fault}", markup=False)
        if summary:
            counted = f"{len(damaged)} damaged or missing" if damaged else "every file is whole"
            out.print(f"{folder}: {counted}, {summary}", markup=False)
    return int(any_damaged)


def _studies(path: Path) -> Iterator[tuple[Path, Mapping[str, str], str]]:
    """Yield each study with its damaged files and how much of it is measured."""
    for folder in study_folders(path):
        health = verify_study(folder)
        state = "" if health.finished else "; unfinished"
        yield folder, health.damaged, f"{len(health.whole)} shards{state}"


def _runs(path: Path) -> Iterator[tuple[Path, Mapping[str, str], str]]:
    """Yield each run of a training or a retraining likewise, and then the tables of all."""
    for folder in runs_in(path):
        health = verify_run(folder)
        state = "" if health.finished else "; unfinished"
        yield folder, health.damaged, f"{health.done} epochs{state}{unsealed_note(health)}"
    yield path, damaged_tables(path), ""
