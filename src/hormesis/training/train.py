"""Training: a network and data in, a folder with a checkpoint for every epoch out."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hormesis.data.image_array import image_array_from
from hormesis.data.samples import samples_from
from hormesis.data.splits import Parts, load_parts
from hormesis.engine.progress import Report, show_progress
from hormesis.errors import DataError, SettingError
from hormesis.models.devices import find_device
from hormesis.models.networks import build_for, check_network
from hormesis.models.normalization import normalized, normalizes_by_default
from hormesis.results.training_run import TrainingRun, load_run, write_run_manifest
from hormesis.storage.ownership import TRAINING
from hormesis.storage.validation import plain_values
from hormesis.training.config import DataConfig, Recipe, TrainerConfig
from hormesis.training.fit import CheckpointPlan, fit, make_loggers, silence_lightning
from hormesis.training.freezing import Freezing
from hormesis.training.lit_module import LitNetwork
from hormesis.training.optimizers import make_optimizer, make_schedule
from hormesis.training.resume import ResumePoint, repair
from hormesis.training.run_folder import explaining_errors, locked_run
from hormesis.training.run_manifest import merge_manifests, session_of, training_question
from hormesis.training.run_state import check_folder, read_run_state


def train(
    model: str | nn.Module,
    data: Any,  # noqa: ANN401
    *,
    out: str | Path,
    recipe: Recipe = Recipe(),
    data_config: DataConfig = DataConfig(),
    trainer_config: TrainerConfig = TrainerConfig(),
) -> TrainingRun:
    """Train a network and keep a checkpoint of many epochs.

    An interrupted run, even after ``kill -9``, resumes after its last complete epoch when the same
    call is made again. On the same machine, device and number of threads it ends with the same
    weights as an uninterrupted run, bit for bit.

    Args:
        model: A torchvision name, ``timm:NAME``, ``module:factory``, or a network, which is
            trained in place and has to normalise its inputs itself.
        data: A name that ``load_parts`` takes, or a pair of training and validation data that
            ``samples_from`` takes.
        out: Folder of the run; see ``results.training_run`` for its contents.
        recipe: Everything that the weights depend on.
        data_config: Which part of the data is used, and whether it is normalised.
        trainer_config: Settings that do not change the weights.

    Returns:
        The run, with its checkpoints and metrics.

    Raises:
        SettingError: For a name or a value that cannot be used.
        DataError: If the data are missing, incomplete or damaged.
        ModelError: If the network cannot be built, or does not fit the data.
        TrainingError: If ``out`` holds something else or another training, cannot be written, or
            the loss becomes NaN; earlier checkpoints stay.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
        >>> data = (torch.rand(8, 1, 2, 2), torch.arange(8) % 2)
        >>> config = TrainerConfig(progress=False, loggers={}, device="cpu")
        >>> with TemporaryDirectory() as folder:
        ...     train(network, (data, data), out=f"{folder}/run", recipe=Recipe(epochs=2),
        ...           trainer_config=config)
        TrainingRun(Sequential on custom, epochs 0, 1, 2)
    """
    folder = Path(out).expanduser()
    with explaining_errors(folder):
        check_folder(folder)
    find_device(trainer_config.device)
    with explaining_errors(folder), show_progress(enabled=trainer_config.progress) as report:
        parts = load_training_parts(data, data_config, report)
        if data_config.normalize and not parts.train.mean:
            raise SettingError(
                "Expected data whose normalisation is known for `normalize`, got "
                f"{parts.train.name}: leave it out, and normalise in the network."
            )
        network = build_training_network(model, parts, data_config, recipe)
        name = data if isinstance(data, str) else None
        job = TrainingJob(model, network, parts, name, recipe, data_config, trainer_config)
        return run_training(job, folder, report)


@dataclass(frozen=True)
class TrainingJob:
    """Everything that a training needs.

    Args:
        model: The user's network, or its name.
        network: On the CPU, normalisation included; it is trained in place.
        parts: Training and validation data.
        data_name: The user's name for the data; None for data that came from Python.
        recipe: Everything that the weights depend on.
        data_config: Which part of the data is used.
        trainer_config: Settings that do not change the weights.
        freezing: Freezes a part of the network; None trains all of it.
        extra_question: Further entries of the question in the run's manifest.
    """

    model: str | nn.Module
    network: nn.Module
    parts: Parts
    data_name: str | None
    recipe: Recipe
    data_config: DataConfig
    trainer_config: TrainerConfig
    freezing: Freezing | None = None
    extra_question: Mapping[str, Any] = field(default_factory=dict)


def run_training(job: TrainingJob, folder: Path, report: Report) -> TrainingRun:
    """Check everything that can be checked beforehand, then start or resume the training.

    Args:
        job: What is trained.
        folder: Folder of the run, see ``check_folder``.
        report: Called with a stage, the work done and in all.

    Raises:
        HormesisError: As ``train`` says.
    """
    network, parts, config = job.network, job.parts, job.trainer_config
    check_network(network, parts.validation.batch(torch.arange(2))[0], parts.train.classes)
    validation = parts.validation.draw(config.validation_samples, job.data_config.split_seed)
    parts = replace(parts, validation=validation)
    module = LitNetwork(network, parts, job.recipe, config, job.freezing)
    question = plain_values(
        {
            **training_question(job.model, network, job.parts, job.recipe, job.data_config),
            **job.extra_question,
        }
    )
    device = find_device(config.device)
    session = {
        "data": job.data_name,
        "data_root": _data_root(job.data_config),
        "device": str(device),
        "validated_on": len(validation),
        "notes": list(parts.notes),
    }
    with _freeze(job.freezing):
        make_schedule(job.recipe, make_optimizer(job.recipe, network), steps=1)  # to refuse it now
        session = plain_values(session)
        with silence_lightning():
            loggers = make_loggers(config, folder)
            with locked_run(folder, TRAINING):
                point, manifest = _begin_session(folder, question, session, network)
                stage = f"Training {question['network']['name']}{_trained_share(job.freezing)}"
                progress = partial(report, stage)
                plan = CheckpointPlan(folder, point, manifest, config.checkpoint_every, progress)
                fit(module, plan, loggers, device)
    return load_run(folder)


def _begin_session(
    folder: Path, question: Mapping[str, Any], session: Mapping[str, Any], network: nn.Module
) -> tuple[ResumePoint, dict[str, Any]]:
    """Repair a damaged run, add a session to its manifest, and return where training resumes.

    Raises:
        TrainingError: If the folder holds another training, or cannot be resumed.
    """
    state = read_run_state(folder)
    manifest = merge_manifests(folder, question, state.manifest)
    for record in state.records:
        merge_manifests(folder, question, record.manifest)
    point = repair(folder, state, network)
    damage = {"mended": list(point.mended), "damaged": list(point.damaged)}
    session = session_of({**session, **{key: value for key, value in damage.items() if value}})
    manifest["sessions"] = [*manifest["sessions"], session]
    write_run_manifest(folder, manifest)
    return point, {key: manifest[key] for key in ("question", "sessions")}


@contextmanager
def _freeze(freezing: Freezing | None) -> Iterator[None]:
    """Freeze while the block runs, and check afterwards that no frozen value has changed.

    Raises:
        TrainingError: If a frozen value has changed.
    """
    if freezing is None:
        yield
        return
    freezing.start()
    try:
        yield
        freezing.check()
    finally:
        freezing.stop()


def _trained_share(freezing: Freezing | None) -> str:
    """Return the share of the parameters that is trained, as text; nothing for all of them."""
    if freezing is None:
        return ""
    trained = sum(mask.trained for mask in freezing.masks)
    return f", {trained / sum(mask.size for mask in freezing.masks):.1%} of it"


def _data_root(data_config: DataConfig) -> str | None:
    root = data_config.root or os.environ.get("HORMESIS_DATA")
    return None if root is None else str(Path(root).expanduser().resolve())


def load_training_parts(data: Any, data_config: DataConfig, report: Report) -> Parts:  # noqa: ANN401
    """Return training and validation data, with ``data_config.samples`` training samples.

    Args:
        data: As ``train`` takes it.
        data_config: Which part of the data is used.
        report: Called with a stage, the work done and in all.

    Raises:
        DataError: If the data are missing, incomplete, damaged, or neither a name nor a pair.
    """
    if isinstance(data, str):
        parts = load_parts(
            data,
            root=None if data_config.root is None else Path(data_config.root),
            split=data_config.split,
            seed=data_config.split_seed,
            download=data_config.download,
            progress=report,
        )
    elif isinstance(data, tuple | list) and len(data) == 2:
        first, second = (image_array_from(samples_from(part)) for part in data)
        classes = max(first.classes, second.classes)
        parts = Parts(replace(first, classes=classes), replace(second, classes=classes))
    else:
        raise DataError(
            "Expected the name of a data set, or a pair of training and validation data, got "
            f"{type(data).__name__}."
        )
    return replace(parts, train=parts.train.draw(data_config.samples, data_config.split_seed))


def build_training_network(
    model: str | nn.Module, parts: Parts, data_config: DataConfig, recipe: Recipe
) -> nn.Module:
    """Return the untrained network, on the CPU, with the normalisation of its data inside.

    Args:
        model: As ``train`` takes it.
        parts: The data that it has to fit.
        data_config: Whether the network normalises its inputs.
        recipe: Seed and stem of a named network.

    Raises:
        ModelError: If it cannot be built.
    """
    images, normalize = parts.train, data_config.normalize
    if normalize is None:
        normalize = normalizes_by_default(model)
    if isinstance(model, nn.Module):
        network = model.cpu()
    else:
        network = build_for(model, images.shape, images.classes, seed=recipe.seed, stem=recipe.stem)
    return normalized(network, images.mean, images.std) if normalize and images.mean else network
