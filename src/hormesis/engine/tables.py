"""A plan as tables: its cells, and its targets with what came of them."""

from dataclasses import replace

import pandas as pd

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
