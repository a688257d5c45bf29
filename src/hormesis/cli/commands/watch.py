"""``hormesis watch``, and the flags of ``hormesis analyze`` that let one look on."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from hormesis.cli.flags import make_parser
from hormesis.cli.live_flags import add_live
from hormesis.errors import SettingError, StudyError

if TYPE_CHECKING:
    from hormesis.report.html.live import Following, Sink


def parser() -> ArgumentParser:
    """Return the parser of ``hormesis watch``."""
    made = make_parser(
        "Show a study while it is measured, here or elsewhere, until it is finished.",
        usage="hormesis watch [options] STUDY",
    )
    add = made.add_argument
    add("study", type=str, metavar="STUDY", help="folder of the study")
    add_live(made, "--out", default="report.html")
    return made


def run(given: Namespace) -> None:
    """Keep a page, and events if asked for, up to date until the study is finished."""
    folder = Path(given.study).expanduser()
    sinks = sinks_from(given.out, given.tensorboard, folder)

    from hormesis.report.html.live import watch
    from hormesis.storage.folders import is_study

    if not is_study(folder):
        raise StudyError(f"The folder {given.study} is no study, or nothing is measured there yet.")
    print(f"report:  {given.out}", flush=True)
    tell(watch(folder, sinks))


def sinks_from(page: str | None, events: str | None, folder: Path) -> "list[Sink]":
    """Return what shows a study while it is measured.

    Args:
        page: The page to keep up to date, if any.
        events: The folder of events for TensorBoard, if any.
        folder: Where the study lies.

    Raises:
        SettingError: If the page cannot be written.
        MissingExtraError: If TensorBoard is not there.
    """
    sinks: list[Sink] = []
    if page is not None:
        out = Path(page).expanduser()
        if out.suffix.lower() not in (".html", ".htm"):
            raise SettingError(f"Expected the page to end in .html, got {page}.")
        if not os.access(out.absolute().parent, os.W_OK):
            raise SettingError(f"Expected a page in a folder that can be written to, got {page}.")

        from hormesis.report.html.live import page_sink

        sinks.append(page_sink(out))
    if events is not None:
        from hormesis.report.tensorboard import check_tensorboard, event_sink

        check_tensorboard()
        sinks.append(event_sink(Path(events).expanduser(), folder.resolve().name))
    return sinks


def tell(following: "Following") -> None:
    """Say on standard error if what follows a study could not be written at last."""
    if following.trouble:
        from hormesis.report.text.console import printable

        said = printable(following.trouble)
        print(f"hormesis: the study is complete, but not shown: {said}", file=sys.stderr)
