"""Networks tried under attack: nested budgets are exact, and stronger attacks never do worse."""

import sys

import pytest
import torch
from torch import nn

import hormesis as hm
from hormesis.data.samples import samples_from
from hormesis.errors import MissingExtraError, SettingError
from hormesis.stress.attacks import perturb
from hormesis.stress.attempt import random_starts
from hormesis.training.robustness import evaluate_robustness
from retrained import data, network

TRIAL = hm.EvaluationConfig(epsilons=(0.02, 0.05, 0.1), steps=4, restarts=2)


def trained():
    """A network that has learnt its data, so that attacks have something to do."""
    made, (inputs, labels) = network().train(), data()
    optimizer = torch.optim.Adam(made.parameters(), lr=0.01)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(made(inputs), labels).backward()
        optimizer.step()
    made.zero_grad()
    return made.eval()


@pytest.fixture(scope="module")
def made():
    return trained()


def right(made, attack, epsilon, seed, samples):
    """Which samples are right under an attack on all of them."""
    found = perturb(
        made,
        samples.inputs,
        samples.labels,
        attack(epsilon),
        bounds=samples.bounds,
        seed=seed,
    )
    with torch.no_grad():
        return made(found).argmax(dim=1) == samples.labels


def accuracy(table, attack, epsilon):
    rows = (table["attack"] == attack) & (table["epsilon"] == epsilon)
    return float(table.loc[rows, "right"].mean())


def small_steps(epsilon):
    return hm.PGD(epsilon, steps=4, step_size=2.5 / 4)


def test_nested_budgets_find_what_attacking_every_sample_every_time_finds(made):
    """Every restart at every epsilon on every sample, and the worst of all smaller epsilons."""
    samples = samples_from(data())
    table = evaluate_robustness(made, samples, TRIAL)
    with torch.no_grad():
        clean = made(samples.inputs).argmax(dim=1) == samples.labels
    worst = clean
    for epsilon in TRIAL.epsilons:
        alone = clean & right(made, hm.FGSM, epsilon, 0, samples)
        worst = worst & alone
        for seed in range(TRIAL.restarts):
            pgd = right(
                made,
                lambda width: hm.PGD(width, steps=4, step_size=2.5 / 4),
                epsilon,
                seed,
                samples,
            )
            worst = worst & pgd
        for attack, expected in (("fgsm", alone), ("pgd", worst)):
            rows = table[(table["attack"] == attack) & (table["epsilon"] == epsilon)]
            assert rows["right"].tolist() == expected.tolist()
    assert table[table["attack"] == "clean"]["right"].tolist() == clean.tolist()
    assert 0 < int(worst.sum()) < int(clean.sum())


class Band(nn.Module):
    """Right but for a narrow band around 0.5, which a long step jumps over."""

    def forward(self, inputs):
        distance = (inputs - 0.5).abs() - 0.05
        return torch.cat([distance, torch.zeros_like(distance)], dim=1)


def test_a_sample_that_fell_at_a_smaller_epsilon_has_fallen_at_a_larger_one():
    """From 0.4, FGSM's step of 0.1 ends in the band; that of 0.3, and PGD's, beyond it."""
    samples = samples_from((torch.full((2, 1), 0.4), torch.tensor([0, 0])), classes=2)
    made, trial = Band(), hm.EvaluationConfig(epsilons=(0.1, 0.3), steps=1, restarts=1)
    alone = right(made, lambda width: hm.PGD(width, steps=1, step_size=1.0), 0.3, 0, samples)
    assert alone.all()
    table = evaluate_robustness(made, samples, trial)
    found = [accuracy(table, name, epsilon) for name in ("fgsm", "pgd") for epsilon in (0.1, 0.3)]
    assert found == [0.0, 1.0, 0.0, 0.0]


def test_accuracy_falls_from_attack_to_attack_and_from_epsilon_to_epsilon(made):
    table = evaluate_robustness(made, samples_from(data()), TRIAL)
    pgd = [accuracy(table, "pgd", epsilon) for epsilon in TRIAL.epsilons]
    assert pgd == sorted(pgd, reverse=True)
    for epsilon in TRIAL.epsilons:
        assert accuracy(table, "pgd", epsilon) <= accuracy(table, "fgsm", epsilon)
        assert accuracy(table, "fgsm", epsilon) <= accuracy(table, "clean", 0.0)


def test_samples_that_fell_are_not_attacked_again(made, monkeypatch):
    from hormesis.training import robustness

    tried = []

    def counting(network, inputs, labels, attack, **options):
        tried.append(len(inputs))
        return perturb(network, inputs, labels, attack, **options)

    monkeypatch.setattr(robustness, "perturb", counting)
    table = evaluate_robustness(made, samples_from(data()), TRIAL)
    everything = len(TRIAL.epsilons) * (1 + TRIAL.restarts) * 40
    assert sum(tried) < everything
    assert len(table) == 40 * (1 + 2 * len(TRIAL.epsilons))


def test_a_random_start_belongs_to_its_sample():
    whole = random_starts(torch.zeros(6, 2), seed=3)
    some = torch.tensor([4, 1])
    assert torch.equal(random_starts(torch.zeros(2, 2), seed=3, first=some), whole[some])


def test_the_network_comes_back_as_it_was(made):
    before = {name: value.clone() for name, value in made.state_dict().items()}
    made.train()
    evaluate_robustness(
        made, samples_from(data(12)), hm.EvaluationConfig(epsilons=(0.1,), steps=2, restarts=1)
    )
    assert made.training
    made.eval()
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())
    assert all(value.grad is None and value.requires_grad for value in made.parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilons": ()}, "Expected `epsilons` to be several magnitudes"),
        ({"epsilons": (0.1, -1)}, "Expected `epsilon` to be a number above 0"),
        ({"epsilons": ("auto",)}, "Expected `epsilons` to be numbers such as 8/255, got 'auto'"),
        ({"steps": 0}, "Expected `steps` to be a whole number of at least 1"),
        ({"restarts": 0}, "Expected `restarts` to be a whole number of at least 1"),
        ({"samples": 1}, "Expected `samples` to be a whole number of at least 2"),
    ],
)
def test_what_is_no_trial_is_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        hm.EvaluationConfig(**settings)


def test_without_autoattack_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'hormesis\[autoattack\]'"):
        hm.EvaluationConfig(autoattack=True)


def test_autoattack_needs_images_of_several_classes(made):
    trial = hm.EvaluationConfig(epsilons=(0.02,), steps=2, restarts=1, autoattack=True)
    with pytest.raises(SettingError, match=r"AutoAttack supports images in .* at least 4"):
        evaluate_robustness(made, samples_from(data(12)), trial)


@pytest.mark.slow
def test_autoattack_is_at_least_as_strong_as_pgd():
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)).eval()
    inputs = torch.rand(10, 1, 8, 8)
    samples = samples_from((inputs, made(inputs).argmax(dim=1)), classes=5)
    trial = hm.EvaluationConfig(epsilons=(0.005, 0.02), steps=3, restarts=1, autoattack=True)
    state = torch.get_rng_state()
    table = evaluate_robustness(made, samples, trial)
    assert torch.equal(torch.get_rng_state(), state)
    for epsilon in trial.epsilons:
        assert accuracy(table, "autoattack", epsilon) <= accuracy(table, "pgd", epsilon)
    assert table[table["attack"] == "autoattack"].equals(
        evaluate_robustness(made, samples, trial).query("attack == 'autoattack'")
    )
