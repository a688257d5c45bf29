"""The main path: a network and its data in, a study out."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from hormesis.analysis.chance import chose
from hormesis.analysis.linearised import linearised_outcomes, measured_labels, set_means
from hormesis.analysis.responses import Means
from hormesis.analysis.set_metrics import set_metric_of
from hormesis.analysis.stopping import Stopping, looks
from hormesis.data.samples import Samples
from hormesis.data.trees import shape_of_rows
from hormesis.engine.audit import audit_outcomes
from hormesis.engine.progress import Report, show_progress
from hormesis.engine.shards import ShardMeasurer, shard_edges
from hormesis.errors import StudyError
from hormesis.language.nearest_tokens import notes_on_tokens
from hormesis.measure import manifest
from hormesis.measure.confirm import can_be_confirmed, confirm_claims, is_left
from hormesis.measure.custom_attacks import change_notes, measure_change
from hormesis.measure.extend import EarlierStudy, source_of
from hormesis.measure.preparation import prepare
from hormesis.measure.ray_pool import choose_sweeper, ray_connection
from hormesis.measure.shard_worker import ShardWorker, device_of, make_measurer
from hormesis.measure.study_plan import StudyPlan, choose_epsilon, make_draft, make_study_plan
from hormesis.measure.study_writer import (
    FINISHED,
    StudyDraft,
    begin,
    finish,
    folder_to_write,
    is_whole,
    match_wording,
    measure_missing,
    read_outcomes,
)
from hormesis.models.devices import strict_arithmetic
from hormesis.models.eval_mode import evaluation_mode
from hormesis.results.study import Study, load_study
from hormesis.settings.attacks import FGSM, PAIRED
from hormesis.settings.confirmation import Confirmation
from hormesis.settings.execution import Execution
from hormesis.settings.request import AnalysisRequest, as_attack
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.storage.files import CELLS, REMOVALS, SAMPLES
from hormesis.storage.folders import clean_up, creating_folder, creating_study, resolve_out
from hormesis.storage.lock import lock_folder
from hormesis.storage.ownership import NEXT
from hormesis.storage.replacement import discard, recover, swap
from hormesis.storage.shards import most_bytes
from hormesis.storage.store import FolderStore, MemoryStore, Store, read_spans
from hormesis.storage.validation import plain_values


def analyze(
    network: object,
    data: Any,  # noqa: ANN401
    *,
    attack: Any = FGSM(),  # noqa: ANN401
    targets: Targets = Targets(),
    sweep: Sweep = Sweep(),
    scoring: Scoring = Scoring(),
    metric: Any = "accuracy",  # noqa: ANN401
    out: str | Path | None = None,
    execution: Execution = Execution(),
    confirmation: Confirmation = Confirmation(),
    name: str = "",
    origin: Mapping[str, Any] | None = None,
    loss: Any = None,  # noqa: ANN401
    output: Any = None,  # noqa: ANN401
    bounds: Any = None,  # noqa: ANN401
    label: str | int | None = None,
    stressed: Any = None,  # noqa: ANN401
    pairing: str = PAIRED,
) -> Study:
    """Measure how a network responds to the removal of its parameters, and score every target.

    The network is measured in evaluation mode and is the same afterwards, bit for bit.

    Args:
        network: Any ``nn.Module``, on any device and in any floating-point type. A tuple of inputs
            goes to its positional arguments, a dictionary to its arguments of these names. Or a
            model of stable-baselines3, for ``hormesis.rl``.
        data: ``(inputs, labels)``, the inputs a tensor, a tuple or a dictionary; a dictionary or
            table with labels, a ``Dataset``, a ``DataLoader`` or ``Samples``, see
            ``samples_from``. Normalisation belongs into the network, see ``normalized``.
        attack: The adversary: ``FGSM``, ``PGD``, a function ``(network, inputs, labels) ->
            inputs``, or an attack of Foolbox, torchattacks, ART or AutoAttack, see
            ``CustomAttack``; None measures clean samples alone. Of token ids, embeddings change.
        targets: Which parameters are filtered.
        sweep: Filters, thresholds, adversary and control.
        scoring: Base, reference and tolerance; ``Study.scores_with`` can change them afterwards.
        metric: ``"accuracy"``, ``"mse"`` or another name of ``hormesis.metrics``, a ``Metric``, or
            a function of outputs and labels that returns one number a sample, where more is better.
        out: Folder for the study; None keeps tables and outcomes in memory only. A study of the
            same question in that folder is loaded if it is finished, and resumed otherwise.
        execution: Engine, workers and progress; nothing that changes a result.
        confirmation: How claims that a target is antifragile under attack are put to the test.
        name: What tables and the manifest call the network; its class by default.
        origin: Where the network comes from, as plain values that the manifest shall hold.
        loss: What the attack raises: a name of ``hormesis.losses``, or a function of outputs and
            labels that returns one number a sample; by default the one that goes with the metric.
        output: Which of the network's outputs is measured: its name, its place, a function of all
            of them, or ``"*"`` for all; by default the logits are found.
        bounds: Lowest and highest value of the inputs, as ``samples_from`` takes them; 0 and 1 by
            default, or what ``Samples`` declare.
        label: Key, column or place of the labels, see ``samples_from``.
        stressed: A second data set in place of an attack, in the forms of ``data``, or one of
            ``hormesis.corruptions``.
        pairing: ``"paired"`` if each of its samples is the stressed version of the one at the same
            place, ``"independent"`` if it is another set of samples.

    Returns:
        The study.

    Raises:
        HormesisError: One sentence on what cannot be measured or written, before the slow part
            wherever that can be known.

    Example:
        >>> import torch
        >>> from torch import nn
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
    request = AnalysisRequest(
        attack=as_attack(attack),
        targets=targets,
        sweep=sweep,
        scoring=scoring,
        metric=metric,
        out=Path(out) if isinstance(out, str) else out,
        execution=execution,
        confirmation=confirmation,
        name=name,
        origin={} if origin is None else origin,
        loss=loss,
        output=output,
        bounds=bounds,
        label=label,
        stressed_data=stressed,
        pairing=pairing,
    )
    return analyze_request(network, data, request)


