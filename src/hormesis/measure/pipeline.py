"""The main path: a network and its data in, a study out."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from torch import nn

from hormesis.analysis.chance import chose
from hormesis.analysis.scores import plain_scoring
from hormesis.analysis.stopping import Stopping, looks
from hormesis.data.samples import Samples, randomize_order, samples_from
from hormesis.data.sampling import random_order
from hormesis.engine.plan import make_plan
from hormesis.engine.progress import Report, shown
from hormesis.engine.shards import shard_edges
from hormesis.engine.tables import cell_table
from hormesis.errors import StudyError
from hormesis.measure import manifest
from hormesis.measure.confirm import Subject, confirmed, is_left
from hormesis.measure.extend import Source, source_of
from hormesis.measure.ray_pool import connected, sweeper_of
from hormesis.measure.request import Planned, Request, outline_of, question_of, settled_attack
from hormesis.measure.shard_worker import Worker, device_of, equipped
from hormesis.measure.study_writer import (
    FINISHED,
    Outline,
    as_asked_before,
    audit_of,
    begin,
    finish,
    grow,
    is_whole,
    place_of,
)
from hormesis.models.checks import check_measurable
from hormesis.models.eval_mode import evaluation_mode
from hormesis.models.fingerprint import network_fingerprint, network_name
from hormesis.models.networks import check_network
from hormesis.models.normalization import normalization_of
from hormesis.results.study import Study, load_study
from hormesis.settings.attacks import FGSM, Attack
from hormesis.settings.confirmation import Confirmation
from hormesis.settings.execution import Execution
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.storage import (
    CELLS,
    NEXT,
    REMOVALS,
    FolderStore,
    MemoryStore,
    begun,
    discard,
    locked,
    opened,
    place_of_study,
    recover,
    swap,
    tidy,
)
from hormesis.storage.rules import plainly
from hormesis.storage.shards import most_bytes
from hormesis.stress.metrics import as_metric
from hormesis.stress.targets import find_targets


def analyze(
    network: nn.Module,
    data: Any,  # noqa: ANN401
    *,
    attack: Attack = FGSM(),
    targets: Targets = Targets(),
    sweep: Sweep = Sweep(),
    scoring: Scoring = Scoring(),
    metric: Any = "accuracy",  # noqa: ANN401
    out: str | Path | None = None,
    execution: Execution = Execution(),
    confirmation: Confirmation = Confirmation(),
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
        scoring: Base, reference and tolerance; ``Study.scores_with`` can change them afterwards.
        metric: ``"accuracy"``, ``"top5"``, ``"loss"``, a ``Metric``, or a function of
            logits and labels that returns one number a sample, where more is better.
        out: Folder for the study; None keeps tables and outcomes in memory only. A study of the
            same question in that folder is opened if it is finished, and else gone on with.
        execution: Engine, workers and progress; nothing that changes a result.
        confirmation: How claims that a target is antifragile under attack are put to the test.
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
        ...                 execution=Execution(progress=False))
        >>> study.base
        Base(clean=1.0, adversarial=0.5, higher_is_better=True, chance=0.5)
        >>> study.scores["target"].unique().tolist()
        ['1.weight']
    """
    request = Request(
        attack=attack,
        targets=targets,
        sweep=sweep,
        scoring=scoring,
        metric=as_metric(metric),
        out=None if out is None else Path(out),
        execution=execution,
        confirmation=confirmation,
        name=name or network_name(network),
        origin=plainly(dict(origin or {})),
    )
    with shown(enabled=execution.progress) as report, connected(execution):
        samples = samples_from(data, progress=partial(report, "Reading the data"))
        return _study(network, samples, request, report)


_ROWS = 8  # that show whether a network can be measured at all
_SMALL = 1e-3  # stands for a magnitude that is not chosen yet; no memory depends on it


def _study(network: nn.Module, samples: Samples, request: Request, report: Report) -> Study:
    """Check everything that can be known beforehand, then measure what is not there yet."""
    device = device_of(network)
    example = samples.inputs[:2].to(device)
    check_network(network, example, samples.classes)
    check_measurable(network, samples.inputs[:_ROWS].to(device), request.metric.name)
    with evaluation_mode(network):
        targets = find_targets(network, example, request.targets)
        plan = make_plan(network, targets, request.sweep)
        identity = {
            "name": request.name,
            "fingerprint": network_fingerprint(network),
            **normalization_of(network),
        }
        question = manifest.question(
            identity, samples, request.attack, (request.targets, request.sweep, request.metric)
        )
        if request.sweep.until is not None:  # how many samples are measured depends on scores
            question["until"] = plain_scoring(request.scoring)
            samples = randomize_order(samples, random_order(len(samples), request.sweep.seed))
        planned = Planned(network, randomize_order(samples), plan, question)
        if request.out is None:
            study = _measured(planned, request, report, (None, lambda: None), {})
            return _confirmed(study, planned, request, report)
        return _kept(planned, request, report, place_of_study(request.out))


