"""Targets whose numbers are those of different numbers of samples: the first so many of them.

A sweep that chooses when to stop measures a target until it is settled, and no longer. Everything
about it, the unfiltered network's performance included, is that of the samples up to there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from hormesis.analysis.moments import Blocks, InfluenceMoments, RunningSums
from hormesis.analysis.responses import as_sweeps
from hormesis.analysis.scores import Base, layout, score_table, sweep_scores
from hormesis.engine.controls import control_columns
from hormesis.errors import StudyError
from hormesis.settings.choices import UNFILTERED
from hormesis.settings.scoring import Scoring
from hormesis.storage.outcomes import StoredOutcomes, only_samples


@dataclass(frozen=True)
class SettledGroup:
    """The first samples, and the targets whose numbers are theirs.

    Args:
        samples: How many there are.
        base: Performance of the unfiltered network on them.
        targets: Names of swept targets.
    """

    samples: int
    base: Base
    targets: tuple[str, ...]

    def described(self) -> dict[str, Any]:
        """Return it as plain values, as a manifest holds it."""
        return {
            "samples": self.samples,
            "clean": self.base.clean,
            "adversarial": self.base.adversarial,
            "targets": list(self.targets),
        }


def prefixes_of(
    settled: Sequence[Mapping[str, Any]], whole: SettledGroup, swept: Sequence[str]
) -> tuple[SettledGroup, ...]:
    """Return which samples count for which targets.

    Args:
        settled: What ``SettledGroup.described`` returned of targets settled before others.
        whole: All samples, for all other targets.
        swept: Names of all targets.

    Raises:
        ValueError: For numbers of samples that cannot be.
    """
    found = [
        SettledGroup(
            int(one["samples"]),
            replace(
                whole.base,
                clean=float(one["clean"]),
                adversarial=float(one["adversarial"]),
                tied=whole.base.tied * int(one["samples"]) / max(whole.samples, 1),
            ),
            tuple(one["targets"]),
        )
        for one in settled
    ]
    if any(not 1 < prefix.samples <= whole.samples for prefix in found):
        raise ValueError(f"targets are settled after 2 to {whole.samples} samples")
    known = {target for prefix in found for target in prefix.targets}
    rest = tuple(name for name in swept if name not in known)
    return (*found, *([replace(whole, targets=rest)] if rest else []))


Prefixes = Sequence[SettledGroup]
"""Every swept target is in one of them."""


def removals_of(cells: pd.DataFrame) -> Int[np.ndarray, " removals"]:
    """Return the rows of the outcomes that cells read, each once.

    Args:
        cells: Columns ``outcome`` and those of the random control, see ``control_columns``.
    """
    columns = ["outcome", *control_columns(cells)]
    rows = np.unique(cells[columns].to_numpy().astype(np.int64))
    return rows[rows != UNFILTERED]


def prefix_scores(responses: pd.DataFrame, prefixes: Prefixes, scoring: Scoring) -> pd.DataFrame:
    """Return every score with its class, see ``score_table``; targets in their usual order."""
    parts = [score_table(part, one.base, scoring) for one, part in _parts(responses, prefixes)]
    table = pd.concat(parts, ignore_index=True)
    return table.iloc[_order(table["target"].tolist(), responses)].reset_index(drop=True)


def prefix_estimates(
    responses: pd.DataFrame, prefixes: Prefixes, scoring: Scoring, only: str
) -> tuple[tuple[str, ...], Float[np.ndarray, "three targets"]]:
    """Return the names of the targets, and their scores by one filter."""
    names: list[str] = []
    values = []
    for prefix, part in _parts(responses, prefixes):
        sweeps = as_sweeps(part)
        rows = layout(sweeps, only)
        names.extend(target for target, _ in rows.names)
        values.append((rows.mean @ sweep_scores(sweeps, prefix.base, scoring).T).T)
    order = _order(names, responses)
    return tuple(names[row] for row in order), np.concatenate(values, axis=1)[:, order]


def prefix_sums(
    responses: pd.DataFrame,
    prefixes: Prefixes,
    scoring: Scoring,
    blocks: Blocks,
    *,
    only: str | None = None,
    keep: Callable[[int, np.ndarray], None] = lambda place, values: None,
) -> InfluenceMoments:
    """Return the sums of influence values, each over the samples of its target's prefix.

    Args:
        responses: See ``response_table``.
        prefixes: Which samples count for which targets.
        scoring: How responses become scores.
        blocks: Gives the outcomes, block by block; they are read once.
        only: The one filter that is wanted; None takes all.
        keep: Called with the place of a prefix and influence values of its targets.

    Raises:
        StudyError: If the outcomes do not hold all that counts.
    """
    running = []
    for place, (prefix, part) in enumerate(_parts(responses, prefixes)):
        each = RunningSums(
            as_sweeps(part),
            prefix.base,
            scoring,
            only=only,
            keep=lambda values, place=place: keep(place, values),
        )
        running.append((prefix.samples, removals_of(part), each))
    first = 0
    for block in blocks():
        for samples, removals, each in running:
            if first < samples:
                _check_measured(block, removals)
                each.add(only_samples(block, 0, samples - first))
        first += len(block.base_clean)
    found = [each.sums() for _, _, each in running]
    if len(found) == 1:
        return found[0]
    names = [target for _, _, each in running for target, _ in each.rows.names]
    order = _order(names, responses)
    second, fourth, most = (
        np.concatenate([getattr(sums, name) for sums in found], axis=1)[:, order]
        for name in ("second", "fourth", "most")
    )
    counts = np.concatenate([np.full(sums.second.shape[1], sums.samples) for sums in found])
    rest = {
        name: None
        if any(getattr(sums, name) is None for sums in found)
        else np.concatenate([getattr(sums, name) for sums in found], axis=-1)[..., order]
        for name in ("shared", "divisor", "draws")
    }
    extra = np.concatenate(
        [np.zeros_like(sums.most) if sums.extra is None else sums.extra for sums in found], axis=1
    )
    return InfluenceMoments(
        second, fourth, most, counts[order], **rest, freedom=found[0].freedom, extra=extra[:, order]
    )


def prefix_influence(
    responses: pd.DataFrame, prefixes: Prefixes, scoring: Scoring, blocks: Blocks, only: str
) -> tuple[Float[np.ndarray, "three targets samples"], InfluenceMoments]:
    """Return what each sample contributes to the scores by one filter, and the sums of that.

    Values of targets that were settled before are zero for the samples that followed, and scaled so
    that errors are those of the target's own samples: by ``√(N(N−1)/(n(n−1)))`` for ``n`` of ``N``.
    """
    kept: list[list[np.ndarray]] = [[] for _ in prefixes]
    sums = prefix_sums(
        responses,
        prefixes,
        scoring,
        blocks,
        only=only,
        keep=lambda place, values: kept[place].append(values),
    )
    if len(prefixes) == 1:
        return np.concatenate(kept[0], axis=-1), sums
    whole = max(prefix.samples for prefix in prefixes)
    names: list[str] = []
    padded = []
    for (_, part), values in zip(_parts(responses, prefixes), kept, strict=True):
        names.extend(target for target, _ in layout(as_sweeps(part), only).names)
        own = np.concatenate(values, axis=-1)
        padded.append(np.pad(own, ((0, 0), (0, 0), (0, whole - own.shape[-1]))))
    counts = np.asarray(sums.samples)
    scale = np.sqrt(whole * (whole - 1) / (counts * (counts - 1)))
    influence = np.concatenate(padded, axis=1)[:, _order(names, responses)]
    influence *= scale.astype(influence.dtype)[:, None]
    pairs = {name: getattr(sums, name) for name in ("shared", "divisor")}
    return influence, replace(
        sums,
        second=sums.second * scale**2,
        fourth=sums.fourth * scale**4,
        most=sums.most * whole / counts,
        samples=whole,
        **{name: None if value is None else value * scale**2 for name, value in pairs.items()},
    )


def _parts(
    responses: pd.DataFrame, prefixes: Prefixes
) -> Iterator[tuple[SettledGroup, pd.DataFrame]]:
    """Yield each prefix with the responses of its targets."""
    if len(prefixes) == 1:
        yield prefixes[0], responses
        return
    for prefix in prefixes:
        yield prefix, responses.loc[responses["target"].isin(prefix.targets)]


def _order(targets: Sequence[str], responses: pd.DataFrame) -> Int[np.ndarray, " rows"]:
    """Return the rows such that targets come in the order of the responses."""
    rank = {target: place for place, target in enumerate(responses["target"].unique().tolist())}
    return np.argsort([rank[target] for target in targets], kind="stable")


def _check_measured(block: StoredOutcomes, removals: Int[np.ndarray, " removals"]) -> None:
    if block.measured is not None and not block.measured[removals].all():
        raise StudyError(
            "The outcomes of the study are damaged: some of a target's were not measured, although "
            "it was not settled yet."
        )
