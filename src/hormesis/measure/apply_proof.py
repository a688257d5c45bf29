"""The proof of an applied network: every network measured on samples that had no part in a choice.

Each attack is made against the network that it is measured on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from hormesis.analysis.effects import CLEAN
from hormesis.data.bounds import is_uniform
from hormesis.engine import evaluated, plain
from hormesis.engine.memory import most_samples
from hormesis.engine.outcomes import MeasurementSpec, Outcomes
from hormesis.engine.progress import Report
from hormesis.engine.shards import block_of, doubled, even_edges
from hormesis.measure.apply_baselines import Variant
from hormesis.measure.shard_worker import device_of
from hormesis.measure.standing import masked
from hormesis.measure.study_plan import StudyPlan
from hormesis.results.applied_tables import OUTCOME_COLUMNS
from hormesis.settings.apply import Proof
from hormesis.settings.attacks import FGSM, PGD
from hormesis.settings.threat import LINF, norm_of, target_of
from hormesis.stress.class_metrics import accuracy
from hormesis.stress.kinds import own_network
from hormesis.training.controls_config import EvaluationConfig
from hormesis.training.robustness import evaluate_robustness

Facts = dict[str, float | int | None]
_MOST = 128  # samples that are measured at a time


@dataclass(frozen=True)
class ProofRun:
    """How the networks of a proof are measured.

    Args:
        planned: The plan of the study, on the samples of the proof.
        proof: The settings.
        report: Shows progress.
    """

    planned: StudyPlan
    proof: Proof
    report: Report

    @property
    def attacks(self) -> tuple[str, ...]:
        """Names of what the networks are measured under, besides clean samples."""
        if self.classified:
            return ("fgsm", "pgd", "autoattack") if self.proof.autoattack else ("fgsm", "pgd")
        return tuple(dict.fromkeys(name for name, _ in self._specs))

    @property
    def epsilon(self) -> float | None:
        """Magnitude of the attacks; None without one."""
        epsilon = self.planned.request.attack.epsilon
        return None if epsilon is None else float(epsilon)

    @property
    def classified(self) -> bool:
        """Whether networks are classifiers of single inputs, attacked in the usual norm."""
        request, samples = self.planned.request, self.planned.samples
        attack = request.attack
        return (
            isinstance(attack, FGSM | PGD)
            and norm_of(attack) == LINF
            and target_of(attack) is None
            and request.metric.name == accuracy.name
            and samples.classes > 0
            and isinstance(samples.inputs, Tensor)
            and samples.inputs.is_floating_point()
            and is_uniform(samples.bounds)
        )

    @property
    def _specs(self) -> list[tuple[str, MeasurementSpec]]:
        """How stressed samples are measured: by the study's stress, and a stronger attack."""
        own, attack = self.planned.spec, self.planned.request.attack
        if not own.stressed:
            return []
        if own.given or own.evaluation is not None:
            return [("stressed", own)]
        strong = PGD(
            attack.epsilon,
            steps=self.proof.steps,
            restarts=self.proof.restarts,
            norm=norm_of(attack),
            target=target_of(attack),
        )
        specs = [(attack.name, replace(own, adaptive=True))] if attack.name != strong.name else []
        return [*specs, (strong.name, replace(own, attack=strong, adaptive=True))]

    def outcomes(self, variant: Variant) -> tuple[pd.DataFrame, Facts]:
        """Return the outcomes of a network, and what is known of it besides.

        Args:
            variant: The network.
        """
        own = own_network(self.planned.network)
        stage = f"Proving: {variant.name}"
        with masked(own, variant.masks):
            if self.classified:
                table, base = self._robustness(stage)
            else:
                table, base = self._measured(stage)
        facts: Facts = {"removed": variant.removed, **_idle(base, self.planned)}
        table.insert(0, "draw", variant.draw)
        table.insert(0, "network", variant.name)
        return table.loc[:, list(OUTCOME_COLUMNS)], facts

    def _robustness(self, stage: str) -> tuple[pd.DataFrame, Outcomes]:
        """Return the accuracies of a classifier, and its idle samples under FGSM."""
        config = EvaluationConfig(
            epsilons=(float(self.planned.request.attack.epsilon),),
            steps=self.proof.steps,
            restarts=self.proof.restarts,
            autoattack=self.proof.autoattack,
            seed=self.proof.seed,
        )
        network, samples = self.planned.network, self.planned.samples
        table = evaluate_robustness(network, samples, config, partial(self.report, stage))
        spec = replace(self.planned.spec, attack=FGSM(config.epsilons[0]), adaptive=True)
        table = table.rename(columns={"right": "performance"})
        return table.assign(performance=table["performance"].astype(float)), self._base(spec, stage)

    def _measured(self, stage: str) -> tuple[pd.DataFrame, Outcomes]:
        """Return clean and stressed performance of any network."""
        epsilon, parts, last = self.epsilon or 0.0, [], None
        specs: Sequence[tuple[str, MeasurementSpec]] = self._specs or [("", self.planned.spec)]
        for number, (name, spec) in enumerate(specs):
            last = self._base(spec, stage)
            if number == 0:
                parts.append(_rows(CLEAN, 0.0, last.base_clean))
            if name:
                parts.append(_rows(name, epsilon, last.base_adversarial))
        assert last is not None
        return pd.concat(parts, ignore_index=True), last

    def _base(self, spec: MeasurementSpec, stage: str) -> Outcomes:
        """Return the outcomes of the network as it is, by the plain loop."""
        network, samples = self.planned.network, self.planned.samples
        spec, device = replace(spec, precision="exact"), device_of(network)
        loop = plain.measure if spec.evaluation is None else evaluated.measure
        parts, most = [], max(min(most_samples(samples.inputs), _MOST), 2)
        for first, end in pairwise(even_edges(0, len(samples), most)):
            block = doubled(block_of(samples, slice(first, end), first)).to(device)
            parts.append(loop(network, [], block, spec).head(end - first))
            self.report(stage, end, len(samples))
        return Outcomes.concatenate(parts)


