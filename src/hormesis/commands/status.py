"""``hormesis status`` and ``hormesis verify``: how a study is, and whether its files are whole."""

from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from hormesis.errors import StudyError
from hormesis.options import make_parser

if TYPE_CHECKING:
    from hormesis.storage import Health


def status_parser() -> ArgumentParser:
    """Return the parser of ``hormesis status``."""
    made = make_parser(
        "Say how far a study is, how long it will still take, and what it says so far.",
        usage="hormesis status STUDY",
    )
    made.add_argument("study", type=str, metavar="STUDY", help="folder of the study")
    return made


def verify_parser() -> ArgumentParser:
    """Return the parser of ``hormesis verify``."""
    made = make_parser(
        "Check every file of a study. The exit code is 1 if one is damaged or missing; the command "
        "that made the study measures such shards again.",
        usage="hormesis verify STUDY",
    )
    made.add_argument("study", type=str, metavar="STUDY", help="folder of the study")
    return made


def status(given: Namespace) -> None:
    """Print how far a study is, and its estimates."""
    from hormesis.report.summary import print_summary
    from hormesis.report.terminal import console
    from hormesis.storage import examined
    from hormesis.study import open_study

    out = console(soft_wrap=True)
    members = _members(Path(given.study))
    for folder in members:
        health = examined(folder)
        out.print()
        out.print(str(folder), markup=False)
        for line in described(health):
            out.print(line, markup=False)
        if len(members) == 1 and health.whole and not (health.finished and health.damaged):
            print_summary(open_study(folder))


def verify(given: Namespace) -> int:
    """Print every file that is damaged or missing, and return 1 if there is one."""
    from hormesis.report.terminal import console
    from hormesis.storage import examined

    out, code = console(soft_wrap=True), 0
    for folder in _members(Path(given.study)):
        health = examined(folder)
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
    from hormesis.storage import spelled_holder, spelled_seconds

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
        lines.append(f"at work: {spelled_holder(health.holder)}")
    if not health.finished:
        if health.left is not None and health.holder is not None:
            lines.append(f"to go:   some {spelled_seconds(health.left)}")
        elif health.left is not None:
            lines.append(f"to go:   some {spelled_seconds(health.left)}, but nobody works on it")
        elif health.holder is None:
            lines.append("to go:   nobody works on it")
    return lines


def _members(folder: Path) -> list[Path]:
    """Return the study in a folder, or those of the epochs of a training."""
    from hormesis.storage import is_study
    from hormesis.studies import epoch_folders

    if is_study(folder):
        return [folder]
    found = list(epoch_folders(folder).values())
    if not found:
        raise StudyError(f"The folder {folder} is no study: it has no manifest.json.")
    return found