def _kept(planned: Planned, request: Request, report: Report, out: Path) -> Study:
    """Return the study in a folder, finished if it was not."""
    itself = (
        request.execution.extend is not None and Path(request.execution.extend).resolve() == out
    )

    def place() -> tuple[Path, dict[str, Any]]:
        return place_of(
            out, planned.question, replaced=request.execution.overwrite, extended=itself
        )

    def finished(folder: Path, known: dict[str, Any]) -> Study | None:
        whole = known and known.get("state", FINISHED) == FINISHED and is_whole(folder, known)
        return load_study(folder).with_scoring(request.scoring) if whole else None

    recover(out)
    folder, known = place()
    study = finished(folder, known) if folder == out else None  # else it has to take its place
    if study is not None and not is_left(study, request.confirmation):
        tidy(out)
    else:
        with opened(out), locked(out) as held:
            folder, known = place()  # as it is now that nobody else works on it
            study = finished(folder, known)
            if study is None:
                if folder != out and not known:
                    discard(folder)  # of another question
                with begun(folder, part="" if folder == out else NEXT):
                    study = _measured(planned, request, report, (folder, held.check), known)
            study = _confirmed(study, planned, request, report, held.check)
            if folder != out:
                swap(out, folder)
    return replace(study, folder=request.out)


def _confirmed(
    study: Study,
    planned: Planned,
    request: Request,
    report: Report,
    check: Callable[[], None] = lambda: None,
) -> Study:
    """Return the study with its claims put to the test, as far as that was asked for."""
    subject = Subject(
        planned.network,
        planned.samples,
        planned.plan,
        cell_table(planned.plan),
        question_of(request, planned.samples, float(study.manifest["attack"]["epsilon"])),
        (request.sweep, request.execution),
    )
    return confirmed(study, subject, request.confirmation, report, check)


def _measured(
    planned: Planned,
    request: Request,
    report: Report,
    place: tuple[Path | None, Callable[[], None]],
    known: Mapping[str, Any],
) -> Study:
    """Measure what of the plan is not there yet, and finish the study.

    Args:
        planned: What is measured.
        request: How.
        report: Shows progress.
        place: Where the study grows, None for in memory; and what makes sure that it is still ours.
        known: The manifest of the study to go on with, or nothing.
    """
    started, (folder, check) = time.monotonic(), place
    planned = replace(planned, question=as_asked_before(planned.question, known))
    samples, plan = planned.samples, planned.plan
    asked = request.sweep.until is not None
    cuts = list(looks(len(samples))) if asked else []
    edges = shard_edges(len(samples), samples.inputs.shape[1:], cuts)
    if known:
        edges = known["shards"]["edges"]
    shard = max(end - first for first, end in pairwise(edges))
    equipment = question_of(request, samples, _SMALL), request.sweep, request.execution
    work = equipped(planned.network, samples, plan.removals, equipment, shard)
    if known:  # numbers that are not 0 or 1 may hang on it, by their last bit
        work = replace(work, batch=min(work.batch, known["run"]["batch"]))
    attack, choice = settled_attack(planned, request, report, work.batch, known)
    work = replace(work, question=question_of(request, samples, attack.epsilon))
    outline = outline_of(planned, request, edges, (attack, choice), work)
    if known and known["study"] != outline.identity:
        raise StudyError(
            f"The study {folder} was begun by another version of hormesis, which removed other "
            "values: choose another folder with `out`, or replace it with `overwrite`."
        )
    most = most_bytes(len(outline.tables[REMOVALS]))
    store = MemoryStore() if folder is None else FolderStore(folder, check, most)
    if isinstance(store, FolderStore):
        begin(store, outline, fresh=not known)
    stopping = _stopping(request, outline, len(samples))
    worker = Worker(work, outline.identity, _source(request, planned, outline))
    sweeper = sweeper_of(planned.network, worker, (request.sweep, request.execution), shard)
    grow(outline, store, stopping, worker, sweeper, partial(report, "Measuring"))
    audit = audit_of(planned.network, work, store, edges)
    base = manifest.describe_base(stopping.means, request.metric)
    notes = [
        *manifest.notes(stopping.means, attack, choice, request.metric),
        *manifest.notes_on_chance(base, outline.manifest, request.scoring),
        *work.engine.notes,
        *audit.notes(exact=request.sweep.precision == "exact"),
        *stopping.notes(),
    ]
    found = {"base": base, "audit": audit.described(), "notes": plainly(notes)}
    if stopping.settled_groups:
        found["settled"] = [prefix.described() for prefix in stopping.settled_groups]
    seconds = round(time.monotonic() - started, 1)
    found["run"] = {**outline.manifest["run"], "seconds": seconds}
    return finish(outline, store, stopping, found)


def _stopping(request: Request, outline: Outline, samples: int) -> Stopping:
    """Return what counts the shards, and says when enough was seen."""
    metric, said = request.metric, outline.manifest
    rule = request.scoring, request.sweep.until, samples, metric.higher_is_better
    chosen = chose(said["attack"], metric.name)
    return Stopping(outline.tables[CELLS], *rule, said.get("chance"), chosen)


def _source(request: Request, planned: Planned, outline: Outline) -> Source | None:
    """Return the study that this one extends, if any."""
    if request.execution.extend is None:
        return None
    keys = outline.tables[REMOVALS]["key"].tolist()
    folder = Path(request.execution.extend)
    return source_of(folder, planned.question, outline.manifest["attack"], keys)
