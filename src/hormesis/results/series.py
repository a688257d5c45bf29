"""A series of studies of one training, epoch by epoch."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from hormesis.errors import StudyError
from hormesis.results.display import Display, make_display
from hormesis.results.study import Study, load_study
from hormesis.settings.scoring import Scoring
from hormesis.storage.epoch_folders import epoch_folders
from hormesis.storage.folders import is_study


@dataclass(frozen=True)
class StudySeries:
    """Studies of the same network after different numbers of epochs.

    Args:
        members: The studies by epoch, in order.
        folder: The folder of the series.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import torch
        >>> import hormesis as hm
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
        >>> data = torch.rand(8, 1, 2, 2), torch.arange(8) % 2
        >>> with TemporaryDirectory() as folder:
        ...     for epoch in (1, 2):  # as ``analyze_epochs`` writes them
        ...         _ = hm.analyze(network, data, out=f"{folder}/epoch-000{epoch}",
        ...                        execution=hm.Execution(progress=False))
        ...     hm.load_series(folder).scores["epoch"].unique().tolist()
        [1, 2]
    """

    members: dict[int, Study]
    folder: Path

    @property
    def scores(self) -> pd.DataFrame:
        """Scores and classes of all: ``epoch``, and the columns of ``Study.scores``."""
        return self._concatenate(lambda study: study.scores)

    @cached_property
    def responses(self) -> pd.DataFrame:
        """Responses of all: ``epoch``, and the columns of ``Study.responses``."""
        return self._concatenate(lambda study: study.responses)

    @cached_property
    def targets(self) -> pd.DataFrame:
        """Targets of all: ``epoch``, and the columns of ``Study.targets``."""
        return self._concatenate(lambda study: study.targets)

    @cached_property
    def base(self) -> pd.DataFrame:
        """The unfiltered networks: ``epoch``, ``epsilon``, ``clean`` and ``adversarial``."""
        return pd.DataFrame(
            {
                "epoch": epoch,
                "epsilon": study.metadata.attack.epsilon,
                "clean": study.base.clean,
                "adversarial": study.base.adversarial,
            }
            for epoch, study in self.members.items()
        )

    @property
    def scoring(self) -> Scoring:
        """The scoring of the first study."""
        return next(iter(self.members.values())).scoring

    def scores_with(self, scoring: Scoring) -> pd.DataFrame:
        """Return scores and classes of all by another base, reference or tolerance.

        Args:
            scoring: How responses become scores.

        Raises:
            SettingError: If the reference needs a control that was not measured.
        """
        return self._concatenate(lambda study: study.scores_with(scoring))

    def with_scoring(self, scoring: Scoring) -> "StudySeries":
        """Return the same studies with another scoring."""
        members = {epoch: study.with_scoring(scoring) for epoch, study in self.members.items()}
        return StudySeries(members, self.folder)

    def _concatenate(self, table: Callable[[Study], pd.DataFrame]) -> pd.DataFrame:
        parts = []
        for epoch, study in self.members.items():
            part = table(study).copy()
            part.insert(0, "epoch", epoch)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    plot = Display("series.plot")
    """Pictures of the studies, as figures of Matplotlib: ``studies.plot.epochs()``."""

    def _repr_html_(self) -> str:
        """Return what a notebook displays."""
        return make_display("series.html", self)

    def __repr__(self) -> str:
        """Return the first study and the epochs."""
        first = next(iter(self.members.values()))
        return f"StudySeries({first!r}, epochs {', '.join(map(str, self.members))})"


def load_series(folder: str | Path) -> StudySeries:
    """Load a series that ``analyze_epochs`` has written: a folder with a study for each epoch.

    Needs no network and no torch.

    Args:
        folder: The folder of the series.

    Returns:
        The studies, whose tables have an ``epoch`` column.

    Raises:
        StudyError: If it holds no study, or one that is damaged or of a later format.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import torch
        >>> import hormesis as hm
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
        >>> data = torch.rand(8, 1, 2, 2), torch.arange(8) % 2
        >>> with TemporaryDirectory() as folder:
        ...     for epoch in (1, 2):  # as ``analyze_epochs`` writes them
        ...         _ = hm.analyze(network, data, out=f"{folder}/epoch-000{epoch}",
        ...                        execution=hm.Execution(progress=False))
        ...     load_series(folder)
        StudySeries(Study(Sequential on custom, fgsm, 1 targets), epochs 1, 2)
    """
    folder = Path(folder)
    members = epoch_folders(folder)
    if not members:
        raise StudyError(f"The folder {folder} holds no studies of the epochs of a training.")
    studies = {epoch: load_study(member) for epoch, member in members.items()}
    for epoch, study in studies.items():
        recorded = study.metadata.origin.epoch
        if recorded not in (None, epoch):
            raise StudyError(
                f"The study {members[epoch]} is of epoch {recorded}: give the folder its own name "
                "back."
            )
    return StudySeries(studies, folder)


def load_study_or_series(folder: str | Path) -> Study | StudySeries:
    """Load a study or a series, whichever the folder holds.

    Raises:
        StudyError: If it is neither, damaged, or of a later format.
    """
    folder = Path(folder)
    if is_study(folder) or not epoch_folders(folder):
        return load_study(folder)  # which says what the folder lacks
    return load_series(folder)