def _rows(attack: str, epsilon: float, values: Tensor) -> pd.DataFrame:
    own = values.double().cpu().numpy()
    return pd.DataFrame(
        {"attack": attack, "epsilon": epsilon, "sample": range(len(own)), "performance": own}
    )


def _idle(base: Outcomes, planned: StudyPlan) -> Facts:
    """Return shares of right answers without a gradient, and left as they were, under attack."""
    unknown: Facts = {"zero_gradient": None, "unmoved": None}
    request = planned.request
    if not request.attacked or planned.evaluation is not None:
        return unknown
    idle = base.base_idle.cpu().numpy()
    if request.metric.binary:
        idle = idle[:, (base.base_clean > 0).cpu().numpy()]
    if not idle.shape[1]:
        return unknown
    zero, unmoved = idle.mean(axis=1).tolist()
    return {"zero_gradient": zero, "unmoved": unmoved}


def as_numbers(facts: Mapping[str, Any]) -> dict[str, float]:
    """Return facts with NaN for what is not known."""
    return {name: np.nan if value is None else float(value) for name, value in facts.items()}


def prove(
    run: ProofRun,
    variants: Sequence[Variant],
    stored: pd.DataFrame | None,
    keep: Callable[[pd.DataFrame, Mapping[str, Facts]], None],
    facts: Mapping[str, Facts],
) -> tuple[pd.DataFrame, dict[str, Facts]]:
    """Return the outcomes of all networks, and what is known of each besides.

    Args:
        run: How they are measured.
        variants: The networks.
        stored: Outcomes of networks that were measured before.
        keep: Called with all outcomes and facts so far, after every network.
        facts: What is known of networks that were measured before.
    """
    parts, known = ([] if stored is None else [stored]), dict(facts)
    done = set() if stored is None else set(zip(stored["network"], stored["draw"], strict=True))
    for variant in variants:
        if (variant.name, variant.draw) in done:
            continue
        table, own = run.outcomes(variant)
        parts.append(table)
        known.setdefault(variant.name, own)
        keep(pd.concat(parts, ignore_index=True), known)
    return pd.concat(parts, ignore_index=True), known
