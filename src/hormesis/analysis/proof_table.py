"""From the outcomes of a proof to its table: performances, differences, and what they mean."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from hormesis.analysis.effects import (
    CLEAN,
    CONFIRMED,
    GAIN,
    LOSS,
    MASKING,
    NOTHING,
    STRONGER,
    crossed_mean,
)
from hormesis.analysis.masking import is_masked
from hormesis.analysis.paired import PairedDifference, paired_difference
from hormesis.settings.apply import APPLIED, UNFILTERED_NETWORK

MASKED = "masked: most right answers had no gradient"
_KEYS = ["network", "attack", "epsilon"]
Outcome = Float[np.ndarray, "draws samples"]


def proof_table(
    outcomes: pd.DataFrame,
    facts: Mapping[str, Mapping[str, float]],
    *,
    level: float,
    binary: bool,
    higher_is_better: bool,
) -> pd.DataFrame:
    """Return the table of a proof; its columns are ``results.applied_tables.PROOF_COLUMNS``.

    Args:
        outcomes: Columns ``network``, ``draw``, ``attack``, ``epsilon``, ``sample`` and
            ``performance``.
        facts: By network, ``removed``, ``zero_gradient`` and ``unmoved``.
        level: Confidence level.
        binary: Whether performances are 0 or 1.
        higher_is_better: Whether a larger performance is better.
    """
    values = {
        _as_key(key): part.pivot(index="draw", columns="sample", values="performance").to_numpy(
            float
        )
        for key, part in outcomes.groupby(_KEYS, sort=False)
    }
    sign = 1.0 if higher_is_better else -1.0
    rows = []
    for (network, attack, epsilon), own in values.items():
        mean = crossed_mean(own, level)
        ends = (mean.low, mean.high)
        low, high = np.clip(ends, 0, 1) if binary else ends
        base = values[UNFILTERED_NETWORK, attack, epsilon]
        applied = values.get((APPLIED, attack, epsilon), own)
        difference = _difference(own, base, sign, level, binary=binary)
        lead = _difference(applied, own, sign, level, binary=binary)
        rows.append(
            {
                "network": network,
                "attack": attack,
                "epsilon": float(epsilon),
                "draws": own.shape[0],
                "samples": own.shape[1],
                "removed": int(facts[network]["removed"]),
                "accuracy": mean.value,
                "low": float(low),
                "high": float(high),
                "difference": difference.value,
                "difference_low": difference.low,
                "difference_high": difference.high,
                "lead": lead.value,
                "lead_low": lead.low,
                "lead_high": lead.high,
                "verdict": "",
                "zero_gradient": float(facts[network]["zero_gradient"]),
                "unmoved": float(facts[network]["unmoved"]),
            }
        )
    table = pd.DataFrame(rows)
    return table.assign(verdict=_verdicts(table))


def _as_key(key: Any) -> tuple[str, str, float]:  # noqa: ANN401  (of groups of a table)
    network, attack, epsilon = key
    return network, attack, epsilon


def _difference(
    one: Outcome, other: Outcome, sign: float, level: float, *, binary: bool
) -> PairedDifference:
    """Return how much better one network is than another, paired by sample."""
    if one.shape[0] == other.shape[0] == 1:
        return paired_difference(sign * one[0], sign * other[0], 1 - level, binary=binary)
    found = crossed_mean(sign * (one - other), level)
    return PairedDifference(found.value, found.low, found.high)


def _verdicts(table: pd.DataFrame) -> list[str]:
    """Return what each difference from the unfiltered network is, in words.

    A gain under FGSM that PGD does not confirm is masking; so is one of a network whose right
    answers have no gradient.
    """
    rows = table.to_dict("records")
    found = {(row["network"], row["attack"], row["epsilon"]): _verdict(row) for row in rows}
    verdicts = []
    for row in rows:
        network, attack, epsilon = row["network"], row["attack"], row["epsilon"]
        verdict = found[network, attack, epsilon]
        stronger = found.get((network, STRONGER.get(attack, ""), epsilon))
        if network == UNFILTERED_NETWORK:
            verdict = ""
        elif (
            verdict == GAIN and attack != CLEAN and is_masked(row["zero_gradient"], row["unmoved"])
        ):
            verdict = MASKED
        elif verdict == GAIN and stronger is not None:
            verdict = CONFIRMED if stronger == GAIN else MASKING
        verdicts.append(verdict)
    return verdicts


def _verdict(row: Mapping[str, float]) -> str:
    if row["difference_low"] > 0:
        return GAIN
    return LOSS if row["difference_high"] < 0 else NOTHING
