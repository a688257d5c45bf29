"""The folder of a training: what was asked, a network for every epoch kept, and a table.

    manifest.json                      what was asked, fingerprints, versions
    checkpoints/epoch-0003.safetensors the network's weights after its third epoch; 0 is untrained
    metrics.csv                        one row an epoch
    resume.ckpt                        what Lightning needs to go on after the last epoch
    logs/                              of the loggers

Nothing here needs torch.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hormesis.errors import SettingError, TrainingError
from hormesis.inputs.factory import is_code

FORMAT = 1
MANIFEST = "manifest.json"
CHECKPOINTS = "checkpoints"
METRICS = "metrics.csv"
RESUME = "resume.ckpt"
LOGS = "logs"
_CHECKPOINT = re.compile(r"epoch-(\d{4}|[1-9]\d{4,})\.safetensors", re.ASCII)
MOST_BYTES = 1 << 26  # of a manifest
_QUESTION: dict[str, dict[str, type]] = {
    "network": {"name": str, "named": bool},
    "data": {
        "name": str,
        "samples": int,
        "split": str,
        "split_seed": int,
        "normalize": bool,
        "validation_fingerprint": str,
    },
    "recipe": {"seed": int, "stem": str, "epochs": int},
}
_SESSION = {"data": str, "data_root": str, "validated_on": int, "notes": list}


@dataclass(frozen=True)
class TrainingRun:
    """One network, trained on one data set, with checkpoints by epoch.

    Args:
        folder: Where it lies.
        manifest: What was asked, fingerprints and versions.
    """

    folder: Path
    manifest: dict[str, Any]

    @property
    def checkpoints(self) -> dict[int, Path]:
        """The files with the network's weights, by epoch; 0 is the untrained network."""
        found = {
            int(match[1]): path
            for path in (self.folder / CHECKPOINTS).glob("epoch-*.safetensors")
            if (match := _CHECKPOINT.fullmatch(path.name))
        }
        return dict(sorted(found.items()))

    @property
    def metrics(self) -> pd.DataFrame:
        """One row an epoch: ``epoch``, losses and accuracies from 0 to 1, rate, seconds."""
        path = self.folder / METRICS
        if not path.is_file():
            return pd.DataFrame({"epoch": []}, dtype=int)
        try:
            return pd.read_csv(path)
        except (OSError, ValueError) as error:
            raise TrainingError(f"The table {path} is damaged: {error}.") from error

    @property
    def source(self) -> str | None:
        """The name that the data were asked for by, or None if they came from Python."""
        sessions = self.manifest.get("sessions") or [{}]
        return sessions[-1].get("data")

    @property
    def data_root(self) -> str | None:
        """The folder of the named data sets that the training read last."""
        sessions = self.manifest.get("sessions") or [{}]
        return sessions[-1].get("data_root")

    def code(self) -> dict[str, str]:
        """Return the ``module:factory`` of network and data, where the manifest names one."""
        named = {"model": self.manifest["question"]["network"]["name"], "data": self.source}
        return {key: name for key, name in named.items() if name and is_code(key, name)}

    def chosen(self, epochs: Iterable[int] | None = None) -> dict[int, Path]:
        """Return the checkpoints of these epochs; of all but the untrained one by default.

        Raises:
            SettingError: For epochs without a checkpoint; it names those that have one.
            TrainingError: If there are no checkpoints at all.
        """
        there = self.checkpoints
        if not there:
            raise TrainingError(
                f"The run {self.folder} has no checkpoints yet: train it with `hormesis train`."
            )
        if epochs is None:
            return {epoch: path for epoch, path in there.items() if epoch} or there
        wanted = sorted(set(epochs))
        missing = [epoch for epoch in wanted if epoch not in there]
        if missing:
            raise SettingError(
                f"The run {self.folder} has no checkpoint of epoch "
                f"{', '.join(map(str, missing))}. Its `epochs`: {', '.join(map(str, there))}."
            )
        return {epoch: there[epoch] for epoch in wanted}

    def __repr__(self) -> str:
        """Say what was trained on what."""
        question = self.manifest["question"]
        network, data = question["network"]["name"], question["data"]["name"]
        return f"TrainingRun({network} on {data}, epochs {', '.join(map(str, self.checkpoints))})"


def open_run(folder: str | Path) -> TrainingRun:
    """Open the folder of a training. Needs no network and no torch.

    Args:
        folder: The folder that ``train`` has written.

    Raises:
        TrainingError: If it is no such folder, damaged, or of a later format.
    """
    folder = Path(folder).expanduser()
    path = folder / MANIFEST
    if not folder.is_dir():
        raise TrainingError(f"There is no folder {folder} of a training.")
    if not path.is_file():
        raise TrainingError(f"The folder {folder} is no training: it has no {MANIFEST}.")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it is larger than {MOST_BYTES:,} bytes")
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TrainingError(f"The manifest {path} is damaged: {error}.") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("training"), int):
        raise TrainingError(f"The folder {folder} is no training: its {MANIFEST} is another's.")
    if manifest["training"] > FORMAT:
        raise TrainingError(
            f"The training {folder} has format {manifest['training']}, this version reads up to "
            f"{FORMAT}; install a newer hormesis."
        )
    fault = next(_faults(manifest), None)
    if fault:
        raise TrainingError(f"The manifest {path} is damaged: {fault}.")
    return TrainingRun(folder, manifest)


def _faults(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a manifest lacks, or holds another kind of value for."""
    question = manifest.get("question")
    for part, wanted in _QUESTION.items():
        there = question.get(part) if isinstance(question, dict) else None
        for key, kind in wanted.items():
            value = there.get(key) if isinstance(there, dict) else None
            if type(value) is not kind:
                yield f"it lacks a proper {key!r} of the {part}"
    sessions = manifest.get("sessions", [])
    if not isinstance(sessions, list):
        yield "its 'sessions' are no list"
        return
    for session in sessions:
        for key, kind in _SESSION.items():
            value = session.get(key) if isinstance(session, dict) else 0
            if value is not None and type(value) is not kind:
                yield f"it lacks a proper {key!r} of a session"


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """Return the file for the network's weights after so many epochs.

    Example:
        >>> checkpoint_path(Path("run"), 3).name
        'epoch-0003.safetensors'
    """
    return folder / CHECKPOINTS / f"epoch-{epoch:04d}.safetensors"


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest beside its place and rename it."""
    text = json.dumps({"training": FORMAT, **manifest}, indent=2, allow_nan=False) + "\n"
    partial = folder / f".{MANIFEST}.partial"
    partial.unlink(missing_ok=True)  # a link might lead to anything
    partial.write_text(text, encoding="utf-8")
    partial.replace(folder / MANIFEST)


def write_metrics(folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the table of all epochs beside its place and rename it."""
    partial = folder / f".{METRICS}.partial"
    partial.unlink(missing_ok=True)
    pd.DataFrame(list(rows)).to_csv(partial, index=False)
    partial.replace(folder / METRICS)
