"""A selective retraining as its folder tells it, and what the page shows of it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hormesis.errors import StudyError
from hormesis.report.numbers import plain
from hormesis.storage import MANIFEST

RETRAINING = "retraining"  # the key of a manifest that tells a retraining from a study
ARMS = {
    "selective": "all but the fragile parameters",
    "everything": "all parameters",
    "fragile": "the fragile parameters only",
    "random-size": "as many parameters, drawn at random",
    "random-layers": "as many layers, drawn at random",
    "none": "no retraining",
}
CLEAN = "clean"  # in place of an attack
_ACCURACY = ("arm", "attack", "epsilon", "accuracy")
_EFFECTS = ("arm", "attack", "epsilon", "difference", "low", "high", "verdict")


@dataclass(frozen=True)
class Retrained:
    """What a retraining wrote.

    Args:
        manifest: What was asked: the study, the selection, the recipe.
        accuracy: One row an arm, seed, attack and ε; None if no controls were run.
        effects: Differences from retraining everything, with verdicts; None without controls.
        folder: Where it lies.
    """

    manifest: dict[str, Any]
    accuracy: pd.DataFrame | None
    effects: pd.DataFrame | None
    folder: Path


def is_retraining(folder: Path) -> bool:
    """Return whether a folder holds a retraining."""
    try:
        return RETRAINING in json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def open_retrained(folder: Path) -> Retrained:
    """Open a retraining's tables.

    Args:
        folder: A folder for which ``is_retraining`` holds.

    Raises:
        StudyError: If a table is damaged or lacks a column.
    """
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return Retrained(
        manifest,
        _table(folder / "accuracy.parquet", _ACCURACY),
        _table(folder / "effects.parquet", _EFFECTS),
        folder,
    )


def _table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise StudyError(f"The table {path} is damaged: {error}.") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise StudyError(f"The table {path} lacks the column {missing[0]}.")
    return table


def retraining_payload(retrained: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return what the page shows of a retraining.

    Args:
        retrained: ``Retrained``, or anything else with ``manifest``, ``accuracy`` and ``effects``.
    """
    accuracy, effects = retrained.accuracy, retrained.effects
    folder = getattr(retrained, "folder", None)
    rows = [] if effects is None else effects.to_dict("records")
    return {
        "name": "" if folder is None else Path(folder).name,
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
    """Say what was trained on and with what, as far as the manifest tells."""
    study, selection, recipe = (manifest.get(key, {}) for key in ("study", "selection", "recipe"))
    if not (study and selection and recipe):
        return ""
    epoch = f", epoch {study['epoch']}" if study.get("epoch") is not None else ""
    return (
        f"{study['network']} on {study['data']}{epoch}: training went on for {recipe['epochs']} "
        f"epochs ({recipe['optimizer']}, rate {recipe['rate']:g}) with "
        f"{len(selection['targets'])} targets, {' or '.join(selection['keep'])} by the "
        f"{selection['by']} score of the {selection['filter']} filter."
    )


def _cell(value: Any) -> Any:  # noqa: ANN401
    return plain([value])[0] if isinstance(value, int | float) else str(value)
