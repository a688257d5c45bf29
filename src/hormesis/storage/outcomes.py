"""The per-sample performance of every removal on some samples, as it is stored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

NAMES = ("base_clean", "base_adversarial", "clean", "adversarial")
IDLE = ("base_idle", "idle")


@dataclass(frozen=True)
class StoredOutcomes:
    """Per-sample performance of the unfiltered network and of every removal.

    Args:
        base_clean: Performance of the unfiltered network on clean inputs.
        base_adversarial: The same on perturbed inputs.
        clean: Performance on clean inputs, one row per removal. The column ``outcome`` of
            ``responses.parquet`` names the row of each cell.
        adversarial: The same on perturbed inputs.
        changed: Whether the removal changed a logit of any sample.
        measured: Whether the removal was measured on these samples; outcomes of removals that were
            not are zero and meaningless. None if all were.
        base_idle: Whether the attack on the unfiltered network had a zero gradient at the clean
            input (first row), and whether it left the input unchanged (second row). None if not
            recorded, as in studies of earlier versions.
        idle: The same for every removal. None also if inputs were not perturbed for each one.
    """

    base_clean: Float[np.ndarray, " samples"]
    base_adversarial: Float[np.ndarray, " samples"]
    clean: Float[np.ndarray, "removals samples"]
    adversarial: Float[np.ndarray, "removals samples"]
    changed: Bool[np.ndarray, " removals"]
    measured: Bool[np.ndarray, " removals"] | None = None
    base_idle: Bool[np.ndarray, "two samples"] | None = None
    idle: Bool[np.ndarray, "removals two samples"] | None = None


def concatenate(blocks: Sequence[StoredOutcomes]) -> StoredOutcomes:
    """Concatenate consecutive blocks; removals not measured in a block are NaN there.

    Args:
        blocks: At least one.
    """

    def values_of(block: StoredOutcomes, name: str) -> np.ndarray:
        values = getattr(block, name)
        if block.measured is None or values.ndim == 1:
            return values
        return np.where(block.measured[:, None], values, np.float32(np.nan))

    return StoredOutcomes(
        *(np.concatenate([values_of(block, name) for block in blocks], axis=-1) for name in NAMES),
        changed=np.any([block.changed for block in blocks], axis=0),
        **{name: _concatenate_idle([getattr(block, name) for block in blocks]) for name in IDLE},
    )


def _concatenate_idle(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    recorded = [part for part in parts if part is not None]
    return np.concatenate(recorded, axis=-1) if len(recorded) == len(parts) else None


def only_removals(
    outcomes: StoredOutcomes, removals: Bool[np.ndarray, " removals"]
) -> StoredOutcomes:
    """Mark all other removals as not measured."""
    if removals.all():
        return outcomes
    return replace(
        outcomes,
        clean=np.where(removals[:, None], outcomes.clean, np.float32(0)),
        adversarial=np.where(removals[:, None], outcomes.adversarial, np.float32(0)),
        changed=outcomes.changed & removals,
        idle=None if outcomes.idle is None else outcomes.idle & removals[:, None, None],
        measured=removals if outcomes.measured is None else removals & outcomes.measured,
    )


def only_samples(outcomes: StoredOutcomes, first: int, end: int) -> StoredOutcomes:
    """Return the outcomes of the samples from ``first`` up to, not including, ``end``."""
    recorded = [name for name in (*NAMES, *IDLE) if getattr(outcomes, name) is not None]
    parts = {name: getattr(outcomes, name)[..., first:end] for name in recorded}
    return replace(outcomes, **parts)
