"""The callback, in trainings with Lightning that are not ours."""

import warnings
from typing import Any

import lightning.pytorch as lightning
import pytest
import torch
from lightning.pytorch.callbacks import StochasticWeightAveraging
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import hormesis as hm
from hormesis.errors import ModelError, TrainingError
from retrained import data, network, study, upper


class Users(lightning.LightningModule):
    """A module as users write it: the network is an attribute, beside other things."""

    def __init__(self, optimizer="AdamW", model=None):
        super().__init__()
        self.backbone = model or network()
        self.optimizer = optimizer

    def training_step(self, batch, batch_idx):
        inputs, labels = batch
        return cross_entropy(self.backbone(inputs), labels)

    def configure_optimizers(self):
        options: dict[str, Any] = {"lr": 0.01, "weight_decay": 0.1}
        return getattr(torch.optim, self.optimizer)(self.parameters(), **options)


class WholeModule(lightning.LightningModule):
    """A module that is the network itself."""

    def __init__(self):
        super().__init__()
        for name, part in network().named_children():
            self.add_module(name, part)

    def training_step(self, batch, batch_idx):
        inputs, labels = batch
        for part in self.children():
            inputs = part(inputs)
        return cross_entropy(inputs, labels)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)


def fitted(module, *callbacks, epochs=2, path=None, **options):
    loader = DataLoader(TensorDataset(*data()), batch_size=8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            callbacks=list(callbacks),
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            **options,
        )
        module.train()
        trainer.fit(module, loader, ckpt_path=path)
    return trainer


def still(model, of):
    """Check that all that a selection does not keep is as in the network of the study."""
    freezing = hm.freeze(network(), of, upper(of))
    start, now = network().state_dict(), model.state_dict()
    moved = 0
    for share in freezing.masks:
        on = torch.tensor(share.channels).expand(now[share.parameter].shape[0])
        assert torch.equal(now[share.parameter][~on], start[share.parameter][~on])
        moved += int(not torch.equal(now[share.parameter], start[share.parameter]))
    for norm in freezing.statistics:
        for leaf in ("running_mean", "running_var", "num_batches_tracked"):
            assert torch.equal(now[f"{norm}.{leaf}"], start[f"{norm}.{leaf}"])
    return moved


@pytest.mark.parametrize("per", ["tensor", "channel"])
@pytest.mark.parametrize("kind", [Users, WholeModule])
def test_frozen_values_stay_and_others_move(kind, per):
    module, of = kind(), study(per)
    callback = hm.SelectiveTraining(of, selection=upper(of))
    fitted(module, callback, accumulate_grad_batches=2, gradient_clip_val=0.5)
    assert still(getattr(module, "backbone", module), of)
    assert callback.frozen_values > 0
    assert all(value.requires_grad for value in module.parameters())


def test_the_optimiser_has_state_for_trained_parameters_only():
    module, of = Users(), study()
    trainer = fitted(module, hm.SelectiveTraining(of, selection=upper(of)))
    shares = {share.parameter: share for share in hm.freeze(network(), of, upper(of)).masks}
    named = {id(value): name for name, value in module.backbone.named_parameters()}
    with_state = {named[id(value)] for value in trainer.optimizers[0].state}
    assert with_state == {name for name, share in shares.items() if share.trained}


@pytest.mark.parametrize("first", [True, False])
def test_averaging_of_weights_leaves_frozen_values_alone(first):
    """Lightning's SWA resets the statistics of batch norms and copies its averages at the end."""
    module, of = Users(), study()
    ours = hm.SelectiveTraining(of, selection=upper(of))
    averages = StochasticWeightAveraging(swa_lrs=0.01, swa_epoch_start=1)
    fitted(module, *((ours, averages) if first else (averages, ours)), epochs=4)
    assert still(module.backbone, of)


class Meddling(lightning.Callback):
    """Writes to the network while it is trained."""

    def on_train_end(self, trainer, pl_module):
        with torch.no_grad():
            for value in pl_module.parameters():
                value.mul_(1.0001)


def test_what_something_else_moves_is_an_error():
    module, of = Users(), study()
    with pytest.raises(TrainingError, match="Frozen values have changed in"):
        fitted(module, hm.SelectiveTraining(of, selection=upper(of)), Meddling())
    assert all(value.requires_grad for value in module.parameters())


def test_a_training_that_goes_on_is_no_other_network(tmp_path):
    module, of = Users(), study()
    trainer = fitted(module, hm.SelectiveTraining(of, selection=upper(of)), epochs=1)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    again = Users()
    fitted(
        again, hm.SelectiveTraining(of, selection=upper(of)), epochs=2, path=tmp_path / "last.ckpt"
    )
    assert still(again.backbone, of)
    other = Users(model=network(1))
    with pytest.raises(ModelError, match="of another network than the one given"):
        fitted(other, hm.SelectiveTraining(of, selection=upper(of)))
    fitted(other, hm.SelectiveTraining(of, selection=upper(of), same=False), epochs=1)


def test_the_classes_to_keep_can_be_named_alone():
    of = study()
    callback = hm.SelectiveTraining(of, ["antifragile"], selection=upper(of))
    module = Users()
    fitted(module, callback, epochs=1)
    assert callback.frozen_values


def test_a_network_that_is_not_there_is_refused():
    of = study()
    with pytest.raises(ModelError, match="No part of Users has the parameters of the study"):
        fitted(
            Users(model=nn.Sequential(nn.Flatten(), nn.Linear(64, 3))),
            hm.SelectiveTraining(of, selection=upper(of)),
        )
    with pytest.raises(ModelError, match="Users has no part `network`='head'"):
        fitted(Users(), hm.SelectiveTraining(of, selection=upper(of), network="head"))
