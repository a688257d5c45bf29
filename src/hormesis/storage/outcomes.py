"""What was measured: the per-sample performance of every removal, on some samples."""

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
        base_clean: Of the unfiltered network on clean inputs.
        base_adversarial: Of the unfiltered network on perturbed inputs.
        clean: One row a removal; ``responses.parquet`` says in ``outcome`` which row a cell reads.
        adversarial: The same on perturbed inputs.
        changed: Whether the removal changed a logit of any sample.
        measured: Whether the removal was measured on these samples; the outcomes of one that was
            not are zero and mean nothing. None if all were.
        base_idle: Of each sample, whether the attack on the unfiltered network had a zero gradient
            at the clean input, and whether it left the input as it was. None where that was not
            noted, as in studies from before.
        idle: The same of every removal; None, too, where not each was attacked anew.
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
    """Return consecutive blocks as one; what was not measured in some of them is NaN there.

    Args:
        blocks: At least one.
    """

    def known(block: StoredOutcomes, name: str) -> np.ndarray:
        values = getattr(block, name)
        if block.measured is None or values.ndim == 1:
            return values
        return np.where(block.measured[:, None], values, np.float32(np.nan))

    return StoredOutcomes(
        *(np.concatenate([known(block, name) for block in blocks], axis=-1) for name in NAMES),
        changed=np.any([block.changed for block in blocks], axis=0),
        **{name: _joined_idle([getattr(block, name) for block in blocks]) for name in IDLE},
    )


def _joined_idle(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known, axis=-1) if len(known) == len(parts) else None


def only_removals(
    outcomes: StoredOutcomes, removals: Bool[np.ndarray, " removals"]
) -> StoredOutcomes:
    """Return the outcomes with those of other removals left out, as if not measured."""
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
    noted = [name for name in (*NAMES, *IDLE) if getattr(outcomes, name) is not None]
    return replace(outcomes, **{name: getattr(outcomes, name)[..., first:end] for name in noted})
