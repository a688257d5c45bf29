"""Guessing: its level, whether a base can be told from it, and what `auto` aims at."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import hormesis as hm
from hormesis.analysis.chance import (
    at_chance,
    bases_at_chance,
    chance_notes,
    mean_interval,
)
from hormesis.stress.epsilon import halfway
from hormesis.stress.guessing import guessed_accuracy, guessed_loss, guessed_top5
from hormesis.stress.metrics import Metric, accuracy_of, loss_of, top5_of

QUIET = hm.Execution(progress=False, num_workers=1)
labels = st.lists(st.integers(0, 7), min_size=1, max_size=30).map(np.array)


@given(labels)
def test_no_constant_answer_does_better_than_guessing(given_labels):
    truth = torch.from_numpy(given_labels)
    every = torch.eye(8)
    right = [accuracy_of(row.repeat(len(truth), 1), truth).double().mean() for row in every]
    assert max(right) == pytest.approx(guessed_accuracy(given_labels))


@given(labels, st.permutations(range(8)))
def test_no_constant_order_of_classes_does_better_than_guessing_in_top5(given_labels, order):
    truth = torch.from_numpy(given_labels)
    counts = np.bincount(given_labels, minlength=8)
    level = guessed_top5(given_labels)
    some = torch.tensor(order, dtype=torch.float32).repeat(len(truth), 1)
    assert top5_of(some, truth).double().mean() <= level + 1e-12
    best = torch.from_numpy(counts.astype(np.float32) + np.linspace(0, 0.5, 8, dtype=np.float32))
    assert top5_of(best.repeat(len(truth), 1), truth).double().mean() == pytest.approx(level)


@given(labels, st.lists(st.floats(-3, 3), min_size=8, max_size=8))
def test_no_constant_logits_have_a_smaller_loss_than_guessing(given_labels, logits):
    truth = torch.from_numpy(given_labels)
    level = guessed_loss(given_labels)
    some = torch.tensor(logits, dtype=torch.float32).repeat(len(truth), 1)
    assert loss_of(some, truth).double().mean() >= level - 1e-5
    shares = torch.from_numpy(np.bincount(given_labels, minlength=8) / len(truth))
    own = shares.clamp_min(1e-30).log().float().repeat(len(truth), 1)
    assert loss_of(own, truth).double().mean() == pytest.approx(level, abs=1e-5)
    assert level == pytest.approx(stats.entropy(shares), abs=1e-12)


def test_of_other_performances_nothing_is_known():
    assert Metric("margin", loss_of).chance_on(np.array([0, 1])) is None
    assert not at_chance((0.0, 1.0), None)


@pytest.mark.parametrize(
    ("interval", "better", "expected"),
    [
        ((0.4, 0.6), True, True),
        ((0.51, 0.6), True, False),
        ((0.1, 0.2), True, True),
        ((0.4, 0.6), False, True),
        ((0.6, 0.7), False, True),
        ((0.3, 0.49), False, False),
    ],
)
def test_at_chance_is_an_interval_that_holds_guessing_or_is_worse(interval, better, expected):
    assert at_chance(interval, 0.5, higher_is_better=better) == expected


def test_an_interval_that_is_not_known_says_nothing():
    assert not at_chance((float("nan"), float("nan")), 0.5)
    base = {"clean": 2.3, "adversarial": 2.4, "samples": 10, "higher_is_better": False}
    assert bases_at_chance(base, 2.3, 1.96, binary=False) == (False, False)


def test_guessers_are_told_from_learners_as_often_as_the_level_says():
    draw = np.random.default_rng(0)
    for share, expected in ((0.25, (0.95, 1.0)), (0.5, (0.0, 0.01))):
        right = draw.binomial(200, share, 2000)
        found = np.mean([at_chance(mean_interval(k / 200, 200, 1.972), 0.25) for k in right])
        assert expected[0] <= found <= expected[1]


def test_notes_say_which_base_is_at_chance_and_what_to_do():
    base = {"clean": 0.12, "adversarial": 0.05, "samples": 100}
    (note,) = chance_notes(base, "accuracy", 0.1, 1.98, binary=True)
    assert "at chance: its clean accuracy, 12.0%, cannot be told from that of guessing, 10.0%" in (
        note
    )
    (note,) = chance_notes(base | {"clean": 0.9}, "accuracy", 0.1, 1.98, binary=True)
    assert "its adversarial accuracy is 5.0%, that of guessing 10.0%" in note
    assert "choose a smaller ε" in note
    assert (
        chance_notes(base | {"clean": 0.9, "adversarial": 0.4}, "accuracy", 0.1, 1.98, binary=True)
        == []
    )
    assert (
        chance_notes(base | {"clean": 0.9, "adversarial": 0.0}, "accuracy", 0.1, 1.98, binary=True)
        == []
    )


@pytest.mark.parametrize(
    ("clean", "adversarial", "chance"),
    [(0.9912, 0.5566, 0.1135), (0.7345, 0.3683, 1 / 200)],
    ids=["ResNet-18 on MNIST", "ResNet-18 on Tiny ImageNet"],
)
def test_what_the_authors_printed_is_half_way_to_chance(clean, adversarial, chance):
    # MNIST's test set has 1,135 ones among 10,000 digits; Tiny ImageNet 50 images of each class.
    assert halfway(clean, chance) == pytest.approx(adversarial, abs=0.005)


def linear(seed: int = 0, samples: int = 400) -> tuple[torch.nn.Linear, tuple]:
    """Return a network of one layer that knows two uneven classes, and its samples."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.rand(samples, 4, generator=generator)
    weights = torch.tensor([[1.0, -1.0, 0.5, 0.2], [-1.0, 1.0, -0.5, 0.1]])
    network = torch.nn.Linear(4, 2, bias=False)
    network.weight.data = weights
    truth = (inputs @ weights.T).argmax(1)
    flipped = torch.rand(samples, generator=generator) < 0.05
    return network, (inputs, torch.where(flipped, 1 - truth, truth))


