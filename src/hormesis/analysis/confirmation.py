"""Claims that a target is antifragile under attack, and their verdicts by stronger attacks."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from hormesis.analysis.classes import ANTIFRAGILE, FIXED_ONLY, MASKED, UNCONFIRMED, UNDECIDED
from hormesis.analysis.masking import without_masked_gains
from hormesis.analysis.moments import Blocks
from hormesis.analysis.scores import COMBINED, Base
from hormesis.analysis.settled_groups import SettledGroup, group_moments, group_scores
from hormesis.analysis.uncertainty import Student, with_intervals
from hormesis.analysis.verdicts import ATTACKED, Claim
from hormesis.settings.scoring import Scoring
from hormesis.storage.outcomes import StoredOutcomes

FILTER, NOISE, RANDOM = "filter", "noise", "random"
"""The stress of a target: the filter itself, Gaussian noise, random removal."""
CONTROLS = (NOISE, RANDOM)
ADAPTIVE, TRANSFER, RESTARTS = "adaptive", "transfer", "restarts"
"""The attacks: the study's, recomputed or from the unfiltered network; PGD with restarts."""
COLUMNS = (
    *("target", "filter", "score", "stress", "attack", "value", "low", "high", "unmasked"),
    *("zero_gradient", "unmoved", "base", "samples"),
)


def claim_scoring(scoring: Scoring) -> Scoring:
    """Return the scoring of claims: relative to the performance of the unfiltered network."""
    return replace(scoring, base="network", reference="base", interval="delta", multiplicity="none")


def find_claims(scores: pd.DataFrame, *, every: bool = False) -> list[Claim]:
    """Return the targets, filters and scores that are claimed to be antifragile under attack.

    Args:
        scores: With the reference ``base``, see ``with_verdicts``.
        every: Also claims by the difference score, and by the estimate alone.
    """
    own = scores
    if COMBINED in own["filter"].to_numpy():
        own = own.loc[own["filter"] == COMBINED]
    claimed = (own["class"] == UNCONFIRMED) & (own["score"] == "adversarial")
    if every:
        claimed = own["class"] == UNCONFIRMED
        claimed |= (own["class"] == UNDECIDED) & (own["point"] == UNCONFIRMED)
    names = own.loc[claimed, ["target", "filter", "score"]]
    return [(str(a), str(b), str(c)) for a, b, c in names.itertuples(index=False, name=None)]


def attack_scores(
    responses: pd.DataFrame,
    base: Base,
    blocks: Blocks,
    scoring: Scoring,
    samples: int,
) -> pd.DataFrame:
    """Return scores with intervals under one attack, and the same without gains of masked cells.

    An adversarial performance of the unfiltered network below guessing is raised to guessing, since
    any change of the network would improve it.

    Args:
        responses: Of the targets with claims.
        base: Performance of the unfiltered network under the same attack, and of guessing.
        blocks: The outcomes.
        scoring: From ``claim_scoring``.
        samples: Number of samples.

    Returns:
        The columns of ``COLUMNS`` except ``stress`` and ``attack``.
    """
    chance, better = base.chance, base.higher_is_better
    guessing = chance is not None and (base.adversarial < chance) is better
    if guessing:
        base = replace(base, adversarial=chance)
    group = SettledGroup(samples, base, tuple(responses["target"].unique().tolist()))

    def blocks_above_chance() -> Iterator[StoredOutcomes]:
        for block in blocks():
            level = np.full_like(block.base_adversarial, base.adversarial)
            yield replace(block, base_adversarial=level) if guessing else block

    scores = group_scores(responses, [group], scoring)
    moments = group_moments(responses, [group], scoring, blocks_above_chance)
    table = with_intervals(
        scores, moments.standard_errors(), Student(samples, scoring.level), scoring
    )
    capped = group_scores(without_masked_gains(responses, base), [group], scoring)
    table = table.assign(unmasked=capped["value"], base=base.adversarial, samples=samples)
    for name in ("zero_gradient", "unmoved"):
        shares = _means(responses, name)
        table[name] = [shares[target] for target in table["target"].tolist()]
    table = table.loc[table["score"].isin(ATTACKED)]
    return table[[name for name in COLUMNS if name in table]].reset_index(drop=True)


def _means(responses: pd.DataFrame, name: str) -> dict[str, float]:
    """Return the mean of a column for each target; NaN for targets without values."""
    means = {}
    for target, rows in responses.groupby("target", sort=False):
        values = rows[name].dropna().to_numpy(dtype=float) if name in rows else np.zeros(0)
        means[str(target)] = float(values.mean()) if len(values) else float("nan")
    return means


def claim_holds(row: Mapping[Any, Any], tolerance: float) -> bool:
    """Return whether a claim holds: its interval is above the border, also without masked gains."""
    return bool(row["low"] - (row["value"] - row["unmasked"]) > tolerance)


def claim_verdicts(table: pd.DataFrame, tolerance: float) -> dict[Claim, str]:
    """Return the verdict on each claim that was tested with stronger attacks.

    Args:
        table: See ``COLUMNS``.
        tolerance: The border between the classes.

    Returns:
        ``antifragile`` if the claim holds against every attack; ``fixed attack only`` if the
        estimate against a recomputed attack is not above the border; ``masked`` if it holds only
        because of masked cells, or fails against inputs perturbed on the unfiltered network;
        ``antifragile (unconfirmed)`` if an interval is too wide to decide.
    """
    own = table.loc[table["stress"] == FILTER]
    verdicts: dict[Claim, str] = {}
    for key, rows in own.groupby(["target", "filter", "score"], sort=False):
        target, name, score = map(str, key)  # pyright: ignore[reportArgumentType]
        verdicts[target, name, score] = _verdict(rows, tolerance)
    return verdicts


def _verdict(rows: pd.DataFrame, tolerance: float) -> str:
    row_of = {str(row["attack"]): row for row in rows.to_dict("records")}
    for attack in (ADAPTIVE, RESTARTS):
        row = row_of.get(attack)
        if row is None or claim_holds(row, tolerance):
            continue
        if row["low"] > tolerance:
            return MASKED
        return FIXED_ONLY if row["value"] <= tolerance else UNCONFIRMED
    crossed = row_of.get(TRANSFER)
    if crossed is not None and not crossed["low"] > tolerance:
        return MASKED if crossed["value"] <= tolerance else UNCONFIRMED
    return ANTIFRAGILE if RESTARTS in row_of else UNCONFIRMED


def matching_controls(table: pd.DataFrame, tolerance: float) -> dict[Claim, list[str]]:
    """Return, for each claim with controls, the controls for which it holds as well.

    Args:
        table: See ``COLUMNS``.
        tolerance: The border between the classes.
    """
    own = table.loc[table["stress"].isin(CONTROLS)]
    controls: dict[Claim, list[str]] = {}
    for key, rows in own.groupby(["target", "filter", "score"], sort=False):
        target, name, score = map(str, key)  # pyright: ignore[reportArgumentType]
        controls[target, name, score] = [
            stress
            for stress, stress_rows in rows.groupby("stress", sort=False)
            if RESTARTS in stress_rows["attack"].to_numpy()
            and all(claim_holds(row, tolerance) for row in stress_rows.to_dict("records"))
        ]
    return controls
