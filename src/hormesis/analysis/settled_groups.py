"""Groups of targets that were settled after the same number of samples.

A sweep that chooses when to stop measures a target only until it is settled. All its numbers,
including the performance of the unfiltered network, are those of the samples up to that point.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from hormesis.analysis.moments import Blocks, InfluenceMoments, RunningMoments
from hormesis.analysis.responses import as_sweeps
from hormesis.analysis.scores import Base, score_layout, score_table, sweep_scores
from hormesis.engine.controls import control_columns
from hormesis.errors import StudyError
from hormesis.settings.choices import UNFILTERED
from hormesis.settings.scoring import Scoring
from hormesis.storage.outcomes import StoredOutcomes, only_samples


@dataclass(frozen=True)
class SettledGroup:
    """Targets that were settled after the same number of samples.

    Args:
        samples: Number of samples.
        base: Performance of the unfiltered network on them.
        targets: Names of the targets.
    """

    samples: int
    base: Base
    targets: tuple[str, ...]

    def described(self) -> dict[str, Any]:
        """Return it as plain values, as a manifest holds it."""
        adversarial = self.base.adversarial
        return {
            "samples": self.samples,
            "clean": self.base.clean,
            **({} if math.isnan(adversarial) else {"adversarial": adversarial}),
            "targets": list(self.targets),
        }


def make_settled_groups(
    settled: Sequence[Mapping[str, Any]], whole: SettledGroup, swept: Sequence[str]
) -> tuple[SettledGroup, ...]:
    """Return the groups of all targets.

    Args:
        settled: From ``SettledGroup.described``, of targets that were settled before others.
        whole: All samples, for all other targets.
        swept: Names of all targets.

    Raises:
        ValueError: For impossible numbers of samples.
    """
    groups = [
        SettledGroup(
            int(entry["samples"]),
            replace(
                whole.base,
                clean=float(entry["clean"]),
                adversarial=float(entry.get("adversarial", math.nan)),
                tied=whole.base.tied * int(entry["samples"]) / max(whole.samples, 1),
            ),
            tuple(entry["targets"]),
        )
        for entry in settled
    ]
    if any(not 1 < group.samples <= whole.samples for group in groups):
        raise ValueError(f"targets are settled after 2 to {whole.samples} samples")
    settled_targets = {target for group in groups for target in group.targets}
    rest = tuple(name for name in swept if name not in settled_targets)
    return (*groups, *([replace(whole, targets=rest)] if rest else []))


SettledGroups = Sequence[SettledGroup]
"""Every swept target is in one of the groups."""


def needed_removals(cells: pd.DataFrame) -> Int[np.ndarray, " removals"]:
    """Return the rows of the outcomes that cells need, each once.

    Args:
        cells: Columns ``outcome`` and those of the random control, see ``control_columns``.
    """
    columns = ["outcome", *control_columns(cells)]
    rows = np.unique(cells[columns].to_numpy().astype(np.int64))
    return rows[rows != UNFILTERED]


def group_scores(responses: pd.DataFrame, groups: SettledGroups, scoring: Scoring) -> pd.DataFrame:
    """Return every score with its class, see ``score_table``; targets in their usual order."""
    parts = [score_table(part, group.base, scoring) for group, part in _parts(responses, groups)]
    table = pd.concat(parts, ignore_index=True)
    return table.iloc[_order(table["target"].tolist(), responses)].reset_index(drop=True)


def group_estimates(
    responses: pd.DataFrame, groups: SettledGroups, scoring: Scoring, only: str
) -> tuple[tuple[str, ...], Float[np.ndarray, "three targets"]]:
    """Return the names of the targets, and their scores by one filter."""
    names: list[str] = []
    values = []
    for group, part in _parts(responses, groups):
        sweeps = as_sweeps(part)
        rows = score_layout(sweeps, only)
        names.extend(target for target, _ in rows.names)
        values.append((rows.mean @ sweep_scores(sweeps, group.base, scoring).T).T)
    order = _order(names, responses)
    return tuple(names[row] for row in order), np.concatenate(values, axis=1)[:, order]


def group_moments(
    responses: pd.DataFrame,
    groups: SettledGroups,
    scoring: Scoring,
    blocks: Blocks,
    *,
    only: str | None = None,
    keep: Callable[[int, np.ndarray], None] = lambda index, values: None,
) -> InfluenceMoments:
    """Return the moments of influence values, each over the samples of its target's group.

    Args:
        responses: See ``response_table``.
        groups: Which samples count for which targets.
        scoring: How responses become scores.
        blocks: Yields the outcomes, block by block; they are read once.
        only: A single filter; None takes all.
        keep: Called with the index of a group and influence values of its targets.

    Raises:
        StudyError: If outcomes of a group are missing.
    """
    running = []
    for index, (group, part) in enumerate(_parts(responses, groups)):
        running_moments = RunningMoments(
            as_sweeps(part),
            group.base,
            scoring,
            only=only,
            keep=lambda values, index=index: keep(index, values),
        )
        running.append((group.samples, needed_removals(part), running_moments))
    first = 0
    for block in blocks():
        for samples, removals, running_moments in running:
            if first < samples:
                _check_measured(block, removals)
                running_moments.add(only_samples(block, 0, samples - first))
        first += len(block.base_clean)
    parts = [running_moments.moments() for _, _, running_moments in running]
    if len(parts) == 1:
        return parts[0]
    names = [target for *_, moments in running for target, _ in moments.rows.names]
    return _concatenate(parts, _order(names, responses))


def _concatenate(
    parts: Sequence[InfluenceMoments], order: Int[np.ndarray, " rows"]
) -> InfluenceMoments:
    """Return the moments of all groups, with their rows in this order."""

    def rows(name: str) -> np.ndarray | None:
        values = [getattr(moments, name) for moments in parts]
        if any(value is None for value in values):
            return None
        return np.concatenate(values, axis=-1)[..., order]

    counts = [np.full(moments.second.shape[1], moments.samples) for moments in parts]
    extra = [np.zeros_like(part.most) if part.extra is None else part.extra for part in parts]
    names = ("second", "fourth", "most", "shared", "divisor", "draws")
    values: dict[str, Any] = {name: rows(name) for name in names}
    return InfluenceMoments(
        **values,
        samples=np.concatenate(counts)[order],
        freedom=parts[0].freedom,
        extra=np.concatenate(extra, axis=1)[:, order],
    )


def group_influence(
    responses: pd.DataFrame, groups: SettledGroups, scoring: Scoring, blocks: Blocks, only: str
) -> tuple[Float[np.ndarray, "three targets samples"], InfluenceMoments]:
    """Return the influence values of the scores by one filter, and their moments.

    Values of targets that were settled early are zero for later samples, and scaled by
    ``√(N(N−1)/(n(n−1)))`` for ``n`` of ``N`` samples, so that errors are those of ``n`` samples.
    """
    values_of_groups: list[list[np.ndarray]] = [[] for _ in groups]
    moments = group_moments(
        responses,
        groups,
        scoring,
        blocks,
        only=only,
        keep=lambda index, values: values_of_groups[index].append(values),
    )
    if len(groups) == 1:
        return np.concatenate(values_of_groups[0], axis=-1), moments
    total = max(group.samples for group in groups)
    names: list[str] = []
    padded = []
    for (_, part), values in zip(_parts(responses, groups), values_of_groups, strict=True):
        names.extend(target for target, _ in score_layout(as_sweeps(part), only).names)
        own = np.concatenate(values, axis=-1)
        padded.append(np.pad(own, ((0, 0), (0, 0), (0, total - own.shape[-1]))))
    counts = np.asarray(moments.samples)
    scale = np.sqrt(total * (total - 1) / (counts * (counts - 1)))
    influence = np.concatenate(padded, axis=1)[:, _order(names, responses)]
    influence *= scale.astype(influence.dtype)[:, None]
    pairs = {name: getattr(moments, name) for name in ("shared", "divisor")}
    return influence, replace(
        moments,
        second=moments.second * scale**2,
        fourth=moments.fourth * scale**4,
        most=moments.most * total / counts,
        samples=total,
        **{name: None if value is None else value * scale**2 for name, value in pairs.items()},
    )


def _parts(
    responses: pd.DataFrame, groups: SettledGroups
) -> Iterator[tuple[SettledGroup, pd.DataFrame]]:
    """Yield each group with the responses of its targets."""
    if len(groups) == 1:
        yield groups[0], responses
        return
    for group in groups:
        yield group, responses.loc[responses["target"].isin(group.targets)]


def _order(targets: Sequence[str], responses: pd.DataFrame) -> Int[np.ndarray, " rows"]:
    """Return the indices that sort targets in the order of the responses."""
    rank = {target: rank for rank, target in enumerate(responses["target"].unique().tolist())}
    return np.argsort([rank[target] for target in targets], kind="stable")


def _check_measured(block: StoredOutcomes, removals: Int[np.ndarray, " removals"]) -> None:
    if block.measured is not None and not block.measured[removals].all():
        raise StudyError(
            "The outcomes of the study are damaged: some of a target's were not measured, although "
            "it was not settled yet."
        )
