"""Lightning, at work: one training from where it stands, and what it logs."""

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
from hormesis.models.checkpoints import READ_ERRORS
from hormesis.results.training_run import LOGS
from hormesis.training.checkpointing import EpochWriter, Progress
from hormesis.training.config import TrainerConfig
from hormesis.training.lit_module import Learner
from hormesis.training.resume import ResumePoint, not_resumed, read_state
from hormesis.training.resume_state import StateFiles


@dataclass(frozen=True)
class Kept:
    """Where a training goes on, and what of it is kept.

    Args:
        folder: The run's folder.
        point: Where it goes on.
        manifest: Question and sessions.
        every: Epochs between two checkpoints.
        report: Called with batches done and in total.
    """

    folder: Path
    point: ResumePoint
    manifest: Mapping[str, Any]
    every: int
    report: Progress


def fit(learner: Learner, kept: Kept, loggers: list[Logger], device: torch.device) -> None:
    """Train, from the last whole epoch on; the network comes back on the CPU, in evaluation mode.

    Args:
        learner: Network, data and recipe.
        kept: Where it goes on, and what is kept.
        loggers: What ``make_loggers`` returned.
        device: Where to compute.

    Raises:
        TrainingError: If what is needed to resume is damaged, or the training diverges.
    """
    recipe, point = learner.recipe, kept.point
    if point.epoch >= recipe.epochs:
        return
    files = StateFiles(None if point.state is None else read_state(point.state, learner.network))
    keeper = EpochWriter(kept.folder, kept.every, kept.report, point, kept.manifest, files)
    trainer = lightning.Trainer(
        accelerator={"cuda": "gpu"}.get(device.type, device.type),
        devices=1 if device.index is None or device.type != "cuda" else [device.index],
        max_epochs=recipe.epochs,
        callbacks=[keeper],
        plugins=[files],
        logger=loggers,
        default_root_dir=kept.folder,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=1,
        use_distributed_sampler=False,
        inference_mode=False,  # an attack during validation needs gradients
    )
    learner.network.to(memory_format=torch.channels_last)  # twice as fast on a CPU
    learner.network.train()  # Lightning leaves modules in the mode in which they come
    try:
        trainer.fit(learner, ckpt_path=point.state, weights_only=True)
    except SystemExit as error:
        raise KeyboardInterrupt from error  # as which it came to Lightning
    except HormesisError:
        raise
    except READ_ERRORS as error:
        if point.state is None or keeper.epochs or isinstance(error, OSError):
            raise
        raise not_resumed(point.state, str(error).partition("\n")[0].rstrip(".")) from error
    finally:
        learner.network.cpu().to(memory_format=torch.contiguous_format).eval()
        learner.network.zero_grad(set_to_none=True)


def make_loggers(session: TrainerConfig, folder: Path) -> list[Logger]:
    """Return Lightning's loggers of these names, which write into the run's folder.

    Raises:
        SettingError: For a name or an option that is not known.
        MissingExtraError: If a logger needs a package that is not installed.
    """
    known = [name for name in lightning_loggers.__all__ if name != "Logger"]
    made = []
    for name, options in session.loggers.items():
        if name not in known:
            raise SettingError(unknown("logger", name, known))
        kind = getattr(lightning_loggers, name)
        usual: dict[str, Any] = {}
        if "save_dir" in inspect.signature(kind).parameters:
            usual["save_dir"] = folder / LOGS
        if name == "TensorBoardLogger":  # one curve, however often the training was resumed
            usual |= {"name": "tensorboard", "version": ""}
        try:
            made.append(kind(**usual, **(options or {})))
        except ImportError as error:
            raise MissingExtraError(f"The logger {name} needs more: {error}") from error
        except (TypeError, ValueError) as error:
            raise SettingError(f"The logger {name} cannot be made: {error}.") from error
    return made


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's advice to itself, and the global random state as it was."""
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
