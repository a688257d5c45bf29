"""Where a training stands: the last state that is whole, and what of its folder is damaged.

Nothing here needs torch, and nothing is written.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hormesis.errors import TrainingError
from hormesis.results.training_records import Record, read_records, record_path, state_path
from hormesis.results.training_run import (
    CHECKPOINTS,
    FORMAT,
    KEY,
    LOGS,
    MANIFEST,
    METRICS,
    MOST_BYTES,
    RESUME,
    load_run,
    read_metrics,
)
from hormesis.storage.atomic import TEMPORARY
from hormesis.storage.lock import LOCK
from hormesis.storage.ownership import MARKER, TRAINING, owner
from hormesis.storage.sealed_json import read_sealed
from hormesis.storage.training_schema import RunManifest
from hormesis.storage.validation import wrong_entry


@dataclass(frozen=True)
class RunState:
    """What a training's folder holds.

    Args:
        records: Records of the last epochs whose states are whole too, the last one first; at most
            two.
        broken: What is wrong with a state or its record, by epoch.
        manifest: What was asked before, or None if the training is new.
        notes: Sentences about what was damaged and is repaired.
        unsealed: Whether it was made by an earlier version: its state is ``resume.ckpt``.
    """

    records: tuple[Record, ...]
    broken: dict[int, str]
    manifest: dict[str, Any] | None
    notes: tuple[str, ...]
    unsealed: bool = False

    @property
    def epoch(self) -> int:
        """Number of epochs after which it goes on, as far as records say."""
        return self.records[0].epoch if self.records else 0


def read_run_state(folder: Path) -> RunState:
    """Look at states, records and manifest of a training; the caller holds its lock.

    Args:
        folder: The run's folder, which exists.

    Raises:
        TrainingError: If its folder holds links, it cannot be resumed or was written by a later
            version; the sentence says what to do.
    """
    check_links(folder)
    records, broken = whole_records(folder)
    unsealed = not records and not broken and os.path.lexists(folder / RESUME)
    if not records and max(broken, default=0) > 1:
        raise TrainingError(_nothing_whole(folder, broken))
    manifest, notes = _manifest(folder, records, unsealed=unsealed)
    last = records[0].epoch if records else 0
    for epoch, why in sorted(broken.items()):
        notes.append(_told(folder, epoch, why, last))
    return RunState(tuple(records), broken, manifest, tuple(notes), unsealed)


def whole_records(folder: Path) -> tuple[list[Record], dict[int, str]]:
    """Return the records whose states are whole, the last one first, and what is wrong with others.

    Args:
        folder: The run's folder.

    Returns:
        The records, and why others or their states are damaged, with the file, by epoch.
    """
    records, damaged = read_records(folder)
    broken = {epoch: f"{record_path(folder, epoch).name}: {why}" for epoch, why in damaged.items()}
    for record in records:
        path = state_path(folder, record.epoch)
        fault = record.state.fault(path)
        if fault:
            broken[record.epoch] = f"{path.name}: {fault}"
    return [record for record in records if record.epoch not in broken], broken


def _nothing_whole(folder: Path, broken: dict[int, str]) -> str:
    faults = "; ".join(why for _, why in sorted(broken.items()))
    return (
        f"The training {folder} cannot be resumed, as all its states are damaged ({faults}): "
        f"delete {folder}/resume-* to train from the start, with the same result."
    )


def _told(folder: Path, epoch: int, why: str, last: int) -> str:
    """Say what is done about a damaged state."""
    if epoch < last:
        return (
            f"The state after epoch {epoch} was damaged ({why}) and is left out: the one after "
            f"epoch {last} is whole."
        )
    source = f"from the state after epoch {last}" if last else "from the start"
    return f"The state after epoch {epoch} was damaged ({why}): trained again {source}."


def _manifest(
    folder: Path, records: Sequence[Record], *, unsealed: bool
) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the stored manifest, and a note if it had to be read from a record."""
    fault = manifest_fault(folder)
    if not fault:
        return load_run(folder).manifest, []
    exists = os.path.lexists(folder / MANIFEST)
    if records:
        note = f"The manifest was damaged ({fault}) and was written anew, from the record after "
        return dict(records[0].manifest), [f"{note}epoch {records[0].epoch}."]
    if unsealed or (exists and owner(folder) is None):
        raise TrainingError(
            f"The manifest {folder / MANIFEST} is damaged: {fault}. No record says what was "
            "trained: choose another folder with `out`."
        )
    note = f"The manifest was damaged ({fault}) before an epoch was done: trained from the start."
    return None, [note] if exists else []


def manifest_fault(folder: Path) -> str:
    """Return what is wrong with the manifest of a training, in a few words, or nothing.

    One of a later version passes.
    """
    try:
        manifest = read_sealed(folder / MANIFEST, MOST_BYTES)
    except FileNotFoundError:
        return "it is missing"
    except (OSError, ValueError) as error:
        return str(error)
    if type(manifest.get(KEY)) is not int:
        return f"it lacks a proper `{KEY}`"
    bad_entry = None if manifest[KEY] > FORMAT else wrong_entry(manifest, RunManifest)
    return "" if bad_entry is None else f"it lacks a proper `{bad_entry}`"


def metrics_note(folder: Path, now: RunState, text: str) -> str:
    """Return a sentence if the table in a folder is damaged, or nothing.

    Args:
        folder: The run's folder.
        now: Where the training stands.
        text: The table as it has to be.
    """
    stored, fault = read_metrics(folder / METRICS)
    usual = {record.metrics for record in now.records} | {text}
    if stored in usual or (not stored and now.epoch <= 1) or (not fault and now.broken):
        return ""
    reason = fault or "it was not the one that was written"
    return f"The table {METRICS} was damaged ({reason}) and was written anew, from the record."


def check_links(folder: Path) -> None:
    """Refuse a folder of a training in which links would lead what is written elsewhere.

    Raises:
        TrainingError: It names the link.
    """
    link = next((path for path in (folder / CHECKPOINTS, folder / LOGS) if path.is_symlink()), None)
    for here, folders, files in os.walk(folder / LOGS):
        if link is not None:
            break
        links = (Path(here, name) for name in (*folders, *files) if Path(here, name).is_symlink())
        link = next(links, None)
    if link is not None:
        raise TrainingError(
            f"The training {folder} holds a link, {link}, through which nothing is written: move "
            "it away."
        )


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds anything but a training.

    Raises:
        TrainingError: It names the folder, and what lies there.
    """
    if folder.exists() and not folder.is_dir():
        raise TrainingError(f"Expected a folder for the training, got the file {folder}.")
    if not folder.is_dir():
        return
    marked = owner(folder)
    if marked is not None and marked.kind == TRAINING:
        return
    if os.path.lexists(folder / MANIFEST):
        load_run(folder)  # of an earlier version, which marked nothing
        return
    check_empty(folder)


def check_empty(folder: Path) -> None:
    """Refuse a folder that holds anything.

    Raises:
        TrainingError: It names the folder, and what lies there.
    """
    theirs = sorted(path.name for path in folder.iterdir() if not _is_rest(path.name))
    if theirs:
        raise TrainingError(
            f"The folder {folder} holds something else, such as {theirs[0]!r}: choose an empty or "
            "a new one with `out`."
        )


def _is_rest(name: str) -> bool:
    """Return whether a file may be there of a training that was killed at the very start."""
    return name in (MARKER, LOCK, f".{MANIFEST}.partial") or name.startswith((TEMPORARY, ".now."))
