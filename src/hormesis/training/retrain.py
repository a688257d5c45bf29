"""Selective retraining: only parameters of the selected classes are trained."""

from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from hormesis.engine.progress import Report, show_progress
from hormesis.errors import SettingError
from hormesis.results.retraining import Retraining, load_retraining, write_retraining
from hormesis.results.study import Study
from hormesis.results.training_run import TrainingRun
from hormesis.storage.validation import plain_values
from hormesis.training.config import DataConfig, Recipe, TrainerConfig
from hormesis.training.freezing import Freezing
from hormesis.training.kept_values import kept_values, put_in
from hormesis.training.retraining_plan import Arm, RetrainingPlan, plan_retraining
from hormesis.training.run_folder import explaining_errors
from hormesis.training.run_state import check_folder
from hormesis.training.selection import Selection
from hormesis.training.source_lookup import (
    SourceNetwork,
    find_training,
    is_trained_on_digits,
    refuse_manifest_code,
)
from hormesis.training.source_network import data_config_of, rebuild_network
from hormesis.training.train import TrainingJob, load_training_parts, run_training
from hormesis.training.trainable_masks import TrainableMask


def retrain(
    study: Study | str | Path,
    data: Any = None,  # noqa: ANN401
    *,
    out: str | Path,
    selection: Selection = Selection(),
    recipe: Recipe = Recipe(),
    source: SourceNetwork = SourceNetwork(),
    data_config: DataConfig | None = None,
    trainer_config: TrainerConfig = TrainerConfig(),
) -> Retraining:
    """Continue training the network of a study, but only the selected parameters.

    All others are frozen bit for bit: the run compares them at its end and records their number.
    The folder is a run like those of ``train``: it can be analysed, and resumed after an
    interruption.

    Args:
        study: A study of single targets or channels, or its folder; or the folder of ``apply``,
            whose network is trained instead: what it has zeroed stays zero.
        data: As ``train`` takes it; None takes the data that the network was trained on.
        out: Folder of the run.
        selection: Which parameters are trained.
        recipe: How they are trained; its seed decides the order of the samples. The stem is the
            network's.
        source: Where the network comes from; by default, the place named in the study.
        data_config: Which part of the data is used; None takes that of the network's training.
        trainer_config: Settings that do not change the weights.

    Returns:
        The retraining.

    Raises:
        SettingError: If nothing would be trained, or nothing frozen.
        StudyError: If the study cannot be read, or is of all targets at once.
        ModelError: If the network is not that of the study.
        DataError: If the data are missing, damaged, or of another shape than the study's.
        TrainingError: If the network is not at hand, ``out`` holds something else, or the training
            diverges; and if a frozen value has changed.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import torch
        >>> import hormesis as hm
        >>> first, last = (torch.nn.Linear(2, 2, bias=False) for _ in range(2))
        >>> for layer in (first, last):
        ...     _ = layer.weight.data.copy_(torch.tensor([[1.0, -1.0], [-0.5, 0.5]]))
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), first, last)
        >>> images = torch.tensor([[0.9, 0.1], [0.2, 0.8]]).repeat(9, 1)
        >>> data = images, torch.arange(18) % 2
        >>> study = hm.analyze(network, data, attack=hm.FGSM(0.01), sweep=hm.Sweep(thresholds=5),
        ...                    execution=hm.Execution(progress=False))
        >>> selection = hm.Selection(("antifragile",), undecided="estimate",
        ...                          scoring=hm.Scoring(reference="density", tolerance=0.4))
        >>> quiet = hm.TrainerConfig(progress=False, loggers={}, device="cpu")
        >>> with TemporaryDirectory() as folder:
        ...     made = retrain(
        ...         study, (data, data), out=f"{folder}/run", selection=selection,
        ...         recipe=hm.Recipe(epochs=1),
        ...         source=hm.SourceNetwork(network=network), trainer_config=quiet,
        ...     )
        >>> made
        Retraining(Sequential, no controls)
    """
    folder = Path(out).expanduser()
    with explaining_errors(folder):
        check_folder(folder)
    plan = plan_retraining(study, selection)
    request = RetrainingRequest(data, source, recipe, data_config, trainer_config)
    with explaining_errors(folder), show_progress(enabled=trainer_config.progress) as report:
        prepared = prepare_retraining(plan, request, report)
        recipe = prepared.job.recipe
        train_arm(prepared, folder, plan.arm("selective", recipe.seed), recipe, report)
    return load_retraining(folder)


