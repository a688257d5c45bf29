"""A study: its manifest, and the tables of its results."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from hormesis.analysis.bootstrap import bootstrap_errors
from hormesis.analysis.chance import (
    bases_at_chance,
    population_of,
    stored_chance,
    tied_share,
)
from hormesis.analysis.evidence import claim_notes, judge_scores
from hormesis.analysis.moments import InfluenceMoments
from hormesis.analysis.readings import describe_readings, other_reading, shift_scores
from hormesis.analysis.responses import Sweeps, as_sweeps
from hormesis.analysis.scores import SCORES, Base, measured_scores, plain_scoring, score_names
from hormesis.analysis.settled_groups import (
    SettledGroup,
    group_estimates,
    group_influence,
    group_moments,
    group_scores,
    make_settled_groups,
)
from hormesis.analysis.uncertainty import IntervalMethod, choose_interval_method, with_intervals
from hormesis.engine.controls import ONE_DRAW, control_columns
from hormesis.errors import StudyError
from hormesis.results.display import Display, make_display
from hormesis.results.study_files import read_files
from hormesis.results.study_outcomes import StudyOutcomes, store_of
from hormesis.settings.scoring import Scoring, check_reference
from hormesis.storage.folders import is_study
from hormesis.storage.outcomes import StoredOutcomes, concatenate
from hormesis.storage.schema import Manifest, manifest_of
from hormesis.storage.series_folders import series_folders
from hormesis.storage.store import Span
from hormesis.storage.table_checks import count_removals


@dataclass(frozen=True)
class Study:
    """The measurements of one network on one data set, under one attack or none.

    Args:
        manifest: The request, fingerprints, versions, and the results of the unfiltered network.
        targets: One row per target: ``target``, ``kind``, ``shape``, ``size``, ``depth``,
            ``minimum``, ``maximum``, ``tested``, ``reason``.
        responses: One row per target, filter and step; see ``analysis.responses.response_table``.
        folder: The study's folder, or None if it was not written.
        packed: The outcomes of a study in memory, in the format of files, by their first sample.
        samples: One row per sample, in the order of measurement: ``place`` in the data set, and
            ``label``; None if unknown.
        confirmation: Tests of claims by stronger attacks, see ``analysis.confirmation.COLUMNS``.

    Example:
        >>> import torch
        >>> import hormesis as hm
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
        >>> data = torch.rand(8, 1, 2, 2), torch.arange(8) % 2
        >>> study = hm.analyze(network, data, execution=hm.Execution(progress=False))
        >>> study
        Study(Sequential on custom, fgsm, 1 targets)
    """

    manifest: dict[str, Any]
    targets: pd.DataFrame
    responses: pd.DataFrame
    folder: Path | None = None
    packed: Mapping[int, bytes] = field(default_factory=dict, repr=False, compare=False)
    samples: pd.DataFrame | None = field(default=None, repr=False, compare=False)
    confirmation: pd.DataFrame | None = field(default=None, repr=False, compare=False)

    @cached_property
    def metadata(self) -> Manifest:
        """What the manifest says, as typed values: ``study.metadata.question.network.name``.

        Entries that it lacks have their defaults.

        Raises:
            StudyError: If one is of another kind than it has to be.
        """
        try:
            return manifest_of(self.manifest)
        except ValueError as error:
            raise StudyError(f"The manifest of the study is damaged: {error}.") from error

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Scores, intervals and classes, by the study's own scoring.

        Columns ``target``, ``filter``, ``score``, ``value``, ``class``, ``low``, ``high``,
        ``level``, ``certain``, ``point``: ``class`` is ``undecided`` where the interval from
        ``low`` to ``high`` straddles a border, ``point`` is the class of the estimate. All classes
        are those of ``analysis.classes``.
        """
        return self.scores_with(self.scoring)

    def scores_with(self, scoring: Scoring) -> pd.DataFrame:
        """Return scores, intervals and classes by another scoring, see ``scores``.

        Args:
            scoring: How responses become scores.

        Raises:
            SettingError: If the reference needs a control that was not measured, or says nothing
                where values are replaced.
            StudyError: If the outcomes, from which intervals are computed, are damaged.
        """
        check_reference(scoring, replaces=self.replaces)
        scores = measured_scores(self._scored(scoring), stressed=self.stressed)
        return judge_scores(scores, self, scoring)

    @property
    def stressed(self) -> bool:
        """Whether there was an attack; without one, all is about clean samples."""
        return self.metadata.stressed

    @property
    def given(self) -> bool:
        """Whether a second data set is the stress; what is called adversarial is then on it."""
        return self.metadata.given

    @property
    def replaces(self) -> bool:
        """Whether values were replaced, and not removed by filters."""
        return bool(self.metadata.question.sweep.replacements)

    @property
    def score_names(self) -> tuple[str, ...]:
        """The scores that the study has: ``clean`` and, under attack, the other two."""
        return score_names(stressed=self.stressed)

    def _scored(self, scoring: Scoring) -> pd.DataFrame:
        """Return all three scores with intervals, and classes without further evidence."""
        scores = group_scores(self.responses, self.settled_groups, scoring)
        if not self.has_outcomes:
            return with_intervals(scores, None, None, scoring)
        moments = group_moments(self.responses, self.settled_groups, scoring, self.blocks)
        if scoring.interval == "bootstrap" and self.planned is None:
            resample = self._outcomes.resample
            errors = bootstrap_errors(self.sweeps, self.base, scoring, resample, moments)
        else:
            errors = moments.standard_errors(population_of(self.manifest, scoring))
        method = self.interval_method(scoring, moments.samples)
        return with_intervals(scores, errors, method, scoring)

    @property
    def beside(self) -> str:
        """Name of the other reading of the scores; empty where there is none."""
        return "" if self.replaces else other_reading(self.scoring)

    @cached_property
    def readings(self) -> pd.DataFrame:
        """The other reading of every score: ``density`` if scores refer to ``base``, else ``base``.

        There is none where values were replaced: it has no numbers and no words.

        Columns ``target``, ``filter``, ``score``, ``value``, ``low``, ``high``, ``says`` and
        ``contradicts``, in the order of ``scores``; see ``analysis.readings.describe_readings``.
        """
        reading, scoring = other_reading(self.scoring), self.scoring
        if self.replaces:
            table = self.scores.loc[:, ["target", "filter", "score"]].copy()
            table[["value", "low", "high"]] = np.nan
        elif scoring.reference == "random":
            table = self.scores_with(replace(scoring, reference=reading))
            table = table.loc[:, ["target", "filter", "score", "value", "low", "high"]].copy()
            table.loc[table["score"] == "difference", ["value", "low", "high"]] = np.nan
        else:
            table = shift_scores(self.scores, self.sweeps, scoring)
        return describe_readings(table, self.scores, reading, scoring.tolerance)

    @cached_property
    def sweeps(self) -> Sweeps:
        """The responses as arrays."""
        return as_sweeps(self.responses)

    def estimates(
        self, filter_name: str
    ) -> tuple[tuple[str, ...], Float[np.ndarray, "three targets"]]:
        """Return the names of the swept targets, and their scores without intervals.

        Args:
            filter_name: A filter that was swept, or ``combined``.
        """
        return group_estimates(self.responses, self.settled_groups, self.scoring, filter_name)

    def interval_method(
        self, scoring: Scoring, samples: int | Int[np.ndarray, " targets"]
    ) -> IntervalMethod:
        """Return Student's t, or a confidence sequence for a sweep that chose when to stop.

        Args:
            scoring: The level.
            samples: Number of samples measured, of all targets or of each target.
        """
        if isinstance(samples, np.ndarray):
            samples = np.repeat(samples, len(SCORES))
        if self.planned is None:
            samples = self.metadata.base.samples
        return choose_interval_method(samples, self.planned, scoring)

    @cached_property
    def settled_groups(self) -> tuple[SettledGroup, ...]:
        """The targets, grouped by the number of samples after which they were settled.

        In a sweep that chose when to stop, targets that were settled early keep the results of
        their samples up to that point. All others use all samples.
        """
        all_samples = SettledGroup(self.metadata.base.samples, self.base, ())
        swept = self.responses["target"].unique().tolist()
        return make_settled_groups(self.manifest.get("settled", ()), all_samples, swept)

    @cached_property
    def group_of(self) -> dict[str, SettledGroup]:
        """The group of each target, with its samples and the unfiltered network's performance."""
        return {target: group for group in self.settled_groups for target in group.targets}

    @property
    def planned(self) -> int | None:
        """Number of samples available, if the sweep chose when to stop; else None."""
        return self.metadata.planned

    @property
    def order(self) -> int | None:
        """Seed of the order in which samples were drawn; None for that of the data set."""
        return None if self.planned is None else self.metadata.question.sweep.seed

    def influence(
        self, filter_name: str
    ) -> tuple[Float[np.ndarray, "three targets samples"], InfluenceMoments]:
        """Return the influence values of the scores, by the study's own scoring.

        Args:
            filter_name: A filter that was swept, or ``combined``.

        Returns:
            The influence values of the clean, adversarial and difference score, for targets in the
            order of the table of scores, and their moments. See ``group_influence`` for targets
            that were settled before others.

        Raises:
            StudyError: If the study has no outcomes, or they are damaged.
        """
        return group_influence(
            self.responses, self.settled_groups, self.scoring, self.blocks, filter_name
        )

    def with_scoring(self, scoring: Scoring) -> "Study":
        """Return the same study with another scoring.

        Raises:
            SettingError: For a reference that says nothing where values are replaced.
        """
        check_reference(scoring, replaces=self.replaces)
        return replace(self, manifest={**self.manifest, "scoring": plain_scoring(scoring)})

    @property
    def scoring(self) -> Scoring:
        """The study's own scoring."""
        return self.metadata.scoring.as_scoring()

    @property
    def base(self) -> Base:
        """Performance of the unfiltered network."""
        base, tied = self.metadata.base, tied_share(self.manifest)
        floor = self.metadata.stressed_chance
        return Base(base.clean, base.adversarial, base.higher_is_better, self.chance, tied, floor)

    @cached_property
    def chance(self) -> float | None:
        """Performance of guessing, see ``analysis.chance``; None if unknown."""
        return stored_chance(self.manifest, self.samples)

    @property
    def at_chance(self) -> tuple[bool, bool]:
        """Whether the unfiltered network cannot be told from guessing: clean, adversarial."""
        if self.chance is None:
            return False, False
        base = self.manifest["base"]
        factor = float(self.interval_method(self.scoring, int(base["samples"])).critical())
        binary, stressed = self.metadata.binary, self.metadata.stressed_chance
        return bases_at_chance(base, self.chance, factor, binary=binary, stressed=stressed)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the reader, in sentences."""
        notes = (*self.metadata.notes, *claim_notes(self))
        if self.scoring.reference == "random" and len(control_columns(self.responses)) == 1:
            notes += (ONE_DRAW,)
        return notes

    @property
    def finished(self) -> bool:
        """Whether everything was measured; otherwise tables and scores are estimates."""
        return self.metadata.finished

    @cached_property
    def _outcomes(self) -> StudyOutcomes:
        store = store_of(self.folder, self.packed, len(self.responses))
        return StudyOutcomes(store, self.metadata, count_removals(self.responses), self.samples)

    @property
    def has_outcomes(self) -> bool:
        """Whether per-sample outcomes were stored, which intervals need."""
        store = self._outcomes.store
        return store is not None and bool(store.firsts())

    @property
    def spans(self) -> tuple[Span, ...]:
        """The samples of the shards behind the responses, as pairs of first and end index.

        Indices count samples in the order of measurement.
        """
        return self._outcomes.spans

    def blocks(self) -> Iterator[StoredOutcomes]:
        """Read the per-sample outcomes behind the responses, block by block.

        For a metric of a whole set they are the linearised values of ``analysis.linearised``, of
        all samples at once.

        Raises:
            StudyError: If there are none, or a file is damaged or missing.
        """
        return self._outcomes.blocks()

    def outcomes(self) -> StoredOutcomes:
        """Read all per-sample outcomes at once; NaN for samples after a target was settled.

        See ``blocks``.

        Raises:
            StudyError: If there are none, or a file is damaged or missing.
        """
        return concatenate(list(self.blocks()))

    plot = Display("study.plot")
    """Pictures of the study, as figures of Matplotlib: ``study.plot.responses("conv1")``."""

    def _repr_html_(self) -> str:
        """Return what a notebook displays."""
        return make_display("study.html", self)

    def __repr__(self) -> str:
        """Return network, data, attack and the number of targets."""
        question, tested = self.metadata.question, sum(self.targets["tested"].tolist())
        attack = question.attack.name if self.stressed else "no attack"
        attack = f"stressed by {question.attack.data}" if self.given else attack
        return f"Study({question.network.name} on {question.data.name}, {attack}, {tested} targets)"


def load_study(folder: str | Path) -> Study:
    """Load a study that ``analyze`` has written, or is writing. Needs no network and no torch.

    Tables and scores of an unfinished study are estimates from the shards written so far.

    Args:
        folder: The study's folder.

    Raises:
        StudyError: If it is no study, damaged, or of a later format.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import torch
        >>> import hormesis as hm
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
        >>> data = torch.rand(8, 1, 2, 2), torch.arange(8) % 2
        >>> with TemporaryDirectory() as folder:
        ...     made = hm.analyze(network, data, out=f"{folder}/study",
        ...                       execution=hm.Execution(progress=False))
        ...     read = load_study(f"{folder}/study")
        >>> read.scores.equals(made.scores)
        True
    """
    folder = Path(folder)
    if not is_study(folder) and folder.is_dir() and series_folders(folder).members:
        raise StudyError(
            f"The folder {folder} holds a series of studies: load them with "
            "`load_series`, or one of them."
        )
    files = read_files(folder)
    return Study(
        files.manifest,
        files.targets,
        files.responses,
        files.folder,
        {},
        files.samples,
        files.confirmation,
    )
