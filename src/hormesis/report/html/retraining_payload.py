"""A selective retraining as the plain values that the page shows."""

from typing import Any

import pandas as pd

from hormesis.analysis.effects import CLEAN
from hormesis.report.views.retraining_text import (
    answer,
    arm_meanings,
    compared_with_others,
    points,
    span,
    verdict_text,
)
from hormesis.results.retraining import Retraining
from hormesis.settings.magnitudes import short_epsilon


def retraining_payload(retraining: Retraining) -> dict[str, Any]:
    """Return what the page shows of a retraining.

    Args:
        retraining: With its controls, or without.

    Returns:
        Numbers are texts, the same as in the terminal: ``answer``, sentences; ``against``, the
        selective arm against each other arm; ``effects``, each arm against ``everything``.

    Raises:
        TrainingError: If a table is damaged.
    """
    return {
        "name": retraining.folder.name,
        "about": _about(retraining.manifest),
        "answer": answer(retraining),
        "arms": arm_meanings(retraining.manifest),
        "controls": retraining.outcomes is not None,
        "against": _table(compared_with_others(retraining)),
        "effects": _table(retraining.effects),
    }


def _about(manifest: dict[str, Any]) -> str:
    """Return the data and the recipe of a retraining, in a sentence."""
    study, selection, recipe = (manifest[key] for key in ("study", "selection", "recipe"))
    epoch = f", epoch {study['epoch']}" if study.get("epoch") is not None else ""
    return (
        f"{study['network']} on {study['data']}{epoch}: training went on for {recipe['epochs']} "
        f"{'epoch' if recipe['epochs'] == 1 else 'epochs'} ({recipe['optimizer']}, rate "
        f"{recipe['rate']:g}) with "
        f"{len(selection['targets'])} targets, {' or '.join(selection['keep'])} by the "
        f"{selection['by']} score of the {selection['filter']} filter."
    )


def _table(effects: pd.DataFrame | None) -> dict[str, Any] | None:
    """Return differences as a table of texts: a row an arm, a column an attack and ε.

    A cell is a difference in points, and beneath it the interval and the verdict.
    """
    if effects is None or effects.empty:
        return None
    rows: dict[str, dict[str, list[str]]] = {}
    for row in effects.to_dict("records"):
        ends = span(row["low"], row["high"])
        verdict = verdict_text(str(row["verdict"]))
        cell = [points(row["difference"]), ", ".join(filter(None, [ends, verdict]))]
        rows.setdefault(str(row["arm"]), {})[_title(row)] = cell
    titles = list(dict.fromkeys(title for cells in rows.values() for title in cells))
    return {
        "heads": titles,
        "rows": [[arm, *(cells.get(title) for title in titles)] for arm, cells in rows.items()],
    }


def _title(row: dict[Any, Any]) -> str:
    if row["attack"] == CLEAN:
        return CLEAN
    return f"{str(row['attack']).upper()}, ε = {short_epsilon(float(row['epsilon']))}"