@dataclass(frozen=True)
class RetrainingRequest:
    """What a user asks of a retraining besides the study and the selection; see ``retrain``."""

    data: Any
    source: SourceNetwork
    recipe: Recipe
    data_config: DataConfig | None
    trainer_config: TrainerConfig


@dataclass(frozen=True)
class PreparedRetraining:
    """A plan, with the network and the data loaded.

    Args:
        plan: The study and the selection.
        job: The training; its network is copied before each arm is trained.
    """

    plan: RetrainingPlan
    job: TrainingJob


def prepare_retraining(
    plan: RetrainingPlan, request: RetrainingRequest, report: Report
) -> PreparedRetraining:
    """Load the data and the network of the study.

    Args:
        plan: The study and the selection.
        request: What the user asked for.
        report: Called with a stage, the work done and in all.

    Raises:
        HormesisError: As ``retrain`` says.
    """
    study, source = plan.study, request.source
    refuse_manifest_code(study, source, request.data)
    training = find_training(study, source)
    data_config = request.data_config
    if data_config is None:
        data_config = DataConfig() if training is None else data_config_of(training)
    data = _training_data(study, request.data, training)
    parts = load_training_parts(data, data_config, report)
    rebuilt = rebuild_network(study, source, parts, data_config, training)
    if plan.applied is not None:
        put_in(rebuilt.network, plan.applied)
    job = TrainingJob(
        rebuilt.model,
        rebuilt.network,
        parts,
        data if isinstance(data, str) else None,
        replace(request.recipe, stem=rebuilt.stem),
        data_config,
        request.trainer_config,
    )
    return PreparedRetraining(plan, job)


def train_arm(
    prepared: PreparedRetraining, folder: Path, arm: Arm, recipe: Recipe, report: Report
) -> nn.Module:
    """Train an arm and return the trained network.

    Args:
        prepared: The plan, the network and the data.
        folder: Folder of the run.
        arm: What is trained.
        recipe: How it is trained.
        report: Called with a stage, the work done and in all.

    Raises:
        TrainingError: As ``retrain`` says.
    """
    plan, network = prepared.plan, deepcopy(prepared.job.network)
    kept = kept_values(network, plan.applied)
    freezing = Freezing(network, arm.masks, batchnorm=plan.selection.batchnorm, kept=kept)
    description = plain_values(plan.described())
    selection = {
        **description["selection"],
        "arm": arm.name,
        **arm.described(plan.classes),
    }
    question = {
        "study": description["study"]["fingerprint"],
        "batchnorm": plan.selection.batchnorm,
        "trained": {mask.parameter: _mask_text(mask) for mask in arm.masks if mask.trained},
        **({} if plan.applied is None else {"applied": description["applied"]["fingerprint"]}),
    }
    job = replace(
        prepared.job,
        network=network,
        recipe=recipe,
        freezing=freezing,
        extra_question={"retraining": question},
    )
    run = run_training(job, folder, report)
    manifest = {
        **run.manifest,
        **description,
        "selection": selection,
        "recipe": recipe.described(),
        "frozen": {
            "values": freezing.frozen_values,
            "equal": "bit for bit, compared at the end of the run",
            "statistics": sorted(freezing.statistics),
        },
    }
    write_retraining(folder, manifest)
    return network


def _mask_text(mask: TrainableMask) -> str:
    """Return ``all``, or one digit per channel: 1 if it is trained, else 0."""
    return "".join(str(int(on)) for on in mask.channels) if mask.is_partial else "all"


def _training_data(study: Study, data: Any, training: TrainingRun | None) -> Any:  # noqa: ANN401
    """Return the user's data, or those that the study's network was trained on."""
    if data is not None:
        return data
    if training is not None and training.source is not None:
        return training.source
    name = study.manifest["question"]["data"]["name"]
    if is_trained_on_digits(study):
        return name
    raise SettingError(
        f"Expected `data`, to train on: the study is of {name}, which came without a training."
    )
