"""The tables of a retraining with controls, each sealed in the manifest when it is written."""

import os
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd

from hormesis.errors import TrainingError
from hormesis.results.retraining import (
    KEY,
    MANIFEST,
    load_retraining,
    write_retraining,
    write_table,
)
from hormesis.results.training_run import MOST_BYTES
from hormesis.storage.atomic import remove_leftovers
from hormesis.storage.ownership import RETRAINING, owner
from hormesis.storage.safe_read import read_bytes
from hormesis.storage.sealed_json import read_sealed
from hormesis.storage.table_checks import TABLE_ERRORS, parse_parquet
from hormesis.training.run_state import check_empty

MEASURED = "measured.parquet"
"""Outcomes of the network that no arm has trained, in the folder ``none``."""
MOST_TABLE = 1 << 30
_ABSENT = "it is missing"


class TrialTables:
    """The stored part of a retraining with controls: its tables and the manifest's seals of them.

    Args:
        folder: Its folder.
        about: The question: study, selection, recipe, controls.
        stored: What the manifest said before; None for a new retraining, or a damaged manifest.
        notes: What was damaged, a sentence each.
    """

    def __init__(
        self,
        folder: Path,
        about: Mapping[str, Any],
        stored: Mapping[str, Any] | None,
        notes: Iterable[str] = (),
    ) -> None:
        """Take over the seals that the manifest has."""
        self.folder = folder
        self.stored = stored
        self._about = dict(about)
        self._notes = list(notes)
        self._sealed = stored is None or "tables" in stored  # earlier versions sealed none
        self._seals = dict((stored or {}).get("tables", {}))

    def begin(self) -> None:
        """Write the manifest of the question, with the entries stored before."""
        kept = {"arms": {}, "notes": [], "run": None} | dict(self.stored or {})
        seals = {"tables": self._seals} if self._sealed else {}
        entries = {key: kept[key] for key in ("arms", "notes", "run") if kept[key] is not None}
        write_retraining(self.folder, {**self._about, **entries, **seals})

    def finish(self, arms: Mapping[str, Any], notes: Iterable[str], run: Mapping[str, Any]) -> None:
        """Write the manifest of a whole retraining."""
        entries = {"arms": arms, "notes": [*notes, *self._notes], "run": run}
        write_retraining(self.folder, {**self._about, **entries, "tables": self._seals})

    def tell(self, notes: Iterable[str]) -> None:
        """Add what was mended to the notes of the manifest."""
        self._notes.extend(notes)

    def read(self, name: str) -> pd.DataFrame | None:
        """Return a table that was written before; None if it has to be made, as if it is damaged.

        Args:
            name: Its path within the folder.
        """
        path, seal = self._place(name), self._seals.get(name)
        if seal is None and self._sealed:
            return None
        try:
            content = read_bytes(path, MOST_TABLE)
            if seal not in (None, sha256(content).hexdigest()):
                raise ValueError("its checksum does not fit")
            table = parse_parquet(content)
            self._seals[name] = sha256(content).hexdigest()
            return table
        except FileNotFoundError:
            fault = _ABSENT
        except TABLE_ERRORS as error:
            fault = str(error)
        if seal is not None or fault != _ABSENT:
            self._notes.append(f"The table {name} was damaged ({fault}) and was made anew.")
        return None

    def write(self, name: str, table: pd.DataFrame) -> None:
        """Write a table, and its seal into the manifest."""
        path = self._place(name)
        remove_leftovers(path.parent, alone=True)
        self._seals[name] = write_table(table, path)
        self.begin()

    def _place(self, name: str) -> Path:
        """Return the path of a file in the folder.

        Raises:
            TrainingError: If a link would lead it elsewhere.
        """
        path = self.folder / name
        for each in path.parents:
            if each == self.folder:
                break
            if each.is_symlink():
                raise TrainingError(
                    f"The retraining {self.folder} holds a link, {each}, through which nothing is "
                    "written: move it away."
                )
        return path


def open_tables(folder: Path, about: Mapping[str, Any]) -> TrialTables:
    """Return the stored part of a retraining with controls.

    Args:
        folder: Its folder, held by the caller.
        about: The question: study, selection, recipe, controls.

    Raises:
        TrainingError: If its manifest is of a later version.
    """
    fault = _manifest_fault(folder)
    if not fault:
        return TrialTables(folder, about, load_retraining(folder).manifest)
    if fault == _ABSENT:
        return TrialTables(folder, about, None)
    note = f"The manifest was damaged ({fault}) and was written anew, and all tables with it."
    return TrialTables(folder, about, None, [note])


def _manifest_fault(folder: Path) -> str:
    try:
        manifest = read_sealed(folder / MANIFEST, MOST_BYTES << 1)
    except FileNotFoundError:
        return _ABSENT
    except (OSError, ValueError) as error:
        return str(error)
    return "" if KEY in manifest else "it is another's"


def check_out(folder: Path) -> None:
    """Refuse a folder for the arms of an experiment that holds anything else.

    Raises:
        TrainingError: It names the folder.
    """
    if folder.exists() and not folder.is_dir():
        raise TrainingError(f"Expected a folder for the retraining, got the file {folder}.")
    if not folder.is_dir():
        return
    marked = owner(folder)
    if marked is not None and marked.kind == RETRAINING:
        return
    if os.path.lexists(folder / MANIFEST) and _is_experiment(folder):
        return  # of an earlier version, which marked nothing
    check_empty(folder)


def _is_experiment(folder: Path) -> bool:
    return _manifest_fault(folder) == "" and "arms" in load_retraining(folder).manifest
