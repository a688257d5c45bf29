"""Comparison of several studies: what stays the same, what changes, and how certain that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from hormesis.analysis import comparison_tables as tables
from hormesis.analysis.chance import population_of
from hormesis.analysis.comparison_tables import MatchedScores
from hormesis.analysis.evidence import is_base_masked
from hormesis.analysis.matching import check_matching, match_targets
from hormesis.analysis.pooling import pool_runs
from hormesis.analysis.readings import count_readings
from hormesis.analysis.scores import COMBINED, main_score, measured_scores
from hormesis.analysis.verdicts import ATTACKED, Evidence, combine_classes
from hormesis.errors import SettingError, StudyError
from hormesis.results.comparability import (
    ORDERS,
    OVERS,
    check_comparable,
    check_distinct,
    describe_studies,
    in_order,
    study_labels,
)
from hormesis.results.study import Study, load_study
from hormesis.settings.choices import check_choice
from hormesis.settings.scoring import Scoring
from hormesis.storage.files import OUTCOMES
from hormesis.storage.folders import is_study
from hormesis.storage.safe_read import names_in
from hormesis.storage.store import merge_spans


@dataclass(frozen=True)
class Comparison:
    """The results of a comparison of studies.

    Args:
        over: What varies: ``epochs``, ``data``, ``models`` or ``seeds``.
        studies: One row per study: ``study`` (its label), ``model``, ``data``, ``epoch``, ``seed``,
            ``samples``, ``clean``, ``adversarial`` and ``epsilon`` (unless no study has an attack),
            ``mark`` (a note), ``beside`` (the
            other reading of the adversarial scores, or of the clean ones without an attack).
        matching: ``study``, ``target``, ``match``.
        scores: Of the matched targets, with intervals; see ``comparison_tables.comparison_scores``.
        paths: Classes of each target over the studies, and whether they stay the same.
        changes: Paired differences of scores, the largest certain ones first.
        pairs: Rank correlations of every two studies.
        agreement: Fleiss' kappa and mean correlation of all, against chance.
        pooled: Means over the runs of a group, with intervals over runs; empty unless ``group_by``
            was given, or seeds are compared.
        scoring: The scoring of all studies.
        notes: Notes for the reader, in sentences.

    Example:
        >>> import torch
        >>> import hormesis as hm
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
        >>> data = torch.rand(8, 1, 2, 2), torch.arange(8) % 2
        >>> studies = [
        ...     hm.analyze(network, data, sweep=hm.Sweep(seed=seed),
        ...                execution=hm.Execution(progress=False))
        ...     for seed in (0, 1)
        ... ]
        >>> sorted(hm.compare(studies, over="seeds").tables)
        ['changes', 'matching', 'paths', 'pooled', 'scores', 'studies']
    """

    over: str
    studies: pd.DataFrame
    matching: pd.DataFrame
    scores: pd.DataFrame
    paths: pd.DataFrame
    changes: pd.DataFrame
    pairs: pd.DataFrame
    agreement: pd.DataFrame
    pooled: pd.DataFrame
    scoring: Scoring
    notes: tuple[str, ...]

    @property
    def score_names(self) -> tuple[str, ...]:
        """The scores that are compared: those that every study has."""
        return tuple(dict.fromkeys(self.scores["score"].tolist()))

    @property
    def main_score(self) -> str:
        """The score to show where one has to do: the adversarial one, or else the clean one."""
        return main_score(stressed=len(self.score_names) > 1)

    @property
    def figures(self) -> list[str]:
        """The columns of ``studies`` about the unfiltered networks and the attack, if known."""
        names = ("clean", "adversarial", "epsilon")
        return [name for name in names if name in self.studies]

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables that are not empty, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: table
            for name, table in values.items()
            if isinstance(table, pd.DataFrame) and len(table)
        }


def compare(
    studies: Any,  # noqa: ANN401
    *,
    over: str = "epochs",
    scoring: Scoring | None = None,
    matching: pd.DataFrame | None = None,
    allow: Sequence[str] = (),
    group_by: Sequence[str] = (),
) -> Comparison:
    """Compare at least two studies of the same method.

    Args:
        studies: Studies, series, folders of studies, or folders that contain such folders; a single
            series or folder is allowed.
        over: What varies between them: ``"epochs"``, ``"data"``, ``"models"``, ``"seeds"`` or, for
            one network under one attack, ``"epsilons"``.
        scoring: How responses become scores; None takes that of the studies, which must agree.
        matching: Which targets match, as ``analysis.matching.match_targets`` returns it.
        allow: What else may differ, such as ``("different:epsilon",)``; it is noted.
        group_by: Columns of ``Comparison.studies``; studies that agree in them are pooled. Over
            seeds, the default is all columns but the seed.

    Raises:
        StudyError: For fewer than two studies, the same one twice, studies of different methods or
            without a common target, or damaged ones.
        SettingError: For an unknown ``over``, or a missing column to group by.

    Example:
        >>> import torch
        >>> import hormesis as hm
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
        >>> data = torch.rand(30, 1, 2, 2), torch.arange(30) % 2
        >>> studies = []
        >>> for shift in (0.0, 0.5):
        ...     torch.nn.init.constant_(network[1].bias, shift)[0].item()
        ...     studies.append(hm.analyze(network, data, attack=hm.FGSM(0.1),
        ...                               execution=hm.Execution(progress=False)))
        0.0
        0.5
        >>> comparison = compare(studies, over="seeds")
        >>> comparison.paths["match"].unique().tolist()
        ['1.weight']
        >>> comparison.changes["paired"].unique().tolist()
        [True]
    """
    check_choice("choice of `over`", over, OVERS)
    loaded, unfinished = load_all(studies)
    if len(loaded) < 2:
        raise StudyError(
            f"A comparison needs at least two studies, got {len(loaded) or 'none'}"
            f"{f': {loaded[0].folder or loaded[0]}' if loaded else ''}."
            f"{' '.join(['', *unfinished])}"
        )
    check_distinct(loaded)
    notes = [*unfinished, *check_comparable(loaded, over, allow, scored=scoring is not None)]
    if scoring is not None:
        loaded = [study.with_scoring(scoring) for study in loaded]
    loaded = in_order(loaded, over)
    descriptions = describe_studies(loaded)
    descriptions.insert(0, "study", study_labels(loaded, descriptions, over))
    filter_name = _filter_of(loaded)
    matching, matched = _match_studies(
        loaded, list(descriptions["study"]), matching, over=over, filter_name=filter_name
    )
    matches = list(dict.fromkeys(matching["match"]))
    own = loaded[0].scoring
    stressed = all(study.stressed for study in loaded)
    score = main_score(stressed=stressed)
    descriptions["beside"] = [
        count_readings(study.readings, filter_name, score) for study in loaded
    ]
    measured = partial(measured_scores, stressed=stressed)
    scores = measured(tables.comparison_scores(matches, matched, own))
    pairs = tables.study_pairs(len(matched), ordered=over in ORDERS)
    changed = measured(tables.score_changes(matches, matched, pairs, own))
    pooled = _pool_groups(matches, matched, descriptions, over, group_by, own)
    correlations, agreement = tables.agreement_tables(
        scores, list(descriptions["study"]), own.level
    )
    return Comparison(
        over=over,
        studies=descriptions.reset_index(drop=True),
        matching=matching,
        scores=scores,
        paths=tables.class_paths(scores),
        changes=tables.rank_changes(changed, own.level),
        pairs=correlations,
        agreement=agreement,
        pooled=measured(pooled) if len(pooled) else pooled,
        scoring=own,
        notes=tuple(notes)
        + _unmatched_note(loaded, matching)
        + (f"Scores of the {filter_name} filter.",),
    )


def load_all(
    studies: Any,  # noqa: ANN401
) -> tuple[list[Study], list[str]]:
    """Load studies, and return them with a sentence for each that is not finished.

    Args:
        studies: Studies, series, folders of studies, and folders that contain such folders.

    Raises:
        StudyError: For a folder without a study.
    """
    if isinstance(studies, str | Path | Study) or hasattr(studies, "members"):
        studies = [studies]
    loaded: list[Study] = []
    unfinished: list[str] = []
    for study in studies:
        if isinstance(study, Study):
            loaded.append(study)
        elif hasattr(study, "members"):
            loaded.extend(study.members.values())
        else:
            folder = Path(study).expanduser()
            inside = [folder] if is_study(folder) else sorted(_folders(folder))
            paths = [path for path in inside if is_study(path)]
            loaded.extend(load_study(path) for path in paths or [folder])
            unfinished.extend(
                f"{path} is not finished and was left out."
                for path in inside
                if not is_study(path) and (path / OUTCOMES).is_dir()
            )
    return loaded, unfinished


def _folders(folder: Path) -> list[Path]:
    try:
        return [path for name in names_in(folder) if (path := folder / name).is_dir()]
    except OSError as error:
        raise StudyError(f"The folder {folder} cannot be read: {error.strerror}.") from error


def _filter_of(studies: Sequence[Study]) -> str:
    """Return the filter whose scores are compared: ``combined``, or the first."""
    swept = studies[0].metadata.question.sweep.filters
    everywhere = all(study.responses["filter"].nunique() == 3 for study in studies)
    return COMBINED if everywhere else swept[0]


def _match_studies(
    studies: Sequence[Study],
    names: Sequence[str],
    matching: pd.DataFrame | None,
    *,
    over: str,
    filter_name: str,
) -> tuple[pd.DataFrame, list[MatchedScores]]:
    """Return the matching, and the scores of each study for the matched targets."""
    tested = {
        name: study.targets.loc[study.targets["tested"]]
        for name, study in zip(names, studies, strict=True)
    }
    if matching is None:
        matching = match_targets(tested, by_role=over == "models")
    else:
        matching = check_matching(matching, tested)
    matches = list(dict.fromkeys(matching["match"]))
    members: dict[str, dict[str, list[str]]] = {name: {} for name in names}
    for name, target, match in matching.itertuples(index=False, name=None):
        members[name].setdefault(match, []).append(target)
    return matching, [
        _matched_scores(
            study, name, {match: members[name][match] for match in matches}, filter_name
        )
        for study, name in zip(studies, names, strict=True)
    ]


def _matched_scores(
    study: Study,
    label: str,
    groups: Mapping[str, Sequence[str]],
    filter_name: str,
) -> MatchedScores:
    """Return the mean scores of the targets of each match."""
    order, values = study.estimates(filter_name)
    row_of = {target: row for row, target in enumerate(order)}
    rows = [[row_of[target] for target in group] for group in groups.values()]
    means = np.stack([values[:, group].mean(axis=1) for group in rows], axis=1)
    sample_identity = (
        study.metadata.question.data.fingerprint,
        merge_spans(study.spans),
        study.order,
    )
    evidence = _evidence(study, label, groups, filter_name)
    if not study.has_outcomes:
        return MatchedScores(label, means, None, None, None, sample_identity, evidence)
    population = population_of(study.manifest, study.scoring)
    influence, moments = study.influence(filter_name)
    single = all(len(group) == 1 for group in rows)
    flat = [group[0] for group in rows]
    if single and flat == list(range(len(order))):
        averages = influence
    else:
        averages = np.stack([influence[:, group].mean(axis=1) for group in rows], axis=1)
    moments = tables.average_moments(moments, averages, rows)
    seen: int | np.ndarray = averages.shape[-1]
    if len(study.settled_groups) > 1:
        seen = np.array(
            [min(study.group_of[name].samples for name in group) for group in groups.values()]
        )
    interval_method = study.interval_method(study.scoring, seen)
    return MatchedScores(
        label, means, averages, moments, interval_method, sample_identity, evidence, population
    )


def _evidence(
    study: Study,
    label: str,
    groups: Mapping[str, Sequence[str]],
    filter_name: str,
) -> Evidence:
    """Return the evidence on the classes of the targets of each match."""
    scores = study.scores
    own = scores.loc[scores["filter"] == filter_name].set_index(["target", "score"])["class"]
    confirmed = {
        (match, label, score): combine_classes([str(own.loc[(target, score)]) for target in group])
        for match, group in groups.items()
        for score in (ATTACKED if study.stressed and not study.given else ())
    }
    return Evidence(study.at_chance, is_base_masked(study), None, confirmed, study.given)


def _pool_groups(
    matches: Sequence[str],
    measured: Sequence[MatchedScores],
    descriptions: pd.DataFrame,
    over: str,
    group_by: Sequence[str],
    scoring: Scoring,
) -> pd.DataFrame:
    by_user = bool(group_by)
    if (
        not by_user and over == "seeds"
    ):  # several trainings of one network: what they have in common
        group_by = ("model", "data", "epoch")
    if not group_by:
        return pd.DataFrame()
    columns = ("model", "data", "epoch", "seed")
    for name in group_by:
        check_choice("column of `group_by`", name, columns)
    by_label = {study.label: study for study in measured}
    parts = []
    for keys, group in descriptions.groupby(list(group_by), sort=False, dropna=False):
        runs = [by_label[label] for label in group["study"]]
        if len(runs) > 1:
            common: Mapping[str, Any] = dict(
                zip(group_by, cast(tuple[Any, ...], keys), strict=True)
            )
            parts.append(pool_runs(matches, runs, common, scoring))
    if not parts and not by_user:
        return pd.DataFrame()
    if not parts:
        raise SettingError(
            f"Expected `group_by` to leave groups of at least two runs; no two studies agree in "
            f"{', '.join(group_by)}."
        )
    return pd.concat(parts, ignore_index=True)


def _unmatched_note(studies: Sequence[Study], matching: pd.DataFrame) -> tuple[str, ...]:
    tested = {
        str(name) for study in studies for name in study.targets["target"][study.targets["tested"]]
    }
    missing = sorted(tested - set(matching["target"]))
    if not missing:
        return ()
    examples = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
    return (f"{len(missing)} targets are not in every study and were left out: {examples}.",)
