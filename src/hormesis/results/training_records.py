"""The records of a training: a file with checksums beside each state that it can resume from.

    resume-0003.ckpt   the state that Lightning resumes from after the third epoch
    resume-0003.json   its checksum, those of all checkpoints so far, the table, the manifest

The last two epochs have such a pair. A record is written last, so that the earlier pairs stay
complete if an epoch is interrupted. Nothing here needs torch.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from hormesis.settings.choices import MOST_EPOCHS
from hormesis.storage.sealed_json import dump_sealed, read_sealed
from hormesis.storage.training_files import write
from hormesis.storage.training_schema import Seal, validate_record

KEPT = 2
"""How many of the last states are kept."""
MOST_BYTES = 1 << 23  # of a record, and of a manifest
_RECORD = re.compile(r"resume-(\d{4}|[1-9]\d{4,6})\.json", re.ASCII)
_PAIR = re.compile(r"resume-(\d{4}|[1-9]\d{4,6})\.(?:ckpt|json)", re.ASCII)


def seal_of(content: bytes) -> Seal:
    """Return the seal of a file with this content.

    Example:
        >>> seal_of(b"weights").bytes
        7
    """
    return Seal(len(content), sha256(content).hexdigest())


@dataclass(frozen=True)
class Record:
    """The state of a training after an epoch.

    Args:
        epoch: Number of completed epochs.
        state: Seal of the state that Lightning resumes from.
        checkpoints: Seals of the checkpoints kept so far, by epoch.
        metrics: The table so far, as ``metrics.csv`` holds it.
        manifest: The question and the sessions, as ``manifest.json`` holds them.
    """

    epoch: int
    state: Seal
    checkpoints: Mapping[int, Seal]
    metrics: str
    manifest: Mapping[str, Any]


def state_path(folder: Path, epoch: int) -> Path:
    """Return the file of the state that Lightning resumes from after so many epochs.

    Example:
        >>> state_path(Path("run"), 3).name
        'resume-0003.ckpt'
    """
    return folder / f"resume-{epoch:04d}.ckpt"


def record_path(folder: Path, epoch: int) -> Path:
    """Return the file with the record of a state."""
    return state_path(folder, epoch).with_suffix(".json")


def write_record(folder: Path, record: Record) -> None:
    """Write a record; its state must be on the disk already."""
    values = {
        "epoch": record.epoch,
        "state": asdict(record.state),
        "checkpoints": {str(epoch): asdict(seal) for epoch, seal in record.checkpoints.items()},
        "metrics": record.metrics,
        "manifest": dict(record.manifest),
    }
    write(record_path(folder, record.epoch), dump_sealed(values))


def read_record(folder: Path, epoch: int) -> Record:
    """Return the record of a state.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is damaged.
    """
    values = read_sealed(record_path(folder, epoch), MOST_BYTES)
    record = validate_record(values)
    if record.epoch != epoch:
        raise ValueError("it lacks a proper `epoch`")
    checkpoints = {int(name): seal for name, seal in record.checkpoints.items()}
    return Record(epoch, record.state, checkpoints, record.metrics, values["manifest"])


def recorded_epochs(folder: Path) -> list[int]:
    """Return the epochs that have a record, valid or damaged, the last one first."""
    try:
        matches = [_RECORD.fullmatch(path.name) for path in folder.iterdir()]
    except OSError:
        return []
    epochs = {int(match[1]) for match in matches if match}
    return sorted((epoch for epoch in epochs if 0 < epoch <= MOST_EPOCHS), reverse=True)


def remove_older_states(folder: Path, kept: Collection[int]) -> None:
    """Delete states older than the kept ones, and their records.

    Args:
        folder: The folder of a run, held by the caller and marked as ours.
        kept: The epochs whose states stay; nothing is deleted if there are none.
    """
    for path in sorted(folder.iterdir()):
        match = _PAIR.fullmatch(path.name)
        if match and int(match[1]) not in kept and int(match[1]) < max(kept, default=0):
            path.unlink(missing_ok=True)


def read_records(folder: Path) -> tuple[list[Record], dict[int, str]]:
    """Return the valid records of the last epochs, at most two, the last one first.

    Args:
        folder: The run's folder.

    Returns:
        The records, and what is wrong with damaged ones, by epoch. The states themselves are not
        checked.
    """
    records, damaged = list[Record](), dict[int, str]()
    for epoch in recorded_epochs(folder):
        if len(records) == KEPT or len(damaged) > KEPT:
            break
        try:
            records.append(read_record(folder, epoch))
        except FileNotFoundError:
            continue  # the training has just deleted it
        except (OSError, ValueError) as error:
            damaged[epoch] = str(error)
    return records, damaged
