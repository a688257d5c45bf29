"""What a zoom found: the sets of values that were removed, down to single weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class Zoom:
    """The sets of values that were removed one at a time, and what their removal did.

    Args:
        table: One row for each set, in the order of measurement. ``set`` names it by its place,
            such as ``fc.weight[3, 0:8]``; ``parameter``, ``depth`` (how often the parameter was
            halved) and ``values`` describe it; ``clean`` is the performance without it,
            ``clean_difference`` that minus the unfiltered network's, ``clean_low`` and
            ``clean_high`` its interval; with an attack there are the same of ``adversarial``.
            ``certain`` says whether an interval leaves out zero, and ``divided`` whether the halves
            of the set were measured.
        metric: What was measured.
        base: Performance of the unfiltered network, ``clean`` and with an attack ``adversarial``.
        samples: Number of samples.
        level: Confidence level, for all sets together.
        budget: Most removals that were to be measured.
        binary: Whether the performance is a share of samples.
        notes: What a reader has to know, in sentences.

    Example:
        >>> row = {"set": "fc.weight[1]", "values": 1, "certain": True, "divided": False}
        >>> table = pd.DataFrame([row | {"clean": 0.1, "clean_difference": -0.8}])
        >>> Zoom(table, "accuracy", {"clean": 0.9}, 500, 0.95, 200).verdict
        '1 single weight matters certainly: fc.weight[1]. Every set that certainly matters was ...'
    """

    table: pd.DataFrame
    metric: str
    base: Mapping[str, float]
    samples: int
    level: float
    budget: int
    binary: bool = False
    notes: tuple[str, ...] = field(default=())

    @property
    def weights(self) -> pd.DataFrame:
        """The rows of the single weights whose removal certainly matters, the largest first."""
        rows = self.table.loc[self.table["certain"] & (self.table["values"] == 1)]
        order = self._size(rows).sort_values(ascending=False, kind="stable").index
        return rows.loc[order]

    @property
    def ranked(self) -> pd.DataFrame:
        """All rows: those that certainly matter first, single weights before sets, by the size."""
        keys = pd.DataFrame(
            {
                "unsure": ~self.table["certain"],
                "values": self.table["values"],
                "size": -self._size(self.table),
            }
        )
        return self.table.loc[keys.sort_values([*keys], kind="stable").index]

    def _size(self, rows: pd.DataFrame) -> pd.Series:
        kinds = [f"{kind}_difference" for kind in self.base]
        return rows[kinds].abs().max(axis=1)

    @property
    def finished(self) -> bool:
        """Whether every set that certainly matters was divided down to single weights."""
        return not len(self._undivided)

    @property
    def _undivided(self) -> pd.DataFrame:
        table = self.table
        return table.loc[table["certain"] & ~table["divided"] & (table["values"] > 1)]

    @property
    def verdict(self) -> str:
        """What was found, in a sentence or two."""
        weights, table = self.weights, self.table
        names = weights["set"].tolist()
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            verb = "weight matters" if len(names) == 1 else "weights matter"
            found = f"{len(names)} single {verb} certainly: {', '.join(names[:3])}{more}."
        else:
            found = f"No single weight matters certainly: {self._smallest}."
        left = len(self._undivided)
        if left:
            found += (
                f" The budget of {self.budget} removals ended with {left} sets that matter "
                "undivided."
            )
        elif bool(table["certain"].any()):
            found += " Every set that certainly matters was divided."
        return found

    @property
    def _smallest(self) -> str:
        certain = self.table.loc[self.table["certain"]]
        if certain.empty:
            return f"not even the removal of all values changes the {self.metric} certainly"
        row = certain.sort_values("values", kind="stable").iloc[0]
        return f"the smallest set that does has {row['values']} values, {row['set']}"
