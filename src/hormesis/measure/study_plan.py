"""The plan of a study: a request applied to a network and its samples, before measurement."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from hormesis.analysis.scores import plain_scoring
from hormesis.data.evaluation import Evaluation
from hormesis.data.samples import Samples, randomize_order
from hormesis.data.sampling import random_order
from hormesis.data.trees import move_to, select_rows
from hormesis.engine.outcomes import MeasurementSpec
from hormesis.engine.plan import Plan, Removal, make_plan
from hormesis.engine.progress import Report
from hormesis.engine.shards import ShardMeasurer
from hormesis.engine.tables import (
    cell_table,
    flow_entry,
    label_array,
    removal_table,
    sample_table,
    target_table,
)
from hormesis.errors import SettingError
from hormesis.measure import manifest
from hormesis.measure.preparation import Prepared
from hormesis.measure.study_writer import StudyDraft, study_identity
from hormesis.models.adapter import described_output, inner_network, perturbation_of
from hormesis.models.fingerprint import network_fingerprint
from hormesis.models.normalization import normalization_of
from hormesis.settings.attacks import Attack, describe_attack
from hormesis.settings.choices import UNFILTERED
from hormesis.settings.execution import Execution
from hormesis.settings.magnitudes import AUTO
from hormesis.settings.request import AnalysisRequest
from hormesis.storage.environment import environment
from hormesis.storage.files import CELLS, REMOVALS, SAMPLES, TARGETS
from hormesis.storage.validation import plain_values
from hormesis.stress.class_metrics import accuracy
from hormesis.stress.epsilon import EpsilonChoice, automatic_epsilon
from hormesis.stress.losses import cross_entropy
from hormesis.stress.metric import Metric
from hormesis.stress.replacing import Surroundings
from hormesis.stress.targets import find_targets
from hormesis.stress.uses import ExampleRun

_LIKELY_TRIALS = 12  # magnitudes that are usually tried


@dataclass(frozen=True)
class StudyPlan:
    """A request applied to a network and its samples.

    Args:
        request: The request; its metric is a ``Metric``, its attack's magnitude a number once
            ``with_attack`` has set it.
        network: In evaluation mode; it is not changed.
        samples: In the order of the study.
        plan: Targets, cells and removals.
        question: The request as plain values; studies with equal questions have equal results.
        evaluation: Measures the samples in place of metric and attack, if there is one.
    """

    request: AnalysisRequest
    network: nn.Module
    samples: Samples
    plan: Plan
    question: Mapping[str, Any]
    evaluation: Evaluation | None = None

    def with_attack(self, attack: Attack) -> "StudyPlan":
        """Return the plan with the attack as it is run; the question does not change."""
        return replace(self, request=replace(self.request, attack=attack))

    def at(self, epsilon: float, out: Path, execution: Execution) -> "StudyPlan":
        """Return the plan of a study of its own, at another magnitude of the attack.

        Args:
            epsilon: The magnitude, in input units.
            out: Folder of the study.
            execution: With the study that it extends, if any.
        """
        attack = replace(self.request.attack, epsilon=epsilon)
        request = replace(self.request, attack=attack, out=out, execution=execution)
        question = {**self.question, "attack": manifest.described_attack(request)}
        return replace(self, request=request, question=question)

    @property
    def spec(self) -> MeasurementSpec:
        """How every cell is measured."""
        sweep = self.request.sweep
        return MeasurementSpec(
            self.request.metric,
            self.request.attack,
            adaptive=sweep.adversary == "adaptive",
            bounds=self.samples.bounds,
            seed=sweep.seed,
            precision=sweep.precision,
            loss=self.request.loss,
            evaluation=self.evaluation,
        )

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The table of cells."""
        return cell_table(self.plan)

    @property
    def swept_targets(self) -> list[str]:
        """The names of all swept targets."""
        return list(dict.fromkeys(self.cells["target"].tolist()))

    def cells_of(self, targets: Sequence[str]) -> tuple[pd.DataFrame, list[Removal]]:
        """Return the cells of some targets without controls, and their removals."""
        cells = self.cells.drop(columns=["control"], errors="ignore")
        cells = cells.loc[cells["target"].isin(targets)].reset_index(drop=True)
        rows = sorted(set(cells["outcome"].tolist()) - {UNFILTERED})
        new_row = {row: number for number, row in enumerate(rows)} | {UNFILTERED: UNFILTERED}
        removals = [self.plan.removals[row] for row in rows]
        return cells.assign(outcome=cells["outcome"].map(new_row)), removals


def choosing_metric(planned: StudyPlan) -> Metric:
    """Return the metric that the magnitude of an attack is chosen by.

    For classes that is the accuracy, whatever is measured; for all else what is measured.
    """
    classifies = planned.samples.classes and planned.request.loss.name == cross_entropy.name
    return accuracy if classifies else planned.request.metric


