"""The manifest and the tables of a study, each written beside its place and renamed."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hormesis.errors import StudyError

FORMAT = 2
MANIFEST = "manifest.json"
TARGETS = "targets.parquet"
CELLS = "cells.parquet"
SAMPLES = "samples.parquet"
RESPONSES = "responses.parquet"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place, down to the disk, and rename it.

    Whoever reads it, also after a crash of the machine, sees the old file or the new one.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.unlink(missing_ok=True)  # of a process that died; a link might lead to anything
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    if os.name != "posix":
        return  # Windows opens no folder
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        pass  # some network file systems sync no folders
    finally:
        os.close(handle)


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write tables of a study.

    Args:
        folder: The study's folder.
        tables: By the name of their file.
    """
    for name, table in tables.items():
        write_whole(folder / name, table.to_parquet(None, index=False))


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest of a study.

    Raises:
        ValueError: If it holds a number that JSON does not know.
    """
    text = json.dumps({"format": FORMAT, **manifest}, indent=2, allow_nan=False)
    write_whole(folder / MANIFEST, (text + "\n").encode())


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a study.

    Raises:
        StudyError: If the folder is no study, is damaged, or was written by a later version.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise StudyError(f"The folder {folder} is no study: it has no {MANIFEST}.")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StudyError(f"The manifest {path} is damaged: {error}.") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise StudyError(f"The manifest {path} is damaged: it does not say its format.")
    if manifest["format"] > FORMAT:
        raise StudyError(
            f"The study {folder} has format {manifest['format']}, this version reads up to "
            f"{FORMAT}; install a newer hormesis."
        )
    return manifest


def read_table(folder: Path, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return one of the tables of a study.

    Raises:
        StudyError: If it is missing, damaged or lacks a column.
    """
    try:
        table = pd.read_parquet(folder / name)
    except (OSError, ValueError) as error:
        raise StudyError(f"The table {folder / name} is missing or damaged: {error}.") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise StudyError(f"The table {folder / name} lacks the column {missing[0]}.")
    return table