def test_auto_goes_half_way_to_chance_and_not_below_it(tmp_path):
    network, data = linear()
    study = hm.analyze(network, data, out=tmp_path / "s", execution=QUIET)
    share = np.bincount(data[1]).max() / 400
    assert study.base.chance == study.manifest["chance"] == share
    assert study.base.adversarial == pytest.approx((study.base.clean + share) / 2, abs=0.01)
    assert study.manifest["attack"]["chosen"]["chance"] == share
    assert study.at_chance == (False, False)
    assert not [note for note in study.notes if "chance" in note]
    opened = hm.load_study(tmp_path / "s")
    assert isinstance(opened, hm.Study)
    assert opened.base == study.base


def test_a_network_at_chance_has_no_meaningful_magnitude_and_says_so():
    network, (inputs, truth) = linear()
    drawn = torch.randint(2, (400,), generator=torch.Generator().manual_seed(1))
    study = hm.analyze(network, (inputs, drawn), execution=QUIET)
    assert study.at_chance[0]
    (note,) = (note for note in study.notes if "at chance" in note)
    assert "No score of it has a meaning, and no ε has" in note
    wrong = hm.analyze(network, (inputs, 1 - truth), execution=QUIET)  # worse than guessing
    assert wrong.at_chance == (True, True)
    assert wrong.manifest["attack"]["epsilon"] == 1 / 255


def test_labels_of_one_class_leave_nothing_to_learn():
    network, (inputs, truth) = linear()
    study = hm.analyze(
        network, (inputs, torch.zeros_like(truth)), attack=hm.FGSM(0.1), execution=QUIET
    )
    assert study.base.chance == 1.0
    assert study.at_chance == (True, True)


def test_the_loss_is_compared_with_that_of_the_shares():
    network, data = linear()
    network.weight.data *= 3
    known = hm.analyze(network, data, attack=hm.FGSM(0.01), metric="loss", execution=QUIET)
    shares = np.bincount(data[1]) / 400
    assert known.base.chance == pytest.approx(stats.entropy(shares))
    assert known.at_chance == (False, False)
    network.weight.data *= -1
    wrong = hm.analyze(network, data, attack=hm.FGSM(0.01), metric="loss", execution=QUIET)
    assert wrong.at_chance == (True, True)
    assert "its clean loss" in " ".join(wrong.notes)


def test_users_say_what_guessing_gives():
    network, data = linear()
    margin = hm.Metric("margin", lambda logits, truth: logits.softmax(1)[:, 0], chance=0.4)
    study = hm.analyze(network, data, attack=hm.FGSM(0.1), metric=margin, execution=QUIET)
    assert study.base.chance == 0.4
    unknown = replace(margin, chance=None)
    study = hm.analyze(network, data, attack=hm.FGSM(0.1), metric=unknown, execution=QUIET)
    assert study.base.chance is None
    assert "chance" not in study.manifest
