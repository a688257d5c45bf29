"""The folder of a training: its manifest, the checkpoints of its epochs, and a table of metrics.

    .hormesis.json                     the marker of our folders
    manifest.json                      the request, fingerprints, versions
    checkpoints/epoch-0003.safetensors the network's weights after its third epoch; 0 is untrained
    metrics.csv                        one row per epoch
    resume-0003.ckpt, resume-0003.json the last two states to resume from, and their records
    logs/                              files of the loggers

Nothing here needs torch.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from hormesis.errors import SettingError, TrainingError
from hormesis.results.training_records import Record, read_records
from hormesis.settings.factory import is_code
from hormesis.storage.metrics_table import MOST_TABLE, parse_metrics
from hormesis.storage.safe_read import read_bytes
from hormesis.storage.sealed_json import dump_sealed, read_sealed
from hormesis.storage.training_files import write
from hormesis.storage.training_schema import MISSING, RunManifest
from hormesis.storage.validation import convert

FORMAT = 2
KEY = "training"
MANIFEST = "manifest.json"
CHECKPOINTS = "checkpoints"
METRICS = "metrics.csv"
RESUME = "resume.ckpt"  # the only state of a training of format 1, without a record
LOGS = "logs"
_CHECKPOINT = re.compile(r"epoch-(\d{4}|[1-9]\d{4,6})\.safetensors", re.ASCII)
MOST_BYTES = 1 << 24  # of a manifest
_AGAIN = "run the same `hormesis train` again, which mends it"


@dataclass(frozen=True)
class TrainingRun:
    """One network, trained on one data set, with checkpoints by epoch.

    Args:
        folder: Its folder.
        manifest: The request, fingerprints and versions.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import torch
        >>> import hormesis as hm
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
        >>> data = torch.rand(8, 1, 2, 2), torch.arange(8) % 2
        >>> quiet = hm.TrainerConfig(progress=False, loggers={}, device="cpu")
        >>> with TemporaryDirectory() as folder:
        ...     run = hm.train(network, (data, data), out=f"{folder}/run",
        ...                    recipe=hm.Recipe(epochs=1), trainer_config=quiet)
        ...     list(run.checkpoints), len(run.metrics)
        ([0, 1], 1)
    """

    folder: Path
    manifest: dict[str, Any]

    @cached_property
    def metadata(self) -> RunManifest:
        """The manifest as typed values."""
        return convert(self.manifest, RunManifest)

    @property
    def checkpoints(self) -> dict[int, Path]:
        """The files with the network's weights, by epoch; 0 is the untrained network."""
        paths = {
            int(match[1]): path
            for path in (self.folder / CHECKPOINTS).glob("epoch-*.safetensors")
            if (match := _CHECKPOINT.fullmatch(path.name))
        }
        return dict(sorted(paths.items()))

    @property
    def metrics(self) -> pd.DataFrame:
        """One row per epoch: ``epoch``, losses and accuracies from 0 to 1, rate, seconds.

        Raises:
            TrainingError: If the table is damaged, or is not the one that was written.
        """
        path = self.folder / METRICS
        fault = ""
        for _ in range(3):  # an epoch may end between the two reads
            text, fault = read_metrics(path)
            records, _ = read_records(self.folder)
            tables = [record.metrics for record in records]
            if fault == MISSING:
                return parse_metrics(tables[0] if tables else "epoch\n")[0]
            if not fault and (not tables or text in tables):
                return parse_metrics(text)[0]
        fault = fault or "it is not the one that was written"
        raise TrainingError(f"The table {path} is damaged: {fault}; {_AGAIN}.")

    def fault(self, epoch: int) -> str:
        """Return what is wrong with the checkpoint of an epoch, in a few words, or an empty string.

        A checkpoint without a recorded checksum, of an earlier version or the current epoch, is
        accepted.

        Args:
            epoch: An epoch that has, or had, a checkpoint.
        """
        seal = self.record.checkpoints.get(epoch) if self.record else None
        path = checkpoint_path(self.folder, epoch)
        if seal is not None:
            return seal.fault(path)
        return "" if path.is_file() else MISSING

    def whole(self, epoch: int) -> Path:
        """Return the checkpoint of an epoch, after verifying it.

        Args:
            epoch: One of ``checkpoints``.

        Raises:
            TrainingError: If it is damaged.
        """
        fault, path = self.fault(epoch), checkpoint_path(self.folder, epoch)
        if fault:
            raise TrainingError(
                f"The checkpoint {path} is damaged: {fault}; {_AGAIN}, or says how."
            )
        return path

    @cached_property
    def record(self) -> Record | None:
        """The last valid record; None for a training without records."""
        return next(iter(read_records(self.folder)[0]), None)

    @property
    def source(self) -> str | None:
        """The name by which the data were requested, or None if they came from Python."""
        return self.metadata.last_session.data

    @property
    def data_root(self) -> str | None:
        """The folder of the named data sets that the training read last."""
        return self.metadata.last_session.data_root

    @property
    def mended(self) -> list[str]:
        """What the last session found damaged and repaired, a sentence each."""
        return self.metadata.last_session.mended

    @property
    def damaged(self) -> list[str]:
        """What the last session found damaged and could not repair, a sentence each."""
        return self.metadata.last_session.damaged

    def code(self) -> dict[str, str]:
        """Return the ``module:factory`` of network and data, where the manifest names one."""
        named = {"model": self.metadata.question.network.name, "data": self.source}
        return {key: name for key, name in named.items() if name and is_code(key, name)}

    def chosen(self, epochs: Iterable[int] | None = None) -> dict[int, Path]:
        """Return the checkpoints of these epochs; by default of all but the untrained network.

        They include checkpoints that are missing or damaged, see ``fault``.

        Raises:
            SettingError: For epochs without a checkpoint; the message names those that have one.
            TrainingError: If there are no checkpoints at all.
        """
        epochs_written = {*self.checkpoints, *(self.record.checkpoints if self.record else ())}
        paths = {epoch: checkpoint_path(self.folder, epoch) for epoch in sorted(epochs_written)}
        if not self.checkpoints:
            raise TrainingError(
                f"The run {self.folder} has no checkpoints yet: train it with `hormesis train`."
            )
        if epochs is None:
            return {epoch: path for epoch, path in paths.items() if epoch} or paths
        requested = sorted(set(epochs))
        missing = [epoch for epoch in requested if epoch not in paths]
        if missing:
            raise SettingError(
                f"The run {self.folder} has no checkpoint of epoch "
                f"{', '.join(map(str, missing))}. Its `epochs`: {', '.join(map(str, paths))}."
            )
        return {epoch: paths[epoch] for epoch in requested}

    def __repr__(self) -> str:
        """Return network, data and epochs."""
        network, data = self.metadata.question.network.name, self.metadata.question.data.name
        return f"TrainingRun({network} on {data}, epochs {', '.join(map(str, self.checkpoints))})"


