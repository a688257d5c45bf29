"""The manifest and the tables of a study, whole or not there."""

import json
from collections.abc import Mapping
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from hormesis.errors import StudyError
from hormesis.storage.atomic import write_file
from hormesis.storage.claims import MOST_BYTES, TABLE_ERRORS, table_of, wrong_column
from hormesis.storage.shards import check

FORMAT = 2
MANIFEST = "manifest.json"
TARGETS = "targets.parquet"
CELLS = "cells.parquet"
SAMPLES = "samples.parquet"
REMOVALS = "removals.parquet"
RESPONSES = "responses.parquet"
CONFIRMATION = "confirmation.parquet"
OUTCOMES = "outcomes"
_SEAL = "sha256"


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Write tables of a study, and return their checksums for its manifest.

    Args:
        folder: The study's folder.
        tables: By the name of their file.
    """
    seals = {}
    for name, table in tables.items():
        content = table.to_parquet(None, index=False)
        write_file(folder / name, content)
        seals[name] = sha256(content).hexdigest()
    return seals


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest of a study, with a checksum of itself at its end.

    Raises:
        ValueError: If it holds a number that JSON does not know.
    """
    said = {"format": FORMAT, **manifest}
    text = _spelled({**said, _SEAL: sha256(_spelled(said).encode()).hexdigest()})
    write_file(folder / MANIFEST, (text + "\n").encode())


def _spelled(manifest: Mapping[str, Any]) -> str:
    return json.dumps(manifest, indent=2, allow_nan=False)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a study, without its checksum.

    One without a checksum, as of format 1 or changed by hand, is taken as it is.

    Raises:
        StudyError: If the folder is no study, is damaged, or was written by a later version.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise StudyError(f"The folder {folder} is no study: it has no {MANIFEST}.")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it is larger than {MOST_BYTES:,} bytes")
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
            raise ValueError("it does not say its format")
        seal = manifest.pop(_SEAL, None)
        if seal not in (None, sha256(_spelled(manifest).encode()).hexdigest()):
            raise ValueError("its checksum does not fit")
        _check_shards(manifest)
    except (OSError, ValueError, RecursionError) as error:
        raise StudyError(f"The manifest {path} is damaged: {error}. {_left(folder)}") from error
    if manifest["format"] > FORMAT:
        raise StudyError(
            f"The study {folder} has format {manifest['format']}, this version reads up to "
            f"{FORMAT}; install a newer hormesis."
        )
    return manifest


def _check_shards(manifest: Mapping[str, Any]) -> None:
    """Refuse entries about files of another form than this module writes."""
    tables, shards = manifest.get("tables", {}), manifest.get("shards")
    if not isinstance(tables, dict) or not all(isinstance(one, str) for one in tables.values()):
        raise ValueError("its `tables` are no checksums")
    if shards is None:
        return
    edges = shards.get("edges") if isinstance(shards, dict) else None
    if not isinstance(edges, list) or not all(type(edge) is int for edge in edges):
        raise ValueError("its `shards` have no edges")
    if len(edges) < 2 or edges[0] != 0 or any(one >= other for one, other in pairwise(edges)):
        raise ValueError("the edges of its `shards` do not ascend from 0")
    if not isinstance(manifest.get("study"), str):
        raise ValueError("it does not say the identity of its `study`")


def _left(folder: Path) -> str:
    """Return what can still be read of a study without a manifest, in a sentence."""
    whole, samples, every = 0, 0, sorted((folder / OUTCOMES).glob("*.safetensors"))
    for path in every:
        try:
            samples += int(check(path.read_bytes())["samples"])
            whole += 1
        except (OSError, KeyError, ValueError, TypeError, RecursionError):
            continue
    if not whole:
        return "None of its shards can be read either: measure it again with `overwrite`."
    return (
        f"Still whole are {whole} of {len(every)} shards, of {samples} samples: move that file "
        "away, and the command that made the study takes them over."
    )


def read_table(
    folder: Path, name: str, columns: tuple[str, ...], seal: str | None = None
) -> pd.DataFrame:
    """Return one of the tables of a study.

    Args:
        folder: The study's folder.
        name: The table's file.
        columns: What it has to have.
        seal: Its checksum, if that is known.

    Raises:
        StudyError: If it is missing, damaged or lacks a column.
    """
    try:
        content = (folder / name).read_bytes()
        if seal not in (None, sha256(content).hexdigest()):
            raise ValueError("its checksum does not fit")
        table = table_of(content)
    except TABLE_ERRORS as error:
        raise StudyError(f"The table {folder / name} is missing or damaged: {error}.") from error
    fault = wrong_column(table, columns)
    if fault:
        raise StudyError(f"The table {folder / name} {fault}.")
    return table
