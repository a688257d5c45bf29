"""A study, and what of its network is to be trained. Nothing here needs torch."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from hormesis.analysis.scores import plain_scoring
from hormesis.errors import StudyError
from hormesis.results.series import StudySeries, load_study_or_series
from hormesis.results.study import Study
from hormesis.training.arms import arm_targets, counts, selected, target_classes
from hormesis.training.selection import Selection
from hormesis.training.trainable_masks import Share, everything, shares_of


@dataclass(frozen=True)
class Case:
    """A study, and what of its network is to be trained.

    Args:
        study: The study.
        selection: What was asked.
        classes: What ``target_classes`` returned.
        chosen: Names of the targets that are trained.
    """

    study: Study
    selection: Selection
    classes: pd.DataFrame
    chosen: frozenset[str]

    def arm(self, name: str, seed: int) -> "Arm":
        """Return what an arm trains; no targets if it cannot be had.

        Args:
            name: One of ``selection.ARMS``.
            seed: Seed of the random ones.
        """
        targets = arm_targets(name, self.classes, self.chosen, seed=seed)
        table, selection = self.study.targets, self.selection
        if name == "everything":
            return Arm(name, targets, everything(table))
        if name != "selective" and selection.undecided == "train":
            # What was never measured is frozen in the arms that the selection is compared with.
            selection = replace(selection, undecided="freeze")
        return Arm(name, targets, shares_of(table, self.classes, targets, selection))

    def described(self) -> dict[str, dict[str, Any]]:
        """Return the study and the selection as the manifest holds them."""
        question = self.study.manifest["question"]
        folder = self.study.folder
        scoring = self.selection.scoring or self.study.scoring
        return {
            "study": {
                "path": None if folder is None else str(folder.resolve()),
                "network": question["network"]["name"],
                "fingerprint": question["network"]["fingerprint"],
                "data": question["data"]["name"],
                "data_fingerprint": question["data"]["fingerprint"],
                "epoch": (self.study.manifest.get("origin") or {}).get("epoch"),
            },
            "selection": {**asdict(self.selection), "scoring": plain_scoring(scoring)},
        }


def opened_case(study: Study | str | Path, selection: Selection) -> Case:
    """Open a study and choose its targets, before anything slow.

    Raises:
        StudyError: If it cannot be read, or is several.
        SettingError: If nothing would be trained, or nothing frozen.
    """
    opened = study if isinstance(study, Study) else load_study_or_series(study)
    if isinstance(opened, StudySeries):
        epochs = ", ".join(map(str, opened.members))
        raise StudyError(
            f"The folder {study} holds the studies of epochs {epochs}: name that of one epoch, "
            f"such as {opened.folder / f'epoch-{max(opened.members):04d}'}."
        )
    classes = target_classes(opened, selection)
    return Case(opened, selection, classes, selected(classes, selection))


@dataclass(frozen=True)
class Arm:
    """What one of the compared trainings trains.

    Args:
        name: One of ``selection.ARMS``.
        targets: Names of the targets that are trained.
        shares: What of every parameter is.
    """

    name: str
    targets: frozenset[str]
    shares: tuple[Share, ...]

    def described(self, classes: pd.DataFrame) -> dict[str, Any]:
        """Return what is trained and frozen as the manifest holds it, and why."""
        trained = sum(share.trained for share in self.shares)
        there = classes.loc[classes["target"].isin(list(self.targets))]
        left = classes.loc[~classes["target"].isin(list(self.targets))]
        return {
            "targets": sorted(self.targets),
            "trained_targets": counts(there),
            "frozen_targets": counts(left),
            "trained_parameters": trained,
            "frozen_parameters": sum(share.size for share in self.shares) - trained,
        }
