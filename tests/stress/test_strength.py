"""How strong PGD is by default, on a network that was trained."""

import pytest
import torch
from torch import nn

import hormesis as hm
from hormesis.settings.attacks import FGSM, PGD
from hormesis.stress.attacks import perturb
from hormesis.training.robustness import evaluate_robustness

EPSILON = 0.1


@pytest.fixture(scope="module")
def made():
    """A network trained on half of the digits' test images, and the other half."""
    held_out = hm.load_data("digits")
    images, labels = held_out.inputs, held_out.labels
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.AvgPool2d(2),
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8 * 16 * 16, 32),
            nn.ReLU(),
            nn.Linear(32, 10),
        )
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images[:90]), labels[:90]).backward()
        optimizer.step()
    return network.eval(), hm.samples_from((images[90:], labels[90:]))


def right(made, attack):
    network, samples = made
    moved = perturb(network, samples.inputs, samples.labels, attack, bounds=samples.bounds, seed=0)
    with torch.no_grad():
        return int((network(moved).argmax(dim=1) == samples.labels).sum())


@pytest.mark.parametrize("steps", [2, 3, 5, 10, 20, 40])
@pytest.mark.parametrize("random_start", [True, False])
def test_pgd_of_any_number_of_steps_is_as_strong_as_fgsm(made, steps, random_start):
    attack = PGD(EPSILON, steps=steps, random_start=random_start)
    assert attack.step_size == 2.5 / steps
    by_fgsm = right(made, FGSM(EPSILON))
    assert 0 < by_fgsm < len(made[1]) / 2
    assert right(made, attack) <= by_fgsm


def test_steps_that_cannot_cross_the_ball_are_weaker(made):
    """What a step of ε/30 does, whatever their number: it is why the size follows the number."""
    assert right(made, PGD(EPSILON, steps=5, step_size=1 / 30)) > 1.5 * right(made, FGSM(EPSILON))


def test_a_trial_takes_the_same_steps(made):
    network, samples = made
    for trial in (
        hm.EvaluationConfig((EPSILON,), 10, 1),
        hm.EvaluationConfig((EPSILON,), 10, 1, step_size=1 / 30),
    ):
        table = evaluate_robustness(network, samples, trial)
        alone = right(made, PGD(EPSILON, steps=10, step_size=trial.step_size))
        rows = table[table["attack"] == "pgd"]["right"]
        assert sum(rows.tolist()) <= min(alone, right(made, FGSM(EPSILON)))
    assert hm.EvaluationConfig(steps=10).step_size == PGD(steps=10).step_size == 0.25
