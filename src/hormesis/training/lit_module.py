"""The network as a LightningModule: loss, validation, and the check for divergence."""

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


class LitNetwork(lightning.LightningModule):
    """A network, its data and its recipe.

    Args:
        network: Takes inputs in input units, normalisation included.
        parts: Training and validation data.
        recipe: How it is trained.
        trainer_config: Settings that do not change the weights.
        freezing: Freezes a part of the network; None trains all of it.
    """

    def __init__(
        self,
        network: nn.Module,
        parts: Parts,
        recipe: Recipe,
        trainer_config: TrainerConfig,
        freezing: Freezing | None = None,
    ) -> None:
        """Make the transforms, so that a bad augmentation is refused at once."""
        super().__init__()
        self.network = network
        self._parts = parts
        self.recipe = recipe
        self._session = trainer_config
        self._freezing = freezing
        self._transforms = make_transforms(recipe.augment)

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the batches of the next epoch; Lightning calls this before each epoch."""
        return training_loader(
            self._parts.train,
            batch_size=self.recipe.batch_size,
            seed=self.recipe.seed,
            epoch=epochs_done(self.trainer),
            transforms=self._transforms,
            num_workers=self._session.num_workers,
        )

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the validation samples in batches."""
        return plain_loader(self._parts.validation, batch_size=max(self.recipe.batch_size, 100))

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
        """Seed dropout and the like by the step alone, so that resumed trainings agree."""
        torch.manual_seed(step_seed(self.recipe.seed, self.global_step))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean cross-entropy of a batch, or of its adversarial version."""
        inputs, labels = batch
        if self.recipe.adversarial:
            inputs = self._attacked(
                inputs, labels, seed=step_seed(self.recipe.seed, self.global_step)
            )
        logits = logits_of(self.network(inputs))
        loss = cross_entropy(logits, labels)
        check_loss = loss.device.type == "cpu" or batch_idx % _CHECKED == 0
        if check_loss and not bool(loss.isfinite()):
            raise TrainingError(divergence_message(self.current_epoch + 1))
        accuracy = (logits.argmax(dim=1) == labels).float().mean()
        metrics = {"train_loss": loss.detach(), "train_accuracy": accuracy}
        self.log_dict(metrics, on_step=False, on_epoch=True, batch_size=len(labels))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measure loss and accuracy of a batch, also under attack if the recipe has one."""
        inputs, labels = batch
        logits = logits_of(self.network(inputs))
        metrics = {
            "validation_loss": cross_entropy(logits, labels),
            "validation_accuracy": _share(logits, labels),
        }
        if self.recipe.attack is not None:
            attacked = self._attacked(inputs, labels, seed=step_seed(0, batch_idx))
            metrics["adversarial_accuracy"] = _share(logits_of(self.network(attacked)), labels)
        self.log_dict(metrics, on_step=False, on_epoch=True, batch_size=len(labels))

    def _attacked(self, inputs: Tensor, labels: Tensor, *, seed: int) -> Tensor:
        """Return a batch perturbed by the recipe's attack."""
        attack = self.recipe.attack
        if attack is None:
            return inputs
        bounds = self._parts.train.bounds
        return perturb(self.network, inputs, labels, attack, bounds=bounds, seed=seed)


def epochs_done(trainer: lightning.Trainer) -> int:
    """Return how many epochs of a training are done, also right after it was resumed."""
    progress = trainer.fit_loop.epoch_progress.state_dict()  # the form that checkpoints have
    return int(progress["current"]["processed"])


def divergence_message(epoch: int) -> str:
    """Return the error message of a training whose loss or weights are no longer finite."""
    return (
        f"Training diverged in epoch {epoch}: its loss is NaN or infinite. The last good "
        "checkpoint stays; lower `lr`, or change the recipe, in another folder."
    )


def _share(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(dim=1) == labels).float().mean()
