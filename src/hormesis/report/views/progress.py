"""How far an unfinished study is: samples, shards, the time left, and whether it is measured."""

from itertools import pairwise
from typing import Any

from hormesis.results.study import Study
from hormesis.storage.lock import holder_of
from hormesis.storage.store import FolderStore
from hormesis.storage.verify import format_seconds, shard_pace

STATE_NOTE = "Unfinished: "
"""How the note of an unfinished study on its progress begins."""


def progress(study: Study) -> dict[str, Any] | None:
    """Return how far an unfinished study is; None for a finished one.

    Args:
        study: Any study.

    Returns:
        ``says``: samples and shards in words; ``samples``: measured and planned; ``left``: the
        time that the rest takes at the pace of the last session, in words, empty if unknown;
        ``pace``: seconds a shard, or None; ``at_work``: whether a process measures it now.
    """
    if study.finished:
        return None
    shards = study.manifest.get("shards", {})
    whole = [(int(first), int(end)) for first, end in shards.get("there", ())]
    missing = len(list(pairwise(shards.get("edges", ())))) - len(whole)
    folder, pace = study.folder, None
    if folder is not None:
        pace = shard_pace(FolderStore(folder), whole, study.manifest)
    planned = study.metadata.question.data.samples
    return {
        "says": _state(study),
        "samples": [study.metadata.base.samples or 0, planned],
        "left": "" if pace is None else format_seconds(pace * missing),
        "pace": pace,
        "at_work": folder is not None and holder_of(folder) is not None,
    }


def notes_besides(study: Study) -> list[str]:
    """Return the notes of a study but for the one on its progress."""
    return [note for note in study.notes if not note.startswith(STATE_NOTE)]


def _state(study: Study) -> str:
    """Return the note on the progress as a phrase; samples alone, if there is none."""
    for note in study.notes:
        if note.startswith(STATE_NOTE):
            return note.removeprefix(STATE_NOTE).partition("; ")[0]
    measured, planned = study.metadata.base.samples or 0, study.metadata.question.data.samples
    return f"{measured} of {planned} samples so far"
