"""A plan as tables: its cells and its targets."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hormesis.data.samples import Samples
from hormesis.engine.controls import control_names
from hormesis.engine.dataflow import Flow, flow_between_targets
from hormesis.engine.plan import Plan
from hormesis.stress.parts import Target


def cell_table(plan: Plan) -> pd.DataFrame:
    """Return the cells of a plan, one row each, as ``analysis.responses`` takes them."""
    table = pd.DataFrame(
        {
            "target": [cell.target for cell in plan.cells],
            "filter": [cell.threshold.filter for cell in plan.cells],
            "step": [cell.threshold.step for cell in plan.cells],
            "alpha": [cell.threshold.alpha for cell in plan.cells],
            "zeroed": [cell.zeroed for cell in plan.cells],
            "density": [cell.density for cell in plan.cells],
            "progress": [cell.progress for cell in plan.cells],
            "lower": [cell.threshold.lower for cell in plan.cells],
            "upper": [cell.threshold.upper for cell in plan.cells],
            "outcome": [cell.removal for cell in plan.cells],
        }
    )
    draws = len(plan.cells[0].controls) if plan.cells else 0
    for index, name in enumerate(control_names(draws)):
        table[name] = [cell.controls[index] for cell in plan.cells]
    return table


def sample_table(samples: Samples) -> pd.DataFrame:
    """Return the samples in the order in which they are measured, one row each.

    Columns ``place`` (index in the data set, from 0) and ``label``, 0 where it is no class.
    """
    places = torch.arange(len(samples)) if samples.places is None else samples.places
    labels = samples.labels.numpy() if samples.classes else np.zeros(len(samples), dtype=np.int64)
    return pd.DataFrame({"place": places.numpy(), "label": labels})


def label_array(samples: Samples) -> np.ndarray | None:
    """Return the labels of samples as an array, one row a sample; None if they are no tensor."""
    labels = samples.labels
    return labels.numpy() if isinstance(labels, Tensor) else None


def removal_table(plan: Plan) -> pd.DataFrame:
    """Return the removals of a plan, one row of the outcomes each, by what tells them apart."""
    return pd.DataFrame({"key": [removal.key() for removal in plan.removals]})


def target_table(plan: Plan) -> pd.DataFrame:
    """Return the targets of a plan, one row each, with what is not tested and why.

    Column ``axis``, where the output channels of a parameter lie, is there only if channels were
    split by the use of a parameter; it is -1 where the module tells, or nothing was split.
    """
    targets = plan.targets
    table = pd.DataFrame(
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
    axes = [-1 if t.axis is None or t.parts[0].axis is None else t.axis for t in targets]
    # No module tells these, and freezing has no input that would.
    return table if max(axes, default=-1) < 0 else table.assign(axis=axes)


def flow_entry(flow: Flow, targets: Sequence[Target]) -> dict[str, Any]:
    """Return the manifest's entry on the way of the data between targets; nothing if unknown.

    Args:
        flow: Of the whole network.
        targets: What was swept is part of it, a channel by its parameter; the rest is passed by.
            Groups are not: the data may pass a group several times, with others in between.
    """
    names = {
        part.parameter: target.name if part.index is None else target.name.rpartition("[")[0]
        for target in targets
        if target.tested and target.kind not in ("global", "group")
        for part in target.parts
    }
    nodes = flow_between_targets(flow, names)
    return {"flow": nodes} if nodes else {}