def make_study_plan(prepared: Prepared, device: torch.device) -> StudyPlan:
    """Apply a request to a network and its samples.

    Args:
        prepared: The network in evaluation mode, the samples in their original order.
        device: Where the network is.

    Raises:
        HormesisError: If a target or the network cannot be measured.
    """
    network, samples, request = prepared.network, prepared.samples, prepared.request
    evaluation = prepared.evaluation
    if evaluation is None:
        example = move_to(select_rows(samples.inputs, slice(0, 2)), device)
    else:
        example = ExampleRun(partial(evaluation.measure, network, [0, 1], stressed=False))
    targets = find_targets(network, example, request.targets)
    measured = None if evaluation is not None else samples
    around = Surroundings(network, measured, request.loss)
    plan = make_plan(network, targets, request.sweep, around)
    perturbation = perturbation_of(network)
    identity = {
        "name": request.name,
        "fingerprint": network_fingerprint(inner_network(network)),
        **normalization_of(network),
        **({} if perturbation is None else {"embedding": perturbation.described()}),
        **described_output(network),
    }
    question = manifest.question(identity, samples, request)
    if evaluation is not None:
        question["data"]["fingerprint"] = evaluation.fingerprint()
    if request.sweep.until is not None:  # how many samples are measured depends on scores
        question["until"] = plain_scoring(request.scoring)
        samples = randomize_order(samples, random_order(len(samples), request.sweep.seed))
    return StudyPlan(request, network, randomize_order(samples), plan, question, evaluation)


def make_draft(
    planned: StudyPlan, edges: list[int], choice: EpsilonChoice | None, measurer: ShardMeasurer
) -> StudyDraft:
    """Return the manifest and the tables that a study starts with.

    Args:
        planned: The plan, with its attack as it is run.
        edges: Where shards begin and end.
        choice: How the attack's magnitude was chosen, if it was.
        measurer: The measurer of its shards.
    """
    request, plan, engine = planned.request, planned.plan, measurer.engine
    attack = describe_attack(request.attack, choice and choice.described())
    removals = removal_table(plan)
    chances = {
        name: request.metric.chance_on(label_array(samples))
        for name, samples in (
            ("chance", planned.samples),
            ("stressed_chance", planned.samples.stressed),
        )
        if samples is not None
    }
    magnitude = {"epsilon": attack.get("epsilon")}  # the question has the rest
    entries = {
        "study": study_identity(planned.question, magnitude, removals["key"].tolist()),
        "question": planned.question,
        "attack": attack,
        "scoring": plain_scoring(request.scoring),
        **{name: chance for name, chance in chances.items() if chance is not None},
        "metric": {
            "binary": request.metric.binary,
            **({"aggregate": request.metric.aggregate} if request.metric.aggregate else {}),
        },
        "shards": {"edges": edges},
        **({"origin": request.origin} if request.origin else {}),
        **flow_entry(engine.flow, plan.targets),
        "notes": plain_values([*request.notes, *engine.notes]),
        "run": {
            "engine": engine.name,
            "workers": engine.workers,
            "batch": measurer.batch,
            "began": time.time(),
            **environment(),
        },
    }
    tables = {
        TARGETS: target_table(plan),
        CELLS: planned.cells,
        REMOVALS: removals,
        SAMPLES: sample_table(planned.samples),
    }
    return StudyDraft(entries, tables)


def choose_epsilon(
    planned: StudyPlan, report: Report, batch: int, existing: Mapping[str, Any]
) -> EpsilonChoice | None:
    """Choose the magnitude of the attack from the samples; None if the request has a number.

    Args:
        planned: The plan.
        report: Shows the progress of the search.
        batch: Samples attacked at a time.
        existing: The manifest of the study to resume, which has chosen already, or an empty one.
    """
    request = planned.request
    if request.attack.epsilon != AUTO:
        return None
    if existing:
        return EpsilonChoice(**existing["attack"]["chosen"])
    show = partial(report, "Choosing the magnitude")
    metric = choosing_metric(planned)
    chance = metric.chance_on(label_array(planned.samples))
    if chance is None:
        raise SettingError(
            f"Expected `epsilon` as a number for the metric {metric.name!r}: 'auto' takes it "
            "half-way to the score of guessing, which is not known."
        )
    choice = automatic_epsilon(
        planned.network,
        planned.samples,
        request.attack,
        batch=batch,
        seed=request.sweep.seed,
        chance=chance,
        progress=lambda tried: show(tried, max(tried + 1, _LIKELY_TRIALS)),
        metric=metric,
        loss=request.loss,
    )
    show(choice.evaluations, choice.evaluations)
    return choice
