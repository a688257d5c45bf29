"""Several studies compared: what stays the same, what changes, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from hormesis.analysis import compare as tables
from hormesis.analysis.chance import population_of
from hormesis.analysis.compare import Measured
from hormesis.analysis.evidence import base_masked
from hormesis.analysis.matching import matched, own_matching
from hormesis.analysis.pooling import pooled
from hormesis.analysis.readings import counted
from hormesis.analysis.scores import COMBINED
from hormesis.analysis.verdicts import ATTACKED, Evidence, summed_up
from hormesis.errors import SettingError, StudyError
from hormesis.results.comparability import (
    OVERS,
    check_comparable,
    check_distinct,
    described,
    labels,
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
    """What several studies say together.

    Args:
        over: What varies: ``epochs``, ``data``, ``models`` or ``seeds``.
        studies: One row a study: ``study`` (its label), ``model``, ``data``, ``epoch``, ``seed``,
            ``samples``, ``clean``, ``adversarial``, ``epsilon``, ``mark`` (what a reader has to
            know), ``beside`` (what the other reading says of the adversarial scores).
        matching: ``study``, ``target``, ``match``.
        scores: Of the matched targets, with intervals; see ``analysis.compare.score_rows``.
        paths: Classes of each target over the studies, and whether they stay the same.
        changes: Paired differences of scores, the largest certain ones first.
        pairs: Rank correlations of every two studies.
        agreement: Fleiss' kappa and mean correlation of all, against chance.
        pooled: Means over the runs of a group, with intervals between runs; empty unless
            ``group_by`` was given, or seeds are compared.
        scoring: How responses became scores, in all of them.
        notes: What a reader has to know, in sentences.

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
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables that are not empty, by name."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: table
            for name, table in found.items()
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
        studies: Studies, folders of studies, or folders that hold folders of studies; one such
            folder, or an object that holds several studies as ``members``, will do.
        over: What varies between them: ``"epochs"``, ``"data"``, ``"models"`` or ``"seeds"``.
        scoring: How responses become scores; None takes that of the studies, which must agree.
        matching: Which targets go together, as ``analysis.matching.matched`` returns it.
        allow: What else may differ, such as ``("different:epsilon",)``; it is marked.
        group_by: Columns of ``Comparison.studies``; studies that agree in them are runs to be
            pooled. Over seeds, those that agree in all but the seed are.

    Raises:
        StudyError: For fewer than two studies, the same one twice, studies of different methods or
            without a common target, or damaged ones.
        SettingError: For an unknown ``over``, or a column to group by that is not there.

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
        >>> found = compare(studies, over="seeds")
        >>> found.paths["match"].unique().tolist(), found.changes["paired"].unique().tolist()
        (['1.weight'], [True])
    """
    check_choice("choice of `over`", over, OVERS)
    opened, unfinished = open_all(studies)
    if len(opened) < 2:
        raise StudyError(
            f"A comparison needs at least two studies, got {len(opened) or 'none'}"
            f"{': ' + _place(opened[0]) if opened else ''}.{' '.join(['', *unfinished])}"
        )
    check_distinct(opened)
    notes = [*unfinished, *check_comparable(opened, over, allow, scored=scoring is not None)]
    if scoring is not None:
        opened = [study.with_scoring(scoring) for study in opened]
    about = described(opened)
    if over == "epochs" and bool(about["epoch"].notna().to_numpy().all()):
        order = about["epoch"].astype(int).argsort(kind="stable")
        opened, about = [opened[place] for place in order], about.iloc[order]
    about.insert(0, "study", labels(opened, about, over))
    by = _filter_of(opened)
    matching, measured = _measured(opened, list(about["study"]), matching, over=over, by=by)
    matches = list(dict.fromkeys(matching["match"]))
    own = opened[0].scoring
    about["beside"] = [counted(study.readings, by) for study in opened]
    scores = tables.score_rows(matches, measured, own)
    pairs = tables.pairs_of(len(measured), ordered=over == "epochs")
    changed = tables.changes(matches, measured, pairs, own)
    correlations, agreement = tables.agreements(scores, list(about["study"]), own.level)
    return Comparison(
        over=over,
        studies=about.reset_index(drop=True),
        matching=matching,
        scores=scores,
        paths=tables.paths(scores),
        changes=tables.ranked(changed, own.level),
        pairs=correlations,
        agreement=agreement,
        pooled=_pooled(matches, measured, about, over, group_by, own),
        scoring=own,
        notes=tuple(notes) + _left_out(opened, matching) + (f"Scores of the {by} filter.",),
    )


def open_all(
    given: Any,  # noqa: ANN401
) -> tuple[list[Study], list[str]]:
    """Return the studies that were given, and a sentence for each that is not finished.

    Args:
        given: Studies, objects that hold several as ``members``, folders of studies, and folders
            that hold folders of studies.

    Raises:
        StudyError: For a folder without a study.
    """
    if isinstance(given, str | Path | Study) or hasattr(given, "members"):
        given = [given]
    opened: list[Study] = []
    unfinished: list[str] = []
    for one in given:
        if isinstance(one, Study):
            opened.append(one)
        elif hasattr(one, "members"):
            opened.extend(one.members.values())
        else:
            folder = Path(one).expanduser()
            inside = [folder] if is_study(folder) else sorted(_folders(folder))
            found = [path for path in inside if is_study(path)]
            opened.extend(load_study(path) for path in found or [folder])
            unfinished.extend(
                f"{path} is not finished and was left out."
                for path in inside
                if not is_study(path) and (path / OUTCOMES).is_dir()
            )
    return opened, unfinished


def _folders(folder: Path) -> list[Path]:
    try:
        return [path for name in names_in(folder) if (path := folder / name).is_dir()]
    except OSError as error:
        raise StudyError(f"The folder {folder} cannot be read: {error.strerror}.") from error


def _place(study: Study) -> str:
    return str(study.folder or study)


def _filter_of(studies: Sequence[Study]) -> str:
    """Return the filter whose scores are compared: the combined one, or the first."""
    swept = studies[0].metadata.question.sweep.filters
    everywhere = all(study.responses["filter"].nunique() == 3 for study in studies)
    return COMBINED if everywhere else swept[0]


def _measured(
    studies: Sequence[Study],
    names: Sequence[str],
    matching: pd.DataFrame | None,
    *,
    over: str,
    by: str,
) -> tuple[pd.DataFrame, list[Measured]]:
    """Return the matching, and what each study says of the matched targets."""
    tested = {
        name: study.targets.loc[study.targets["tested"]]
        for name, study in zip(names, studies, strict=True)
    }
    if matching is None:
        matching = matched(tested, by_role=over == "models")
    else:
        matching = own_matching(matching, tested)
    matches = list(dict.fromkeys(matching["match"]))
    members: dict[str, dict[str, list[str]]] = {name: {} for name in names}
    for name, target, match in matching.itertuples(index=False, name=None):
        members[name].setdefault(match, []).append(target)
    return matching, [
        _of_study(study, name, matches, [members[name][match] for match in matches], by)
        for study, name in zip(studies, names, strict=True)
    ]


def _of_study(
    study: Study, label: str, matches: Sequence[str], groups: Sequence[Sequence[str]], by: str
) -> Measured:
    """Return the mean scores of groups of targets, which are matched with those of others."""
    order, values = study.estimates(by)
    place = {target: row for row, target in enumerate(order)}
    rows = [[place[target] for target in group] for group in groups]
    means = np.stack([values[:, group].mean(axis=1) for group in rows], axis=1)
    same = (study.metadata.question.data.fingerprint, merge_spans(study.spans), study.order)
    evidence = _evidence(study, label, (matches, groups), by)
    if not study.has_outcomes:
        return Measured(label, means, None, None, None, same, evidence)
    population = population_of(study.manifest, study.scoring)
    influence, sums = study.influence(by)
    single = all(len(group) == 1 for group in rows)
    flat = [group[0] for group in rows]
    if single and flat == list(range(len(order))):
        averages = influence
    else:
        averages = np.stack([influence[:, group].mean(axis=1) for group in rows], axis=1)
    sums = tables.averaged(sums, averages, rows)
    seen: int | np.ndarray = averages.shape[-1]
    if len(study.prefixes) > 1:
        seen = np.array([min(study.prefix_of[name].samples for name in group) for group in groups])
    law = study.law(study.scoring, seen)
    return Measured(label, means, averages, sums, law, same, evidence, population)


def _evidence(
    study: Study, label: str, matched: tuple[Sequence[str], Sequence[Sequence[str]]], by: str
) -> Evidence:
    """Return what is known about the classes of groups of targets."""
    scores = study.scores
    own = scores.loc[scores["filter"] == by].set_index(["target", "score"])["class"]
    confirmed = {
        (match, label, score): summed_up([str(own.loc[(target, score)]) for target in group])
        for match, group in zip(*matched, strict=True)
        for score in ATTACKED
    }
    return Evidence(study.at_chance, base_masked(study), None, confirmed)


def _pooled(
    matches: Sequence[str],
    measured: Sequence[Measured],
    about: pd.DataFrame,
    over: str,
    group_by: Sequence[str],
    scoring: Scoring,
) -> pd.DataFrame:
    asked = bool(group_by)
    if not asked and over == "seeds":  # several trainings of one network: what they have in common
        group_by = ("model", "data", "epoch")
    if not group_by:
        return pd.DataFrame()
    known = ("model", "data", "epoch", "seed")
    for name in group_by:
        check_choice("column of `group_by`", name, known)
    by_label = {each.label: each for each in measured}
    parts = []
    for keys, group in about.groupby(list(group_by), sort=False, dropna=False):
        runs = [by_label[label] for label in group["study"]]
        if len(runs) > 1:
            common: Mapping[str, Any] = dict(
                zip(group_by, cast(tuple[Any, ...], keys), strict=True)
            )
            parts.append(pooled(matches, runs, common, scoring))
    if not parts and not asked:
        return pd.DataFrame()
    if not parts:
        raise SettingError(
            f"Expected `group_by` to leave groups of at least two runs; no two studies agree in "
            f"{', '.join(group_by)}."
        )
    return pd.concat(parts, ignore_index=True)


def _left_out(studies: Sequence[Study], matching: pd.DataFrame) -> tuple[str, ...]:
    tested = {
        str(name) for study in studies for name in study.targets["target"][study.targets["tested"]]
    }
    missing = sorted(tested - set(matching["target"]))
    if not missing:
        return ()
    shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
    return (f"{len(missing)} targets are not in every study and were left out: {shown}.",)
