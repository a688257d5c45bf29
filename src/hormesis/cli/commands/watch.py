"""``hormesis watch``, and the live reports and the picture of ``hormesis analyze``."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hormesis.cli.options import LiveOptions, WatchOptions
from hormesis.cli.parser import Arguments
from hormesis.errors import SettingError, StudyError
from hormesis.report.html.live import Follower, Sink, following, page_sink, watch
from hormesis.report.tensorboard import check_tensorboard, event_sink
from hormesis.report.text.console import printable
from hormesis.storage.atomic import replacing
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
    """Return the live reports of a study.

    Args:
        page: The page to keep up to date, if any.
        events: The folder of events for TensorBoard, if any.
        folder: Folder of the study.

    Raises:
        SettingError: If the page cannot be written.
        MissingExtraError: If TensorBoard is not installed.
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


@contextmanager
def live_reports(options: LiveOptions, folder: Path) -> Iterator[None]:
    """Keep the live reports of a study up to date while the block measures it."""
    with following(folder, sinks_from(options.live, options.tensorboard, folder)) as follower:
        yield
    print_trouble(follower)


def write_picture(draw: Callable[[Path], None], path: Path, complete: str) -> None:
    """Write the picture of complete studies.

    Args:
        draw: Draws it into a file.
        path: The file.
        complete: What is complete without it, for the message if it cannot be written.
    """
    try:
        with replacing(path) as temporary:
            draw(temporary)
    except OSError as error:
        raise StudyError(
            f"{complete} complete, but the picture cannot be written: {error.strerror}. Free some "
            "space and run the same command again."
        ) from error


def print_trouble(follower: Follower) -> None:
    """Print on standard error if a live report could not be written at last."""
    if follower.trouble:
        trouble = printable(follower.trouble)
        print(f"hormesis: the study is complete, but not shown: {trouble}", file=sys.stderr)
