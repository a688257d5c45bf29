"""How much of each target can be removed, from a study of filters."""

from typing import Any

import pandas as pd

from hormesis.errors import StudyError
from hormesis.results.changes import check_budget, with_changes
from hormesis.results.study import Study
from hormesis.stress.filters import ABOVE, BELOW, NAMED_FILTERS

_COLUMNS = ("target", "filter", "alpha", "zeroed", "size", "ratio")
_NESTED = (BELOW, ABOVE)  # each cell of a sweep removes all that those before it do


def ratios_per_layer(
    study: Study, budget: float | int = 0.01, *, on: str = "clean"
) -> pd.DataFrame:
    """Return the largest share of each target that can go at no more than a budget.

    A cell suffices if the lower confidence limit of the performance of the network that it leaves,
    less that of the unfiltered network on the same samples, is at least ``-budget``. The error of a
    target is shared among its filters (Bonferroni). Within an ideal filter, cells are tested from
    the fewest values removed on, up to the first that does not suffice, which needs no further
    correction (Maurer, Hothorn and Lehmacher 1995); the cells of any other filter share its error.
    So the probability that the share of a target costs more than the budget is at most that of the
    level. Each target is filtered alone: several together may cost more, which ``hormesis.apply``
    measures.

    Args:
        study: A study whose filters remove values.
        budget: Performance that may be lost, in units of the metric, at least 0; 0.01 is one point
            of accuracy.
        on: ``clean`` or ``adversarial``.

    Returns:
        One row a tested target: ``target``, ``filter`` and ``alpha`` (missing where nothing can
        go), ``zeroed`` values of ``size``, ``ratio`` (their share, 0 to 1), and for this cell
        ``performance``, its ``change`` from the unfiltered network and the ``low`` end of the
        one interval of that change. A channel, head or block of ratio 1 can go as a whole.

    Raises:
        SettingError: For a budget or a side that is none.
        StudyError: If the study replaces values, or did not keep its outcomes.

    Example:
        >>> import torch
        >>> import hormesis as hm
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
        >>> data = torch.rand(8, 1, 2, 2), torch.arange(8) % 2
        >>> study = hm.analyze(network, data, attack=None, sweep=hm.Sweep(thresholds=3),
        ...                    execution=hm.Execution(progress=False))
        >>> ratios_per_layer(study, budget=3)[["target", "filter", "ratio"]].values.tolist()
        [['1.weight', 'high_pass', 1.0]]
    """
    check_budget(study, budget, on)
    if study.replaces:
        raise StudyError(
            "The study replaces values, none of which can be removed: sweep filters, such as "
            "high_pass, or ask for the bits of a layer."
        )
    rows = study.responses.reset_index(drop=True)
    rows = with_changes(study, rows.assign(comparisons=_comparisons(rows)), on)
    sizes = dict(zip(study.targets["target"], study.targets["size"], strict=True))
    found = []
    for target in rows["target"].unique().tolist():
        best = _largest(rows.loc[rows["target"] == target], budget)
        found.append({"target": target, "size": int(sizes[target]), **best})
    table = pd.DataFrame(found)
    table["ratio"] = table["zeroed"] / table["size"]
    return table.loc[:, [*_COLUMNS, "performance", "change", "low"]]


def _comparisons(rows: pd.DataFrame) -> pd.Series:
    """Return among how many cells of its target each cell shares the error."""
    filters = rows.groupby("target", sort=False)["filter"].nunique().to_dict()
    cells = rows.groupby(["target", "filter"], sort=False).size().to_dict()
    return pd.Series(
        [
            filters[target] * (1 if _is_nested(name) else cells[target, name])
            for target, name in zip(rows["target"], rows["filter"], strict=True)
        ],
        rows.index,
    )


def _is_nested(name: str) -> bool:
    return name in NAMED_FILTERS and NAMED_FILTERS[name].removes in _NESTED


def _largest(rows: pd.DataFrame, budget: float | int) -> dict[str, Any]:
    """Return the cell that removes most of a target, of those that suffice."""
    best: dict[str, Any] = dict.fromkeys(("filter", "alpha", "performance", "change", "low"))
    best["zeroed"] = 0
    for name, sweep in rows.groupby("filter", sort=False):
        for row in sweep.sort_values("zeroed", kind="stable").to_dict("records"):
            suffices = row["low"] >= -budget
            if suffices and row["zeroed"] > best["zeroed"]:
                best = {column: row[column] for column in best}
            if not suffices and _is_nested(str(name)):
                break
    return best
