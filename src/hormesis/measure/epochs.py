"""A study for every checkpoint of a training, in one folder."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from hormesis.data.samples import Samples
from hormesis.data.sampling import draw_balanced
from hormesis.data.splits import load_parts
from hormesis.engine.progress import Report, shown
from hormesis.errors import DataError, ModelError, SettingError, StudyError, TrainingError
from hormesis.measure.pipeline import analyze
from hormesis.models.checkpoints import load_weights
from hormesis.models.devices import find_device
from hormesis.models.networks import build_model
from hormesis.models.normalization import normalized, restore_normalization
from hormesis.results.series import StudySeries, load_series
from hormesis.results.training_run import TrainingRun, checkpoint_path, load_run
from hormesis.settings.attacks import FGSM, Attack
from hormesis.settings.confirmation import Confirmation
from hormesis.settings.execution import Execution
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.storage import is_study, opened, place_of_study, read_manifest
from hormesis.storage.atomic import TEMPORARY
from hormesis.storage.differences import first_difference
from hormesis.storage.epoch_folders import epoch_folder, epoch_folders
from hormesis.storage.ownership import SERIES, claimed, owner, spelled_kind
from hormesis.storage.removal import names_in
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
    attack: Attack = FGSM(),
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
        attack: The adversary.
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
    """
    training, folder = load_run(trained.run), Path(out)
    chosen = training.chosen(trained.epochs)
    _check_named(training, trained.allow_code)
    _check_out(folder, training)
    device = find_device(trained.device)
    question = training.manifest["question"]
    with shown(enabled=execution.progress) as report:
        samples = _samples(training, trained, sweep.seed, report)
    network = _network(training, samples)
    damaged = {epoch: said for epoch in chosen if (said := _fault(training, epoch, network))}
    for epoch, path in chosen.items():
        if epoch in damaged:
            continue
        load_weights(network, path)
        with opened(folder), claimed(folder, SERIES):
            analyze(
                network.to(device),
                samples,
                attack=attack,
                targets=targets,
                sweep=sweep,
                scoring=scoring,
                metric=metric,
                out=epoch_folder(folder, epoch),
                execution=_extending(execution, epoch),
                confirmation=confirmation,
                name=question["network"]["name"],
                origin={
                    "epoch": epoch,
                    "training": training.manifest,
                    "run": str(training.folder.resolve()),
                },
            )
    if len(damaged) == len(chosen):
        raise ModelError(f"No checkpoint can be analysed: {' '.join(damaged.values())}")
    studies = load_series(folder)
    if not isinstance(studies, StudySeries):
        raise StudyError(f"The folder {folder} holds a single study.")
    members = {epoch: studies.members[epoch] for epoch in chosen if epoch not in damaged}
    return StudySeries(members, folder), damaged


def _extending(execution: Execution, epoch: int) -> Execution:
    """Return the execution for which an epoch's study extends that of the same epoch, if any."""
    if execution.extend is None:
        return execution
    member = epoch_folder(Path(execution.extend), epoch)
    return replace(execution, extend=member if is_study(member) else None)


def _check_named(training: TrainingRun, allow_code: bool) -> None:
    """Refuse a training whose network or data have no name, or one that would run code."""
    network = training.manifest["question"]["network"]
    for what, there in (("network", network.get("named")), ("data", training.source)):
        if not there:
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
    if is_study(folder):
        raise StudyError(
            f"The folder {folder} holds a single study; choose another one with `out`."
        )
    place_of_study(folder)
    if folder.exists() and not folder.is_dir():
        raise StudyError(f"Expected a folder for the studies, got the file {folder}.")
    members, there = epoch_folders(folder), owner(folder)
    if there is not None and there.kind != SERIES:
        raise StudyError(
            f"The folder {folder} holds {spelled_kind(there.kind)}; choose another with `out`."
        )
    if there is None and not members:
        names = [name for name in names_in(folder) if not name.startswith(TEMPORARY)]
        if names:
            raise StudyError(
                f"The folder {folder} holds something else; choose another with `out`. It holds "
                f"{min(names)!r}."
            )
    for member in members.values():
        origin = read_manifest(member).get("origin", {})
        difference = first_difference(_same(training.manifest), _same(origin.get("training", {})))
        if difference:
            raise StudyError(
                f"The folder {folder} holds studies of another training ({difference}); choose "
                "another one with `out`."
            )


def _same(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what two states of one training have in common: all but its number of epochs."""
    question = manifest.get("question", {})
    return {**question, "recipe": {**question.get("recipe", {}), "epochs": None}}


def _samples(
    training: TrainingRun, trained: CheckpointSelection, seed: int, report: Report
) -> Samples:
    """Return the validation samples of a training, or a choice of them."""
    data = training.manifest["question"]["data"]
    root = trained.data_root or training.data_root
    parts = load_parts(
        str(training.source),
        root=None if root is None else Path(root),
        split=data["split"],
        seed=data["split_seed"],
        progress=report,
    )
    if parts.validation.fingerprint() != data["validation_fingerprint"]:
        raise DataError(
            f"The data in {root} are not those that {training.folder} was trained with: name "
            "their folder with `data_root`."
        )
    pixels, count = parts.validation, trained.samples
    places = None if count is None else draw_balanced(pixels.labels, count, seed)
    chosen = pixels if places is None else pixels.subset(places)
    return replace(chosen.samples(), places=places)


def _network(training: TrainingRun, samples: Samples) -> nn.Module:
    """Return the untrained network of a training."""
    question = training.manifest["question"]
    recipe, shape = question["recipe"], samples.inputs.shape[1:]
    network = build_model(
        question["network"]["name"],
        classes=samples.classes,
        channels=shape[0],
        size=(shape[1], shape[2]) if len(shape) == 3 else None,
        seed=recipe["seed"],
        stem=recipe["stem"],
    )
    if "normalization" in question["network"]:
        return restore_normalization(network, question["network"]["normalization"])
    if question["data"]["normalize"] and samples.mean:  # a run that does not spell it out
        return normalized(network, samples.mean, samples.std)
    return network


def _fault(training: TrainingRun, epoch: int, network: nn.Module) -> str:
    """Return what is wrong with a checkpoint, or nothing; the network takes its weights."""
    path = checkpoint_path(training.folder, epoch)
    said = checkpoint_fault(network, path)
    fault = "" if said else training.fault(epoch)
    return f"Checkpoint {str(path)!r} is damaged: {fault}." if fault else said
