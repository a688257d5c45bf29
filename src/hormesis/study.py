"""A study as its users hold it: what was asked, and tables of what came out."""

from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from hormesis.analysis.responses import COLUMNS
from hormesis.analysis.scores import Base, score_table
from hormesis.errors import SettingError, StudyError
from hormesis.settings import Scoring
from hormesis.storage import (
    RESPONSES,
    TARGETS,
    StoredOutcomes,
    read_manifest,
    read_outcomes,
    read_table,
)

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
class Study:
    """One network, one data set, one attack, and everything that was measured about them.

    Args:
        manifest: What was asked, fingerprints, versions, and the unfiltered network's results.
        targets: One row a target: ``target``, ``kind``, ``shape``, ``size``, ``depth``,
            ``minimum``, ``maximum``, ``tested``, ``reason``.
        responses: One row a target, filter and step; see ``analysis.responses.response_table``.
        folder: Where the study lies, or None if it was not written.
    """

    manifest: dict[str, Any]
    targets: pd.DataFrame
    responses: pd.DataFrame
    folder: Path | None = None

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Scores and classes, by the scoring that the study was made with.

        Columns ``target``, ``filter``, ``score``, ``value``, ``class``.
        """
        return self.score(self.scoring)

    def score(self, scoring: Scoring) -> pd.DataFrame:
        """Return scores and classes by another base, reference or tolerance.

        Args:
            scoring: How responses become scores.

        Raises:
            SettingError: If the reference needs a control that was not measured.
        """
        return score_table(self.responses, self.base, scoring)

    def scored(self, scoring: Scoring) -> "Study":
        """Return the same study with another scoring as its own."""
        return replace(self, manifest={**self.manifest, "scoring": asdict(scoring)})

    @property
    def scoring(self) -> Scoring:
        """The scoring that the study was made with."""
        return Scoring(**self.manifest["scoring"])

    @property
    def base(self) -> Base:
        """Performance of the unfiltered network."""
        known = {field.name for field in fields(Base)}
        stored = self.manifest["base"]
        return Base(**{name: stored[name] for name in known if name in stored})

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know about this study, in sentences."""
        return tuple(self.manifest["notes"])

    def outcomes(self) -> StoredOutcomes:
        """Read the per-sample outcomes behind the responses.

        Raises:
            StudyError: If the study was not written to a folder, or a file is damaged or missing.
        """
        if self.folder is None:
            raise StudyError("The study keeps no outcomes: analyse with `out` to write them.")
        outcomes = read_outcomes(self.folder)
        found, samples = len(outcomes.base_clean), self.manifest["base"]["samples"]
        if found != samples:
            raise StudyError(
                f"The study {self.folder} has the outcomes of {found} samples out of {samples}."
            )
        return outcomes

    def __repr__(self) -> str:
        """Say what the study is about."""
        question = self.manifest["question"]
        tested = sum(self.targets["tested"].tolist())
        return (
            f"Study({question['network']['name']} on {question['data']['name']}, "
            f"{question['attack']['name']}, {tested} targets)"
        )


def open_study(folder: str | Path) -> Study:
    """Open a study that ``analyze`` has written. Needs no network and no torch.

    Args:
        folder: The study's folder.

    Raises:
        StudyError: If it is no study, damaged, or of a later format.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    missing = [key for key in ("question", "scoring", "base", "notes") if key not in manifest]
    if missing:
        raise StudyError(f"The manifest of {folder} is damaged: it lacks `{missing[0]}`.")
    study = Study(
        manifest=manifest,
        targets=read_table(folder, TARGETS, TARGET_COLUMNS),
        responses=read_table(folder, RESPONSES, RESPONSE_COLUMNS),
        folder=folder,
    )
    for key in ("scoring", "base"):
        try:
            getattr(study, key)
        except (TypeError, SettingError) as error:
            raise StudyError(f"The manifest of {folder} is damaged in `{key}`: {error}") from error
    return study
