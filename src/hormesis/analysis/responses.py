"""From per-sample outcomes to responses: the mean performance of every cell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Shaped

from hormesis.engine.controls import control_columns
from hormesis.errors import StudyError
from hormesis.storage.outcomes import StoredOutcomes

UNREACHED = "no removal changed a logit"
COLUMNS = ("target", "filter", "step", "alpha", "zeroed", "density", "clean", "adversarial")


class Means:
    """Running means over blocks of samples, so that no block has to be kept.

    Sums are kept in double precision: counts of correct samples stay exact.

    Example:
        >>> ones = np.ones((1, 2), dtype=np.float32)
        >>> means = Means()
        >>> means.add(StoredOutcomes(ones[0], 0 * ones[0], ones, 0 * ones, np.array([True])))
        >>> means.of("clean"), means.of("base_adversarial"), means.samples
        (array([1.]), array(0.), 2)
    """

    def __init__(self, *, stressed: bool = True, binary: bool | None = None) -> None:
        """Start without samples.

        Args:
            stressed: Whether there are outcomes on perturbed inputs; if not, their means are NaN.
            binary: Whether an outcome of 1 says that a sample is right; by default so if all are 0
                or 1.
        """
        self.samples = 0
        self._stressed, self._binary = stressed, binary
        self.changed: Bool[np.ndarray, " removals"] = np.zeros(0, dtype=bool)
        self._sums: dict[str, np.ndarray] = {}
        self._squares: dict[str, np.float64] = {}
        self._idle: dict[str, tuple[np.ndarray, np.ndarray] | None] = {}

    def add(self, outcomes: StoredOutcomes) -> None:
        """Add the outcomes of one block."""
        for name in ("base_clean", "base_adversarial", "clean", "adversarial"):
            total = getattr(outcomes, name).astype(np.float64).sum(axis=-1)
            if name.endswith("adversarial") and not self._stressed:
                total = total * np.nan
            self._sums[name] = self._sums.get(name, np.float64(0)) + total
            if name.startswith("base"):
                squares = np.square(getattr(outcomes, name).astype(np.float64)).sum()
                self._squares[name] = self._squares.get(name, np.float64(0)) + squares
        self._add_idle(outcomes)
        self.changed = outcomes.changed | (self.changed if self.samples else False)
        self.samples += len(outcomes.base_clean)

    def _add_idle(self, outcomes: StoredOutcomes) -> None:
        """Count zero gradients and unmoved inputs among correct samples.

        For a metric that is not binary, all samples count.
        """
        binary = self._binary
        if binary is None:
            binary = np.isin(outcomes.base_clean, (0, 1)).all()
        for name, clean in (("base_idle", outcomes.base_clean), ("idle", outcomes.clean)):
            idle, before = getattr(outcomes, name), self._idle.get(name)
            if idle is None or not self._stressed or (self.samples and before is None):
                self._idle[name] = None  # of some samples it is not known
                continue
            right = clean > 0 if binary else np.ones_like(clean, dtype=bool)
            counts = (idle & right[..., None, :]).sum(axis=-1), right.sum(axis=-1)
            if before is not None:
                counts = before[0] + counts[0], before[1] + counts[1]
            self._idle[name] = counts

    def idle(self, name: str) -> Float[np.ndarray, "*removals two"] | None:
        """Return the shares of correct samples with a zero gradient, and with an unmoved input.

        Args:
            name: ``base_idle``, or ``idle`` for all removals.

        Returns:
            NaN where no sample is correct; None if not measured on all samples.
        """
        counts = self._idle.get(name)
        if counts is None:
            return None
        idle, right = counts
        with np.errstate(invalid="ignore"):
            return idle / np.where(right, right, np.nan)[..., None]

    def of(self, name: str) -> Float[np.ndarray, "*removals"]:
        """Return the mean of ``clean`` or ``adversarial``, or of ``base_clean`` and the like."""
        return np.asarray(self.total(name) / self.samples)

    def total(self, name: str) -> Float[np.ndarray, "*removals"]:
        """Return the sum of ``clean`` or the like over samples, exact for counts."""
        return np.asarray(self._sums[name])

    def error_of(self, name: str) -> float:
        """Return the standard error of the mean of ``base_clean`` or ``base_adversarial``."""
        mean = float(self._sums[name] / self.samples)
        left = float(self._squares[name] / self.samples) - mean**2
        return float(np.sqrt(max(left, 0.0) / max(self.samples - 1, 1)))

    def described_base(self, *, higher_is_better: bool) -> dict[str, Any]:
        """Return the performance of the unfiltered network as plain values, as a manifest has it.

        Args:
            higher_is_better: Whether a larger performance is better.
        """
        values = {
            "clean": float(self.of("base_clean")),
            "adversarial": float(self.of("base_adversarial")),
            "higher_is_better": higher_is_better,
            "samples": self.samples,
            "clean_error": self.error_of("base_clean"),
            "adversarial_error": self.error_of("base_adversarial"),
        }
        left_out = () if self._stressed else ("adversarial", "adversarial_error")
        return {name: value for name, value in values.items() if name not in left_out}


def response_table(cells: pd.DataFrame, means: Means) -> pd.DataFrame:
    """Return the responses: the cells with their mean performance.

    Args:
        cells: Columns ``target``, ``filter``, ``step``, ``alpha``, ``zeroed``, ``density``,
            ``progress``, ``lower``, ``upper``, ``outcome`` and, where the random control was
            measured, ``control``, ``control_2`` and so on, one per draw. ``outcome`` and the
            controls are rows of the outcomes, or ``UNFILTERED``.
        means: Means over all samples.

    Returns:
        One row a cell: ``target``, ``filter``, ``step``, ``alpha`` and ``zeroed`` (the threshold in
        units of the weights, and how many values it removes), ``density`` (share kept, 0 to 1),
        ``clean`` and ``adversarial`` (mean performance), ``random_clean`` and
        ``random_adversarial`` (means over the draws of the control, where it was measured), those
        under attack NaN without one,
        ``progress`` (normalised threshold, 0 to 1), ``lower`` and ``upper`` (edges of the pulse),
        ``changed`` (whether any logit changed), ``outcome`` and ``control``; and, for an adaptive
        adversary, ``zero_gradient`` and ``unmoved``: shares of the samples that the filtered
        network classifies correctly whose gradient was zero, and whose input did not change.
    """
    table = cells.copy()

    def read(name: str, column: str) -> np.ndarray:
        # The last entry answers for UNFILTERED, which is -1.
        return np.append(means.total(name), means.total(f"base_{name}"))[cells[column].to_numpy()]

    draws = control_columns(cells)
    for name in ("clean", "adversarial"):
        table[name] = read(name, "outcome") / means.samples
        if draws:
            total = np.sum([read(name, draw) for draw in draws], axis=0)
            table[f"random_{name}"] = total / (len(draws) * means.samples)
    table["changed"] = np.append(means.changed, False)[cells["outcome"].to_numpy()]
    idle, base_idle = means.idle("idle"), means.idle("base_idle")
    if idle is not None and base_idle is not None:
        shares = np.concatenate([idle, base_idle[None]])[cells["outcome"].to_numpy()]
        table["zero_gradient"], table["unmoved"] = shares.T
    measured = [name for name in ("random_clean", "random_adversarial") if name in table]
    rest = [name for name in table.columns if name not in {*COLUMNS, *measured}]
    return table.reindex(columns=[*COLUMNS, *measured, *rest])


def with_unreached(targets: pd.DataFrame, responses: pd.DataFrame) -> pd.DataFrame:
    """Return the targets; those whose removals changed no logit are marked as not tested.

    Args:
        targets: Columns ``target``, ``tested`` and ``reason`` among others.
        responses: Columns ``target`` and ``changed``.
    """
    reached = responses.loc[responses["changed"], "target"].unique().tolist()
    lost = targets["tested"] & ~targets["target"].isin(reached)
    return targets.assign(
        tested=targets["tested"] & ~lost, reason=targets["reason"].mask(lost, UNREACHED)
    )


@dataclass(frozen=True)
class Sweeps:
    """Responses as arrays: one row per target and filter, one column per step.

    Args:
        names: Target and filter of each row, targets in the order of the table.
        columns: The table's columns by name.
    """

    names: tuple[tuple[str, str], ...]
    columns: Mapping[str, Shaped[np.ndarray, "rows steps"]]


def as_sweeps(responses: pd.DataFrame) -> Sweeps:
    """Return responses as arrays.

    Args:
        responses: Columns ``target``, ``filter``, ``step`` and any others, in any order of rows.

    Raises:
        StudyError: If the sweeps are not all of the same number of thresholds.

    Example:
        >>> table = pd.DataFrame({"target": "w", "filter": "low_pass", "step": [1, 0],
        ...                       "clean": [0.2, 0.9]})
        >>> as_sweeps(table).columns["clean"]
        array([[0.9, 0.2]])
    """
    target, targets = pd.factorize(responses["target"])
    sweep, filters = pd.factorize(responses["filter"])
    order = np.lexsort((responses["step"], sweep, target))
    _, first, sizes = np.unique(
        (target * max(len(filters), 1) + sweep)[order], return_index=True, return_counts=True
    )
    if len(set(sizes.tolist())) > 1:
        raise StudyError(
            "The responses are damaged: some sweeps have fewer thresholds than others."
        )
    heads = order[first]
    spelled, named = list(map(str, targets)), list(map(str, filters))
    return Sweeps(
        tuple((spelled[target[row]], named[sweep[row]]) for row in heads),
        {
            name: responses[name].to_numpy()[order].reshape(len(heads), -1)
            for name in responses.columns.difference(["target", "filter", "step"])
        },
    )
