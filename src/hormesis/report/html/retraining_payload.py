"""What the page shows of a selective retraining."""

from typing import Any

import pandas as pd

from hormesis.report.views.numbers import plain
from hormesis.results.retraining import Retraining

ARMS = {
    "selective": "all but the fragile parameters",
    "everything": "all parameters",
    "fragile": "the fragile parameters only",
    "random-size": "as many parameters, drawn at random",
    "random-layers": "as many layers, drawn at random",
    "none": "no retraining",
}
CLEAN = "clean"  # in place of an attack
_EFFECTS = ("arm", "attack", "epsilon", "difference", "low", "high", "verdict")


def retraining_payload(retrained: Retraining) -> dict[str, Any]:
    """Return what the page shows of a retraining.

    Args:
        retrained: With its controls, or without.

    Raises:
        TrainingError: If a table is damaged.
    """
    accuracy, effects = retrained.accuracy, retrained.effects
    rows = [] if effects is None else effects.to_dict("records")
    return {
        "name": retrained.folder.name,
        "about": _about(retrained.manifest),
        "arms": ARMS,
        "lines": [] if accuracy is None else _lines(accuracy),
        "effects": [[_cell(row[column]) for column in _EFFECTS] for row in rows],
        "columns": list(_EFFECTS),
    }


def _lines(accuracy: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a line for each attack and arm: mean, lowest and highest over seeds, by ε.

    Accuracy on clean inputs is where each line begins, at an ε of zero.
    """
    attacks = [name for name in dict.fromkeys(accuracy["attack"]) if name != CLEAN] or [CLEAN]
    lines = []
    for attack in attacks:
        part = accuracy.loc[accuracy["attack"].isin([attack, CLEAN])]
        for arm, rows in part.groupby("arm", sort=False):
            spread = rows.groupby("epsilon")["accuracy"].agg(["mean", "min", "max", "count"])
            lines.append(
                {
                    "attack": str(attack),
                    "arm": str(arm),
                    "epsilon": plain(spread.index),
                    "accuracy": plain(spread["mean"]),
                    "low": plain(spread["min"]),
                    "high": plain(spread["max"]),
                    "seeds": int(spread["count"].max()),
                }
            )
    return lines


def _about(manifest: dict[str, Any]) -> str:
    """Say what was trained on, and with what."""
    study, selection, recipe = (manifest[key] for key in ("study", "selection", "recipe"))
    epoch = f", epoch {study['epoch']}" if study.get("epoch") is not None else ""
    return (
        f"{study['network']} on {study['data']}{epoch}: training went on for {recipe['epochs']} "
        f"epochs ({recipe['optimizer']}, rate {recipe['rate']:g}) with "
        f"{len(selection['targets'])} targets, {' or '.join(selection['keep'])} by the "
        f"{selection['by']} score of the {selection['filter']} filter."
    )


def _cell(value: Any) -> Any:  # noqa: ANN401
    return plain([value])[0] if isinstance(value, int | float) else str(value)
