"""A study for every checkpoint of a training, in one folder."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from hormesis.engine.progress import show_progress
from hormesis.errors import ModelError, SettingError, StudyError, TrainingError
from hormesis.measure.by_name import resolve_run
from hormesis.measure.pipeline import analyze_request
from hormesis.models.checkpoints import load_weights
from hormesis.models.devices import find_device
from hormesis.results.series import StudySeries, load_series
from hormesis.results.study import Study
from hormesis.results.training_run import TrainingRun, checkpoint_path, load_run
from hormesis.settings.attacks import FGSM
from hormesis.settings.confirmation import Confirmation
from hormesis.settings.execution import Execution
from hormesis.settings.request import AnalysisRequest, as_attack
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.storage.differences import first_difference
from hormesis.storage.files import read_manifest
from hormesis.storage.folders import creating_folder, is_study
from hormesis.storage.ownership import SERIES, claiming
from hormesis.storage.series_folders import EPOCH, member_folder
from hormesis.storage.series_output import check_series_out
from hormesis.stress.metrics import as_metric
from hormesis.training.checkpoints import checkpoint_fault


@dataclass(frozen=True)
class CheckpointSelection:
    """Which checkpoints of a training are measured, and on what.

    Args:
        run: The folder of the training.
        epochs: Which epochs; None takes all that have a checkpoint, the untrained network's aside.
        samples: Size of a seeded, stratified choice of the validation samples; None takes all.
        data_root: Folder of the named data sets; None takes the one that the training read.
        device: Where to compute; None takes a GPU if there is one.
        allow_code: Import the ``module:factory`` of network or data that the run's manifest names.

    Example:
        >>> CheckpointSelection("runs/r18-mnist", epochs=(1, 2, 5, 10)).samples
    """

    run: str | Path
    epochs: Iterable[int] | None = None
    samples: int | None = None
    data_root: str | None = None
    device: str | None = None
    allow_code: bool = False


def analyze_epochs(
    trained: CheckpointSelection,
    *,
    out: str | Path,
    attack: Any = FGSM(),  # noqa: ANN401
    targets: Targets = Targets(),
    sweep: Sweep = Sweep(),
    scoring: Scoring = Scoring(),
    metric: Any = "accuracy",  # noqa: ANN401
    execution: Execution = Execution(),
    confirmation: Confirmation = Confirmation(),
) -> tuple[StudySeries, dict[int, str]]:
    """Analyse the checkpoints of a training, each attacked on its own.

    Network and data are those that the run's manifest names; the validation samples are measured,
    on which no network was trained. The manifest travels into every study, as ``origin``.

    Args:
        trained: Which checkpoints, and on what.
        out: Folder for the studies, one folder an epoch. Finished studies of the same question are
            opened, not measured again.
        attack: The adversary, as ``analyze`` takes it; None measures clean samples alone.
        targets: Which parameters are filtered.
        sweep: Filters, thresholds, adversary, control and seed.
        scoring: Base, reference and tolerance.
        metric: What is measured, as ``analyze`` takes it.
        execution: Engine, workers and progress.
        confirmation: How claims that a target is antifragile under attack are put to the test.

    Returns:
        The studies, and a sentence for each epoch whose checkpoint is damaged and was left out.

    Raises:
        SettingError: For epochs without a checkpoint, and for code that was not allowed.
        TrainingError: If the folder is no training, or its network or data cannot be had again.
        DataError: If the data are missing, or not those of the training.
        ModelError: If every checkpoint is damaged.
        StudyError: If ``out`` holds something else.

    ``docs/training.md`` goes through a training and its studies.

    Example:
        >>> analyze_epochs(CheckpointSelection("runs/r18-mnist"), out="studies/r18-mnist")
        Traceback (most recent call last):
        hormesis.errors.TrainingError: There is no folder runs/r18-mnist of a training.
    """
    request = AnalysisRequest(
        attack=as_attack(attack),
        targets=targets,
        sweep=sweep,
        scoring=scoring,
        metric=metric,
        out=Path(out),
        execution=execution,
        confirmation=confirmation,
    )
    return analyze_checkpoints(trained, request)


def analyze_checkpoints(
    selection: CheckpointSelection, request: AnalysisRequest
) -> tuple[StudySeries, dict[int, str]]:
    """Analyse checkpoints as ``analyze_epochs`` does, with all settings in one request.

    Args:
        selection: Which checkpoints, and on which samples.
        request: The request for each; ``out`` is the folder of all studies.

    Raises:
        HormesisError: As ``analyze_epochs`` says.
    """
    if request.out is None:
        raise SettingError("Expected `out`, a folder for the studies of all epochs.")
    training, folder = load_run(selection.run), request.out
    chosen = training.chosen(selection.epochs)
    _check_named(training, selection.allow_code)
    _check_out(folder, training)
    device = find_device(selection.device)
    request = replace(
        request,
        metric=as_metric(request.metric),
        name=training.metadata.question.network.name,
    )
    with show_progress(enabled=request.execution.progress) as report:
        count, root = selection.samples, selection.data_root
        resolved = resolve_run(training, count, root, request.sweep.seed, report)
    network = resolved.network
    faults = {epoch: _fault(training, epoch, network) for epoch in chosen}
    damaged = {epoch: fault for epoch, fault in faults.items() if fault}
    for epoch, path in chosen.items():
        if epoch in damaged:
            continue
        load_weights(network, path)
        with creating_folder(folder), claiming(folder, SERIES):
            own = _request_of_epoch(request, training, epoch)
            analyze_request(network.to(device), resolved.samples, own)
    if len(damaged) == len(chosen):
        raise ModelError(f"No checkpoint can be analysed: {' '.join(damaged.values())}")
    studies = load_series(folder)
    if not isinstance(studies, StudySeries):
        raise StudyError(f"The folder {folder} holds a single study.")
    members: dict[int | float, Study] = {
        epoch: studies.members[epoch] for epoch in chosen if epoch not in damaged
    }
    return StudySeries(members, folder), damaged


def _request_of_epoch(
    request: AnalysisRequest, training: TrainingRun, epoch: int
) -> AnalysisRequest:
    """Return the request for one epoch, which extends the study of the same epoch, if any."""
    execution = request.execution
    if execution.extend is not None:
        member = member_folder(Path(execution.extend), EPOCH, epoch)
        execution = replace(execution, extend=member if is_study(member) else None)
    origin = {
        "epoch": epoch,
        "training": training.manifest,
        "run": str(training.folder.resolve()),
    }
    out = member_folder(Path(str(request.out)), EPOCH, epoch)
    return replace(request, out=out, execution=execution, origin=origin)


def _check_named(training: TrainingRun, allow_code: bool) -> None:
    """Refuse a training whose network or data have no name, or whose names would run code."""
    named = {"network": training.metadata.question.network.named, "data": training.source}
    for what, name in named.items():
        if not name:
            raise TrainingError(
                f"The {what} of {training.folder} came from Python, without a name to get it by: "
                "load its checkpoints into your network, and analyse each with `hormesis.analyze`."
            )
    code = training.code()
    if code and not allow_code:
        setting, name = next(iter(code.items()))
        raise SettingError(
            f"The training {training.folder} names code for its {setting}, {name!r}, which would "
            f"run with your rights: name it as `{setting}`, or pass `allow_code` if you trust that "
            "folder."
        )


def _check_out(folder: Path, training: TrainingRun) -> None:
    """Refuse a folder with anything but studies of this training."""
    for member in check_series_out(folder).values():
        origin = read_manifest(member).get("origin", {})
        difference = first_difference(
            _without_epochs(training.manifest), _without_epochs(origin.get("training", {}))
        )
        if difference:
            raise StudyError(
                f"The folder {folder} holds studies of another training ({difference}); choose "
                "another one with `out`."
            )


def _without_epochs(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the question of a training without its number of epochs."""
    question = manifest.get("question", {})
    return {**question, "recipe": {**question.get("recipe", {}), "epochs": None}}


def _fault(training: TrainingRun, epoch: int, network: nn.Module) -> str:
    """Return what is wrong with a checkpoint, or an empty string; loads it into the network."""
    path = checkpoint_path(training.folder, epoch)
    sentence = checkpoint_fault(network, path)
    fault = "" if sentence else training.fault(epoch)
    return f"Checkpoint {str(path)!r} is damaged: {fault}." if fault else sentence
