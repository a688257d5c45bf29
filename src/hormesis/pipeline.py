"""The main path: a network and its data in, a study out."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hormesis import manifest
from hormesis.analysis.responses import Means
from hormesis.analysis.stopping import Stopping, looks
from hormesis.engine.engines import Engine, choose_engine
from hormesis.engine.fitness import refuse_unfit
from hormesis.engine.memory import allotted, footprint, most_samples, room
from hormesis.engine.outcomes import Block, Outcomes, Question
from hormesis.engine.plan import Plan, Removal, make_plan
from hormesis.engine.sweep import sweep as blocks_measured
from hormesis.engine.tables import cell_table, flow_entry, target_table
from hormesis.errors import ModelError, StudyError
from hormesis.inputs.models import check_network
from hormesis.inputs.samples import Samples, samples_from
from hormesis.inputs.subset import shuffled
from hormesis.report.progress import Report, shown
from hormesis.settings import Run, Scoring, Sweep, Targets
from hormesis.storage import (
    StoredOutcomes,
    check_free,
    is_study,
    packed_outcomes,
    staged,
    write_outcomes,
    write_tables,
)
from hormesis.stress.adversaries import AUTO, FGSM, Attack
from hormesis.stress.epsilon import EpsilonChoice, automatic_epsilon
from hormesis.stress.guard import evaluating
from hormesis.stress.performance import Performance, as_performance
from hormesis.stress.targets import find_targets
from hormesis.study import Study, open_study


def analyze(
    network: nn.Module,
    data: Any,  # noqa: ANN401
    *,
    attack: Attack = FGSM(),
    targets: Targets = Targets(),
    sweep: Sweep = Sweep(),
    scoring: Scoring = Scoring(),
    performance: Any = "accuracy",  # noqa: ANN401
    out: str | Path | None = None,
    run: Run = Run(),
    name: str = "",
    origin: Mapping[str, Any] | None = None,
) -> Study:
    """Measure how a network answers to the removal of its parameters, and score every target.

    The network is measured in evaluation mode and is the same afterwards, bit for bit.

    Args:
        network: Any network that returns logits of shape ``[batch, classes]``, on any device.
        data: ``(inputs, labels)``, a ``Dataset``, a ``DataLoader`` or ``Samples``; inputs between 0
            and 1 unless ``samples_from`` declares other bounds. Normalisation belongs into the
            network, see ``normalized``.
        attack: The adversary, ``FGSM`` or ``PGD``.
        targets: Which parameters are filtered.
        sweep: Filters, thresholds, adversary and control.
        scoring: Base, reference and tolerance; ``Study.score`` can change them afterwards.
        performance: ``"accuracy"``, ``"top5"``, ``"loss"``, a ``Performance``, or a function of
            logits and labels that returns one number a sample, where more is better.
        out: Folder for the study; None keeps tables and outcomes in memory only. A finished study
            of the same question in that folder is opened, not measured again.
        run: Engine, workers and progress; nothing that changes a result.
        name: What tables and the manifest call the network; its class by default.
        origin: Where the network comes from, as plain values that the manifest shall hold.

    Returns:
        The study.

    Raises:
        HormesisError: One sentence on what cannot be measured or written, before the slow part
            wherever that can be known.

    Example:
        >>> import torch
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
        >>> _ = network[1].weight.data.copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))
        >>> images = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.3], [0.4, 0.45]])
        >>> study = analyze(network, (images, torch.tensor([0, 1, 0, 1])), attack=FGSM(0.2),
        ...                 run=Run(progress=False))
        >>> study.base
        Base(clean=1.0, adversarial=0.5, higher_is_better=True)
        >>> study.scores["target"].unique().tolist()
        ['1.weight']
    """
    request = _Request(
        attack=attack,
        targets=targets,
        sweep=sweep,
        scoring=scoring,
        performance=as_performance(performance),
        out=None if out is None else Path(out),
        run=run,
        name=name or manifest.network_name(network),
        origin=dict(origin or {}),
    )
    with shown(enabled=run.progress) as report:
        samples = samples_from(data, progress=partial(report, "Reading the data"))
        return _study(network, samples, request, report)


_ROWS = 8  # that show whether a network can be measured at all
_SMALL = 1e-3  # stands for a magnitude that is not chosen yet; no memory depends on it
_USUAL_TRIALS = 12  # of magnitudes, until the accuracy is halved


@dataclass(frozen=True)
class _Request:
    """Everything that was asked for besides network and data."""

    attack: Attack
    targets: Targets
    sweep: Sweep
    scoring: Scoring
    performance: Performance
    out: Path | None
    run: Run
    name: str
    origin: dict[str, Any]


def _study(network: nn.Module, samples: Samples, request: _Request, report: Report) -> Study:
    """Check everything that can be known beforehand, then measure."""
    example = samples.inputs[:2].to(_device(network))
    check_network(network, example, samples.classes)
    refuse_unfit(network, samples.inputs[:_ROWS].to(_device(network)))
    with evaluating(network):
        targets = find_targets(network, example, request.targets)
        plan = make_plan(network, targets, request.sweep)
        identity = {
            "name": request.name,
            "fingerprint": manifest.network_fingerprint(network),
        }
        question = manifest.question(
            identity, samples, request.attack, (request.targets, request.sweep, request.performance)
        )
        if request.sweep.until is not None:  # how many samples are measured depends on scores
            question["until"] = asdict(request.scoring)
            order = shuffled(len(samples), request.sweep.seed)
            samples = replace(samples, inputs=samples.inputs[order], labels=samples.labels[order])
        finished = _finished(request, question)
        if finished is not None:
            return finished
        return _measured(network, samples, request, (plan, question), report)


def _finished(request: _Request, question: Mapping[str, Any]) -> Study | None:
    """Return the study that ``out`` holds already, if its question is the same.

    Raises:
        StudyError: If the folder holds something else, or a study of another question.
    """
    out = request.out
    if out is None:
        return None
    if request.run.overwrite or not is_study(out):
        check_free(out, overwrite=request.run.overwrite)
        return None
    study = open_study(out)
    difference = manifest.first_difference(question, study.manifest["question"])
    if difference:
        raise StudyError(
            f"The folder {out} holds a study of another question ({difference}); choose another "
            "one with `out`, or replace it with `overwrite`."
        )
    return study.scored(request.scoring)


def _measured(
    network: nn.Module,
    samples: Samples,
    request: _Request,
    planned: tuple[Plan, dict[str, Any]],
    report: Report,
) -> Study:
    """Measure the plan, and write the study if a folder was asked for."""
    plan, question = planned
    started = time.monotonic()
    out, overwrite = request.out, request.run.overwrite
    with nullcontext() if out is None else staged(out, overwrite=overwrite) as folder:
        device = _device(network)
        engine, batch = _equipped(network, samples, request, plan.removals)
        attack, choice = _settled(network, samples, request, report, batch)
        asked = _asked(request, samples, attack.epsilon)
        stopping = _stopping(plan, request, len(samples))  # never, unless that was asked for

        def measure(block: Block, tick: Callable[[], None]) -> StoredOutcomes:
            wanted = stopping.wanted  # of which those that are settled by now are no part
            removals = list(compress(plan.removals, wanted))
            return _stored(engine.measure(removals, block.to(device), asked, tick), wanted)

        packed = _swept(measure, samples, stopping, folder, (engine.workers, batch), report)
        means = stopping.means
        _check_base(means, request.performance)
        responses = stopping.responses()
        targets = target_table(plan, responses)
        settled = manifest.describe_settled(stopping.prefixes)
        written = {
            "question": question,
            "attack": manifest.describe_attack(attack, choice),
            "scoring": asdict(request.scoring),
            "base": manifest.describe_base(means, request.performance),
            **({"settled": settled} if settled else {}),
            **({"origin": request.origin} if request.origin else {}),
            **flow_entry(engine.flow, plan.targets),
            "notes": [
                *manifest.notes(means, attack, choice, request.performance),
                *engine.notes,
                *stopping.notes(),
            ],
            "run": {
                "engine": engine.name,
                "workers": engine.workers,
                "seconds": round(time.monotonic() - started, 1),
                **manifest.environment(),
            },
        }
        if folder is not None:
            write_tables(folder, written, targets, responses)
    return Study(written, targets, responses, out, tuple(packed))


def _swept(
    measure: Callable[[Block, Callable[[], None]], StoredOutcomes],
    samples: Samples,
    stopping: Stopping,
    folder: Path | None,
    equipment: tuple[int, int],
    report: Report,
) -> list[bytes]:
    """Measure block by block until enough was seen; return what no folder keeps."""
    workers, batch = equipment
    asked = stopping.until is not None
    packed = list[bytes]()
    for first, outcomes in blocks_measured(
        measure,
        samples,
        len(stopping.wanted),
        workers=workers,
        most=batch,
        ahead=0 if asked else None,
        cuts=tuple(looks(len(samples))) if asked else (),
        report=partial(report, "Measuring"),
    ):
        packed.extend(_kept(folder, first, stopping.update(outcomes)))
        if stopping.done:
            break
    if stopping.done:
        report("Measuring", 1, 1)  # what was saved will not be measured
    return packed


def _equipped(
    network: nn.Module, samples: Samples, request: _Request, removals: Sequence[Removal]
) -> tuple[Engine, int]:
    """Return the engine, with as many workers as memory holds, and the samples in a block."""
    few = Block(samples.inputs[:2], samples.labels[:2]).to(_device(network))
    engine = choose_engine(network, few.inputs, request.run, request.sweep)
    taken = footprint(engine.measure, removals, few, _asked(request, samples, _SMALL))
    free = room(request.run.memory, few.inputs.device)
    workers, batch = allotted(taken, free, engine.workers, most_samples(few.inputs))
    return replace(engine, workers=workers), batch


def _asked(request: _Request, samples: Samples, epsilon: float | str) -> Question:
    return Question(
        request.performance,
        replace(request.attack, epsilon=epsilon),
        adaptive=request.sweep.adversary == "adaptive",
        bounds=samples.bounds,
        seed=request.sweep.seed,
    )


def _settled(
    network: nn.Module, samples: Samples, request: _Request, report: Report, batch: int
) -> tuple[Attack, EpsilonChoice | None]:
    """Return the attack with a number for its magnitude, and how that was chosen."""
    if request.attack.epsilon != AUTO:
        return request.attack, None
    stage = "Choosing the magnitude"
    choice = automatic_epsilon(
        network,
        samples,
        request.attack,
        batch=batch,
        seed=request.sweep.seed,
        progress=lambda tried: report(stage, tried, max(tried + 1, _USUAL_TRIALS)),
    )
    report(stage, choice.evaluations, choice.evaluations)
    return replace(request.attack, epsilon=choice.epsilon), choice


def _stopping(plan: Plan, request: _Request, samples: int) -> Stopping:
    """Return what decides when enough samples were seen."""
    better = request.performance.higher_is_better
    return Stopping(cell_table(plan), request.scoring, request.sweep.until, samples, better)


def _kept(folder: Path | None, first: int, outcomes: StoredOutcomes) -> list[bytes]:
    """Write the outcomes of a block or, without a folder, return them to be kept in memory."""
    if folder is None:
        return [packed_outcomes(first, outcomes)]
    write_outcomes(folder, first, outcomes)
    return []


def _check_base(means: Means, performance: Performance) -> None:
    for name in ("clean", "adversarial"):
        if not math.isfinite(float(means.of(f"base_{name}"))):
            raise ModelError(
                f"The {name} {performance.name} of the unfiltered network is NaN or infinite: "
                "measure another performance, or check the network on all samples."
            )


def _stored(outcomes: Outcomes, measured: np.ndarray) -> StoredOutcomes:
    """Return the outcomes of those removals that were measured, in the rows of all."""

    def spread(values: Tensor) -> np.ndarray:
        found = values.cpu().numpy()
        if measured.all():
            return found
        rows = np.zeros((len(measured), *found.shape[1:]), dtype=found.dtype)
        rows[measured] = found
        return rows

    return StoredOutcomes(
        base_clean=outcomes.base_clean.cpu().numpy(),
        base_adversarial=outcomes.base_adversarial.cpu().numpy(),
        clean=spread(outcomes.clean),
        adversarial=spread(outcomes.adversarial),
        changed=spread(outcomes.changed),
        measured=None if measured.all() else measured,
    )


def _device(network: nn.Module) -> torch.device:
    parameter = next(network.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device
