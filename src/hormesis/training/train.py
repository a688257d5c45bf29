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

from hormesis.data.image_array import pixels_from
from hormesis.data.samples import samples_from
from hormesis.data.splits import Parts, load_parts
from hormesis.engine.progress import Report, shown
from hormesis.errors import DataError, SettingError
from hormesis.models.devices import device_named
from hormesis.models.networks import build_for, check_network
from hormesis.models.normalization import normalised_by_default, normalized
from hormesis.results.training_run import TrainingRun, load_run, write_manifest
from hormesis.storage.ownership import TRAINING
from hormesis.storage.validation import plainly
from hormesis.training.config import DataConfig, Recipe, TrainerConfig
from hormesis.training.fit import Kept, fit, make_loggers, quiet
from hormesis.training.freezing import Freezing
from hormesis.training.lit_module import Learner
from hormesis.training.optimizers import make_optimizer, make_schedule
from hormesis.training.resume import ResumePoint, repair
from hormesis.training.run_folder import explaining_errors, locked_run
from hormesis.training.run_manifest import merge_manifests, question, session_of
from hormesis.training.run_state import check_folder, read_run_state


def train(
    model: str | nn.Module,
    data: Any,  # noqa: ANN401
    *,
    out: str | Path,
    recipe: Recipe = Recipe(),
    corpus: DataConfig = DataConfig(),
    session: TrainerConfig = TrainerConfig(),
) -> TrainingRun:
    """Train a network and keep it at many epochs.

    A run that was interrupted, also by ``kill -9``, goes on after its last whole epoch when the
    same is asked again, and ends with the weights of an uninterrupted one, bit for bit, on the
    same machine, device and number of threads.

    Args:
        model: A torchvision name, ``timm:NAME``, ``module:factory``, or a network, which is
            trained in place and has to normalise its inputs itself.
        data: A name that ``load_parts`` takes, or a pair of training and validation data, each of
            which ``samples_from`` takes.
        out: Folder of the run; see ``training.runs`` for what lies in it.
        recipe: What the weights depend on.
        corpus: Which part of the data, and how a named network takes them.
        session: What the weights do not depend on.

    Returns:
        The run, with its checkpoints and metrics.

    Raises:
        SettingError: For a name or a value that cannot be used.
        DataError: If the data are missing, incomplete or damaged.
        ModelError: If the network cannot be built, or does not fit the data.
        TrainingError: If ``out`` holds something else or another training, cannot be written, or
            the loss becomes NaN; the checkpoints written before stay.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
        >>> data = (torch.rand(8, 1, 2, 2), torch.arange(8) % 2)
        >>> quiet = TrainerConfig(progress=False, loggers={}, device="cpu")
        >>> with TemporaryDirectory() as folder:
        ...     train(network, (data, data), out=f"{folder}/run", recipe=Recipe(epochs=2),
        ...           session=quiet)
        TrainingRun(Sequential on custom, epochs 0, 1, 2)
    """
    folder = Path(out).expanduser()
    with explaining_errors(folder):
        check_folder(folder)
    device_named(session.device)
    with explaining_errors(folder), shown(enabled=session.progress) as report:
        parts = parts_of(data, corpus, report)
        if corpus.normalize and not parts.train.mean:
            raise SettingError(
                "Expected data whose normalisation is known for `normalize`, got "
                f"{parts.train.name}: leave it out, and normalise in the network."
            )
        network = network_of(model, parts, corpus, recipe)
        source = data if isinstance(data, str) else None
        task = Task(model, network, parts, source, (recipe, corpus, session))
        return carry_out(task, folder, report)


@dataclass(frozen=True)
class Task:
    """A training, everything it needs at hand.

    Args:
        model: As it was asked for.
        network: On the CPU, normalisation included; it is trained in place.
        parts: Training and validation data.
        source: The name that the data were asked for by, or None if they came from Python.
        asked: Recipe, corpus and session.
        freezing: What keeps a part of the network as it is; None trains all of it.
        besides: What else belongs to the question that the run's manifest holds.
    """

    model: str | nn.Module
    network: nn.Module
    parts: Parts
    source: str | None
    asked: tuple[Recipe, DataConfig, TrainerConfig]
    freezing: Freezing | None = None
    besides: Mapping[str, Any] = field(default_factory=dict)


