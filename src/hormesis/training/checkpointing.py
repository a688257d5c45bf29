"""What a training writes at the end of every epoch, and the progress that it shows."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
from torch import nn

from hormesis.errors import TrainingError
from hormesis.results.training_records import (
    KEPT,
    Record,
    remove_older_states,
    state_path,
    write_record,
)
from hormesis.results.training_run import write_metrics
from hormesis.storage.metrics_table import MEASURED, with_row
from hormesis.training.checkpoints import write_checkpoint
from hormesis.training.lit_module import LitNetwork, divergence_message
from hormesis.training.resume import ResumePoint
from hormesis.training.resume_state import StateFiles

Progress = Callable[[int, int], None]


class EpochWriter(lightning.Callback):
    """Writes checkpoint, state, record and table, in this order, after each epoch.

    A training that is killed in between repeats that epoch and writes the same again. The record
    says that the epoch is done; only then the oldest state is deleted.

    Args:
        folder: The run's folder.
        every: Epochs between two checkpoints that are kept.
        report: Called with batches done and in total, validation included.
        point: Where the training goes on.
        manifest: Question and sessions, for the records.
        files: What Lightning writes its state with.
    """

    def __init__(
        self,
        folder: Path,
        every: int,
        report: Progress,
        point: ResumePoint,
        manifest: Mapping[str, Any],
        files: StateFiles,
    ) -> None:
        """Keep what it is given."""
        self._folder = folder
        self._every = every
        self._report = report
        self._point = point
        self._manifest = manifest
        self._files = files
        self._checkpoints = dict(point.checkpoints)
        self._table = point.metrics
        self._records = list(point.records)
        self._started = 0.0
        self._batches = 0
        self.epochs = 0  # that this session has brought to their end

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
        if not isinstance(pl_module, LitNetwork):
            raise TypeError(type(pl_module))
        epoch = trainer.current_epoch + 1
        network = pl_module.network
        if _is_broken(network):
            raise TrainingError(divergence_message(epoch))
        if epoch % self._every == 0 or epoch == trainer.max_epochs:
            self._checkpoints[epoch] = write_checkpoint(network, self._folder, epoch)
        # Plain values and tensors only, so that it can be read without running code.
        trainer.save_checkpoint(state_path(self._folder, epoch), weights_only=False)
        self._table = with_row(self._table, self._row(trainer, epoch))
        record = Record(epoch, self._files.seal, self._checkpoints, self._table, self._manifest)
        write_record(self._folder, record)
        write_metrics(self._folder, self._table)
        self._records = [record, *self._records][:KEPT]
        self._forget()
        self.epochs += 1

    def _forget(self) -> None:
        """Delete all states but the last ones."""
        remove_older_states(self._folder, [record.epoch for record in self._records])
        earlier = self._point.state
        if earlier is not None and not self._point.records and len(self._records) == KEPT:
            earlier.unlink(missing_ok=True)  # the only state of an earlier version

    def _row(self, trainer: lightning.Trainer, epoch: int) -> dict[str, Any]:
        metrics = trainer.callback_metrics
        measured = {name: round(float(metrics[name]), 6) for name in MEASURED if name in metrics}
        rate = float(trainer.optimizers[0].param_groups[0]["lr"])
        seconds = round(time.monotonic() - self._started, 2)
        return {"epoch": epoch, **measured, "rate": rate, "seconds": seconds}


def _is_broken(network: nn.Module) -> bool:
    """Return whether weights are not finite, or buffers NaN; these may hold -inf on purpose."""
    return any(not bool(value.isfinite().all()) for value in network.parameters()) or any(
        bool(value.isnan().any()) for value in network.buffers()
    )
