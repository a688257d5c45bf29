"""The responses of many targets as plain values, with the histograms of their weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hormesis.analysis.responses import as_sweeps
from hormesis.report.views.curves import with_bands
from hormesis.report.views.histogram import Histogram, between_thresholds, size_up_to, span_chosen
from hormesis.report.views.numbers import rounded_numbers
from hormesis.results.study import Study
from hormesis.stress.filters import ABOVE, BELOW, WINDOW, display_filter

_SHOWN = (
    *("alpha", "density", "clean", "clean_low", "clean_high"),
    *("adversarial", "adversarial_low", "adversarial_high", "random_clean", "random_adversarial"),
)


def curves_payload(study: Study, names: Sequence[str], positions: dict[str, int]) -> dict[str, Any]:
    """Return responses with intervals, by position of the target and by filter.

    Args:
        study: Any study.
        names: Names of the targets.
        positions: Position of each of them, which is its key.

    Returns:
        For each target ``samples``; ``filters``: columns, one entry a threshold; ``pulse``, half
        the width of the window; ``histogram``: counts between thresholds, below and above;
        ``edges``: these thresholds.
    """
    sweeps = as_sweeps(with_bands(study, names))
    shown = [name for name in _SHOWN if study.stressed or "adversarial" not in name]
    columns = {name: sweeps.columns[name] for name in shown if name in sweeps.columns}
    rows_by_target = {row["target"]: row for row in study.targets.to_dict("records")}
    curves: dict[str, Any] = {}
    for row, (target, name) in enumerate(sweeps.names):
        curve = curves.setdefault(
            str(positions[target]),
            {"samples": study.group_of[target].samples, "filters": {}, "pulse": None},
        )
        curve["filters"][name] = {
            **{key: rounded_numbers(values[row]) for key, values in columns.items()},
            "zeroed": sweeps.columns["zeroed"][row].tolist(),
        }
        if study.replaces:
            continue
        edges = (sweeps.columns[side][row, 0] for side in ("upper", "lower"))
        if display_filter(name).removes == WINDOW and {"upper", "lower"} <= set(sweeps.columns):
            upper, lower = edges
            curve["pulse"] = rounded_numbers([(upper - lower) / 2])[0]
        bins = _histogram(study, rows_by_target[target], name, _ascending(sweeps.columns, row))
        if bins is not None and "edges" not in curve:
            curve["histogram"] = [list(bins.counts), bins.below, bins.above]
            curve["edges"] = rounded_numbers(bins.edges)
    return curves


def _ascending(columns: Any, row: int) -> tuple[np.ndarray, np.ndarray]:  # noqa: ANN401
    """Return the thresholds of a sweep in ascending order, and how many values each removes."""
    alpha, zeroed = columns["alpha"][row], columns["zeroed"][row]
    order = np.argsort(alpha, kind="stable")
    return alpha[order].astype(float), zeroed[order].astype(np.int64)


def _histogram(
    study: Study, target: dict[Any, Any], name: str, sweep: tuple[np.ndarray, np.ndarray]
) -> Histogram | None:
    if display_filter(name).removes not in (BELOW, ABOVE):  # which leaves gaps
        return None
    alpha, removed = sweep
    size = int(target["size"])
    chosen = target["kind"] == "global" and span_chosen(study)
    up_to = size_up_to(name, removed, size)
    return between_thresholds(str(target["target"]), (alpha, up_to), size, chosen=chosen)
