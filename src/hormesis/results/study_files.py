"""Reading of a study's files, which are checked against each other."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hormesis.analysis.confirmation import COLUMNS as CONFIRMED
from hormesis.analysis.responses import COLUMNS
from hormesis.errors import StudyError
from hormesis.results.partial_study import estimate_study
from hormesis.storage.files import (
    CONFIRMATION,
    RESPONSES,
    SAMPLES,
    TARGETS,
    read_manifest,
    read_table,
)
from hormesis.storage.replacement import folder_to_read
from hormesis.storage.schema import manifest_of
from hormesis.storage.table_checks import cells_fault, study_fault

TARGET_COLUMNS = (
    "target",
    "kind",
    "shape",
    "size",
    "depth",
    "minimum",
    "maximum",
    "tested",
    "reason",
)
RESPONSE_COLUMNS = (*COLUMNS, "progress", "changed", "outcome")


@dataclass(frozen=True)
class StudyFiles:
    """The content of a study's folder, except its shards; see ``study.Study`` for each field.

    Args:
        folder: The folder that was read.
        manifest: The request, and the results of the unfiltered network.
        targets: One row per target.
        responses: One row per target, filter and step.
        samples: One row per sample, or None if unknown.
        confirmation: One row per tested claim, or None.
    """

    folder: Path
    manifest: dict[str, Any]
    targets: pd.DataFrame
    responses: pd.DataFrame
    samples: pd.DataFrame | None
    confirmation: pd.DataFrame | None


def read_files(folder: Path) -> StudyFiles:
    """Read the manifest and the tables of a study, finished or not.

    Args:
        folder: The study's folder.

    Raises:
        StudyError: If it is not a study, damaged, or of a later format.
    """
    while True:
        source, manifest = _find_manifest(folder)
        try:
            return _read(source, manifest)
        except StudyError:
            if _find_manifest(folder) == (source, manifest):
                raise  # otherwise it was finished or replaced meanwhile


def _find_manifest(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Find and read a manifest; try again if it is missing, as a study may just be replaced."""
    for _ in range(2):
        source = folder_to_read(folder)
        try:
            return source, read_manifest(source)
        except StudyError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
    source = folder_to_read(folder)
    return source, read_manifest(source)


def _read(folder: Path, manifest: dict[str, Any]) -> StudyFiles:
    metadata = manifest_of(manifest)
    seals = metadata.tables
    if not metadata.finished:
        manifest, targets, responses = estimate_study(folder, manifest, TARGET_COLUMNS)
    else:
        targets = read_table(folder, TARGETS, TARGET_COLUMNS, seals.get(TARGETS))
        responses = read_table(folder, RESPONSES, RESPONSE_COLUMNS, seals.get(RESPONSES))
        fault = cells_fault(responses, targets)
        if fault:
            raise StudyError(f"The tables of {folder} are damaged: {fault}.")
    samples = None
    if metadata.shards.edges:
        samples = read_table(folder, SAMPLES, ("place", "label"), seals.get(SAMPLES))
    else:  # format 1 measured all samples and did not always record their number
        default = {"samples": metadata.question.data.samples}
        manifest = {**manifest, "base": default | manifest["base"]}
    fault = study_fault(manifest_of(manifest), targets, responses, samples)
    if fault:
        raise StudyError(f"The study {folder} is damaged: {fault}.")
    confirmation = None
    if CONFIRMATION in seals and metadata.finished:
        confirmation = read_table(folder, CONFIRMATION, CONFIRMED, seals[CONFIRMATION])
    return StudyFiles(folder, manifest, targets, responses, samples, confirmation)
