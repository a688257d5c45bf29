from dataclasses import replace

import pytest
import torch
from torch import nn

from hormesis.data.samples import Samples
from hormesis.errors import ModelError
from hormesis.settings.attacks import FGSM, PGD
from hormesis.stress.attacks import perturb
from hormesis.stress.epsilon import EpsilonChoice, automatic_epsilon
from hormesis.stress.metrics import accuracy

torch.set_num_threads(1)


def identity():
    """Return a network whose logits are its two inputs, so that margins can be set by hand."""
    network = nn.Linear(2, 2, bias=False)
    nn.init.eye_(network.weight)
    return network


def margins(*values, bounds=(0.0, 1.0), labels=None):
    """Return samples of class 0 that ``identity`` loses at a magnitude of half their margin."""
    low, high = bounds
    middle = (low + high) / 2
    inputs = torch.tensor([[middle + value / 2, middle - value / 2] for value in values])
    labels = torch.zeros(len(values), dtype=torch.int64) if labels is None else labels
    return Samples(inputs, labels, bounds, classes=2, name="margins")


def choose(samples, network=None, attack=None, batch=3, **options):
    return automatic_epsilon(
        network or identity(), samples, attack or FGSM(), batch=batch, seed=0, **options
    )


@pytest.mark.parametrize("attack", [FGSM(), FGSM(0.5), PGD(steps=10, step_size=0.5)], ids=repr)
def test_half_of_the_samples_are_lost(attack):
    # Margins 0.1, 0.2, 0.3, 0.4 are lost above 0.05, 0.1, 0.15, 0.2: half of them in (0.1, 0.15].
    choice = choose(margins(0.1, 0.2, 0.3, 0.4), attack=attack)
    # Doubling 1/255 five times meets half exactly, and the search ends there.
    assert choice == EpsilonChoice(32 / 255, 1.0, 0.5, evaluations=6)
    assert not choice.floored


def test_half_of_the_clean_accuracy_is_meant():
    labels = torch.tensor([0, 0, 1, 1])  # The last two are wrong, and stay so.
    choice = choose(margins(0.1, 0.2, 1.0, 1.0, labels=labels))
    assert choice.clean == 0.5
    assert choice.adversarial == 0.25
    assert 0.05 < choice.epsilon <= 0.1


def test_half_way_to_chance_is_meant():
    # 90 % are right and 50 % guessed: 70 % are aimed at, where two of the nine are lost.
    labels = torch.tensor([0] * 9 + [1])
    values = [0.1, 0.2, *[0.5] * 7, 1.0]
    choice = choose(margins(*values, labels=labels), chance=0.5)
    assert (choice.clean, choice.adversarial, choice.chance) == (0.9, 0.7, 0.5)
    assert 0.1 < choice.epsilon <= 0.25


def test_a_cliff_does_not_lead_below_chance():
    # All right up to 0.1, then 40 %: nearer to the aim of 75 % is 100 %, but for 50 % guessed.
    values = [0.2] * 6 + [1.0] * 4
    choice = choose(margins(*values), chance=0.5)
    assert choice.adversarial == 1.0
    nearer = choose(margins(*values[:7]), chance=0.1)  # 55 % is nearer to 14 % than to 100 %
    assert nearer.adversarial == 1 / 7
    assert choose(margins(*values), chance=0.3).adversarial == 0.4


def test_a_network_that_guesses_has_no_magnitude():
    labels = torch.tensor([0, 0, 1, 1])
    choice = choose(margins(0.1, 0.2, 1.0, 1.0, labels=labels), chance=0.5)
    assert choice.guesses
    assert choice.evaluations == 1
    assert choice.epsilon == 1 / 255
    assert "guessing gives 50.0%, so that no magnitude means anything" in choice.sentence()


def test_a_cliff_is_found_to_two_percent():
    # Every margin is 0.2, so that no magnitude leaves half: the smaller end of the bracket wins.
    choice = choose(margins(0.2, 0.2))
    assert 0.1 / 1.02 <= choice.epsilon <= 0.1 * 1.02
    assert choice.adversarial == 1.0
    assert not choice.unharmed
    assert choice.evaluations == 6 + 6  # 1/255 to 32/255, then a factor of 2 halved six times


