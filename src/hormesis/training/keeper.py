"""What a training writes at the end of every epoch, and the progress that it shows."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import pandas as pd
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from hormesis.errors import TrainingError
from hormesis.inputs.normalize import Normalized
from hormesis.manifest import network_fingerprint
from hormesis.training.learner import Learner, diverged, epochs_done
from hormesis.training.runs import (
    METRICS,
    RESUME,
    checkpoint_path,
    write_metrics,
)

Progress = Callable[[int, int], None]
_MEASURED = (
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "adversarial_accuracy",
)


class Keeper(lightning.Callback):
    """Writes checkpoint, table and the state to resume from, in this order, after each epoch.

    A training that is killed in between repeats that epoch and writes the same again.

    Args:
        folder: The run's folder.
        every: Epochs between two checkpoints that are kept.
        report: Called with batches done and in total, validation included.
    """

    def __init__(self, folder: Path, every: int, report: Progress) -> None:
        """Keep what it is given."""
        self._folder = folder
        self._every = every
        self._report = report
        self._rows: list[dict[Any, Any]] = []
        self._started = 0.0
        self._batches = 0

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Take up the table where the resumed epoch begins."""
        done = epochs_done(trainer)
        path = self._folder / METRICS
        if done and path.is_file():
            table = pd.read_csv(path)
            self._rows = [row for row in table.to_dict("records") if row["epoch"] <= done]

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Start the clock."""
        self._started = time.monotonic()
        self._batches = 0

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Report a batch."""
        self._tick(trainer)

    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Report a batch."""
        self._tick(trainer)

    def _tick(self, trainer: lightning.Trainer) -> None:
        self._batches += 1
        an_epoch = int(trainer.num_training_batches) + sum(map(int, trainer.num_val_batches))
        epochs = trainer.max_epochs or 1
        self._report(trainer.current_epoch * an_epoch + self._batches, epochs * an_epoch)

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Write what the epoch has brought."""
        if not isinstance(pl_module, Learner):
            raise TypeError(type(pl_module))
        epoch = trainer.current_epoch + 1
        network = pl_module.network
        if _is_broken(network):
            raise TrainingError(diverged(epoch))
        if epoch % self._every == 0 or epoch == trainer.max_epochs:
            write_checkpoint(network, self._folder, epoch)
        self._rows.append(self._row(trainer, epoch))
        write_metrics(self._folder, self._rows)
        with _beside(self._folder / RESUME) as partial:
            trainer.save_checkpoint(partial, weights_only=False)  # plain values and tensors only

    def _row(self, trainer: lightning.Trainer, epoch: int) -> dict[str, Any]:
        found = trainer.callback_metrics
        measured = {name: round(float(found[name]), 6) for name in _MEASURED if name in found}
        rate = float(trainer.optimizers[0].param_groups[0]["lr"])
        seconds = round(time.monotonic() - self._started, 2)
        return {"epoch": epoch, **measured, "rate": rate, "seconds": seconds}


def _is_broken(network: nn.Module) -> bool:
    """Return whether weights are not finite, or buffers NaN; these may hold -inf on purpose."""
    return any(not bool(value.isfinite().all()) for value in network.parameters()) or any(
        bool(value.isnan().any()) for value in network.buffers()
    )


def write_checkpoint(network: nn.Module, folder: Path, epoch: int) -> None:
    """Write the weights of a network, without the normalisation around it, and what they sum to.

    Args:
        network: The network.
        folder: The run's folder.
        epoch: Epochs that it was trained for.
    """
    inner = network.network if isinstance(network, Normalized) else network
    path = checkpoint_path(folder, epoch)
    path.parent.mkdir(parents=True, exist_ok=True)
    # One entry only: safetensors writes several in no fixed order.
    said = {"fingerprint": network_fingerprint(inner)}
    with _beside(path) as partial:
        safetensors.torch.save_model(_contiguous(inner), str(partial), metadata=said)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Give a file to write, which takes the place of ``path`` if all goes well.

    Raises:
        TrainingError: If it cannot be written; PyTorch and safetensors hide a full disk in errors
            of their own.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.unlink(missing_ok=True)  # a link might lead to anything
        yield partial
        partial.replace(path)
    except (SafetensorError, OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise TrainingError(
            f"The file {path} cannot be written ({reason}): free some space and run the same "
            "command again, which goes on from there."
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _contiguous(network: nn.Module) -> nn.Module:
    """Return a copy on the CPU whose values lie in the order that files have."""
    with torch.no_grad():
        return deepcopy(network).cpu().to(memory_format=torch.contiguous_format)
