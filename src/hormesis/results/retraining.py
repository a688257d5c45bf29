"""The folder of a retraining: which parameters were trained, and how its arms compare.

    manifest.json        the study, the selection, the recipe; with controls, every arm
    checkpoints/ ...     of a single retraining, which is a run like those of ``hormesis train``
    ARM/seed-1/          with controls, such a run for each arm and seed
    outcomes.parquet     with controls: every arm, seed, attack, epsilon and sample
    accuracy.parquet     with controls: one row per arm, seed, attack and epsilon
    effects.parquet      with controls: differences from the arm ``everything``

Nothing here needs torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd

from hormesis.errors import TrainingError
from hormesis.storage.atomic import make_folder, write_file
from hormesis.storage.files import MOST_MANIFEST, MOST_TABLE
from hormesis.storage.safe_read import read_bytes
from hormesis.storage.sealed_json import check_seal, dump_sealed, has_entry, parse_table
from hormesis.storage.table_checks import TABLE_ERRORS, parse_parquet, retrained_fault
from hormesis.storage.training_schema import RetrainingManifest
from hormesis.storage.validation import convert

FORMAT = 1
KEY = "retraining"
MANIFEST = "manifest.json"
OUTCOMES, ACCURACY, EFFECTS = "outcomes.parquet", "accuracy.parquet", "effects.parquet"
_COLUMNS = {
    OUTCOMES: ("arm", "seed", "attack", "epsilon", "sample", "right"),
    ACCURACY: ("arm", "seed", "attack", "epsilon", "samples", "accuracy", "low", "high"),
    EFFECTS: ("arm", "attack", "epsilon", "difference", "low", "high", "verdict"),
}


@dataclass(frozen=True)
class Retraining:
    """A network of which some parameters were trained further, and its controls.

    Args:
        folder: Its folder.
        manifest: The study, the selection and its result, the recipe.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import torch
        >>> import hormesis as hm
        >>> first, last = (torch.nn.Linear(2, 2, bias=False) for _ in range(2))
        >>> for layer in (first, last):
        ...     _ = layer.weight.data.copy_(torch.tensor([[1.0, -1.0], [-0.5, 0.5]]))
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), first, last)
        >>> images = torch.tensor([[0.9, 0.1], [0.2, 0.8]]).repeat(9, 1)
        >>> data = images, torch.arange(18) % 2
        >>> study = hm.analyze(network, data, attack=hm.FGSM(0.01), sweep=hm.Sweep(thresholds=5),
        ...                    execution=hm.Execution(progress=False))
        >>> selection = hm.Selection(("antifragile",), undecided="estimate",
        ...                          scoring=hm.Scoring(reference="density", tolerance=0.4))
        >>> quiet = hm.TrainerConfig(progress=False, loggers={}, device="cpu")
        >>> with TemporaryDirectory() as folder:
        ...     made = hm.retrain(
        ...         study, (data, data), out=f"{folder}/run", selection=selection,
        ...         recipe=hm.Recipe(epochs=1),
        ...         source=hm.SourceNetwork(network=network), trainer_config=quiet,
        ...     )
        >>> made.selection["targets"], made.selection["frozen_parameters"]
        (['2.weight'], 4)
    """

    folder: Path
    manifest: dict[str, Any]

    @cached_property
    def metadata(self) -> RetrainingManifest:
        """The manifest as typed values."""
        return convert(self.manifest, RetrainingManifest)

    @property
    def selection(self) -> dict[str, Any]:
        """The selection as requested, and the number of trained parameters of each class."""
        return self.manifest["selection"]

    @property
    def accuracy(self) -> pd.DataFrame | None:
        """Accuracy from 0 to 1 of each arm and seed, with an interval over samples.

        Columns ``arm``, ``seed``, ``attack`` (``clean``, ``fgsm``, ``pgd``, ``autoattack``),
        ``epsilon`` in input units, ``samples``, ``accuracy``, ``low``, ``high``; None without
        controls.
        """
        return self._table(ACCURACY)

    @property
    def effects(self) -> pd.DataFrame | None:
        """Differences in accuracy from the arm ``everything``, paired by seed and sample.

        Columns ``arm``, ``attack``, ``epsilon``, ``difference``, ``low``, ``high``, ``verdict``;
        the interval is over seeds and samples. None without controls.
        """
        return self._table(EFFECTS)

    @property
    def outcomes(self) -> pd.DataFrame | None:
        """Whether each sample was classified correctly, also under each attack.

        Columns ``arm``, ``seed``, ``attack``, ``epsilon``, ``sample``, ``right``; None without
        controls.
        """
        return self._table(OUTCOMES)

    def _table(self, name: str) -> pd.DataFrame | None:
        try:
            return _read_table(self.folder / name, _COLUMNS[name])
        except FileNotFoundError:
            return None

    def __repr__(self) -> str:
        """Return the network and the arms."""
        arms = ", ".join(self.metadata.arms) or "no controls"
        return f"Retraining({self.metadata.study.network}, {arms})"


def load_retraining(folder: str | Path) -> Retraining:
    """Load a retraining. Needs no network and no torch.

    Args:
        folder: The folder that ``retrain`` has written.

    Raises:
        TrainingError: If it is not such a folder, damaged, or of a later format.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import torch
        >>> import hormesis as hm
        >>> first, last = (torch.nn.Linear(2, 2, bias=False) for _ in range(2))
        >>> for layer in (first, last):
        ...     _ = layer.weight.data.copy_(torch.tensor([[1.0, -1.0], [-0.5, 0.5]]))
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), first, last)
        >>> images = torch.tensor([[0.9, 0.1], [0.2, 0.8]]).repeat(9, 1)
        >>> data = images, torch.arange(18) % 2
        >>> study = hm.analyze(network, data, attack=hm.FGSM(0.01), sweep=hm.Sweep(thresholds=5),
        ...                    execution=hm.Execution(progress=False))
        >>> selection = hm.Selection(("antifragile",), undecided="estimate",
        ...                          scoring=hm.Scoring(reference="density", tolerance=0.4))
        >>> quiet = hm.TrainerConfig(progress=False, loggers={}, device="cpu")
        >>> with TemporaryDirectory() as folder:
        ...     made = hm.retrain(
        ...         study, (data, data), out=f"{folder}/run", selection=selection,
        ...         recipe=hm.Recipe(epochs=1),
        ...         source=hm.SourceNetwork(network=network), trainer_config=quiet,
        ...     )
        ...     load_retraining(f"{folder}/run").manifest == made.manifest
        True
    """
    folder = Path(folder).expanduser()
    path = folder / MANIFEST
    try:
        content = read_bytes(path, MOST_MANIFEST)
        manifest = parse_table(content)
        if type(manifest.get(KEY)) is not int:
            raise TrainingError(
                f"The folder {folder} is no retraining: its {MANIFEST} is another's."
            )
        if manifest[KEY] > FORMAT:
            raise TrainingError(
                f"The retraining {folder} has format {manifest[KEY]}, this version reads up to "
                f"{FORMAT}; install a newer hormesis."
            )
        check_seal(manifest, content)
        convert(manifest, RetrainingManifest)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise TrainingError(
            f"The folder {folder} is no retraining: it has no {MANIFEST}."
        ) from error
    except (OSError, ValueError) as error:
        raise TrainingError(f"The manifest {path} is damaged: {error}.") from error
    return Retraining(folder, manifest)


def is_retraining(folder: str | Path) -> bool:
    """Return whether a folder holds a retraining, damaged or not."""
    return has_entry(Path(folder) / MANIFEST, KEY, MOST_MANIFEST)


def _read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = parse_parquet(read_bytes(path, MOST_TABLE))
    except FileNotFoundError:
        raise
    except TABLE_ERRORS as error:
        raise _damaged(path, str(error)) from error
    fault = retrained_fault(table, columns)
    if fault:
        raise _damaged(path, f"it {fault}")
    return table


def _damaged(path: Path, fault: str) -> TrainingError:
    return TrainingError(
        f"The table {path} is damaged: {fault}; delete it and run `hormesis retrain` again."
    )


def write_retraining(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest with a checksum, and flush it to disk."""
    make_folder(folder)
    write_file(folder / MANIFEST, dump_sealed({**manifest, KEY: FORMAT}))


def write_table(table: pd.DataFrame, path: Path) -> str:
    """Write a table as Parquet, flush it to disk, and return its SHA-256 for the manifest."""
    content = table.to_parquet(None, index=False)
    make_folder(path.parent)
    write_file(path, content)
    return sha256(content).hexdigest()
