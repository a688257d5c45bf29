"""The folder of an applied network: the path that led to it, what it keeps, and its proof.

See ``storage.applied_files`` for its files. Nothing here needs torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool
from safetensors import SafetensorError
from safetensors.numpy import load

from hormesis.errors import StudyError
from hormesis.results.applied_tables import OUTCOME_COLUMNS, PATH_COLUMNS, PROOF_COLUMNS
from hormesis.results.applied_text import applied_sentences
from hormesis.results.display import Display, make_display
from hormesis.storage.applied_files import (
    FORMAT,
    KEY,
    MANIFEST,
    MASKS,
    OUTCOMES,
    PATH,
    PROOF,
    read_whole,
)
from hormesis.storage.applied_schema import AppliedManifest
from hormesis.storage.files import MOST_MANIFEST
from hormesis.storage.safe_read import read_bytes
from hormesis.storage.sealed_json import check_seal, has_entry, parse_table
from hormesis.storage.table_checks import TABLE_ERRORS, parse_parquet
from hormesis.storage.validation import convert

_COLUMNS = {PATH: PATH_COLUMNS, PROOF: PROOF_COLUMNS, OUTCOMES: OUTCOME_COLUMNS}


@dataclass(frozen=True)
class Applied:
    """A network with the best filters of a study put in, and the proof of what that did.

    Args:
        manifest: The study, the aim, the settings of the proof, the result.
        path: Every candidate that was measured, in order, see ``results.applied_tables``; the rows
            that were ``accepted`` are the path.
        proof: The proof, one row for each network and attack; without rows if nothing was applied.
        outcomes: The proof, sample by sample.
        masks: What is kept of each filtered parameter, by its name: True where a value is kept.
        folder: Its folder, or None if it was not written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import torch
        >>> import hormesis as hm
        >>> network = torch.nn.Linear(3, 2, bias=False)
        >>> _ = network.weight.data.copy_(torch.tensor([[4.0, 0.0, 0.1], [0.0, 4.0, -0.1]]))
        >>> labels = torch.arange(80) % 2
        >>> images = torch.nn.functional.one_hot(labels, 3) * 0.5 + 0.01 * torch.rand(80, 3)
        >>> study = hm.analyze(network, (images[:40], labels[:40]), attack=hm.FGSM(0.1),
        ...                    execution=hm.Execution(progress=False))
        >>> found = hm.apply(study, network, (images, labels), aim=hm.Sparse(),
        ...                  execution=hm.Execution(progress=False))
        >>> {name: int(keep.sum()) for name, keep in found.masks.items()}
        {'weight': 4}
    """

    manifest: dict[str, Any]
    path: pd.DataFrame
    proof: pd.DataFrame
    outcomes: pd.DataFrame = field(repr=False)
    masks: Mapping[str, Bool[np.ndarray, "..."]] = field(repr=False)
    folder: Path | None = None

    @cached_property
    def metadata(self) -> AppliedManifest:
        """The manifest as typed values."""
        return convert(self.manifest, AppliedManifest)

    @property
    def steps(self) -> pd.DataFrame:
        """The rows of the path that were taken, the unfiltered network first."""
        taken = self.path.loc[self.path["accepted"]]
        return taken.sort_values("step", kind="stable").reset_index(drop=True)

    @property
    def helps(self) -> bool:
        """Whether any cell of the study served the aim."""
        return len(self.steps) > 1

    @property
    def ratios(self) -> pd.DataFrame:
        """The share of each filtered parameter that is zeroed.

        Columns ``target``, the name of the parameter, ``zeroed`` of its ``size`` values, and
        ``ratio``, their share from 0 to 1.
        """
        rows = [
            {"target": name, "zeroed": int((~keep).sum()), "size": keep.size}
            for name, keep in self.masks.items()
        ]
        table = pd.DataFrame(rows, columns=["target", "zeroed", "size"])
        return table.assign(ratio=table["zeroed"] / table["size"])

    @property
    def summary(self) -> str:
        """What was applied, what it did on the proof part, and which baselines do better."""
        return " ".join(applied_sentences(self.metadata, self.steps, self.proof))

    plot = Display("applied.plot")
    """The picture of the path, as a figure of Matplotlib."""

    def _repr_html_(self) -> str:
        """Return what a notebook displays."""
        return make_display("applied.html", self)

    def __repr__(self) -> str:
        """Return the network, the aim and the number of steps."""
        about, count = self.metadata, len(self.steps) - 1
        steps = f"{count} step" if count == 1 else f"{count} steps"
        return f"Applied({about.study.network} on {about.study.data}, {about.aim.name}, {steps})"


def load_applied(folder: str | Path) -> Applied:
    """Load an applied network. Needs no network and no torch.

    Args:
        folder: The folder that ``apply`` has written.

    Raises:
        StudyError: If it is not such a folder, unfinished, damaged, or of a later format.

    Example:
        >>> load_applied("nowhere")
        Traceback (most recent call last):
        hormesis.errors.StudyError: The folder nowhere is no applied network: it has no \