def analyze_request(network: object, data: Any, request: AnalysisRequest) -> Study:  # noqa: ANN401
    """Analyse a network as ``analyze`` does, with all settings in one request.

    Args:
        network: See ``analyze``.
        data: See ``analyze``.
        request: The request.
    """
    with planned_analysis(network, data, request) as analysis:
        return analysis.study()


@contextmanager
def planned_analysis(
    network: object,
    data: Any,  # noqa: ANN401
    request: AnalysisRequest,
) -> Iterator["Analysis"]:
    """Plan an analysis; within the block it can be carried out, also with other magnitudes.

    Args:
        network: See ``analyze``.
        data: See ``analyze``.
        request: The request.

    Yields:
        The analysis.
    """
    with (
        show_progress(enabled=request.execution.progress) as report,
        ray_connection(request.execution),
        strict_arithmetic(),
    ):
        prepared = prepare(network, data, request, report)
        adapted = prepared.network
        with evaluation_mode(adapted):
            yield Analysis(make_study_plan(prepared, device_of(adapted)), report)


@dataclass(frozen=True)
class Analysis:
    """The steps from a plan to a finished study.

    Args:
        planned: The plan.
        report: Shows progress.
        measurers: What measures shards, by the samples of the largest one; made when it is needed,
            and shared by analyses of one plan.
    """

    planned: StudyPlan
    report: Report
    measurers: dict[int, ShardMeasurer] = field(default_factory=dict)

    def at(self, epsilon: float, out: Path, execution: Execution) -> "Analysis":
        """Return the analysis at another magnitude.

        Args:
            epsilon: The magnitude, in input units.
            out: Folder of its study.
            execution: With the study that it extends, if any.
        """
        return replace(self, planned=self.planned.at(epsilon, out, execution))

    def study(self) -> Study:
        """Return the study after measuring what is missing and testing its claims."""
        out = self.planned.request.out
        if out is None:
            return self._confirm(self._measure(MemoryStore(), {}))
        return replace(self._complete(resolve_out(out)), folder=out)

    def _complete(self, out: Path) -> Study:
        """Return the study in a folder, after measuring what is missing."""
        recover(out)
        folder, existing = self._choose_folder(out)
        study = (
            self._load_finished(folder, existing) if folder == out else None
        )  # otherwise a replacement
        if study is not None and not is_left(
            study, self.planned.request.confirmation, self.planned.evaluation
        ):
            clean_up(out)
            return study
        with creating_folder(out), lock_folder(out) as lock:
            folder, existing = self._choose_folder(
                out
            )  # again, now that this process holds the lock
            study = self._load_finished(folder, existing)
            if study is None:
                if folder != out and not existing:
                    discard(folder)  # of another question
                with creating_study(folder, part="" if folder == out else NEXT):
                    most = most_bytes(len(self.planned.plan.removals))
                    study = self._measure(FolderStore(folder, lock.check, most), existing)
            study = self._confirm(study, lock.check)
            if folder != out:
                swap(out, folder)
        return study

    def _choose_folder(self, out: Path) -> tuple[Path, dict[str, Any]]:
        """Return the folder to measure into, and the manifest of the study in it."""
        execution = self.planned.request.execution
        extended = execution.extend is not None and Path(execution.extend).resolve() == out
        return folder_to_write(
            out, self.planned.question, replaced=execution.overwrite, extended=extended
        )

    def _load_finished(self, folder: Path, existing: Mapping[str, Any]) -> Study | None:
        """Load the study of a folder if it is finished and undamaged."""
        if not existing or existing.get("state", FINISHED) != FINISHED:
            return None
        if not is_whole(folder, existing):
            return None
        return load_study(folder).with_scoring(self.planned.request.scoring)

    def _confirm(self, study: Study, check: Callable[[], None] = lambda: None) -> Study:
        """Return the study with its claims tested, as far as requested."""
        if not can_be_confirmed(study, self.planned.evaluation):
            return study
        planned = self.planned
        if study.metadata.attack.scaled:
            epsilon = study.metadata.attack.epsilon
            planned = planned.with_attack(replace(planned.request.attack, epsilon=epsilon))
        return confirm_claims(study, planned, self.report, check)

    def _measurer(self, planned: StudyPlan, largest: int) -> ShardMeasurer:
        """Return what measures the shards of a plan."""
        if largest not in self.measurers:
            self.measurers[largest] = make_measurer(
                planned.network,
                planned.samples,
                planned.plan.removals,
                planned.spec,
                planned.request.execution,
                largest,
            )
        return replace(self.measurers[largest], spec=planned.spec)

    def _measure(self, store: Store, existing: Mapping[str, Any]) -> Study:
        """Measure what is missing of the plan, and finish the study.

        Args:
            store: The store of the shards.
            existing: The manifest of the study to resume, or an empty one.
        """
        started = time.monotonic()
        planned = replace(self.planned, question=match_wording(self.planned.question, existing))
        request, samples, network = planned.request, planned.samples, planned.network
        edges = existing["shards"]["edges"] if existing else _edges(samples, request.sweep)
        largest = max(end - first for first, end in pairwise(edges))
        measurer = self._measurer(planned, largest)
        if existing:  # the last bit of real-valued outcomes may depend on it
            measurer = replace(measurer, batch=min(measurer.batch, existing["run"]["batch"]))
        choice = choose_epsilon(planned, self.report, measurer.batch, existing)
        if choice is not None:
            planned = planned.with_attack(replace(request.attack, epsilon=choice.epsilon))
        measurer = replace(measurer, spec=planned.spec)
        change = measure_change(network, samples, planned.request.attack, request.sweep.seed)
        draft = make_draft(planned, edges, choice, measurer)
        if existing and existing["study"] != draft.identity:
            raise StudyError(
                f"The study {request.out} was begun by another version of hormesis, which removed "
                "other values: choose another folder with `out`, or replace it with `overwrite`."
            )
        if isinstance(store, FolderStore):
            begin(store, draft, fresh=not existing)
        stopping = _stopping(planned, draft)
        worker = ShardWorker(measurer, draft.identity, _source(planned, draft))
        sweeper = choose_sweeper(network, worker, request.execution, largest)
        measure_missing(draft, store, stopping, worker, sweeper, partial(self.report, "Measuring"))
        stored = set(store.firsts())
        spans = [span for span in pairwise(edges) if span[0] in stored]
        if request.metric.aggregate:
            stopping.means = _set_means(planned, draft, store)
        audit = audit_outcomes(network, measurer, spans, partial(read_outcomes, store))
        base = manifest.describe_base(stopping.means, request.metric)
        notes = [
            *request.notes,
            *manifest.notes(
                stopping.means,
                choice,
                planned.request,
                samples,
                draft.manifest.get("stressed_chance"),
            ),
            *change_notes(planned.request.attack, change),
            *notes_on_tokens(network, samples, planned.request.attack, request),
            *manifest.notes_on_chance(base, draft.manifest, request.scoring),
            *measurer.engine.notes,
            *audit.notes(exact=request.sweep.precision == "exact"),
            *stopping.notes(),
        ]
        results = {"base": base, "audit": audit.described(), "notes": plain_values(notes)}
        results |= {"change": change} if change else {}
        if stopping.settled_groups:
            results["settled"] = [group.described() for group in stopping.settled_groups]
        seconds = round(time.monotonic() - started, 1)
        results["run"] = {**draft.manifest["run"], "seconds": seconds}
        return finish(draft, store, stopping, results)


