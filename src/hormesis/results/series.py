"""The studies of one training, epoch by epoch, as one object."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from hormesis.errors import StudyError
from hormesis.results import study as one
from hormesis.results.study import Study
from hormesis.settings.scoring import Scoring
from hormesis.storage import is_study
from hormesis.storage.safe_read import names_in

if TYPE_CHECKING:
    from hormesis.report.plots.accessor import StudiesPlots

_MEMBER = re.compile(r"epoch-(\d{4}|[1-9]\d{4,8})", re.ASCII)


@dataclass(frozen=True)
class Studies:
    """Studies of the same network after different numbers of epochs.

    Args:
        members: The studies by epoch, in order.
        folder: Where they lie.
    """

    members: dict[int, Study]
    folder: Path

    @property
    def scores(self) -> pd.DataFrame:
        """Scores and classes of all: ``epoch``, and the columns of ``Study.scores``."""
        return self._joined(lambda study: study.scores)

    @cached_property
    def responses(self) -> pd.DataFrame:
        """Responses of all: ``epoch``, and the columns of ``Study.responses``."""
        return self._joined(lambda study: study.responses)

    @cached_property
    def targets(self) -> pd.DataFrame:
        """Targets of all: ``epoch``, and the columns of ``Study.targets``."""
        return self._joined(lambda study: study.targets)

    @cached_property
    def base(self) -> pd.DataFrame:
        """The unfiltered networks: ``epoch``, ``epsilon``, ``clean`` and ``adversarial``."""
        return pd.DataFrame(
            {
                "epoch": epoch,
                "epsilon": float(study.manifest["attack"]["epsilon"]),
                "clean": study.base.clean,
                "adversarial": study.base.adversarial,
            }
            for epoch, study in self.members.items()
        )

    @property
    def scoring(self) -> Scoring:
        """The scoring of the first study."""
        return next(iter(self.members.values())).scoring

    def score(self, scoring: Scoring) -> pd.DataFrame:
        """Return scores and classes of all by another base, reference or tolerance.

        Args:
            scoring: How responses become scores.

        Raises:
            SettingError: If the reference needs a control that was not measured.
        """
        return self._joined(lambda study: study.score(scoring))

    def scored(self, scoring: Scoring) -> "Studies":
        """Return the same studies with another scoring as their own."""
        scored = {epoch: study.scored(scoring) for epoch, study in self.members.items()}
        return Studies(scored, self.folder)

    def _joined(self, table: Callable[[Study], pd.DataFrame]) -> pd.DataFrame:
        parts = []
        for epoch, study in self.members.items():
            part = table(study).copy()
            part.insert(0, "epoch", epoch)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    @property
    def plot(self) -> "StudiesPlots":
        """Pictures of the studies, as figures of Matplotlib: ``studies.plot.epochs()``."""
        from hormesis.report.plots.accessor import StudiesPlots

        return StudiesPlots(self)

    def _repr_html_(self) -> str:
        """Return what a notebook displays."""
        from hormesis.report.html.notebook import studies_html

        return studies_html(self)

    def __repr__(self) -> str:
        """Say what the studies are about."""
        first = next(iter(self.members.values()))
        return f"Studies({first!r}, epochs {', '.join(map(str, self.members))})"


def open_study(folder: str | Path) -> Study | Studies:
    """Open what ``analyze`` has written: a study, or a folder with one for each epoch.

    Needs no network and no torch.

    Args:
        folder: The folder of a study, or of the studies of a training.

    Returns:
        A ``Study``, or ``Studies``, whose tables have an ``epoch`` column.

    Raises:
        StudyError: If it is neither, damaged, or of a later format.
    """
    folder = Path(folder)
    if is_study(folder):
        return one.open_study(folder)
    members = epoch_folders(folder)
    if not members:
        return one.open_study(folder)  # which says what the folder lacks
    studies = {epoch: one.open_study(member) for epoch, member in members.items()}
    for epoch, study in studies.items():
        said = study.manifest.get("origin", {}).get("epoch", epoch)
        if said != epoch:
            raise StudyError(
                f"The study {members[epoch]} is of epoch {said}: give the folder its own name back."
            )
    return Studies(studies, folder)


def epoch_folders(folder: Path) -> dict[int, Path]:
    """Return the studies in a folder by their epochs, in order.

    Raises:
        StudyError: If the folder cannot be read, or holds too many names.
    """
    try:
        names = names_in(folder)
    except OSError as error:
        raise StudyError(f"The folder {folder} cannot be read: {error.strerror}.") from error
    found = {
        int(match[1]): folder / name
        for name in names
        if (match := _MEMBER.fullmatch(name)) and is_study(folder / name)
    }
    return dict(sorted(found.items()))


def epoch_folder(folder: Path, epoch: int) -> Path:
    """Return the folder of the study of one epoch.

    Example:
        >>> epoch_folder(Path("studies"), 3).name
        'epoch-0003'
    """
    return folder / f"epoch-{epoch:04d}"
