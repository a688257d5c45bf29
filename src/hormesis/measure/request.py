"""What an analysis was asked, and what is laid out from it before anything is measured."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from hormesis.analysis.scores import plain_scoring
from hormesis.data.samples import Samples
from hormesis.engine.outcomes import Question
from hormesis.engine.plan import Plan
from hormesis.engine.progress import Report
from hormesis.engine.shards import Work
from hormesis.engine.tables import (
    cell_table,
    flow_entry,
    removal_table,
    sample_table,
    target_table,
)
from hormesis.measure import manifest
from hormesis.measure.study_writer import Outline, identified
from hormesis.settings.attacks import AUTO, Attack, describe_attack
from hormesis.settings.confirmation import Confirmation
from hormesis.settings.execution import Execution
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.storage.environment import environment
from hormesis.storage.files import CELLS, REMOVALS, SAMPLES, TARGETS
from hormesis.storage.validation import plainly
from hormesis.stress.epsilon import EpsilonChoice, automatic_epsilon
from hormesis.stress.metrics import Metric, accuracy

_USUAL_TRIALS = 12  # of magnitudes, until one fits


@dataclass(frozen=True)
class Request:
    """Everything that was asked for besides network and data."""

    attack: Attack
    targets: Targets
    sweep: Sweep
    scoring: Scoring
    metric: Metric
    out: Path | None
    execution: Execution
    confirmation: Confirmation
    name: str
    origin: dict[str, Any]


@dataclass(frozen=True)
class Planned:
    """What is measured: samples in the order of the study."""

    network: nn.Module
    samples: Samples
    plan: Plan
    question: dict[str, Any]


def outline_of(
    planned: Planned,
    request: Request,
    edges: list[int],
    chosen: tuple[Attack, EpsilonChoice | None],
    work: Work,
) -> Outline:
    """Return what the study holds from the start."""
    attack, choice = chosen
    described, plan = describe_attack(attack, choice and asdict(choice)), planned.plan
    magnitude = {"epsilon": described["epsilon"]}
    removals = removal_table(plan)
    chance = manifest.chance_of(planned.samples, request.metric)
    written = {
        "study": identified(planned.question, magnitude, removals["key"].tolist()),
        "question": planned.question,
        "attack": described,
        "scoring": plain_scoring(request.scoring),
        **({} if chance is None else {"chance": chance}),
        "shards": {"edges": edges},
        **({"origin": request.origin} if request.origin else {}),
        **flow_entry(work.engine.flow, plan.targets),
        "notes": plainly(list(work.engine.notes)),
        "run": {
            "engine": work.engine.name,
            "workers": work.engine.workers,
            "batch": work.batch,
            "began": time.time(),
            **environment(),
        },
    }
    tables = {
        TARGETS: target_table(plan),
        CELLS: cell_table(plan),
        REMOVALS: removals,
        SAMPLES: sample_table(planned.samples),
    }
    return Outline(written, tables)


def question_of(request: Request, samples: Samples, epsilon: float | str) -> Question:
    """Return how every cell is measured, with an attack of this magnitude."""
    return Question(
        request.metric,
        replace(request.attack, epsilon=epsilon),
        adaptive=request.sweep.adversary == "adaptive",
        bounds=samples.bounds,
        seed=request.sweep.seed,
    )


def settled_attack(
    planned: Planned, request: Request, report: Report, batch: int, known: Mapping[str, Any]
) -> tuple[Attack, EpsilonChoice | None]:
    """Return the attack with a number for its magnitude, and how that was chosen."""
    if request.attack.epsilon != AUTO:
        return request.attack, None
    if known:
        choice = EpsilonChoice(**known["attack"]["chosen"])
        return replace(request.attack, epsilon=choice.epsilon), choice
    stage = "Choosing the magnitude"
    choice = automatic_epsilon(
        planned.network,
        planned.samples,
        request.attack,
        batch=batch,
        seed=request.sweep.seed,
        chance=manifest.chance_of(planned.samples, accuracy) or 0.0,
        progress=lambda tried: report(stage, tried, max(tried + 1, _USUAL_TRIALS)),
    )
    report(stage, choice.evaluations, choice.evaluations)
    return replace(request.attack, epsilon=choice.epsilon), choice