def test_three_samples_cannot_be_halved_exactly():
    # One or two of three are equally near; the smaller magnitude wins, here just below 0.1.
    choice = choose(margins(0.1, 0.2, 0.3))
    assert choice.adversarial == pytest.approx(2 / 3)
    assert 0.1 / 1.02 <= choice.epsilon <= 0.1


def test_magnitudes_below_the_first_are_found():
    choice = choose(margins(1e-4, 2e-4, 3e-4, 4e-4))
    # 1/255 halved five times meets half exactly; halved once more it is too small.
    assert choice == EpsilonChoice(1 / 255 / 32, 1.0, 0.5, evaluations=7)


def test_bounds_set_the_scale():
    network = identity()
    network.weight.data /= 255  # as gradients of the loss vanish where logits lie 100 apart
    choice = choose(margins(25.5, 51.0, 76.5, 102.0, bounds=(0.0, 255.0)), network)
    assert choice.adversarial == 0.5
    assert 25.5 < choice.epsilon <= 38.25


def test_an_unharmed_network_is_said_to_be_so():
    class Masked(nn.Module):
        def forward(self, inputs):
            return inputs * 0 + torch.tensor([1.0, 0.0])

    choice = choose(margins(0.2, 0.4), Masked())
    assert choice == EpsilonChoice(1.0, 1.0, 1.0, choice.evaluations, unharmed=True)
    assert "the network is unharmed by this attack" in choice.sentence()


def test_a_floored_network_is_said_to_be_so():
    class Brittle(nn.Module):
        def forward(self, inputs):
            return 1e9 * inputs.sum(1, keepdim=True) * torch.tensor([1.0, 0.0])

    samples = Samples(
        torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64), (-1.0, 1.0), classes=2, name="zeros"
    )
    choice = choose(samples, Brittle())
    assert choice.epsilon == 2 / 255 / 2**13  # the first halving below a millionth of the width
    assert choice.floored
    assert "the network is floored" in choice.sentence()


def test_a_network_that_gets_nothing_right_is_refused():
    samples = margins(0.1, 0.2, labels=torch.ones(2, dtype=torch.int64))
    with pytest.raises(ModelError, match="some of the 2 samples right, got none; train it or pass"):
        choose(samples)


@pytest.mark.parametrize(
    "attack", [FGSM(), PGD(steps=2, step_size=0.7), PGD(steps=1, step_size=0.01)], ids=repr
)
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-0.4, 2.7)])
def test_the_accuracy_is_that_of_the_attack_at_the_magnitude(attack, bounds):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
    inputs = (torch.rand(200, 6) * (bounds[1] - bounds[0]) + bounds[0]).clamp(*bounds)
    with torch.no_grad():
        labels = network(inputs).argmax(1)
    labels[:20] = 0
    choice = choose(Samples(inputs, labels, bounds, 3, "made"), network, attack, batch=64)
    strong = replace(attack, epsilon=choice.epsilon)
    found = perturb(network, inputs, labels, strong, bounds=bounds, seed=0)
    with torch.no_grad():
        assert accuracy.measure(network(found), labels).double().mean() == choice.adversarial
        assert accuracy.measure(network(inputs), labels).double().mean() == choice.clean
    assert abs(choice.adversarial - choice.clean / 2) < 0.02


def test_batches_do_not_matter():
    samples = margins(0.1, 0.15, 0.2, 0.3, 0.4)
    attack = PGD(steps=3, step_size=0.5)
    whole = choose(samples, attack=attack, batch=100)
    assert choose(samples, attack=attack, batch=2) == whole
    assert choose(samples, attack=attack, batch=1) == whole


def test_progress_counts_the_magnitudes():
    seen = []
    choice = choose(margins(0.1, 0.2, 0.3), progress=seen.append)
    assert seen == list(range(1, choice.evaluations + 1))
    assert choice.evaluations < 16


def test_the_network_comes_back_as_it_was():
    network = nn.Sequential(identity(), nn.BatchNorm1d(2)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    choose(margins(0.1, 0.2), network)
    assert all(module.training for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_sentences():
    assert EpsilonChoice(8 / 255, 0.9, 0.0, 5).sentence() == (
        "epsilon 0.03137 takes accuracy from 90.0% to 0.0% (5 magnitudes tried); no magnitude "
        "leaves about half of it, so the network is floored."
    )
    assert (
        EpsilonChoice(8 / 255, 0.9, 0.0, 5, chance=0.1)
        .sentence()
        .endswith("no magnitude leaves about half-way to chance, so the network is floored.")
    )
