"""Tests of a finished study's claims by new and stronger attacks, with controls.

Each step is measured shard by shard in its own folder within the study's, so that a killed process
can resume. The folder is deleted when the results are in the study's table.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from hormesis.analysis.confirmation import (
    ADAPTIVE,
    COLUMNS,
    CONTROLS,
    FILTER,
    NOISE,
    RANDOM,
    RESTARTS,
    TRANSFER,
    attack_scores,
    claim_holds,
    claim_scoring,
    find_claims,
)
from hormesis.analysis.cross_check import CROSS, merge_confirmations
from hormesis.analysis.masking import trusted_responses
from hormesis.analysis.responses import Means, response_table
from hormesis.analysis.verdicts import Claim
from hormesis.data.evaluation import Evaluation
from hormesis.data.trees import move_to, select_rows
from hormesis.engine.outcomes import MeasurementSpec
from hormesis.engine.plan import Removal
from hormesis.engine.progress import SENTENCE, Report
from hormesis.errors import HormesisError
from hormesis.measure.cross_check import open_cross_check, run_cross_check
from hormesis.measure.remeasure import Remeasurement, Step, remove_steps, time_of
from hormesis.measure.shard_worker import device_of
from hormesis.measure.study_plan import StudyPlan
from hormesis.measure.study_writer import hash_values
from hormesis.results.study import Study
from hormesis.settings.attacks import PGD, shortest
from hormesis.settings.confirmation import ALWAYS, NEVER, Confirmation
from hormesis.settings.custom_attack import CustomAttack
from hormesis.settings.threat import norm_of, target_of
from hormesis.storage.attack_schema import UNSCALED
from hormesis.storage.files import CONFIRMATION, read_manifest, write_manifest, write_tables
from hormesis.storage.outcomes import StoredOutcomes
from hormesis.storage.verify import format_seconds
from hormesis.stress.attacks import perturb

_DRAWS = 2**31  # seeds of controls
_CROSSING = 2.5  # radii that the steps of PGD add up to
_STRESSES = {FILTER: "the filters", NOISE: "noise instead", RANDOM: "random removal instead"}
_ATTACKS = {
    ADAPTIVE: "attacked anew",
    TRANSFER: "attacked beforehand",
    RESTARTS: "attacked anew by PGD",
}


def open_claims(
    study: Study, confirmation: Confirmation, evaluation: Evaluation | None = None
) -> list[Claim]:
    """Return the claims of a study that are still to be tested.

    Args:
        study: A finished study.
        confirmation: How to test them; no claims are left if the study was confirmed this way, or
            has no attack that could be made anew.
        evaluation: What measured it in place of metric and attack, if anything did.
    """
    if (
        not can_be_confirmed(study, evaluation)
        or confirmation.when == NEVER
        or _key(study, confirmation) == _last_key(study)
    ):
        return []
    unconfirmed = replace(study, confirmation=None)
    scores = unconfirmed.scores_with(claim_scoring(study.scoring))
    return find_claims(scores, every=confirmation.when == ALWAYS)


def can_be_confirmed(study: Study, evaluation: Evaluation | None) -> bool:
    """Return whether a study's stress can be made anew for filtered networks, see ``open_claims``.

    Args:
        study: A finished study.
        evaluation: What measured it in place of metric and attack, if anything did.
    """
    if evaluation is not None:
        return evaluation.stressed and evaluation.confirming is not None
    return study.metadata.attack.name not in UNSCALED


def is_left(study: Study, confirmation: Confirmation, evaluation: Evaluation | None = None) -> bool:
    """Return whether a finished study has claims to be tested, or is to be cross-checked."""
    claimed = open_claims(study, confirmation, evaluation)
    return bool(claimed) or open_cross_check(study, confirmation)


def confirm_claims(
    study: Study,
    planned: StudyPlan,
    report: Report,
    check: Callable[[], None] = lambda: None,
) -> Study:
    """Return a study with its claims tested by other attacks, and update its files.

    A requested cross-check comes first.

    Args:
        study: A finished study.
        planned: Its plan, the attack's magnitude a number.
        report: Shows the cost and the progress.
        check: Makes sure that this process still holds the folder.
    """
    confirmation = planned.request.confirmation
    if planned.evaluation is None and open_cross_check(study, confirmation):
        rows, entry = run_cross_check(study, planned, confirmation, report, check)
        study = _with(study, rows, {"cross_check": entry}, check)
    claimed = open_claims(study, confirmation, planned.evaluation)
    if not claimed:
        return study
    began = time.monotonic()
    trial = _Trial(study, planned, report, check)
    table = trial.table(claimed)
    entry = {
        **confirmation.described(),
        "key": _key(study, confirmation),
        "targets": sorted({target for target, _, _ in claimed}),
        "level": study.scoring.level,
        "seconds": round(time.monotonic() - began, 1),
    }
    if not trial.restarts:
        entry |= {"steps": 0, "restarts": 0}
    return _with(study, table, {"confirmation": entry}, check)


def _with(
    study: Study, rows: pd.DataFrame, entry: Mapping[str, Any], check: Callable[[], None]
) -> Study:
    """Return a study with new rows instead of old ones of the same kind, and write them."""
    table = merge_confirmations(study.confirmation, rows)
    manifest = {**study.manifest, **entry}
    if study.folder is not None:
        check()
        stored = read_manifest(study.folder)
        tables = stored["tables"] | write_tables(study.folder, {CONFIRMATION: table})
        write_manifest(study.folder, {**stored, **entry, "tables": tables})
        manifest["tables"] = tables
        crossed = set(rows["stress"]) == {CROSS}
        remove_steps(study.folder, f"{CROSS}-" if crossed else "")
    return replace(study, manifest=manifest, confirmation=table)


def _key(study: Study, confirmation: Confirmation) -> str:
    """Return the identity of a confirmation of a study."""
    scoring = study.scoring
    return hash_values(
        {
            "study": study.manifest.get("study"),
            "confirmation": confirmation.described(),
            "scoring": [scoring.tolerance, scoring.level, scoring.multiplicity],
        }
    )


def _last_key(study: Study) -> str:
    return study.metadata.confirmation.key


@dataclass(frozen=True)
class _Trial:
    """The steps of a confirmation: claims that fail one are not measured in the next."""

    study: Study
    planned: StudyPlan
    report: Report
    check: Callable[[], None]

    @property
    def confirmation(self) -> Confirmation:
        return self.planned.request.confirmation

    @property
    def controls(self) -> tuple[str, ...]:
        """What else is measured for claims that hold; random removal says nothing of new values."""
        known = (NOISE,) if self.study.replaces else CONTROLS
        return known if self.confirmation.draws else ()

    def table(self, claimed: Sequence[Claim]) -> pd.DataFrame:
        """Return the scores under each attack, see ``analysis.confirmation.COLUMNS``."""
        self._show_cost(claimed)
        is_adaptive = self.planned.spec.adaptive or TRANSFER in self.evaluations
        first = TRANSFER if is_adaptive else ADAPTIVE
        stronger = (RESTARTS,) if self.restarts else ()
        left, parts = self._test_claims(claimed, FILTER, (first, *stronger))
        for control in self.controls:
            parts += self._test_claims(left, control, (ADAPTIVE, *stronger))[1]
        table = pd.concat(parts, ignore_index=True)
        return table.loc[:, list(COLUMNS)].reset_index(drop=True)

    def _test_claims(
        self, claimed: Sequence[Claim], stress: str, attacks: Sequence[str]
    ) -> tuple[list[Claim], list[pd.DataFrame]]:
        """Return the claims that hold under all attacks, and the scores under each attack."""
        parts, left = [], list(claimed)
        for attack in attacks:
            targets = list(dict.fromkeys(target for target, _, _ in left))
            if not targets:
                break
            rows = self._measure(targets, stress, attack).assign(stress=stress, attack=attack)
            parts.append(rows)
            by = {
                (row["target"], row["filter"], row["score"]): row for row in rows.to_dict("records")
            }
            left = [key for key in left if claim_holds(by[key], self.study.scoring.tolerance)]
        return left, parts

    def _measure(self, targets: Sequence[str], stress: str, attack: str) -> pd.DataFrame:
        """Return the scores of some targets under one attack; of controls, the mean over draws."""
        cells, removals = self.planned.cells_of(targets)
        draws = 1 if stress == FILTER else self.confirmation.draws
        if stress != FILTER:
            removals = [
                replace(one, draw=_draw(one, stress, draw), noise=stress == NOISE)
                for one in removals
                for draw in range(draws)
            ]
        stage = f"Confirming: {_STRESSES[stress]}, {_ATTACKS[attack]}"
        step = Step(f"{stress}-{attack}", stage, cells, removals, self._spec(attack))
        read = self._remeasurement.blocks(step)

        def blocks() -> Iterator[StoredOutcomes]:
            for block in read():
                yield _over_draws(block, draws)

        means = Means(binary=False if self.study.metadata.metric.aggregate else None)
        for block in blocks():
            means.add(block)
        base = replace(
            self.study.base,
            clean=float(means.of("base_clean")),
            adversarial=float(means.of("base_adversarial")),
        )
        responses = response_table(cells, means)
        if attack != RESTARTS:
            responses = trusted_responses(responses, self.study.metadata.attack)
        return attack_scores(
            responses,
            base,
            blocks,
            claim_scoring(self.study.scoring),
            len(self._remeasurement.samples),
        )

    def _spec(self, attack: str) -> MeasurementSpec:
        own = self.planned.spec
        if self.evaluations:
            return replace(own, evaluation=self.evaluations.get(attack, own.evaluation))
        if attack == RESTARTS:
            assert self.stronger is not None
            own = replace(own, attack=self.stronger)
        return replace(own, adaptive=attack != TRANSFER)

    @cached_property
    def evaluations(self) -> Mapping[str, Evaluation]:
        """What measures under each attack, if an evaluation measured the study."""
        evaluation = self.planned.evaluation
        if evaluation is None or evaluation.confirming is None:
            return {}
        return evaluation.confirming(self.confirmation.steps, self.confirmation.restarts)

    @property
    def restarts(self) -> bool:
        """Whether claims are tested by a stronger attack, too."""
        return RESTARTS in self.evaluations or self.stronger is not None

    @cached_property
    def stronger(self) -> PGD | None:
        """PGD of the same magnitude, norm and target; None if there is no magnitude or gradient."""
        own = self.planned.request.attack
        if not self.study.metadata.attack.scaled:
            return None
        steps, restarts = self.confirmation.steps, self.confirmation.restarts
        if isinstance(own, PGD):
            steps, restarts = max(steps, own.steps), max(restarts, own.restarts)
        strong = PGD(
            own.epsilon,
            steps=steps,
            step_size=_CROSSING / steps,
            restarts=restarts,
            norm=norm_of(own),
            target=target_of(own),
        )
        custom = isinstance(own, CustomAttack)  # which may go without gradients
        return strong if not custom or _has_gradients(self.planned, strong) else None

    @cached_property
    def _remeasurement(self) -> Remeasurement:
        key, most = _key(self.study, self.confirmation), self.confirmation.samples
        return Remeasurement(self.study, self.planned, most, key, self.report, self.check)

    def _show_cost(self, claimed: Sequence[Claim]) -> None:
        """Show the longest time that the confirmation takes, estimated from one removal."""
        targets = list(dict.fromkeys(target for target, _, _ in claimed))
        _, removals = self.planned.cells_of(targets)
        strong = self.confirmation if self.evaluations else self.stronger
        steps = 0 if strong is None else strong.steps * strong.restarts
        remeasurement = self._remeasurement
        # The unfiltered network is attacked, too.
        once = time_of(remeasurement, removals[:1], self._spec(ADAPTIVE)) / 2
        cells, runs = len(removals), 1 + len(self.controls) * self.confirmation.draws
        work = (
            cells
            * len(remeasurement.samples)
            * once
            * (1 + steps)
            / remeasurement.measurer.engine.workers
        )
        names = "1 target" if len(targets) == 1 else f"{len(targets)} targets"
        self.report(
            f"Confirming {names}, antifragile under attack as it seems: {cells} cells × "
            f"{1 + steps} attack steps on {len(remeasurement.samples)} samples, about "
            f"{format_seconds(work)}; where that holds, {runs - 1} times as much for controls. "
            "`--confirm never` leaves it out.",
            0,
            SENTENCE,
        )


def _has_gradients(planned: StudyPlan, attack: PGD) -> bool:
    """Return whether an attack that follows gradients can be made against a network."""
    both = planned.samples.inputs, planned.samples.labels
    inputs, labels = move_to(select_rows(both, slice(0, 2)), device_of(planned.network))
    options = {"bounds": planned.samples.bounds, "loss": planned.request.loss, "seed": 0}
    try:
        perturb(planned.network, inputs, labels, shortest(attack), **options)
    except HormesisError:
        return False
    return True


def _draw(removal: Removal, stress: str, number: int) -> int:
    """Return the seed of a control, which depends on the removal, not on the order."""
    digest = hashlib.sha256(f"{stress}/{number}/{removal.key()}".encode()).digest()
    return int.from_bytes(digest[:7]) % _DRAWS


def _over_draws(block: StoredOutcomes, draws: int) -> StoredOutcomes:
    """Return outcomes averaged over consecutive draws."""
    if draws == 1:
        return block

    def mean(values: Any) -> Any:  # noqa: ANN401
        return values.reshape(-1, draws, *values.shape[1:]).mean(axis=1)

    return replace(
        block,
        clean=mean(block.clean),
        adversarial=mean(block.adversarial),
        changed=block.changed.reshape(-1, draws).any(axis=1),
        idle=None if block.idle is None else mean(block.idle) > 0.5,
    )
