"""FGSM and PGD in L2 and toward a class: five lines of autograd, other libraries, and laws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from attacked import OLD_PLACE, convolutional, samples
from hormesis.data.samples import Samples
from hormesis.errors import AttackError, SettingError
from hormesis.settings.attacks import FGSM, PGD, RandomSigns, describe_attack, make_attack
from hormesis.stress import attacks
from hormesis.stress.attacks import perturb, perturb_and_note
from hormesis.stress.attempt import random_starts
from hormesis.stress.epsilon import automatic_epsilon
from hormesis.stress.losses import as_loss
from hormesis.stress.projections import clip, project, sizes, unit

torch.set_num_threads(1)

EPSILON = 0.5
AIMS = ["least_likely", "next", 3]
every_aim = pytest.mark.parametrize("target", AIMS)


def attacked(attack, network=None, bounds=(0.0, 1.0), **options):
    inputs, labels = samples(bounds)
    network = network or convolutional()
    return perturb(network, inputs, labels, attack, bounds=bounds, **{"seed": 0, **options})


def aimed_at(target, network):
    """Return the classes that a target stands for, worked out anew."""
    inputs, labels = samples()
    with torch.no_grad():
        least = network.eval()(inputs).argmin(1)
    return {"least_likely": least, "next": (labels + 1) % 5}.get(target, torch.full((7,), 3))


def gradient_of(network, inputs, labels):
    inputs = inputs.clone().requires_grad_()
    loss = cross_entropy(network.eval()(inputs), labels, reduction="sum")
    return torch.autograd.grad(loss, inputs)[0]


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-0.4, 2.7), (0.1, 0.3)])
@pytest.mark.parametrize("epsilon", [0.01, 0.5, 30.0])
def test_fgsm_in_l2_is_five_lines_of_autograd(bounds, epsilon):
    network, (inputs, labels) = convolutional(), samples(bounds)
    found = attacked(FGSM(epsilon, norm="l2"), network, bounds)
    gradient = gradient_of(network, inputs, labels)
    length = gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    expected = (inputs + epsilon * gradient / length).clamp(*bounds)
    torch.testing.assert_close(found, expected, rtol=0, atol=4e-7 * max(epsilon, 1))


@every_aim
def test_a_target_lowers_its_loss_in_five_lines_of_autograd(target):
    network, (inputs, labels) = convolutional(), samples()
    toward = aimed_at(target, network)
    expected = (inputs - 0.1 * gradient_of(network, inputs, toward).sign()).clamp(0, 1)
    expected[toward == labels] = inputs[toward == labels]
    found = attacked(FGSM(0.1, target=target), network)
    assert torch.equal(found, expected)


def test_pgd_in_l2_is_ten_lines_of_autograd():
    network, (inputs, labels) = convolutional(), samples()
    found = attacked(PGD(EPSILON, steps=4, step_size=0.5, norm="l2"), network)
    current = (inputs + EPSILON * random_starts(inputs, seed=0, norm="l2")).clamp(0, 1)
    for _ in range(4):
        gradient = gradient_of(network, current, labels)
        current = current + 0.5 * EPSILON * gradient / gradient.flatten(1).norm(dim=1).view(
            -1, 1, 1, 1
        )
        change = current - inputs
        length = change.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        current = (inputs + change * (EPSILON / length).clamp(max=1)).clamp(0, 1)
    torch.testing.assert_close(found, current, rtol=0, atol=2e-6)


def foolbox_of(attack, criterion, epsilon=EPSILON):
    from foolbox.models.pytorch import PyTorchModel

    model = PyTorchModel(convolutional().eval(), bounds=(0, 1), device="cpu")
    return attack(model, samples()[0], criterion, epsilons=epsilon)[0]


@OLD_PLACE
def test_fgsm_in_l2_is_that_of_foolbox():
    from foolbox.attacks.fast_gradient_method import L2FastGradientAttack

    theirs = foolbox_of(L2FastGradientAttack(), samples()[1])
    assert torch.equal(attacked(FGSM(EPSILON, norm="l2")), theirs)


@OLD_PLACE
@pytest.mark.parametrize("target", [None, *AIMS])
def test_pgd_in_l2_is_that_of_foolbox_from_the_same_start(monkeypatch, target):
    from foolbox.attacks.projected_gradient_descent import L2ProjectedGradientDescentAttack
    from foolbox.criteria import Misclassification, TargetedMisclassification

    ours = PGD(EPSILON, steps=5, step_size=0.3, norm="l2", target=target)

    def start(self, inputs, epsilon):
        return inputs + epsilon * type(inputs)(random_starts(inputs.raw, seed=0, norm="l2"))

    monkeypatch.setattr(L2ProjectedGradientDescentAttack, "get_random_start", start)
    labels, network = samples()[1], convolutional()
    toward = None if target is None else aimed_at(target, network)
    criterion = Misclassification(labels) if toward is None else TargetedMisclassification(toward)
    theirs = foolbox_of(L2ProjectedGradientDescentAttack(steps=5, rel_stepsize=0.3), criterion)
    moved = torch.ones(7, dtype=torch.bool) if toward is None else toward != labels
    assert int(moved.sum()) >= 3
    torch.testing.assert_close(attacked(ours)[moved], theirs[moved], rtol=0, atol=0)


@OLD_PLACE
@every_aim
def test_a_target_is_that_of_foolbox(target):
    from foolbox.attacks.projected_gradient_descent import LinfProjectedGradientDescentAttack
    from foolbox.criteria import TargetedMisclassification

    toward, labels = aimed_at(target, convolutional()), samples()[1]
    theirs = LinfProjectedGradientDescentAttack(steps=5, rel_stepsize=0.3, random_start=False)
    expected = foolbox_of(theirs, TargetedMisclassification(toward), 0.1)
    ours = PGD(0.1, steps=5, step_size=0.3, random_start=False, target=target)
    moved = toward != labels
    torch.testing.assert_close(attacked(ours)[moved], expected[moved], rtol=0, atol=1e-7)


@pytest.mark.parametrize("target", [None, "least_likely", "next"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pgd_without_a_start_is_that_of_torchattacks(norm, target):
    torchattacks = pytest.importorskip("torchattacks", reason="it is no dependency")
    network, (inputs, labels) = convolutional().eval(), samples()
    kind, more = torchattacks.PGD, {}
    if norm == "l2":
        kind, more = torchattacks.PGDL2, {"eps_for_division": 0.0}
    theirs = kind(network, eps=0.3, alpha=0.09, steps=5, random_start=False, **more)
    if target == "least_likely":
        theirs.set_mode_targeted_least_likely(quiet=True)
    if target == "next":
        theirs.set_mode_targeted_by_function(lambda rows, truth: (truth + 1) % 5, quiet=True)
    ours = PGD(0.3, steps=5, step_size=0.3, random_start=False, norm=norm, target=target)
    moved = aimed_at(target, network) != labels if target else torch.ones(7, dtype=torch.bool)
    found, expected = attacked(ours, network)[moved], theirs(inputs, labels)[moved]
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


def test_a_gradient_of_zero_moves_nothing_and_a_tiny_one_all():
    class Scaled(nn.Module):
        def __init__(self, scale):
            super().__init__()
            self.scale = scale

        def forward(self, inputs):
            return self.scale * inputs

    inputs, labels = torch.full((2, 2), 0.5), torch.zeros(2, dtype=torch.int64)
    options = {"bounds": (0.0, 1.0), "seed": 0}
    for norm in ("linf", "l2"):
        still = perturb_and_note(Scaled(0.0), inputs, labels, FGSM(0.1, norm=norm), **options)
        assert torch.equal(still.inputs, inputs)
        assert bool(still.idle.all())
    # The squares of 1e-30 are zero in 32 bits: the length must not be.
    moved = perturb(Scaled(1e-30), inputs, labels, FGSM(0.1, norm="l2"), **options)
    assert sizes(moved - inputs, "l2").tolist() == pytest.approx([0.1, 0.1], rel=1e-5)


def test_starts_fill_the_ball_of_l2_evenly():
    starts = random_starts(torch.zeros(2000, 3, dtype=torch.float64), seed=0, norm="l2")
    lengths = starts.norm(dim=1)
    # Of a ball in three dimensions, the share within half the radius is an eighth.
    assert float(lengths.max()) <= 1
    assert float((lengths <= 0.5).double().mean()) == pytest.approx(1 / 8, abs=0.02)
    assert float(starts.mean(0).abs().max()) < 0.03
    again = random_starts(torch.zeros(3, 3, dtype=torch.float64), seed=0, first=5, norm="l2")
    assert torch.equal(again, starts[5:8])


def test_the_first_starts_in_l2_are_these():
    generator = np.random.default_rng((1, 0, 0))
    direction = generator.standard_normal(2)
    expected = direction / np.linalg.norm(direction) * generator.uniform() ** 0.5
    starts = random_starts(torch.zeros(1, 2, dtype=torch.float64), seed=0, norm="l2")
    np.testing.assert_allclose(starts[0].numpy(), expected, rtol=1e-15)


def test_noise_in_l2_has_the_length_of_the_attack():
    inputs = torch.full((5, 2, 8, 8), 0.5)
    options = {"bounds": (0.0, 1.0), "seed": 0}
    noise = RandomSigns(0.3, draws=1, norm="l2")
    moved = perturb(convolutional(), inputs, torch.zeros(5, dtype=torch.int64), noise, **options)
    np.testing.assert_allclose(sizes(moved - inputs, "l2").numpy(), 0.3, rtol=1e-5)


@given(
    rows=st.lists(
        st.tuples(st.floats(-3, 3, width=32), st.floats(-0.5, 1.5, width=32)), min_size=1
    ),
    epsilon=st.floats(1e-3, 2),
)
@settings(deadline=None, max_examples=50)
def test_clipping_in_l2_keeps_the_limits_and_twice_is_once(rows, epsilon):
    found, inputs = (torch.tensor(column)[None] for column in zip(*rows, strict=True))
    options = {"epsilon": epsilon, "bounds": (-0.5, 1.5), "norm": "l2"}
    once = clip(found, inputs, **options)
    assert bool(((once >= -0.5) & (once <= 1.5)).all())
    length = float((once.double() - inputs.double()).norm())
    assert length <= epsilon + 1e-6 * (epsilon + float(inputs.norm()))
    assert torch.equal(clip(once, inputs, **options), once)


@given(
    rows=st.lists(
        st.lists(st.floats(-1e3, 1e3, width=32), min_size=3, max_size=3), min_size=1, max_size=5
    ),
    epsilon=st.floats(1e-3, 10),
    norm=st.sampled_from(["linf", "l2"]),
)
@settings(deadline=None, max_examples=50)
def test_projections_shorten_and_keep_what_is_inside(rows, epsilon, norm):
    changes = torch.tensor(rows, dtype=torch.float64)
    found = project(changes, epsilon, norm)
    assert bool((sizes(found, norm) <= epsilon * (1 + 1e-12)).all())
    inside = sizes(changes, norm) <= epsilon
    torch.testing.assert_close(found[inside], changes[inside], rtol=1e-12, atol=0)
    lengths = sizes(unit(changes), "l2")
    zero = (changes == 0).all(dim=1)
    assert bool(torch.where(zero, lengths == 0, (lengths - 1).abs() < 1e-9).all())


@given(
    epsilon=st.floats(0.01, 3),
    steps=st.integers(1, 3),
    size=st.floats(0.1, 3),
    norm=st.sampled_from(["linf", "l2"]),
    target=st.sampled_from([None, *AIMS]),
    seed=st.integers(0, 2**40),
)
@settings(deadline=None, max_examples=25)
def test_every_attack_stays_in_ball_and_bounds(epsilon, steps, size, norm, target, seed):
    attack = PGD(epsilon, steps=steps, step_size=size, norm=norm, target=target, restarts=2)
    inputs, _ = samples()
    found = attacked(attack, seed=seed)
    assert bool(((found >= 0) & (found <= 1)).all())
    moved = sizes(found.double() - inputs.double(), norm)
    assert bool((moved <= epsilon + 1e-6 * (epsilon + sizes(inputs, norm))).all())


def test_restarts_go_on_until_the_target_is_reached(monkeypatch):
    seen = []

    def run(attack, attempt):
        seen.append(attempt.restart)
        rows = torch.full_like(attempt.inputs, 0.5)
        if attempt.restart == 2:  # only the third start leads to class 2
            rows[:, 2] = 0.9
        rows[:, 1] = 0.6  # already wrong, but not taken for class 2
        return rows

    monkeypatch.setitem(attacks.RUNS, PGD, run)
    inputs, labels = torch.full((3, 3), 0.5), torch.zeros(3, dtype=torch.int64)
    attack = PGD(0.5, restarts=4, target=2)
    found = perturb(nn.Identity(), inputs, labels, attack, bounds=(0.0, 1.0), seed=0)
    assert found.argmax(1).tolist() == [2, 2, 2]
    assert seen == [0, 1, 2]


def test_a_change_that_is_too_long_in_l2_is_refused(monkeypatch):
    monkeypatch.setitem(
        attacks.RUNS, FGSM, lambda attack, attempt: (attempt.inputs + 0.05).clamp(0, 1)
    )
    with pytest.raises(AttackError, match=r"no sample, in L2, by more than 0\.1.*for sample 20"):
        attacked(FGSM(0.1, norm="l2"), first=20)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"norm": "l1"}, "Unknown norm 'l1'. Did you mean l2"),
        ({"target": "likely"}, "Expected `target` to be the number of a class"),
        ({"target": -1}, "Expected `target` to be the number of a class"),
        ({"target": True}, "Expected `target` to be the number of a class"),
    ],
)
@pytest.mark.parametrize("kind", [FGSM, PGD])
def test_what_is_no_norm_or_target_is_refused(kind, options, match):
    with pytest.raises(SettingError, match=match):
        kind(0.1, **options)


def test_a_target_needs_classes():
    with pytest.raises(SettingError, match=r"one of the network's 5 classes.*got 5"):
        attacked(FGSM(0.1, target=5))
    inputs = torch.rand(4, 3)
    options = {"bounds": (0.0, 1.0), "seed": 0, "loss": as_loss("mse")}
    with pytest.raises(SettingError, match="no `target` where a sample has no single class"):
        perturb(nn.Linear(3, 1), inputs, torch.rand(4), FGSM(0.1, target="next"), **options)


def test_defaults_leave_no_entry():
    assert describe_attack(FGSM(0.1)) == {"name": "fgsm", "epsilon": 0.1}
    assert set(describe_attack(PGD(0.1))) == {
        "name", "epsilon", "steps", "step_size", "random_start"
    }  # fmt: skip
    assert describe_attack(FGSM(0.1, norm="l2", target=0)) == {
        "name": "fgsm", "epsilon": 0.1, "norm": "l2", "target": 0
    }  # fmt: skip
    assert make_attack("pgd", 1, norm="l2", target="3", restarts=2) == PGD(
        1, norm="l2", target=3, restarts=2
    )


def test_the_search_in_l2_scales_with_the_number_of_values():
    # Logits that are the inputs: a margin m is lost at m / 2 in every value, m / sqrt(2) in L2.
    network = nn.Identity()
    inputs = torch.tensor([[0.5 + m / 2, 0.5 - m / 2] for m in (0.1, 0.2, 0.3, 0.4)])
    labels = torch.zeros(4, dtype=torch.int64)
    four = Samples(inputs, labels, (0.0, 1.0), classes=2, name="margins")
    found = {
        norm: automatic_epsilon(network, four, FGSM(norm=norm), batch=3, seed=0)
        for norm in ("linf", "l2")
    }
    assert found["l2"].adversarial == 0.5
    assert 0.2 / 2**0.5 < found["l2"].epsilon <= 0.3 / 2**0.5
    assert found["l2"].epsilon == pytest.approx(found["linf"].epsilon * 2**0.5, rel=1e-12)