def carry_out(task: Task, folder: Path, report: Report) -> TrainingRun:
    """Check everything that can be known beforehand, then train, or go on where a run stopped.

    Args:
        task: What is trained.
        folder: Folder of the run, see ``check_folder``.
        report: Called with a stage, the work done and in all.

    Raises:
        HormesisError: As ``train`` says.
    """
    network, parts = task.network, task.parts
    recipe, corpus, session = task.asked
    check_network(network, parts.validation.batch(torch.arange(2))[0], parts.train.classes)
    validation = parts.validation.drawn(session.validation_samples, corpus.split_seed)
    learner = Learner(
        network, replace(parts, validation=validation), recipe, session, task.freezing
    )
    asked = plainly({**question(task.model, network, parts, (recipe, corpus)), **task.besides})
    device = device_named(session.device)
    about = {
        "data": task.source,
        "data_root": _place(corpus),
        "device": str(device),
        "validated_on": len(validation),
        "notes": list(parts.notes),
    }
    with _freezing(task.freezing):
        make_schedule(recipe, make_optimizer(recipe, network), steps=1)  # to refuse it now
        about = plainly(about)
        with quiet():
            loggers = make_loggers(session, folder)
            with locked_run(folder, TRAINING):
                point, said = _begun(folder, asked, about, network)
                stage = f"Training {asked['network']['name']}{_part(task.freezing)}"
                every = session.checkpoint_every
                kept = Kept(folder, point, said, every, partial(report, stage))
                fit(learner, kept, loggers, device)
    return load_run(folder)


def _begun(
    folder: Path, asked: Mapping[str, Any], about: Mapping[str, Any], network: nn.Module
) -> tuple[ResumePoint, dict[str, Any]]:
    """Mend what is damaged of a run, begin a session, and return where it goes on.

    Raises:
        TrainingError: If the folder holds another training, or cannot be resumed.
    """
    now = read_run_state(folder)
    said = merge_manifests(folder, asked, now.manifest)
    for record in now.records:
        merge_manifests(folder, asked, record.manifest)
    point = repair(folder, now, network)
    told = {"mended": list(point.mended), "damaged": list(point.damaged)}
    session = session_of({**about, **{key: value for key, value in told.items() if value}})
    said["sessions"] = [*said["sessions"], session]
    write_manifest(folder, said)
    return point, {key: said[key] for key in ("question", "sessions")}


@contextmanager
def _freezing(freezing: Freezing | None) -> Iterator[None]:
    """Freeze while the block runs, and make sure that nothing has moved.

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


def _part(freezing: Freezing | None) -> str:
    """Say how much of a network is trained, where that is not all of it."""
    if freezing is None:
        return ""
    trained = sum(share.trained for share in freezing.shares)
    return f", {trained / sum(share.size for share in freezing.shares):.1%} of it"


def _place(corpus: DataConfig) -> str | None:
    known = corpus.root or os.environ.get("HORMESIS_DATA")
    return None if known is None else str(Path(known).expanduser().resolve())


def parts_of(data: Any, corpus: DataConfig, report: Report) -> Parts:  # noqa: ANN401
    """Return both parts of the data, the training part as small as it was asked for.

    Args:
        data: As ``train`` takes it.
        corpus: Which part.
        report: Called with a stage, the work done and in all.

    Raises:
        DataError: If the data are missing, incomplete, damaged, or neither a name nor a pair.
    """
    if isinstance(data, str):
        parts = load_parts(
            data,
            root=None if corpus.root is None else Path(corpus.root),
            split=corpus.split,
            seed=corpus.split_seed,
            download=corpus.download,
            progress=report,
        )
    elif isinstance(data, tuple | list) and len(data) == 2:
        first, second = (pixels_from(samples_from(part)) for part in data)
        classes = max(first.classes, second.classes)
        parts = Parts(replace(first, classes=classes), replace(second, classes=classes))
    else:
        raise DataError(
            "Expected the name of a data set, or a pair of training and validation data, got "
            f"{type(data).__name__}."
        )
    return replace(parts, train=parts.train.drawn(corpus.samples, corpus.split_seed))


def network_of(
    model: str | nn.Module, parts: Parts, corpus: DataConfig, recipe: Recipe
) -> nn.Module:
    """Return the untrained network, on the CPU, with the normalisation of its data inside.

    Args:
        model: As ``train`` takes it.
        parts: The data that it has to fit.
        corpus: Whether the network gets their normalisation.
        recipe: Seed and stem of a named network.

    Raises:
        ModelError: If it cannot be built.
    """
    pixels, wanted = parts.train, corpus.normalize
    if wanted is None:
        wanted = normalised_by_default(model)
    if isinstance(model, nn.Module):
        network = model.cpu()
    else:
        network = build_for(model, pixels.shape, pixels.classes, seed=recipe.seed, stem=recipe.stem)
    return normalized(network, pixels.mean, pixels.std) if wanted and pixels.mean else network
