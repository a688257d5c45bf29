"""The network as Lightning trains it: loss, validation, and when a training has to stop."""

from collections.abc import Sequence
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from hormesis.data.splits import Parts
from hormesis.errors import TrainingError
from hormesis.models.networks import logits_of
from hormesis.stress.attacks import perturb
from hormesis.training.config import Recipe, TrainerConfig
from hormesis.training.freezing import Freezing
from hormesis.training.loaders import plain_loader, step_seed, training_loader
from hormesis.training.optimizers import make_optimizer, make_schedule, make_transforms

_CHECKED = 20  # steps between two looks at the loss on an accelerator, which each wait for it

Batch = Sequence[Tensor]  # inputs and labels; a list where several processes prepare them


class Learner(lightning.LightningModule):
    """A network, its data and its recipe.

    Args:
        network: Takes inputs in input units, normalisation included.
        parts: What it is trained and validated on.
        recipe: How.
        session: Under which conditions.
        freezing: What keeps a part of the network as it is; None trains all of it.
    """

    def __init__(
        self,
        network: nn.Module,
        parts: Parts,
        recipe: Recipe,
        session: TrainerConfig,
        freezing: Freezing | None = None,
    ) -> None:
        """Check what can be checked before anything is trained."""
        super().__init__()
        self.network = network
        self._parts = parts
        self.recipe = recipe
        self._session = session
        self._freezing = freezing
        self._transforms = make_transforms(recipe.augment)

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the batches of the epoch that comes; Lightning asks before each."""
        return training_loader(
            self._parts.train,
            batch=self.recipe.batch_size,
            seed=self.recipe.seed,
            epoch=epochs_done(self.trainer),
            transforms=self._transforms,
            loaders=self._session.num_workers,
        )

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the validation samples in batches."""
        return plain_loader(self._parts.validation, batch=max(self.recipe.batch_size, 100))

    def configure_optimizers(self) -> Any:  # noqa: ANN401  (of the many forms that Lightning takes)
        """Return optimiser and schedule."""
        optimizer = make_optimizer(self.recipe, self.network)
        if self._freezing is not None:
            self._freezing.follow(optimizer)
        steps = len(self.train_dataloader())
        schedule = make_schedule(self.recipe, optimizer, steps=steps)
        if schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Let dropout and its like depend on the step alone, also after a resumption."""
        torch.manual_seed(step_seed(self.recipe.seed, self.global_step))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean cross-entropy of a batch, on request of its adversarial version."""
        inputs, labels = batch
        if self.recipe.adversarial:
            inputs = self._attacked(
                inputs, labels, seed=step_seed(self.recipe.seed, self.global_step)
            )
        logits = logits_of(self.network(inputs))
        loss = cross_entropy(logits, labels)
        looked_at = loss.device.type == "cpu" or batch_idx % _CHECKED == 0
        if looked_at and not bool(loss.isfinite()):
            raise TrainingError(diverged(self.current_epoch + 1))
        accuracy = (logits.argmax(dim=1) == labels).float().mean()
        found = {"train_loss": loss.detach(), "train_accuracy": accuracy}
        self.log_dict(found, on_step=False, on_epoch=True, batch_size=len(labels))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measure loss and accuracy of a batch, on request also under attack."""
        inputs, labels = batch
        logits = logits_of(self.network(inputs))
        found = {
            "validation_loss": cross_entropy(logits, labels),
            "validation_accuracy": _share(logits, labels),
        }
        if self.recipe.attack is not None:
            attacked = self._attacked(inputs, labels, seed=step_seed(0, batch_idx))
            found["adversarial_accuracy"] = _share(logits_of(self.network(attacked)), labels)
        self.log_dict(found, on_step=False, on_epoch=True, batch_size=len(labels))

    def _attacked(self, inputs: Tensor, labels: Tensor, *, seed: int) -> Tensor:
        """Return a batch as the recipe's attack changes it, the network in evaluation mode."""
        attack = self.recipe.attack
        if attack is None:
            return inputs
        bounds = self._parts.train.bounds
        return perturb(self.network, inputs, labels, attack, bounds=bounds, seed=seed)


def epochs_done(trainer: lightning.Trainer) -> int:
    """Return how many epochs a training has behind it, also one that was just resumed."""
    progress = trainer.fit_loop.epoch_progress.state_dict()  # the form that checkpoints have
    return int(progress["current"]["processed"])


def diverged(epoch: int) -> str:
    """Return the sentence that stops a training whose loss or weights are no longer finite."""
    return (
        f"Training diverged in epoch {epoch}: its loss is NaN or infinite. The last good "
        "checkpoint stays; lower `lr`, or change the recipe, in another folder."
    )


def _share(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(dim=1) == labels).float().mean()
