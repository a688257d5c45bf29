"""Live reports: pages and TensorBoard follow a study while its shards arrive."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hormesis.errors import HormesisError, StudyError
from hormesis.report.html.page import write_report
from hormesis.storage.files import MANIFEST, read_manifest
from hormesis.storage.folders import is_study
from hormesis.storage.replacement import folder_in_progress
from hormesis.storage.series_folders import series_folders
from hormesis.storage.store import FolderStore

SHARE = 0.02
"""Largest share of the time of one core that live reports take."""

UNFINISHED = "unfinished"
_LOOK = 1.0  # seconds between looks at the folder
_SHOWN = 5.0  # seconds at least between two pages: nobody reads faster
_WAIT = 60.0  # seconds to wait for the last page
Sink = Callable[[Path, bool], None]
"""Shows the study, or the studies, in a folder; called with the folder and whether it is the last
time."""


def page_sink(page: Path, *, title: str = "") -> Sink:
    """Return a sink that keeps a page up to date; the page reloads until the study is finished.

    Args:
        page: The file.
        title: Its heading; by default network and data.
    """

    def write(folder: Path, last: bool) -> None:
        write_report(folder, page, title=title, refresh=None if last else _SHOWN)

    return write


class Follower:
    """Updates the live reports of a study whenever it has grown.

    It takes no more than ``SHARE`` of the time: after a page that took a second to compute, the
    next one comes 50 seconds later. A report that cannot be written does not make the study fail.

    Args:
        folder: Folder of a growing study, or of a series of studies.
        sinks: The reports.
        share: Largest share of the time that they take.
    """

    def __init__(self, folder: Path, sinks: Sequence[Sink], *, share: float = SHARE) -> None:
        """Start without any report."""
        self.seconds = 0.0
        self.trouble = ""
        self._folder, self._sinks, self._share = folder, sinks, share
        self._seen: tuple[object, ...] = ()
        self._next = 0.0

    def poll(self) -> bool:
        """Update the reports if the study has grown and enough time has passed.

        Returns:
            Whether they were updated.
        """
        now = time.monotonic()
        if now < self._next:
            return False
        snapshot = _snapshot(folder_in_progress(self._folder))
        if not snapshot or snapshot == self._seen:
            return False
        self._seen = snapshot
        seconds = self.show(last=False)
        self._next = time.monotonic() + max(_SHOWN, seconds / self._share)
        return True

    def show(self, *, last: bool) -> float:
        """Update the reports.

        Args:
            last: Whether the study is finished.

        Returns:
            The seconds of computing.
        """
        started = time.thread_time()
        self.trouble = ""
        for sink in self._sinks:
            try:
                sink(folder_in_progress(self._folder), last)
            except (HormesisError, OSError) as error:  # before the first shard, or a full disk
                self.trouble = str(error)
        seconds = time.thread_time() - started
        self.seconds += seconds
        return seconds


def _snapshot(folder: Path) -> tuple[object, ...]:
    """Return the shards and the state of each study, to compare with the last look."""
    try:
        studies = [folder] if is_study(folder) else [*series_folders(folder).members.values()]
        return tuple(
            (path.name, path.stat().st_mtime_ns)
            for study in studies
            for path in [*_shards(study), study / MANIFEST]
        )
    except (OSError, StudyError):  # a file was removed in between
        return ()


def _shards(study: Path) -> list[Path]:
    store = FolderStore(study)
    return [store.path(first) for first in store.firsts()]


@contextmanager
def following(folder: Path, sinks: Sequence[Sink]) -> Iterator[Follower]:
    """Update the reports of a study while the block measures it, and once more at the end.

    Args:
        folder: Folder of the study.
        sinks: The reports; without any, nothing is done.

    Yields:
        The follower; afterwards, ``trouble`` says why the last report is missing, if it is.
    """
    following = Follower(folder, sinks)
    ended = threading.Event()

    def follow() -> None:
        while not ended.wait(_LOOK):
            following.poll()

    thread = threading.Thread(target=follow, name="hormesis-live", daemon=True)
    if not sinks:
        yield following
        return
    thread.start()
    try:
        yield following
    finally:
        ended.set()
        thread.join(_WAIT)
    following.show(last=True)


def watch(
    folder: Path, sinks: Sequence[Sink], *, pause: Callable[[float], None] = time.sleep
) -> Follower:
    """Update the reports of a study until it is finished, whichever process measures it.

    Args:
        folder: Folder of the study.
        sinks: The reports.
        pause: How to wait so many seconds.

    Raises:
        StudyError: If the folder holds no study.
    """
    following = Follower(folder, sinks)
    while read_manifest(folder).get("state") == UNFINISHED:
        following.poll()
        pause(_LOOK)
    following.show(last=True)
    return following
