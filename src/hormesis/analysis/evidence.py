"""Evidence on the scores of a study besides their intervals, and its effect on the classes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from hormesis.analysis import confirmation
from hormesis.analysis.classes import ANTIFRAGILE, FIXED_ONLY, MASKED, UNCONFIRMED
from hormesis.analysis.cross_check import (
    CROSS,
    base_is_masked,
    cross_notes,
    mark_masked_cells,
    masked_rows,
)
from hormesis.analysis.masking import (
    COLUMNS,
    is_masked,
    masked_cells,
    trusted_responses,
    without_masked_gains,
)
from hormesis.analysis.settled_groups import group_scores
from hormesis.analysis.verdicts import Evidence, with_verdicts
from hormesis.settings.scoring import Scoring

StudyLike = Any
"""A ``Study``, which this module cannot import."""


def judge_scores(scores: pd.DataFrame, study: StudyLike, scoring: Scoring) -> pd.DataFrame:
    """Return a table of scores with the classes that the evidence supports.

    Args:
        scores: From ``with_intervals``.
        study: The study of the scores.
        scoring: How responses became scores.
    """
    crossed = _masked_rows(study)
    responses = trusted_responses(study.responses, study.metadata.attack)
    evidence = Evidence(
        at_chance=study.at_chance,
        masked=is_base_masked(study),
        unmasked=_unmasked_scores(study, scoring, mark_masked_cells(responses, crossed)),
        confirmed=_confirmed_claims(study, scoring),
        given=study.given,
    )
    return with_verdicts(scores, evidence, scoring.tolerance)


def is_base_masked(study: StudyLike) -> bool:
    """Return whether the unfiltered network's adversarial figure is masked.

    Args:
        study: Any study.
    """
    own = not study.metadata.attack.function and is_masked(*base_idle(study.manifest))
    return own or base_is_masked(_masked_rows(study))


def _masked_rows(study: StudyLike) -> pd.DataFrame | None:
    return masked_rows(study.confirmation, study.manifest.get("cross_check", {}))


def base_idle(manifest: Mapping[str, Any]) -> tuple[float, float]:
    """Return the shares of zero gradients and of unmoved inputs of the unfiltered network.

    Args:
        manifest: Of a study; shares that it does not record are NaN.

    Example:
        >>> base_idle({"base": {"zero_gradient": 0.25, "unmoved": 0.5}})
        (0.25, 0.5)
    """
    base = manifest.get("base", {})
    zero, unmoved = (float(base.get(name, np.nan)) for name in COLUMNS)
    return zero, unmoved


def _unmasked_scores(
    study: StudyLike, scoring: Scoring, responses: pd.DataFrame
) -> Float[np.ndarray, " rows"] | None:
    if not masked_cells(responses).any():
        return None
    parts = [
        without_masked_gains(responses.loc[responses["target"].isin(group.targets)], group.base)
        for group in study.settled_groups
    ]
    capped = pd.concat(parts).loc[responses.index]
    return group_scores(capped, study.settled_groups, scoring)["value"].to_numpy(dtype=float)


def _confirmed_claims(study: StudyLike, scoring: Scoring) -> Mapping[tuple[str, str, str], str]:
    """Return the verdicts on claims, if they were tested by this scoring or a stricter one."""
    table, level = study.confirmation, study.manifest.get("confirmation", {}).get("level", 0.0)
    if table is None or (scoring.base, scoring.reference) != ("network", "base"):
        return {}
    return confirmation.claim_verdicts(table, scoring.tolerance) if scoring.level <= level else {}


def claim_notes(study: StudyLike) -> list[str]:
    """Return the results of confirmation and cross-check, in sentences.

    Args:
        study: Any study.
    """
    table, tolerance = study.confirmation, study.scoring.tolerance
    if table is None:
        return []
    metric = study.manifest["question"]["performance"]["name"]
    crossed = cross_notes(table, study.manifest.get("cross_check", {}), metric)
    table = table.loc[table["stress"] != CROSS]
    if not len(table) or (study.scoring.base, study.scoring.reference) != ("network", "base"):
        return crossed
    recorded = study.manifest.get("confirmation", {})
    steps, restarts = recorded.get("steps", ""), recorded.get("restarts", "")
    attacks = {
        confirmation.ADAPTIVE: "attacked anew",
        confirmation.TRANSFER: "under perturbed inputs of the unfiltered network",
    }
    if steps != 0:
        attacks[confirmation.RESTARTS] = f"under PGD with {steps} steps and {restarts} starts"
    name = "combined" if (table["filter"] == "combined").any() else table["filter"].iloc[0]
    same = confirmation.matching_controls(table, tolerance)
    notes = []
    for key, verdict in confirmation.claim_verdicts(table, tolerance).items():
        target, filter_name, score = key
        if filter_name == name and score == "adversarial":
            rows = table.loc[(table["target"] == target) & (table["filter"] == name)]
            rows = rows.loc[rows["score"] == score]
            notes.append(_sentence(target, verdict, rows, attacks, same.get(key)))
    return [*crossed, *notes]


def _sentence(
    target: str,
    verdict: str,
    rows: pd.DataFrame,
    attacks: Mapping[str, str],
    same: Sequence[str] | None,
) -> str:
    """Return the verdict on one claim, with its numbers and the controls that do the same."""
    own = rows.loc[rows["stress"] == confirmation.FILTER]
    numbers = ", ".join(
        f"{_signed(row['value'])} ({_signed(row['low'])} to {_signed(row['high'])}) "
        f"{attacks.get(str(row['attack']), 'otherwise')}"
        for _, row in own.iterrows()
    )
    weak = verdict == UNCONFIRMED and confirmation.RESTARTS not in attacks
    said = _UNTESTED if weak else _VERDICTS[verdict]
    text = f"{target.removesuffix('.weight')}: {said}: {numbers}"
    if same is None:
        return f"{text}."
    controls = " and ".join(_CONTROLS[control] for control in same)
    if not same:
        return f"{text}. Controls of equal size, noise and random removal, do not do the same."
    return f"{text}. {controls[0].upper()}{controls[1:]} does the same: it is not these values."


_VERDICTS = {
    ANTIFRAGILE: "antifragile under attack, confirmed",
    FIXED_ONLY: "antifragile against the fixed attack only",
    MASKED: "masked, what seems antifragile under attack rests on attacks without a gradient",
    UNCONFIRMED: "antifragile under attack is not confirmed, the interval is too wide",
}
_UNTESTED = (
    "antifragile under attack is not confirmed, as the attack has no ε or the network no gradient "
    "for a stronger one"
)
_CONTROLS = {
    confirmation.NOISE: "Gaussian noise of the same norm",
    confirmation.RANDOM: "random removal of as many values",
}


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
