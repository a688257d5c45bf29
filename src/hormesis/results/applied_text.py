"""What an applied network is, in sentences."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from hormesis.analysis.effects import CLEAN, MASKING
from hormesis.analysis.proof_table import MASKED
from hormesis.settings.apply import APPLIED, POINTS, ROBUST, UNFILTERED_NETWORK
from hormesis.storage.applied_schema import AppliedManifest


def applied_sentences(
    about: AppliedManifest, steps: pd.DataFrame, proof: pd.DataFrame
) -> list[str]:
    """Return what was applied, what it did, which baselines do better, and what to make of it.

    Args:
        about: The manifest.
        steps: The steps that were taken, the unfiltered network first.
        proof: The proof.
    """
    if len(steps) < 2 or proof.empty:
        return [nothing_helps(about)]
    return [
        _applied(about, steps),
        _proved(about, proof),
        *_luck(about, steps, proof),
        *_beside(about, proof),
        *_masking(proof),
    ]


def nothing_helps(about: AppliedManifest) -> str:
    """Return the sentence for an aim that no cell serves."""
    aim = about.aim
    if aim.name == ROBUST:
        what = "raises the performance under stress by more than noise"
        limit = f"a clean loss of at most {aim.clean_loss:g} points"
    else:
        what = "zeroes values"
        limit = f"a loss of at most {aim.loss:g} points"
    return f"No cell of the study {what} within {limit}: nothing was applied."


def _applied(about: AppliedManifest, steps: pd.DataFrame) -> str:
    count, result = len(steps) - 1, about.result
    share = result.removed / max(result.values, 1)
    filters = "1 filter zeroes" if count == 1 else f"{count} filters zero"
    return f"{filters} {result.removed:,} of {result.values:,} values of the targets ({share:.1%})."


def strongest(proof: pd.DataFrame) -> tuple[str, float]:
    """Return the last attack of a proof and its magnitude; ``clean`` without one."""
    last = proof.loc[proof["network"] == UNFILTERED_NETWORK].iloc[-1]
    return str(last["attack"]), float(last["epsilon"])


def attack_name(attack: str, epsilon: float) -> str:
    """Return the name of an attack for readers.

    Example:
        >>> attack_name("pgd", 0.1), attack_name("stressed", 0.0)
        ('under PGD at ε = 0.1', 'on the stressed data')
    """
    if attack == CLEAN:
        return "on clean samples"
    if attack == "stressed":
        return "on the stressed data"
    name = {"autoattack": "AutoAttack"}.get(attack, attack.upper())
    return f"under {name} at ε = {epsilon:.3g}"


def _row(proof: pd.DataFrame, network: str, attack: str) -> Mapping[Any, Any]:
    rows = proof.loc[(proof["network"] == network) & (proof["attack"] == attack)]
    return rows.to_dict("records")[0]


def _proved(about: AppliedManifest, proof: pd.DataFrame) -> str:
    attack, epsilon = strongest(proof)
    parts = []
    for name in dict.fromkeys((attack, CLEAN)):
        row = _row(proof, APPLIED, name)
        before = _row(proof, UNFILTERED_NETWORK, name)
        parts.append(
            f"{_performance(about, before['accuracy'])} becomes "
            f"{_performance(about, row['accuracy'])} {attack_name(name, epsilon)} "
            f"({_interval(about, row, 'difference')})"
        )
    text = ", and ".join(parts)
    return f"On {int(proof['samples'].iloc[0]):,} samples that had no part in the choice, {text}."


def _luck(about: AppliedManifest, steps: pd.DataFrame, proof: pd.DataFrame) -> Iterator[str]:
    """Yield what the selection promised beside what the proof shows, on the same kind of stress."""
    kinds = dict.fromkeys(proof["attack"])
    kind = about.metric.stress if about.metric.stress in kinds else CLEAN
    column = "adversarial" if kind != CLEAN else "clean"
    first, last = steps[column].iloc[0], steps[column].iloc[-1]
    sign = 1 if about.metric.higher_is_better else -1
    promised = sign * (last - first)
    shown = _row(proof, APPLIED, kind)["difference"]
    if np.isfinite(promised):
        better = shown < promised
        less = ": the best of many candidates looks better where it was chosen than it is"
        yield (
            f"The samples that the steps were chosen by promised {_change(about, promised)} "
            f"{attack_name(kind, about.proof.epsilon or 0.0)}, the proof shows "
            f"{_change(about, shown)}{less if better else ''}."
        )


def _beside(about: AppliedManifest, proof: pd.DataFrame) -> Iterator[str]:
    """Yield how the applied network compares with others that have as many values zeroed."""
    attack, epsilon = strongest(proof)
    rows = proof.loc[
        (proof["attack"] == attack) & ~proof["network"].isin((APPLIED, UNFILTERED_NETWORK))
    ]
    won, lost, open_ = [], [], []
    for row in rows.to_dict("records"):
        text = f"{row['network']} pruning ({_interval(about, row, 'lead')})"
        text = text.replace("magnitude-by-layer pruning", "magnitude pruning layer by layer")
        text = text.replace("wanda pruning", "pruning by Wanda's score")
        (won if row["lead_low"] > 0 else lost if row["lead_high"] < 0 else open_).append(text)
    where = attack_name(attack, epsilon)
    if won:
        yield f"With as many values zeroed it is better {where} than {_listed(won)}."
    if open_:
        yield f"No difference is shown {where} from {_listed(open_)}."
    if lost:
        yield f"It does not win: it is worse {where} than {_listed(lost)}."


def _masking(proof: pd.DataFrame) -> Iterator[str]:
    rows = proof.loc[(proof["network"] == APPLIED) & proof["verdict"].isin((MASKING, MASKED))]
    for row in rows.to_dict("records"):
        yield (
            f"Its gain {attack_name(row['attack'], row['epsilon'])} is no evidence: "
            f"{row['verdict']}."
        )


def _listed(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _performance(about: AppliedManifest, value: float) -> str:
    return f"{value:.1%}" if about.metric.binary else f"{value:.4g}"


def _change(about: AppliedManifest, value: float) -> str:
    text = f"{POINTS * value:+.1f} points" if about.metric.binary else f"{value:+.3g}"
    return text.replace("-", "−")


def _interval(about: AppliedManifest, row: Mapping[Any, Any], name: str) -> str:
    """Return a difference with its interval."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if about.metric.binary:
        ends = f"{POINTS * low:+.1f} to {POINTS * high:+.1f}"
    else:
        ends = f"{low:+.3g} to {high:+.3g}"
    return f"{_change(about, row[name])}, {ends}".replace("-", "−")
