"""The files of a study, read and compared with each other: no table is believed by itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hormesis.analysis.confirmation import COLUMNS as CONFIRMED
from hormesis.analysis.responses import COLUMNS
from hormesis.errors import StudyError
from hormesis.results.partial_study import estimated
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
    """What the folder of a study holds, its shards apart; ``study.Study`` tells of each.

    Args:
        folder: Where it was read.
        manifest: What was asked, and the results of the unfiltered network.
        targets: One row a target.
        responses: One row a target, filter and step.
        samples: One row a sample, or None where that is not known.
        confirmation: One row a claim that was put to the test, or None.
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
        StudyError: If it is no study, damaged, or of a later format.
    """
    while True:
        place, manifest = _manifest(folder)
        try:
            return _read(place, manifest)
        except StudyError:
            if _manifest(folder) == (place, manifest):
                raise  # else it was finished or replaced meanwhile


def _manifest(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Find and read a manifest, again if it is away: studies are replaced between two looks."""
    for _ in range(2):
        place = folder_to_read(folder)
        try:
            return place, read_manifest(place)
        except StudyError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
    place = folder_to_read(folder)
    return place, read_manifest(place)


def _read(folder: Path, manifest: dict[str, Any]) -> StudyFiles:
    known = manifest_of(manifest)
    seals = known.tables
    if not known.finished:
        manifest, targets, responses = estimated(folder, manifest, TARGET_COLUMNS)
    else:
        targets = read_table(folder, TARGETS, TARGET_COLUMNS, seals.get(TARGETS))
        responses = read_table(folder, RESPONSES, RESPONSE_COLUMNS, seals.get(RESPONSES))
        fault = cells_fault(responses, targets)
        if fault:
            raise StudyError(f"The tables of {folder} are damaged: {fault}.")
    samples = None
    if known.shards.edges:
        samples = read_table(folder, SAMPLES, ("place", "label"), seals.get(SAMPLES))
    else:  # of format 1, which measured all samples, and did not always say so
        every = {"samples": known.question.data.samples}
        manifest = {**manifest, "base": every | manifest["base"]}
    fault = study_fault(manifest_of(manifest), targets, responses, samples)
    if fault:
        raise StudyError(f"The study {folder} is damaged: {fault}.")
    confirmation = None
    if CONFIRMATION in seals and known.finished:
        confirmation = read_table(folder, CONFIRMATION, CONFIRMED, seals[CONFIRMATION])
    return StudyFiles(folder, manifest, targets, responses, samples, confirmation)
