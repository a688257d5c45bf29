"""A selective retraining as the plain values that the page shows."""

from typing import Any

from hormesis.report.views.numbers import finite_numbers
from hormesis.results.retraining import Retraining

ARM_MEANINGS = {
    "selective": "all but the fragile parameters",
    "everything": "all parameters",
    "fragile": "the fragile parameters only",
    "random-size": "as many parameters, drawn at random",
    "random-layers": "as many layers, drawn at random",
    "none": "no retraining",
}
_EFFECTS = ("arm", "attack", "epsilon", "difference", "low", "high", "verdict")


def retraining_payload(retraining: Retraining) -> dict[str, Any]:
    """Return what the page shows of a retraining.

    Args:
        retraining: With its controls, or without.

    Raises:
        TrainingError: If a table is damaged.
    """
    effects = retraining.effects
    rows = [] if effects is None else effects.to_dict("records")
    return {
        "name": retraining.folder.name,
        "about": _about(retraining.manifest),
        "arms": {arm: ARM_MEANINGS.get(arm, "") for arm in retraining.manifest.get("arms", ())},
        "controls": retraining.outcomes is not None,
        "effects": [[_cell(row[column]) for column in _EFFECTS] for row in rows],
        "columns": list(_EFFECTS),
    }


def _about(manifest: dict[str, Any]) -> str:
    """Return the data and the recipe of a retraining, in a sentence."""
    study, selection, recipe = (manifest[key] for key in ("study", "selection", "recipe"))
    epoch = f", epoch {study['epoch']}" if study.get("epoch") is not None else ""
    return (
        f"{study['network']} on {study['data']}{epoch}: training went on for {recipe['epochs']} "
        f"epochs ({recipe['optimizer']}, rate {recipe['rate']:g}) with "
        f"{len(selection['targets'])} targets, {' or '.join(selection['keep'])} by the "
        f"{selection['by']} score of the {selection['filter']} filter."
    )


def _cell(value: Any) -> Any:  # noqa: ANN401
    return finite_numbers([value])[0] if isinstance(value, int | float) else str(value)
