"""The order of samples, and what changes them, depend on seed, epoch and number alone."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import v2

from hormesis.data.image_array import ImageArray
from hormesis.errors import SettingError
from hormesis.settings.attacks import PGD
from hormesis.settings.choices import MOST_SEED
from hormesis.training.config import DataConfig, Recipe, TrainerConfig, training_attack
from hormesis.training.loaders import (
    augment_batch,
    derive_seed,
    epoch_order,
    plain_loader,
    training_loader,
)


def pixels(count):
    values = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4), np.uint8)
    return ImageArray(values, torch.arange(count) % 3, (0.0, 1.0), 3, "made up")


@given(st.integers(1, 70), st.integers(1, 20), st.integers(0, 2**62), st.integers(0, 3))
def test_an_epoch_shows_every_sample_once_and_no_batch_is_a_single_one(count, batch, seed, epoch):
    loader = training_loader(pixels(count), batch_size=batch, seed=seed, epoch=epoch)
    batches = [(inputs, labels) for inputs, labels in loader]
    shown = torch.cat([inputs[:, 0, 0, 0] for inputs, _ in batches]).mul(255).round().long()
    assert torch.equal(shown, epoch_order(count, seed=seed, epoch=epoch))
    assert torch.equal(torch.cat([labels for _, labels in batches]), shown % 3)
    sizes = [len(labels) for _, labels in batches]
    assert len(loader) == len(sizes)
    if batch > 1 and count > 1:
        assert min(sizes) > 1
    assert max(sizes) <= batch + 1


def test_orders_differ_between_epochs_and_seeds():
    orders = [epoch_order(50, seed=seed, epoch=epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(order.tolist()) for order in orders}) == 4


@given(st.lists(st.integers(0, MOST_SEED), min_size=1, max_size=4))
def test_derived_seeds_are_what_generators_take(parts):
    assert 0 <= derive_seed(*parts) <= MOST_SEED


def test_the_validation_is_in_order():
    shown = torch.cat([labels for _, labels in plain_loader(pixels(10), batch_size=4)])
    assert torch.equal(shown, torch.arange(10) % 3)


def test_a_change_belongs_to_the_sample_and_not_to_its_batch():
    transforms = [v2.RandomCrop(8, padding=3), v2.RandomHorizontalFlip()]
    inputs = torch.rand(6, 1, 8, 8)
    whole = augment_batch(inputs, torch.arange(6), transforms, (1, 2, 3))
    for number in range(6):
        alone = augment_batch(inputs[number:][:1], torch.tensor([number]), transforms, (1, 2, 3))
        assert torch.equal(alone[0], whole[number])
    assert not torch.equal(augment_batch(inputs, torch.arange(6), transforms, (1, 2, 4)), whole)


def test_the_global_state_stays():
    before = torch.get_rng_state()
    augment_batch(torch.zeros(2, 1, 4, 4), torch.arange(2), [v2.RandomCrop(2)], (0,))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Recipe(epochs=0), "`epochs` to be a whole number of at least 1, got 0"),
        (lambda: Recipe(batch_size=True), "`batch_size` to be a whole number"),
        (lambda: Recipe(lr=float("nan")), "`lr` to be a finite number above 0, got nan"),
        (lambda: Recipe(seed=-1), "`seed` to be a whole number of at least 0"),
        (lambda: Recipe(seed=2**63), "`seed` to be at most"),
        (lambda: Recipe(stem="tiny"), "Unknown stem 'tiny'"),
        (lambda: Recipe(schedule_options={"a": 1}), "Expected a `schedule`"),
        (lambda: Recipe(adversarial=True), "an `attack` to train against"),
        (lambda: Recipe(attack=PGD()), "`epsilon` to be a number for an attack during training"),
        (lambda: DataConfig(samples=1), "`samples` to be a whole number of at least 2"),
        (lambda: DataConfig(split_seed=-1), "`split_seed` to be a whole number"),
        (lambda: TrainerConfig(checkpoint_every=0), "`checkpoint_every` to be a whole number"),
        (lambda: TrainerConfig(num_workers=-1), "`num_workers` to be a whole number"),
        (lambda: TrainerConfig(validation_samples=1), "`validation_samples` to be a whole number"),
    ],
)
def test_values_that_cannot_be_used_are_refused(wrong, message):
    with pytest.raises(SettingError, match=message):
        wrong()


@pytest.mark.parametrize(("steps", "size"), [(None, 0.25), (1, 2.5), (2, 1.25), (5, 0.5)])
def test_few_steps_can_cross_the_ball(steps, size):
    attack = training_attack("pgd", 0.1, steps=steps)
    assert isinstance(attack, PGD)
    assert (attack.steps, attack.step_size) == (steps or 10, size)
    assert attack.steps * attack.step_size >= 1  # pyright: ignore[reportOperatorIssue]
