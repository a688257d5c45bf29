"""A retraining in words: what each arm trains, and whether the selection did better than chance."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from hormesis.analysis.effects import CLEAN, NOTHING, Estimate, effect_table, mean_effect
from hormesis.results.retraining import Retraining
from hormesis.settings.magnitudes import short_epsilon

SELECTIVE = "selective"
RANDOM = ("random-layers", "random-size")
_BASELINES = (*RANDOM, "none")
_OTHERS = (*_BASELINES, "everything", "fragile")
_LEVEL = "95% interval "
_NOUNS = {
    "none": "no retraining",
    "random-layers": "as many layers drawn at random",
    "random-size": "as many parameters drawn at random",
    "everything": "retraining everything",
    "fragile": "retraining the fragile targets only",
}
_STRONGEST = ("autoattack", "pgd", "fgsm", CLEAN)
_NAMES = {"autoattack": "AutoAttack"}
_UNDECIDED = {
    "train": ", and those without a certain class",
    "estimate": ", by the estimates",
}


def arm_meanings(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return what each arm of a retraining trains, by its name.

    Args:
        manifest: Of a retraining; without controls, there is no arm.

    Example:
        >>> selection = {"keep": ["robust", "antifragile"], "undecided": "estimate"}
        >>> arm_meanings({"selection": selection, "arms": {"selective": [], "none": []}})
        {'selective': 'the robust and antifragile targets, by the estimates', 'none': 'nothing'}
    """
    selection = manifest["selection"]
    kept = " and ".join(selection.get("keep", ())) or "chosen"
    meanings = {
        SELECTIVE: f"the {kept} targets{_UNDECIDED.get(selection.get('undecided', ''), '')}",
        "everything": "all parameters",
        "fragile": "the fragile targets only",
        "random-size": "targets drawn at random, with as many parameters",
        "random-layers": "as many targets, drawn at random",
        "none": "nothing",
    }
    return {arm: meanings.get(arm, "") for arm in manifest.get("arms", ())}


def answer(retraining: Retraining) -> list[str]:
    """Return whether the selection did better than chance, and than no retraining, in sentences.

    The strongest attack counts, as a mean over its magnitudes: none is picked out.

    Args:
        retraining: With controls, or without; then there is no sentence.
    """
    outcomes = retraining.outcomes
    if outcomes is None:
        return []
    attack = next(name for name in _STRONGEST if name in set(outcomes["attack"]))
    present = [arm for arm in _OTHERS if arm in set(outcomes["arm"])]
    leading = [arm for arm in present if arm in _BASELINES] or present[:1]
    found = {arm: mean_effect(outcomes, SELECTIVE, arm, attack) for arm in leading}
    known = {arm: effect for arm, effect in found.items() if effect is not None}
    if not known:
        return []
    verdict = _verdict([known[arm] for arm in RANDOM if arm in known])
    conditions = _conditions(outcomes, attack)
    parts = [
        f"by {points(effect.value)} {'' if number else 'points '}({'' if number else _LEVEL}"
        f"{span(effect.low, effect.high)}) from {_NOUNS[arm]}"
        for number, (arm, effect) in enumerate(known.items())
    ]
    listed = " and ".join([*([", ".join(parts[:-1])] if parts[1:] else []), parts[-1]])
    return [f"{verdict}: {conditions}, its accuracy differs {listed}."]


def _conditions(outcomes: pd.DataFrame, attack: str) -> str:
    """Return the attack and its magnitudes, within a sentence."""
    if attack == CLEAN:
        return "on clean samples"
    name = _NAMES.get(attack, attack.upper())
    epsilons = sorted(set(outcomes.loc[outcomes["attack"] == attack, "epsilon"].tolist()))
    listed = ", ".join(map(short_epsilon, epsilons))
    return f"under {name} ({'mean over ' if epsilons[1:] else ''}ε = {listed})"


def _verdict(effects: Sequence[Estimate]) -> str:
    """Return what the comparison with random targets says, as the beginning of a sentence."""
    if not effects:
        return "Selective retraining was not compared with a random choice"
    if all(effect.low > 0 for effect in effects):
        return "Selective retraining does better than a random choice"
    if all(effect.high < 0 for effect in effects):
        return "Selective retraining does worse than a random choice"
    return "Selective retraining is not shown to do better than a random choice"


def compared_with_others(retraining: Retraining) -> pd.DataFrame | None:
    """Return the differences of the selective arm from each other arm.

    Args:
        retraining: With controls, or without.

    Returns:
        The columns of ``Retraining.effects``, where ``arm`` is the one that it is compared with;
        None without controls.
    """
    outcomes = retraining.outcomes
    if outcomes is None:
        return None
    tables = []
    for arm in _OTHERS:
        two = outcomes.loc[outcomes["arm"].isin([SELECTIVE, arm])]
        if len(set(two["arm"])) == 2:
            tables.append(effect_table(two, against=arm).assign(arm=arm))
    return pd.concat(tables, ignore_index=True) if tables else None


def points(difference: float) -> str:
    """Return a difference of accuracies in percentage points.

    Example:
        >>> points(0.1125), points(-0.031)
        ('+11.2', '−3.1')
    """
    return f"{100 * difference:+.1f}".replace("-", "−")


def span(low: float, high: float) -> str:
    """Return the ends of an interval in percentage points; empty for none.

    Example:
        >>> span(-0.01, 0.02)
        '−1.0 to +2.0'
    """
    return "" if math.isnan(low) else f"{points(low)} to {points(high)}"


def verdict_text(verdict: str) -> str:
    """Return a verdict on a difference where there is little room."""
    return "no difference" if verdict == NOTHING else verdict
