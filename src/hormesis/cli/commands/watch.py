"""``hormesis watch``, and the reports that follow ``hormesis analyze``."""

import os
import sys
from pathlib import Path

from hormesis.cli.options import WatchOptions
from hormesis.cli.parser import Arguments
from hormesis.errors import SettingError, StudyError
from hormesis.report.html.live import Following, Sink, page_sink, watch
from hormesis.report.tensorboard import check_tensorboard, event_sink
from hormesis.report.text.console import printable
from hormesis.storage.folders import is_study


def run(arguments: Arguments) -> None:
    """Keep a page, and events if asked for, up to date until the study is finished."""
    options = arguments[WatchOptions]
    folder = Path(options.study).expanduser()
    sinks = sinks_from(options.out, options.tensorboard, folder)
    if not is_study(folder):
        raise StudyError(
            f"The folder {options.study} is no study, or nothing is measured there yet."
        )
    print(f"report:  {options.out}", flush=True)
    print_trouble(watch(folder, sinks))


def sinks_from(page: str | None, events: str | None, folder: Path) -> list[Sink]:
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
        sinks.append(page_sink(out))
    if events is not None:
        check_tensorboard()
        sinks.append(event_sink(Path(events).expanduser(), folder.resolve().name))
    return sinks


def print_trouble(following: Following) -> None:
    """Print on standard error if what follows a study could not be written at last."""
    if following.trouble:
        trouble = printable(following.trouble)
        print(f"hormesis: the study is complete, but not shown: {trouble}", file=sys.stderr)
