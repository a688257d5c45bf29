"""A study, and which parameters of its network are retrained. Nothing here needs torch."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from hormesis.analysis.scores import plain_scoring
from hormesis.errors import StudyError
from hormesis.results.applied import Applied, is_applied, load_applied
from hormesis.results.series import StudySeries, load_study_or_series
from hormesis.results.study import Study, load_study
from hormesis.training.arms import arm_targets, count_classes, select_targets, target_classes
from hormesis.training.selection import Selection
from hormesis.training.trainable_masks import TrainableMask, make_full_masks, make_masks


@dataclass(frozen=True)
class RetrainingPlan:
    """A study, and which parameters of its network are retrained.

    Args:
        study: The study.
        selection: The user's selection.
        classes: From ``target_classes``.
        chosen: Names of the targets that are trained.
        applied: The network with filters of the study put in that is trained instead, if one is.
    """

    study: Study
    selection: Selection
    classes: pd.DataFrame
    chosen: frozenset[str]
    applied: Applied | None = None

    def arm(self, name: str, seed: int) -> "Arm":
        """Return an arm of the experiment; it has no targets if none fit.

        Args:
            name: One of ``selection.ARMS``.
            seed: Seed of the random arms.
        """
        targets = arm_targets(name, self.classes, self.chosen, seed=seed)
        table, selection = self.study.targets, self.selection
        if name == "everything":
            return Arm(name, targets, make_full_masks(table))
        if name != "selective" and selection.undecided == "train":
            # Parameters that were not measured are frozen in all arms but the selective one.
            selection = replace(selection, undecided="freeze")
        return Arm(name, targets, make_masks(table, self.classes, targets, selection))

    def described(self) -> dict[str, dict[str, Any]]:
        """Return the study, the selection and the applied network as the manifest holds them."""
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
            **({} if self.applied is None else {"applied": _described(self.applied)}),
        }


def plan_retraining(study: Study | str | Path, selection: Selection) -> RetrainingPlan:
    """Open a study and choose its targets, before anything slow.

    Args:
        study: A study, its folder, or the folder of an applied network, whose study it names.
        selection: Which parameters are trained.

    Raises:
        StudyError: If it cannot be read, or is a series of studies.
        SettingError: If nothing would be trained, or nothing frozen.
    """
    applied = None
    if not isinstance(study, Study) and is_applied(study):
        applied = load_applied(study)
        study = study_of(applied)
    loaded = study if isinstance(study, Study) else load_study_or_series(study)
    if isinstance(loaded, StudySeries):
        epochs = ", ".join(map(str, loaded.members))
        raise StudyError(
            f"The folder {study} holds the studies of epochs {epochs}: name that of one epoch, "
            f"such as {loaded.folder / f'epoch-{max(loaded.members):04d}'}."
        )
    classes = target_classes(loaded, selection)
    chosen = select_targets(classes, selection)
    return RetrainingPlan(loaded, selection, classes, chosen, applied)


def study_of(applied: Applied) -> Study:
    """Return the study whose cells were applied.

    Raises:
        StudyError: If it is not where it was, or another one is there.
    """
    about = applied.metadata.study
    remedy = f"put it back, or apply it again into another folder than {applied.folder}"
    if about.path is None or not Path(about.path).is_dir():
        where = "in no folder" if about.path is None else f"not in {about.path} any more"
        raise StudyError(f"The study of the applied network is {where}: {remedy}.")
    study = load_study(about.path)
    if study.metadata.study != about.identity:
        raise StudyError(f"The folder {about.path} holds another study by now: {remedy}.")
    return study


def _described(applied: Applied) -> dict[str, Any]:
    """Return an applied network as the manifest of its training holds it."""
    result = applied.metadata.result
    return {
        "path": str(applied.folder),
        "fingerprint": result.fingerprint,
        "removed": result.removed,
    }


@dataclass(frozen=True)
class Arm:
    """One arm of the experiment, and what it trains.

    Args:
        name: One of ``selection.ARMS``.
        targets: Names of the targets that are trained.
        masks: Which channels of every parameter are trained.
    """

    name: str
    targets: frozenset[str]
    masks: tuple[TrainableMask, ...]

    def described(self, classes: pd.DataFrame) -> dict[str, Any]:
        """Return what is trained and frozen, as the manifest holds it."""
        trained = sum(share.trained for share in self.masks)
        trained_rows = classes.loc[classes["target"].isin(list(self.targets))]
        frozen_rows = classes.loc[~classes["target"].isin(list(self.targets))]
        return {
            "targets": sorted(self.targets),
            "trained_targets": count_classes(trained_rows),
            "frozen_targets": count_classes(frozen_rows),
            "trained_parameters": trained,
            "frozen_parameters": sum(share.size for share in self.masks) - trained,
        }
