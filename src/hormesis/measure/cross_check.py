"""The cross-check: every figure under random noise, and under inputs perturbed elsewhere."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from hormesis.analysis.confirmation import NOISE, TRANSFER
from hormesis.analysis.cross_check import (
    CROSS,
    MARGIN,
    SURROGATES,
    Figures,
    compare_attacks,
    find_working_cells,
)
from hormesis.engine.outcomes import MeasurementSpec
from hormesis.engine.plan import Removal
from hormesis.engine.progress import SENTENCE, Report
from hormesis.measure.remeasure import Remeasurement, Step, time_of
from hormesis.measure.study_plan import StudyPlan
from hormesis.measure.study_writer import hash_values
from hormesis.results.study import Study
from hormesis.settings.attacks import RandomSigns
from hormesis.settings.choices import UNFILTERED
from hormesis.settings.confirmation import Confirmation
from hormesis.settings.threat import norm_of
from hormesis.storage.outcomes import StoredOutcomes
from hormesis.storage.verify import format_seconds

_DRAWS = 10  # of noise
_MOST = 4  # filtered versions of the network that inputs are perturbed on
_STAGES = {
    NOISE: "random noise",
    TRANSFER: "perturbed on the unfiltered network",
    SURROGATES: "perturbed on filtered networks",
}


def open_cross_check(study: Study, confirmation: Confirmation) -> bool:
    """Return whether a finished study lacks a requested cross-check.

    Args:
        study: A finished study.
        confirmation: The request.
    """
    if not confirmation.cross_check or not study.has_outcomes:
        return False
    return study.metadata.cross_check.key != _key(study, confirmation)


def run_cross_check(
    study: Study,
    planned: StudyPlan,
    confirmation: Confirmation,
    report: Report,
    check: Callable[[], None],
) -> tuple[pd.DataFrame, dict[str, object]]:
    """Return the rows of a cross-check, and its entry in the manifest.

    Args:
        study: A finished study, with its outcomes.
        planned: Its plan.
        confirmation: With the number of samples.
        report: Shows the cost and the progress.
        check: Makes sure that this process still holds the folder.
    """
    began, key = time.monotonic(), _key(study, confirmation)
    remeasurement = Remeasurement(study, planned, confirmation.samples, key, report, check)
    cross_check = _CrossCheck(remeasurement)
    cross_check.show_cost()
    rows = cross_check.rows()
    return rows, {
        "key": key,
        "level": study.scoring.level,
        "margin": MARGIN * abs(study.base.clean),
        "seconds": round(time.monotonic() - began, 1),
        "samples": len(remeasurement.samples),
        "draws": _DRAWS if study.metadata.attack.scaled else 0,
        "surrogates": [f"{one.target.name}, {one.count} values" for one in cross_check.surrogates],
    }


def _key(study: Study, confirmation: Confirmation) -> str:
    """Return the identity of a cross-check of a study."""
    settings = [study.manifest.get("study"), confirmation.samples, study.scoring.level]
    return hash_values([*settings, _DRAWS, MARGIN, _MOST])


@dataclass(frozen=True)
class _CrossCheck:
    """The steps of a cross-check."""

    remeasurement: Remeasurement

    def rows(self) -> pd.DataFrame:
        """Return rows of all attacks."""
        spec = self.remeasurement.planned.spec
        parts = [] if self._noise is None else [self._compare(NOISE, self._noise)]
        if spec.adaptive or not (parts or self.surrogates):
            crossed = self._compare(TRANSFER, replace(spec, adaptive=False))
            parts.append(crossed.loc[crossed["target"] != ""])
        if self.surrogates:
            fixed = replace(spec, adaptive=False, surrogates=self.surrogates)
            rows = self._compare(SURROGATES, fixed)
            parts.append(rows.loc[rows["target"] == ""] if spec.adaptive else rows)
        return pd.concat(parts, ignore_index=True)

    def _compare(self, attack: str, spec: MeasurementSpec) -> pd.DataFrame:
        cells, removals = self._cells
        stage = f"Cross-check: {_STAGES[attack]}"
        step = Step(f"{CROSS}-{attack}", stage, cells, removals, spec)
        other = _figures(self.remeasurement.blocks(step)(), len(self.remeasurement.samples))
        study = self.remeasurement.study
        better = study.base.higher_is_better
        rows = compare_attacks(
            cells, self._own_figures, other, study.scoring.level, higher_is_better=better
        )
        return rows.assign(stress=CROSS, attack=attack)

    @property
    def _noise(self) -> MeasurementSpec | None:
        """A sample survives every draw of the network that the study's own attack is made on.

        None if the attack has no magnitude, which noise could share.
        """
        spec = self.remeasurement.planned.spec
        if not self.remeasurement.study.metadata.attack.scaled:
            return None
        attack = RandomSigns(spec.attack.epsilon, _DRAWS, norm_of(spec.attack))
        return replace(spec, attack=attack)

    @cached_property
    def _cells(self) -> tuple[pd.DataFrame, list[Removal]]:
        cells, removals = self.remeasurement.planned.cells_of(
            self.remeasurement.planned.swept_targets
        )
        study = self.remeasurement.study
        keys = ["target", "filter", "step"]
        working = study.responses[keys].assign(
            working=find_working_cells(study.responses, study.base)
        )
        return cells.merge(working, on=keys, how="left", validate="one_to_one"), removals

    @cached_property
    def _own_figures(self) -> Figures:
        """The figures under the study's own attack, from its stored outcomes."""
        outcomes = self.remeasurement.planned.cells["outcome"].tolist()
        rows = sorted(set(outcomes) - {UNFILTERED})
        return _figures(self.remeasurement.study.blocks(), len(self.remeasurement.samples), rows)

    @cached_property
    def surrogates(self) -> tuple[Removal, ...]:
        """Filtered versions of the network that still work, of targets that lie far apart.

        Of each target the version that lacks most values, see ``find_working_cells``.
        """
        planned, table = self.remeasurement.planned, self.remeasurement.study.responses
        good = find_working_cells(table, self.remeasurement.study.base)
        table = table.loc[good & table["changed"] & (table["outcome"] != UNFILTERED)]
        emptiest = table.sort_values("zeroed", kind="stable").groupby("target", sort=False).tail(1)
        row_of = dict(zip(emptiest["target"], emptiest["outcome"], strict=True))
        names = [name for name in planned.swept_targets if name in row_of]
        few = min(len(names), _MOST)
        chosen = [names[number * (len(names) - 1) // max(few - 1, 1)] for number in range(few)]
        return tuple(planned.plan.removals[row_of[name]] for name in chosen)

    def show_cost(self) -> None:
        """Show what the cross-check takes, from the time of one removal."""
        _, removals = self._cells
        few = removals[:: max(len(removals) // 4, 1)][:5]
        spec = self._noise or self.remeasurement.planned.spec
        first, all_of_them = (time_of(self.remeasurement, some, spec) for some in (few[:1], few))
        each = max(all_of_them - first, 0.0) / max(len(few) - 1, 1)
        times = 1.2 if spec.adaptive else 2.0  # the second step is not attacked anew
        noise = f"random noise, {_DRAWS} draws each, and by " if self._noise else ""
        samples = len(self.remeasurement.samples)
        workers = self.remeasurement.measurer.engine.workers
        work = len(removals) * samples * each / workers
        self.remeasurement.report(
            f"Cross-check of {len(removals)} cells by {noise}"
            f"inputs perturbed on another network, on {samples} samples: about "
            f"{format_seconds(times * work)}.",
            0,
            SENTENCE,
        )


def _figures(
    blocks: Iterable[StoredOutcomes], samples: int, rows: list[int] | None = None
) -> Figures:
    """Return the adversarial figures of the first samples.

    Args:
        blocks: Outcomes.
        samples: How many.
        rows: Of which removals; by default of all.
    """
    base, removals, seen = [], [], 0
    for block in blocks:
        values = block.adversarial.astype(np.float64)
        if block.measured is not None:
            values[~block.measured] = np.nan
        base.append(block.base_adversarial.astype(np.float64))
        removals.append(values if rows is None else values[rows])
        seen += len(block.base_adversarial)
        if seen >= samples:
            break
    return Figures(np.concatenate(base)[:samples], np.hstack(removals)[:, :samples])
