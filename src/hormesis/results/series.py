"""A series of studies: the epochs of one training, or several magnitudes of one attack."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from hormesis.analysis.turns import class_turns
from hormesis.errors import StudyError
from hormesis.results.display import Display, make_display
from hormesis.results.study import Study, load_study
from hormesis.settings.magnitudes import short_epsilon
from hormesis.settings.scoring import Scoring
from hormesis.storage.folders import is_study
from hormesis.storage.series_folders import EPOCH, EPSILON, series_folders


@dataclass(frozen=True)
class StudySeries:
    """Studies of the same network after different numbers of epochs, or at several magnitudes.

    Args:
        members: The studies by epoch or by magnitude, in order.
        folder: The folder of the series.
        axis: What varies from study to study, ``"epoch"`` or ``"epsilon"``; the first column of all
            tables.

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

    members: dict[int | float, Study]
    folder: Path
    axis: str = EPOCH

    @property
    def first(self) -> Study:
        """The first study, whose method is that of all."""
        return next(iter(self.members.values()))

    def place_text(self, place: float | int) -> str:
        """Return an epoch or a magnitude as a column has it: ``8/255``."""
        return str(place) if self.axis == EPOCH else short_epsilon(place)

    def place_name(self, place: float | int) -> str:
        """Return an epoch or a magnitude as sentences and labels have it: ``ε 8/255``."""
        return f"{self.axis_word} {self.place_text(place)}"

    @property
    def axis_word(self) -> str:
        """What the axis is called in sentences and labels."""
        return "epoch" if self.axis == EPOCH else "ε"

    @property
    def scores(self) -> pd.DataFrame:
        """Scores and classes of all: the axis, and the columns of ``Study.scores``."""
        return self._concatenate(lambda study: study.scores)

    @cached_property
    def responses(self) -> pd.DataFrame:
        """Responses of all: the axis, and the columns of ``Study.responses``."""
        return self._concatenate(lambda study: study.responses)

    @cached_property
    def targets(self) -> pd.DataFrame:
        """Targets of all: the axis, and the columns of ``Study.targets``."""
        return self._concatenate(lambda study: study.targets)

    @cached_property
    def base(self) -> pd.DataFrame:
        """The unfiltered networks: the axis, ``epsilon``, ``clean`` and ``adversarial``."""
        return pd.DataFrame(
            {
                self.axis: place,
                "epsilon": study.metadata.attack.epsilon,
                "clean": study.base.clean,
                "adversarial": study.base.adversarial,
            }
            for place, study in self.members.items()
        )

    @cached_property
    def turns(self) -> pd.DataFrame:
        """Where classes turn along the axis, see ``analysis.turns.class_turns``."""
        return class_turns(self.scores, self.axis, self.scoring.tolerance)

    @property
    def scoring(self) -> Scoring:
        """The scoring of the first study."""
        return self.first.scoring

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
        members = {place: study.with_scoring(scoring) for place, study in self.members.items()}
        return StudySeries(members, self.folder, self.axis)

    def _concatenate(self, table: Callable[[Study], pd.DataFrame]) -> pd.DataFrame:
        parts = []
        for place, study in self.members.items():
            part = table(study).copy()
            part.insert(0, self.axis, place)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    plot = Display("series.plot")
    """Pictures of the studies, as figures of Matplotlib: ``studies.plot.epochs()``."""

    def _repr_html_(self) -> str:
        """Return what a notebook displays."""
        return make_display("series.html", self)

    def __repr__(self) -> str:
        """Return the first study and the epochs or magnitudes."""
        if self.axis == EPSILON:
            return f"StudySeries({self.first!r}, ε {', '.join(map(short_epsilon, self.members))})"
        return f"StudySeries({self.first!r}, epochs {', '.join(map(str, self.members))})"


def load_series(folder: str | Path) -> StudySeries:
    """Load a series that ``analyze_epochs`` or ``analyze_epsilons`` has written.

    Needs no network and no torch.

    Args:
        folder: The folder of the series.

    Returns:
        The studies, whose tables have a column ``epoch`` or ``epsilon``.

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
    found = series_folders(folder)
    if not found.members:
        raise StudyError(
            f"The folder {folder} holds no studies of the epochs of a training or of several "
            "magnitudes."
        )
    studies = {place: load_study(member) for place, member in found.members.items()}
    for place, study in studies.items():
        metadata = study.metadata
        recorded = metadata.origin.epoch if found.axis == EPOCH else metadata.attack.epsilon
        if recorded not in (None, place):
            raise StudyError(
                f"The study {found.members[place]} is of {found.axis} {recorded}: give the folder "
                "its own name back."
            )
    return StudySeries(studies, folder, found.axis)


def load_study_or_series(folder: str | Path) -> Study | StudySeries:
    """Load a study or a series, whichever the folder holds.

    Raises:
        StudyError: If it is neither, damaged, or of a later format.
    """
    folder = Path(folder)
    if is_study(folder) or not series_folders(folder).members:
        return load_study(folder)  # which says what the folder lacks
    return load_series(folder)
