"""A plan as tables: its cells, and its targets with what came of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from hormesis.engine.flow import Flow, drawn
from hormesis.engine.plan import Plan
from hormesis.stress.targets import Target

UNREACHED = "no removal changed a logit"


def cell_table(plan: Plan) -> pd.DataFrame:
    """Return the cells of a plan, one row each, as ``analysis.responses`` takes them."""
    last = max((cell.threshold.step for cell in plan.cells), default=1)
    table = pd.DataFrame(
        {
            "target": [cell.target for cell in plan.cells],
            "filter": [cell.threshold.filter for cell in plan.cells],
            "step": [cell.threshold.step for cell in plan.cells],
            "alpha": [cell.threshold.alpha for cell in plan.cells],
            "zeroed": [cell.zeroed for cell in plan.cells],
            "density": [cell.density for cell in plan.cells],
            "progress": [cell.threshold.step / last for cell in plan.cells],
            "lower": [cell.threshold.lower for cell in plan.cells],
            "upper": [cell.threshold.upper for cell in plan.cells],
            "outcome": [cell.removal for cell in plan.cells],
        }
    )
    if any(cell.control is not None for cell in plan.cells):
        table["control"] = [cell.control for cell in plan.cells]
    return table


def target_table(plan: Plan, responses: pd.DataFrame) -> pd.DataFrame:
    """Return the targets of a plan, one row each, with what was not tested and why.

    Args:
        plan: What was measured.
        responses: The responses; a target none of whose removals changed a logit was not tested.
    """
    reached = set(responses.loc[responses["changed"], "target"])

    def settled(target: Target) -> Target:
        if target.tested and target.name not in reached:
            return replace(target, reason=UNREACHED)
        return target

    targets = [settled(target) for target in plan.targets]
    return pd.DataFrame(
        {
            "target": [target.name for target in targets],
            "kind": [target.kind for target in targets],
            "shape": ["x".join(map(str, target.shape)) for target in targets],
            "size": [target.size for target in targets],
            "depth": [target.depth for target in targets],
            "minimum": [target.minimum for target in targets],
            "maximum": [target.maximum for target in targets],
            "tested": [target.tested for target in targets],
            "reason": [target.reason for target in targets],
        }
    )


def flow_entry(flow: Flow, targets: Sequence[Target]) -> dict[str, Any]:
    """Return the manifest's entry on the way of the data between targets; nothing if unknown.

    Args:
        flow: Of the whole network.
        targets: What was swept is part of it, a channel by its parameter; the rest is passed by.
    """
    names = {
        part.parameter: target.name if part.index is None else target.name.rpartition("[")[0]
        for target in targets
        if target.tested and target.kind != "global"
        for part in target.parts
    }
    nodes = drawn(flow, names)
    return {"flow": nodes} if nodes else {}
