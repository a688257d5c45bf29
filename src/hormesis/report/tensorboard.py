"""Studies in TensorBoard: scalars over the samples measured, and the heat map; needs no torch."""

import time
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hormesis.errors import MissingExtraError, StudyError
from hormesis.report.html.live import Sink
from hormesis.report.plots.target_selection import PAGE_ROWS
from hormesis.report.text.score_table import targets_by_class
from hormesis.report.views.figures import main_filter, target_rows
from hormesis.report.views.method_text import unfiltered
from hormesis.results.series import load_study_or_series
from hormesis.results.study import Study
from hormesis.storage.series_folders import member_folder

_MOST_TARGETS = 300  # with curves of their own
_PROTO = "tensorboard.compat.proto"


def check_tensorboard() -> None:
    """Refuse to write for TensorBoard where it is not installed.

    Raises:
        MissingExtraError: Naming what to install.
    """
    if find_spec("tensorboard") is None:
        raise MissingExtraError(
            "Events for TensorBoard need TensorBoard: install it with `pip install "
            "'hormesis[train]'`."
        )


def event_sink(folder: Path, name: str) -> Sink:
    """Return a sink that adds events when a study grows.

    Its steps are the samples measured. The studies of a series have a folder of events each.

    Args:
        folder: The argument of ``tensorboard --logdir``.
        name: Name of the study and of its folder of events.
    """
    written: dict[Path, int] = {}

    def write(source: Path, last: bool) -> None:
        opened = load_study_or_series(source)
        members: dict[str, Study] = {}
        if isinstance(opened, Study):
            members[""] = opened
        else:
            for place, study in opened.members.items():
                members[member_folder(source, opened.axis, place).name] = study
        for member, study in members.items():
            events = folder / name / member
            _refuse_links(folder / name, events)
            samples = study.metadata.base.samples
            if written.get(events) != samples:
                write_events(study, events)
                written[events] = samples

    return write


def _refuse_links(*folders: Path) -> None:
    """Refuse folders of events that are links, as events would be written wherever these lead.

    Raises:
        StudyError: Naming the link.
    """
    for folder in folders:
        if folder.is_symlink():
            raise StudyError(f"The events cannot be written to {folder}, as it is a link.")


def write_events(study: Study, folder: Path) -> None:
    """Add the state of a study to the events in a folder.

    Args:
        study: Any study, finished or not.
        folder: Folder of its events.

    Raises:
        OSError: If they cannot be written.
    """
    writer_of = import_module("tensorboard.summary.writer.event_file_writer").EventFileWriter
    event = import_module(f"{_PROTO}.event_pb2").Event
    summary = import_module(f"{_PROTO}.summary_pb2").Summary
    values = [summary.Value(tag=tag, simple_value=value) for tag, value in scalars(study)]
    if len(study.group_of) <= PAGE_ROWS:
        content, _ = study.plot.heatmap(width="double")._repr_png_()
        image = summary.Image(encoded_image_string=content)
        values.append(summary.Value(tag="scores", image=image))
    step = study.metadata.base.samples
    writer: Any = writer_of(str(folder), filename_suffix=f".{step}")
    try:
        writer.add_event(event(wall_time=time.time(), step=step, summary=summary(value=values)))
    finally:
        writer.close()


def scalars(study: Study) -> Iterator[tuple[str, float]]:
    """Yield names and values of everything that TensorBoard draws as a curve.

    Args:
        study: Any study.
    """
    for kind, value in unfiltered(study).items():
        yield f"network/{kind}", value
    for score, counts in targets_by_class(study).items():
        for name, count in counts.items():
            yield f"classes/{score}, {name}", float(count)
    main = main_filter(study.scores)
    for row in target_rows(study, main)[:_MOST_TARGETS]:
        for score, value in zip(study.score_names, row.values, strict=True):
            yield f"{score}/{row.target}", value
