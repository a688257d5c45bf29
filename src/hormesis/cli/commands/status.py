"""``hormesis status`` and ``hormesis verify``: how a study or a training is, and its files."""

from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from hormesis.cli.flags import make_parser
from hormesis.errors import StudyError

if TYPE_CHECKING:
    from hormesis.storage.verify import Health
    from hormesis.training.verify import RunHealth


def status_parser() -> ArgumentParser:
    """Return the parser of ``hormesis status``."""
    made = make_parser(
        "Say how far a study or a training is, how long it will still take, and what a study says "
        "so far.",
        usage="hormesis status FOLDER",
    )
    made.add_argument("study", type=str, metavar="FOLDER", help="folder of a study or a training")
    return made


def verify_parser() -> ArgumentParser:
    """Return the parser of ``hormesis verify``."""
    made = make_parser(
        "Check every file of a study or a training. The exit code is 1 if one is damaged or "
        "missing; the command that made it measures such shards again, or mends the training.",
        usage="hormesis verify FOLDER",
    )
    made.add_argument("study", type=str, metavar="FOLDER", help="folder of a study or a training")
    return made


def status(given: Namespace) -> None:
    """Print how far a study is, and its estimates."""
    from hormesis.report.text.console import console
    from hormesis.report.text.summary import print_summary
    from hormesis.results.study import load_study
    from hormesis.storage.verify import verify_study
    from hormesis.training.verify import is_run

    out = console(soft_wrap=True)
    if is_run(Path(given.study)):
        for line in run_status(Path(given.study)):
            out.print(line, markup=False)
        return
    members = _members(Path(given.study))
    for folder in members:
        health = verify_study(folder)
        out.print()
        out.print(str(folder), markup=False)
        for line in described(health):
            out.print(line, markup=False)
        if len(members) == 1 and health.whole and not (health.finished and health.damaged):
            print_summary(load_study(folder))


def verify(given: Namespace) -> int:
    """Print every file that is damaged or missing, and return 1 if there is one."""
    from hormesis.report.text.console import console
    from hormesis.storage.verify import verify_study
    from hormesis.training.verify import is_run

    out, code = console(soft_wrap=True), 0
    if is_run(Path(given.study)):
        lines, code = verified_run(Path(given.study))
        for line in lines:
            out.print(line, markup=False)
        return code
    for folder in _members(Path(given.study)):
        health = verify_study(folder)
        for name, wrong in health.damaged.items():
            out.print(f"{folder / name}: {wrong}", markup=False)
        count = len(health.damaged)
        said = f"{count} damaged or missing" if count else "every file is whole"
        state = "" if health.finished else "; unfinished"
        out.print(f"{folder}: {said}, {len(health.whole)} shards{state}", markup=False)
        code = code or int(count > 0)
    return code


def described(health: "Health") -> list[str]:
    """Return how far a study is, in lines."""
    from hormesis.storage.lock import describe_holder
    from hormesis.storage.verify import format_seconds

    shards = len(health.whole) + len(health.missing)
    last = max((end for _, end in (*health.whole, *health.missing)), default=0)
    state = "finished" if health.finished else "unfinished"
    lines = [
        f"{state}: {len(health.whole)} of {shards} shards, {health.samples} of {last} samples",
    ]
    lines.extend(f"damaged: {name}: {wrong}" for name, wrong in health.damaged.items())
    if health.damaged:
        lines.append("         the command that made the study measures them again")
    if health.holder is not None:
        lines.append(f"at work: {describe_holder(health.holder)}")
    if not health.finished:
        if health.left is not None and health.holder is not None:
            lines.append(f"to go:   some {format_seconds(health.left)}")
        elif health.left is not None:
            lines.append(f"to go:   some {format_seconds(health.left)}, but nobody works on it")
        elif health.holder is None:
            lines.append("to go:   nobody works on it")
    return lines


def run_status(folder: Path) -> list[str]:
    """Return how far a training is, or every arm of a retraining, in lines."""
    from hormesis.training.verify import damaged_tables, runs_in, verify_run

    lines = list[str]()
    for run in runs_in(folder):
        lines += ["", str(run), *described_run(verify_run(run))]
    lines.extend(f"damaged: {name}: {wrong}" for name, wrong in damaged_tables(folder).items())
    return lines


def verified_run(folder: Path) -> tuple[list[str], int]:
    """Return what is damaged or missing of a training or a retraining, and the exit code."""
    from hormesis.training.verify import damaged_tables, runs_in, verify_run

    lines, code = list[str](), 0
    for run in runs_in(folder):
        health = verify_run(run)
        lines.extend(f"{run / name}: {wrong}" for name, wrong in health.damaged.items())
        state = "" if health.finished else "; unfinished"
        there = f"{health.done} epochs{state}"
        lines.append(f"{run}: {_counted(len(health.damaged))}, {there}{_unsealed(health)}")
        code = code or int(len(health.damaged) > 0)
    tables = damaged_tables(folder)
    lines.extend(f"{folder / name}: {wrong}" for name, wrong in tables.items())
    return lines, code or int(len(tables) > 0)


def _counted(count: int) -> str:
    return f"{count} damaged or missing" if count else "every file is whole"


def _unsealed(health: "RunHealth") -> str:
    return "" if health.sealed else " (of an earlier version, without checksums)"


def described_run(health: "RunHealth") -> list[str]:
    """Return how far a training is, in lines."""
    from hormesis.storage.lock import describe_holder
    from hormesis.storage.verify import format_seconds

    state = "finished" if health.finished else "unfinished"
    kept = ", ".join(map(str, health.checkpoints)) or "none"
    lines = [
        f"{state}: {health.done} of {health.epochs or '?'} epochs{_unsealed(health)}",
        f"checkpoints of epochs {kept}",
    ]
    if health.states:
        states = " or ".join(map(str, sorted(health.states)))
        lines.append(f"it can go on after epoch {states}")
    lines.extend(f"damaged: {name}: {wrong}" for name, wrong in health.damaged.items())
    if health.damaged:
        lines.append("         the command that trained it mends it, or says what to do")
    if health.holder is not None:
        lines.append(f"at work: {describe_holder(health.holder)}")
    if not health.finished:
        left = None if health.left is None else f"some {format_seconds(health.left)}"
        nobody = None if health.holder is not None else "nobody works on it"
        said = ", but ".join(part for part in (left, nobody) if part)
        lines.extend([f"to go:   {said}"] if said else [])
    return lines


def _members(folder: Path) -> list[Path]:
    """Return the study in a folder, or those of the epochs of a training."""
    from hormesis.storage.epoch_folders import epoch_folders
    from hormesis.storage.folders import is_study

    if is_study(folder):
        return [folder]
    found = list(epoch_folders(folder).values())
    if not found:
        raise StudyError(
            f"The folder {folder} is no study and no training: it has no manifest.json."
        )
    return found
