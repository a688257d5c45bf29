"""How the folder of a training or a retraining is: which epochs, and what is damaged or missing.

Nothing here needs torch, and nothing is written.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from hormesis.errors import TrainingError
from hormesis.results.retraining import KEY
from hormesis.results.training_records import KEPT, Record, Seal, read_records
from hormesis.results.training_run import (
    MANIFEST,
    METRICS,
    MOST_BYTES,
    RESUME,
    TrainingRun,
    checkpoint_path,
    read_metrics,
)
from hormesis.storage.lock import Holder, holder_of
from hormesis.storage.metrics_table import parse_metrics
from hormesis.storage.ownership import RETRAINING, TRAINING, owner
from hormesis.storage.safe_read import read_bytes
from hormesis.storage.sealed_json import read_sealed
from hormesis.storage.training_schema import MISSING
from hormesis.training.run_state import manifest_fault, whole_records
from hormesis.training.selection import ARMS

MOST_TABLE = 1 << 30  # bytes of a table of a retraining
_TABLE = re.compile(r"([a-z-]+/(seed-\d+/)?)?[a-z]+\.parquet", re.ASCII)


@dataclass(frozen=True)
class RunHealth:
    """What a look at every file of a training found.

    Args:
        folder: Where it lies.
        epochs: Number of epochs that were asked for; 0 if nothing says.
        done: Number of epochs that are done.
        states: The epochs after which it could be resumed, the last one first.
        checkpoints: The epochs whose checkpoints are whole.
        damaged: What is wrong, by the name of the file.
        sealed: Whether there are checksums to compare with; earlier versions wrote none.
        holder: Who works on it at this moment, or None.
        pace: Seconds that an epoch takes, or None if that cannot be told.
    """

    folder: Path
    epochs: int
    done: int
    states: tuple[int, ...]
    checkpoints: tuple[int, ...]
    damaged: Mapping[str, str] = field(default_factory=dict)
    sealed: bool = True
    holder: Holder | None = None
    pace: float | None = None

    @property
    def finished(self) -> bool:
        """Whether all epochs that were asked for are done."""
        return 0 < self.epochs <= self.done

    @property
    def left(self) -> float | None:
        """Seconds until it is finished at the pace so far, if known."""
        return None if self.pace is None else self.pace * (self.epochs - self.done)


def is_run(folder: Path) -> bool:
    """Return whether a folder holds a training or a retraining, damaged or not."""
    marked = owner(folder)
    if marked is not None:
        return marked.kind in (TRAINING, RETRAINING)
    try:
        manifest = read_sealed(folder / MANIFEST, MOST_BYTES)
    except (OSError, ValueError):
        return bool(read_records(folder)[0])
    return "training" in manifest or KEY in manifest


def runs_in(folder: Path) -> list[Path]:
    """Return the folders of the trainings in one: itself, or the arms of a retraining."""
    arms = [arm_folder for arm in ARMS for arm_folder in sorted((folder / arm).glob("seed-*"))]
    runs = [arm_folder for arm_folder in arms if not arm_folder.is_symlink() and is_run(arm_folder)]
    return runs if runs or _is_experiment(folder) else [folder]


def _is_experiment(folder: Path) -> bool:
    marked = owner(folder)
    return marked is not None and marked.kind == RETRAINING


def verify_run(folder: Path) -> RunHealth:
    """Look at every file of a training.

    Args:
        folder: Its folder.

    Raises:
        TrainingError: If it is no training.
    """
    if not is_run(folder):
        raise TrainingError(f"The folder {folder} is no training: it has no {MANIFEST}.")
    holder = holder_of(folder)
    damaged, manifest = dict[str, str](), dict[str, Any]()
    fault = manifest_fault(folder)
    if fault:
        damaged[MANIFEST] = fault
    else:
        manifest = read_sealed(folder / MANIFEST, MOST_BYTES)
    whole, broken = whole_records(folder)
    for message in broken.values():
        name, _, why = message.partition(": ")
        damaged[name] = why
    records, _ = read_records(folder)
    last = records[0] if records else None
    usable_manifest = manifest or (dict(last.manifest) if last else {})
    run = TrainingRun(folder, usable_manifest)
    checkpoints = _checkpoints(run, last, damaged)
    done = last.epoch if last else max(checkpoints, default=0)
    pace = _metrics(folder, records, damaged)
    return RunHealth(
        folder,
        run.metadata.question.recipe.epochs if usable_manifest else 0,
        done,
        tuple(record.epoch for record in whole),
        checkpoints,
        damaged,
        last is not None or not (folder / RESUME).exists(),
        holder,
        pace,
    )


def _checkpoints(run: TrainingRun, last: Record | None, damaged: dict[str, str]) -> tuple[int, ...]:
    """Return the epochs whose checkpoints are whole, and add what is wrong with others."""
    seals: Mapping[int, Seal] = last.checkpoints if last else {}
    whole = []
    for epoch in sorted({*run.checkpoints, *seals}):
        path = checkpoint_path(run.folder, epoch)
        fault = seals[epoch].fault(path) if epoch in seals else _unsealed_fault(path)
        if fault:
            damaged[f"{path.parent.name}/{path.name}"] = fault
        else:
            whole.append(epoch)
    return tuple(whole)


def _unsealed_fault(path: Path) -> str:
    """Return what is wrong with a checkpoint that no record seals, as far as its header says."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            size = file.seek(0, 2)
    except OSError as error:
        return error.strerror or str(error)
    return "" if 8 < 8 + length <= size else "it is cut short"


def _metrics(folder: Path, records: list[Record], damaged: dict[str, str]) -> float | None:
    """Return how many seconds an epoch takes, and add what is wrong with the table."""
    text, fault = read_metrics(folder / METRICS)
    tables = [record.metrics for record in records]
    if tables and not fault and text not in tables:
        fault = "it is not the one that was written"
    first = fault == MISSING and (not records or records[0].epoch < KEPT)  # it comes last
    if fault and not first:
        damaged[METRICS] = fault
    table = parse_metrics(tables[0] if tables else text)[0]
    seconds = table["seconds"].tolist() if "seconds" in table.columns else []
    return sum(seconds) / len(seconds) if seconds else None


def damaged_tables(folder: Path) -> dict[str, str]:
    """Return what is wrong with the manifest and the tables of a retraining with controls.

    Args:
        folder: Its folder; one of a single training has none.

    Returns:
        A few words, by the name of the file.
    """
    if not _is_experiment(folder):
        return {}
    try:
        manifest = read_sealed(folder / MANIFEST, MOST_BYTES << 1)
    except FileNotFoundError:
        return {MANIFEST: MISSING}
    except (OSError, ValueError) as error:
        return {MANIFEST: str(error)}
    tables = manifest.get("tables", {})
    if not isinstance(tables, dict):
        return {MANIFEST: "it lacks proper 'tables'"}
    faults = {
        name: _table_fault(folder / name, seal)
        for name, seal in tables.items()
        if _TABLE.fullmatch(name)
    }
    return {name: fault for name, fault in faults.items() if fault}


def _table_fault(path: Path, seal: object) -> str:
    try:
        content = read_bytes(path, MOST_TABLE)
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        return error.strerror or str(error)
    return "" if sha256(content).hexdigest() == seal else "its checksum does not fit"
