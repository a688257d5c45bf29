"""The path of an applied network: cells of a study, measured on top of one another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch

from hormesis.analysis.candidates import Candidate, find_candidates
from hormesis.analysis.greedy import GreedyPath, PathStep, Performance, Reading
from hormesis.analysis.masking import is_masked
from hormesis.analysis.paired import PairedDifference, paired_difference
from hormesis.engine.outcomes import Outcomes
from hormesis.engine.plan import Removal
from hormesis.engine.progress import Report
from hormesis.engine.shards import ShardMeasurer
from hormesis.measure.standing import (
    count_zeroed,
    measured_outcomes,
    standing,
    standing_measurer,
    zeroed_masks,
)
from hormesis.measure.study_plan import StudyPlan
from hormesis.results.applied_tables import PATH_COLUMNS
from hormesis.results.study import Study
from hormesis.settings.apply import Aim
from hormesis.settings.attacks import tries

_SHARE = 0.3  # of the study's own work that the path may take
_STEP = 6.0  # passes behind a filter that a step of an attack takes, as it needs the whole network
_LEVEL = 0.95
_FEWEST = 24  # networks that are measured in any case, for small studies and long attacks


@dataclass(frozen=True)
class PathSearch:
    """The search for a path by measurements on the samples of a study.

    Args:
        study: The study.
        planned: Its plan, the attack's magnitude a number.
        aim: The aim.
        report: Shows progress.
        keep: Called with the table so far, after every round.
        stored: The table of a search that was interrupted; measurements in it are not repeated.
        measurers: What measures the network as it stands, by the steps that were taken.
    """

    study: Study
    planned: StudyPlan
    aim: Aim
    report: Report
    keep: Callable[[pd.DataFrame], None]
    stored: pd.DataFrame | None = None
    measurers: dict[tuple[Any, ...], ShardMeasurer] = field(default_factory=dict)

    def table(self) -> pd.DataFrame:
        """Return the whole path, see ``results.applied_tables``."""
        search = GreedyPath(
            self.aim,
            self._base,
            self._noise,
            self._higher,
            self._budget,
            tell=lambda steps: self.keep(self._as_table(search, steps)),
        )
        candidates = find_candidates(self.study.responses, self.study.base, self.aim, self._noise)
        steps = search.search(candidates, self._measure)
        return self._as_table(search, steps)

    @property
    def _higher(self) -> bool:
        return self.planned.request.metric.higher_is_better

    @property
    def _noise(self) -> float:
        return 0.5 / len(self.planned.samples)

    @property
    def _base(self) -> Performance:
        return Performance(self.study.base.clean, self.study.base.adversarial)

    @property
    def adaptive(self) -> bool:
        """Whether every network is attacked anew."""
        evaluated = self.planned.evaluation is not None
        return self.planned.request.attacked and not evaluated

    @property
    def _budget(self) -> int:
        """Networks that may be measured: their work is a share of the study's."""
        attack, request = self.planned.request.attack, self.planned.request
        passes = _STEP * getattr(attack, "steps", 1) * tries(attack) if self.adaptive else 0.0
        cost = (1.0 + request.stressed + passes) / (1.0 + request.stressed)
        return max(int(_SHARE * len(self.planned.plan.removals) / cost), _FEWEST)

    def _measure(
        self, taken: Sequence[Candidate], batch: Sequence[Candidate], number: int
    ) -> list[Reading]:
        """Measure candidates on top of those that were taken, unless that was done before."""
        known = self._stored_readings(number)
        if [reading.candidate.key for reading in known] == [one.key for one in batch]:
            return [replace(one, candidate=own) for one, own in zip(known, batch, strict=True)]
        network, stack = self.planned.network, [self.removal_of(one) for one in taken]
        removals = [self.removal_of(one) for one in batch]
        gone = count_zeroed(zeroed_masks(network, stack))
        more = [count_zeroed(zeroed_masks(network, [*stack, one])) - gone for one in removals]
        stage = f"Round {number}, {len(taken)} filters in"
        with standing(network, stack):
            measurer = self._measurer(tuple(one.key for one in taken))
            outcomes = measured_outcomes(measurer, removals, self.report, stage)
        return [
            self._reading(one, number, more[row], outcomes, row) for row, one in enumerate(batch)
        ]

    def _measurer(self, taken: tuple[Any, ...]) -> ShardMeasurer:
        """Return what measures the network as it stands, which is compiled once a step."""
        if taken not in self.measurers:
            self.measurers.clear()
            planned = self.planned
            spec = replace(planned.spec, adaptive=self.adaptive)
            execution = replace(planned.request.execution, extend=None)
            self.measurers[taken] = standing_measurer(
                planned.network, planned.samples, self._examples, spec, execution
            )
        return self.measurers[taken]

    @cached_property
    def _examples(self) -> list[Removal]:
        """One removal of each target, for an estimate of the memory that they take."""
        found = {one.target.name: one for one in self.planned.plan.removals}
        return list(found.values())

    def removal_of(self, candidate: Candidate) -> Removal:
        """Return the removal of a candidate."""
        return self.planned.plan.removals[candidate.outcome]

    def _reading(
        self, candidate: Candidate, number: int, removed: int, outcomes: Outcomes, row: int
    ) -> Reading:
        stressed = self.planned.request.stressed
        kind = "adversarial" if stressed else "clean"
        clean = _array(outcomes.clean[row])
        values = _array(getattr(outcomes, kind)[row])
        base = _array(getattr(outcomes, f"base_{kind}"))
        binary = self.planned.request.metric.binary
        gain = paired_difference(values, base, 1 - _LEVEL, binary=binary)
        if not self._higher:
            gain = PairedDifference(-gain.value, -gain.high, -gain.low)
        return Reading(
            candidate,
            number,
            removed,
            Performance(float(clean.mean()), float(values.mean()) if stressed else np.nan),
            gain,
            self._is_masked(clean, outcomes, row),
        )

    def _is_masked(self, clean: np.ndarray, outcomes: Outcomes, row: int) -> bool:
        """Return whether the attack had nothing to work with on most right answers."""
        if outcomes.idle is None or self.planned.request.attack.name not in ("fgsm", "pgd"):
            return False
        right = torch.from_numpy(clean > 0) if self.planned.request.metric.binary else None
        idle = outcomes.idle[row].cpu()
        idle = idle if right is None else idle[:, right]
        return idle.shape[1] > 0 and is_masked(*idle.double().mean(dim=1).tolist())

    def _stored_readings(self, number: int) -> list[Reading]:
        table = self.stored
        if table is None:
            return []
        rows = table.loc[table["round"] == number].to_dict("records")
        return [_reading_of(row) for row in rows]

    def _as_table(self, search: GreedyPath, steps: Sequence[PathStep]) -> pd.DataFrame:
        """Return all steps as a table, the unfiltered network first."""
        size, rows = self._size, [self._first(search)]
        gone = {0: 0}
        for step in sorted(steps, key=lambda step: step.number):
            if not step.reason:
                gone[step.number] = gone[step.number - 1] + step.reading.removed
        for step in steps:
            total = gone[step.number - 1] + step.reading.removed
            rows.append(_row(search, step, total, size))
        return pd.DataFrame(rows, columns=list(PATH_COLUMNS))

    def _first(self, search: GreedyPath) -> dict[str, Any]:
        base = search.base
        return {
            **dict.fromkeys(PATH_COLUMNS, np.nan),
            "step": 0,
            "round": 0,
            "target": "",
            "filter": "",
            "threshold": -1,
            "removed": 0,
            "total_removed": 0,
            "share_removed": 0.0,
            "clean": base.clean,
            "adversarial": base.adversarial,
            "clean_loss": 0.0,
            "adversarial_loss": 0.0 * base.adversarial,
            "masked": False,
            "accepted": True,
            "reason": "",
        }

    @cached_property
    def _size(self) -> int:
        """Number of values of all targets, each counted once."""
        return max(sum(int(pool.sum()) for pool in target_pools(self.planned).values()), 1)