def _edges(samples: Samples, sweep: Sweep) -> list[int]:
    """Return where shards begin and end."""
    cuts = [] if sweep.until is None else list(looks(len(samples)))
    return shard_edges(len(samples), shape_of_rows(samples.inputs), cuts)


def _stopping(planned: StudyPlan, draft: StudyDraft) -> Stopping:
    """Return the rule that counts shards and decides when to stop."""
    request = planned.request
    return Stopping(
        draft.tables[CELLS],
        request.scoring,
        request.sweep.until,
        len(planned.samples),
        higher_is_better=request.metric.higher_is_better,
        chance=draft.manifest.get("chance"),
        chosen=chose(draft.manifest["attack"], request.metric.name),
        stressed=planned.spec.stressed,
        stressed_chance=draft.manifest.get("stressed_chance"),
    )


def _set_means(planned: StudyPlan, draft: StudyDraft, store: Store) -> Means:
    """Return the scores of all samples together, for a metric of a whole set."""
    spans = list(pairwise(draft.edges))
    labels = measured_labels(draft.tables[SAMPLES], spans)
    metric = set_metric_of(planned.request.metric.aggregate, labels)
    outcomes = linearised_outcomes(read_spans(store, spans, draft.identity), metric)
    return set_means(outcomes, stressed=planned.spec.stressed)


def _source(planned: StudyPlan, draft: StudyDraft) -> EarlierStudy | None:
    """Return the study that this one extends, if any."""
    folder = planned.request.execution.extend
    if folder is None:
        return None
    keys = draft.tables[REMOVALS]["key"].tolist()
    return source_of(Path(folder), planned.question, draft.manifest["attack"], keys)