applied.json.
    """
    folder = Path(folder).expanduser()
    manifest = _read_manifest(folder)
    if not convert(manifest, AppliedManifest).finished:
        raise StudyError(
            f"The applied network {folder} is not finished: run the same `hormesis apply` again, "
            "which goes on from there."
        )
    tables = {name: _read_table(folder, name, manifest) for name in _COLUMNS}
    return Applied(
        manifest,
        tables[PATH],
        tables[PROOF],
        tables[OUTCOMES],
        _read_masks(folder, manifest),
        folder,
    )


def is_applied(folder: str | Path) -> bool:
    """Return whether a folder holds an applied network, damaged or not."""
    return has_entry(Path(folder) / MANIFEST, KEY, MOST_MANIFEST)


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        content = read_bytes(path, MOST_MANIFEST)
        manifest = parse_table(content)
        if type(manifest.get(KEY)) is int and manifest[KEY] > FORMAT:
            raise StudyError(
                f"The applied network {folder} has format {manifest[KEY]}, this version reads up "
                f"to {FORMAT}; install a newer hormesis."
            )
        check_seal(manifest, content)
        convert(manifest, AppliedManifest)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StudyError(
            f"The folder {folder} is no applied network: it has no {MANIFEST}."
        ) from error
    except StudyError:
        raise
    except (OSError, ValueError) as error:
        raise StudyError(f"The manifest {path} is damaged: {error}.") from error
    return manifest


def _content(folder: Path, name: str, manifest: Mapping[str, Any]) -> bytes:
    try:
        content = read_whole(folder / name)
    except OSError as error:
        raise _damaged(folder / name, error.strerror or str(error)) from error
    if sha256(content).hexdigest() != manifest.get("tables", {}).get(name):
        raise _damaged(folder / name, "its checksum does not fit")
    return content


def _read_table(folder: Path, name: str, manifest: Mapping[str, Any]) -> pd.DataFrame:
    content = _content(folder, name, manifest)
    try:
        table = parse_parquet(content)
    except TABLE_ERRORS as error:
        raise _damaged(folder / name, str(error)) from error
    missing = [column for column in _COLUMNS[name] if column not in table]
    if missing:
        raise _damaged(folder / name, f"it lacks the column {missing[0]!r}")
    return table


def _read_masks(folder: Path, manifest: Mapping[str, Any]) -> dict[str, np.ndarray]:
    content = _content(folder, MASKS, manifest)
    try:
        masks = load(content)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise _damaged(folder / MASKS, str(error)) from error
    if any(keep.dtype != np.bool_ for keep in masks.values()):
        raise _damaged(folder / MASKS, "it holds other values than True and False")
    return masks


def _damaged(path: Path, fault: str) -> StudyError:
    return StudyError(
        f"The file {path} is damaged: {fault}; delete the folder and run `hormesis apply` again."
    )