def target_pools(planned: StudyPlan) -> dict[str, torch.Tensor]:
    """Return which values the targets of a study have, by the names of the measured network."""
    parameters = dict(planned.network.named_parameters())
    pools: dict[str, torch.Tensor] = {}
    for target in planned.plan.targets:
        for part in target.parts if target.tested else ():
            shape = parameters[part.parameter].shape
            pool = pools.setdefault(part.parameter, torch.zeros(shape))
            part.of(pool).fill_(1.0)
    return {name: pool > 0 for name, pool in pools.items()}


def _array(values: torch.Tensor) -> np.ndarray:
    return values.double().cpu().numpy()


def _row(search: GreedyPath, step: PathStep, total: int, size: int) -> dict[str, Any]:
    reading, candidate = step.reading, step.reading.candidate
    clean_loss, stressed_loss = search.losses(reading.performance)
    return {
        "step": step.number,
        "round": reading.round,
        "target": candidate.target,
        "filter": candidate.filter,
        "threshold": candidate.threshold,
        "alpha": candidate.alpha,
        "removed": reading.removed,
        "total_removed": total,
        "share_removed": total / size,
        "clean": reading.performance.clean,
        "adversarial": reading.performance.adversarial,
        "clean_loss": clean_loss,
        "adversarial_loss": stressed_loss,
        "gain": reading.gain.value,
        "gain_low": reading.gain.low,
        "gain_high": reading.gain.high,
        "masked": reading.masked,
        "accepted": not step.reason,
        "reason": step.reason,
    }


def _reading_of(row: Any) -> Reading:  # noqa: ANN401  (a row of a table)
    candidate = Candidate(row["target"], row["filter"], row["threshold"], row["alpha"], -1, 0.0)
    return Reading(
        candidate,
        row["round"],
        row["removed"],
        Performance(row["clean"], row["adversarial"]),
        PairedDifference(row["gain"], row["gain_low"], row["gain_high"]),
        row["masked"],
    )


def taken_removals(planned: StudyPlan, table: pd.DataFrame) -> list[Removal]:
    """Return the removals of the steps that were taken, in order.

    Args:
        planned: The plan of the study.
        table: The path.
    """
    cells = planned.cells.set_index(["target", "filter", "step"])["outcome"]
    taken = table.loc[table["accepted"] & (table["step"] > 0)].sort_values("step")
    keys = zip(taken["target"], taken["filter"], taken["threshold"], strict=True)
    return [planned.plan.removals[int(cells.loc[key])] for key in keys]
