"""Training with Lightning from a resume point, and its loggers."""

import inspect
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch import loggers as lightning_loggers
from lightning.pytorch.loggers import Logger

from hormesis.errors import HormesisError, MissingExtraError, SettingError, unknown
from hormesis.models.checkpoint_files import READ_ERRORS
from hormesis.results.training_run import LOGS
from hormesis.training.checkpointing import EpochWriter, Progress
from hormesis.training.config import TrainerConfig
from hormesis.training.lit_module import LitNetwork
from hormesis.training.resume import ResumePoint, not_resumed, read_state
from hormesis.training.resume_state import StateFiles


@dataclass(frozen=True)
class CheckpointPlan:
    """Where a training resumes, and what it writes.

    Args:
        folder: The run's folder.
        point: Where the training resumes.
        manifest: Question and sessions.
        checkpoint_every: Epochs between two checkpoints.
        report: Called with batches done and in total.
    """

    folder: Path
    point: ResumePoint
    manifest: Mapping[str, Any]
    checkpoint_every: int
    report: Progress


def fit(
    module: LitNetwork, plan: CheckpointPlan, loggers: list[Logger], device: torch.device
) -> None:
    """Train from the last complete epoch; afterwards the network is on the CPU, in evaluation mode.

    Args:
        module: Network, data and recipe.
        plan: Where the training resumes, and what it writes.
        loggers: From ``make_loggers``.
        device: Where to compute.

    Raises:
        TrainingError: If what is needed to resume is damaged, or the training diverges.
    """
    recipe, point = module.recipe, plan.point
    if point.epoch >= recipe.epochs:
        return
    files = StateFiles(None if point.state is None else read_state(point.state, module.network))
    keeper = EpochWriter(
        plan.folder, plan.checkpoint_every, plan.report, point, plan.manifest, files
    )
    trainer = lightning.Trainer(
        accelerator={"cuda": "gpu"}.get(device.type, device.type),
        devices=1 if device.index is None or device.type != "cuda" else [device.index],
        max_epochs=recipe.epochs,
        callbacks=[keeper],
        plugins=[files],
        logger=loggers,
        default_root_dir=plan.folder,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=1,
        use_distributed_sampler=False,
        inference_mode=False,  # an attack during validation needs gradients
    )
    module.network.to(memory_format=torch.channels_last)  # twice as fast on a CPU
    module.network.train()  # Lightning leaves modules in the mode in which they come
    try:
        trainer.fit(module, ckpt_path=point.state, weights_only=True)
    except SystemExit as error:
        raise KeyboardInterrupt from error  # as which it came to Lightning
    except HormesisError:
        raise
    except READ_ERRORS as error:
        if point.state is None or keeper.epochs or isinstance(error, OSError):
            raise
        raise not_resumed(point.state, str(error).partition("\n")[0].rstrip(".")) from error
    finally:
        module.network.cpu().to(memory_format=torch.contiguous_format).eval()
        module.network.zero_grad(set_to_none=True)


def make_loggers(trainer_config: TrainerConfig, folder: Path) -> list[Logger]:
    """Return the configured Lightning loggers, which write into the run's folder.

    Raises:
        SettingError: For an unknown name or option.
        MissingExtraError: If a logger needs a package that is not installed.
    """
    names = [name for name in lightning_loggers.__all__ if name != "Logger"]
    loggers = []
    for name, options in trainer_config.loggers.items():
        if name not in names:
            raise SettingError(unknown("logger", name, names))
        kind = getattr(lightning_loggers, name)
        defaults: dict[str, Any] = {}
        if "save_dir" in inspect.signature(kind).parameters:
            defaults["save_dir"] = folder / LOGS
        if name == "TensorBoardLogger":  # one curve, however often the training was resumed
            defaults |= {"name": "tensorboard", "version": ""}
        try:
            loggers.append(kind(**defaults, **(options or {})))
        except ImportError as error:
            raise MissingExtraError(f"The logger {name} needs more: {error}") from error
        except (TypeError, ValueError) as error:
            raise SettingError(f"The logger {name} cannot be made: {error}.") from error
    return loggers


@contextmanager
def silence_lightning() -> Iterator[None]:
    """Silence Lightning's messages, and restore the global random state afterwards."""
    names = ("lightning.pytorch", "lightning.fabric", "lightning")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    try:
        with warnings.catch_warnings(), torch.random.fork_rng():
            warnings.filterwarnings("ignore", module=r"lightning\.")
            warnings.filterwarnings("ignore", category=PossibleUserWarning)
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
