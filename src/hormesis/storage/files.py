"""Reading and writing of a study's manifest and tables."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd

from hormesis.errors import StudyError
from hormesis.storage.atomic import write_file
from hormesis.storage.manifest_checks import validate_manifest
from hormesis.storage.safe_read import read_bytes
from hormesis.storage.sealed_json import check_seal, dump_sealed, parse_table
from hormesis.storage.shards import check, firsts_in, read_shard
from hormesis.storage.table_checks import TABLE_ERRORS, column_fault, parse_parquet

FORMAT = 2
MANIFEST = "manifest.json"
TARGETS = "targets.parquet"
CELLS = "cells.parquet"
SAMPLES = "samples.parquet"
REMOVALS = "removals.parquet"
RESPONSES = "responses.parquet"
CONFIRMATION = "confirmation.parquet"
OUTCOMES = "outcomes"
MOST_MANIFEST = 1 << 23  # bytes; a study of 100,000 channels has some four million
MOST_TABLE = 3 << 26  # bytes
_MOST_CHECKED = 1 << 27  # bytes of shards that are read when the manifest is damaged
_REUSES = "the command that made the study reuses them."


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Write tables of a study, and return their checksums by file name.

    Args:
        folder: The study's folder.
        tables: The tables by file name.
    """
    seals = {}
    for name, table in tables.items():
        content = table.to_parquet(None, index=False)
        write_file(folder / name, content)
        seals[name] = sha256(content).hexdigest()
    return seals


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest of a study, with a checksum at its end.

    Raises:
        ValueError: If a number is infinite or NaN.
    """
    write_file(folder / MANIFEST, dump_sealed({"format": FORMAT, **manifest}))


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the validated manifest of a study, without its checksum.

    A manifest without a checksum, of format 1 or edited by hand, is accepted.

    Raises:
        StudyError: If the folder is not a study, is damaged, or was written by a later version.
    """
    path = folder / MANIFEST
    try:
        content = read_bytes(path, MOST_MANIFEST)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StudyError(f"The folder {folder} is no study: it has no {MANIFEST}.") from error
    except OSError as error:
        raise _damaged(folder, error.strerror or str(error)) from error
    try:
        manifest = parse_table(content)
        if type(manifest.get("format")) is not int:
            raise ValueError("it does not say its format")
        if manifest["format"] > FORMAT:
            raise StudyError(
                f"The study {folder} has format {manifest['format']}, this version reads up to "
                f"{FORMAT}; install a newer hormesis."
            )
        check_seal(manifest, content)
        validate_manifest(manifest)
    except StudyError:
        raise
    except ValueError as error:
        raise _damaged(folder, str(error)) from error
    return manifest


def _damaged(folder: Path, wrong: str) -> StudyError:
    return StudyError(
        f"The manifest {folder / MANIFEST} is damaged: {wrong}. {_describe_remains(folder)}"
    )


def _describe_remains(folder: Path) -> str:
    """Return a sentence on what can still be read of a study without its manifest."""
    whole, samples, size, outcomes = 0, 0, 0, folder / OUTCOMES
    try:
        firsts = firsts_in(outcomes)
    except OSError:
        firsts = []
    for first in firsts:
        try:
            content = read_shard(outcomes, first, _MOST_CHECKED) or b""
            samples += int(check(content)["samples"])
            whole, size = whole + 1, size + len(content)
        except (OSError, KeyError, ValueError, TypeError):
            continue
        if size > _MOST_CHECKED:
            return "Its shards can still be read: move that file away, and " + _REUSES
    if not whole:
        return "None of its shards can be read either: measure it again with `overwrite`."
    return (
        f"Still whole are {whole} of {len(firsts)} shards, of {samples} samples: move that file "
        f"away, and {_REUSES}"
    )


def read_table(
    folder: Path, name: str, columns: tuple[str, ...], seal: str | None = None
) -> pd.DataFrame:
    """Return one of the tables of a study.

    Args:
        folder: The study's folder.
        name: The table's file name.
        columns: The columns that it must have.
        seal: Its checksum, if known.

    Raises:
        StudyError: If it is missing, damaged or lacks a column.
    """
    try:
        content = read_bytes(folder / name, MOST_TABLE)
        if seal not in (None, sha256(content).hexdigest()):
            raise ValueError("its checksum does not fit")
        table = parse_parquet(content)
    except TABLE_ERRORS as error:
        raise StudyError(f"The table {folder / name} is missing or damaged: {error}.") from error
    fault = column_fault(table, columns)
    if fault:
        raise StudyError(f"The table {folder / name} {fault}.")
    return table