def load_run(folder: str | Path) -> TrainingRun:
    """Load a training. Needs no network and no torch.

    Args:
        folder: The folder that ``train`` has written.

    Raises:
        TrainingError: If it is not such a folder, damaged, or of a later format.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import torch
        >>> import hormesis as hm
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
        >>> data = torch.rand(8, 1, 2, 2), torch.arange(8) % 2
        >>> quiet = hm.TrainerConfig(progress=False, loggers={}, device="cpu")
        >>> with TemporaryDirectory() as folder:
        ...     made = hm.train(network, (data, data), out=f"{folder}/run",
        ...                     recipe=hm.Recipe(epochs=1), trainer_config=quiet)
        ...     load_run(f"{folder}/run")
        TrainingRun(Sequential on custom, epochs 0, 1)
    """
    folder = Path(folder).expanduser()
    path = folder / MANIFEST
    if not folder.is_dir():
        raise TrainingError(f"There is no folder {folder} of a training.")
    try:
        manifest = read_sealed(path, MOST_BYTES)
        if type(manifest.get(KEY)) is not int:
            raise TrainingError(f"The folder {folder} is no training: its {MANIFEST} is another's.")
        if manifest[KEY] > FORMAT:
            raise TrainingError(
                f"The training {folder} has format {manifest[KEY]}, this version reads up to "
                f"{FORMAT}; install a newer hormesis."
            )
        convert(manifest, RunManifest)
    except FileNotFoundError as error:
        raise TrainingError(f"The folder {folder} is no training: it has no {MANIFEST}.") from error
    except (OSError, ValueError) as error:
        raise TrainingError(f"The manifest {path} is damaged: {error}.{_remedy(folder)}") from error
    return TrainingRun(folder, manifest)


def _remedy(folder: Path) -> str:
    """Return how to repair a damaged manifest, if a record holds a copy of it."""
    return f" It can be mended: {_AGAIN}." if read_records(folder)[0] else ""


def read_metrics(path: Path) -> tuple[str, str]:
    """Return the text of a table of metrics, and what is wrong with it, or an empty string."""
    try:
        text = read_bytes(path, MOST_TABLE).decode("ascii")
    except FileNotFoundError:
        return "", MISSING
    except (OSError, ValueError) as error:
        return "", str(error)
    return text, parse_metrics(text)[1]


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """Return the file for the network's weights after so many epochs.

    Example:
        >>> checkpoint_path(Path("run"), 3).name
        'epoch-0003.safetensors'
    """
    return folder / CHECKPOINTS / f"epoch-{epoch:04d}.safetensors"


def write_run_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest with a checksum, and flush it to disk."""
    write(folder / MANIFEST, dump_sealed({**manifest, KEY: FORMAT}))


def write_metrics(folder: Path, text: str) -> None:
    """Write the table of all epochs, and flush it to disk."""
    write(folder / METRICS, text.encode("ascii"))
