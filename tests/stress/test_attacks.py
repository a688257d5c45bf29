import itertools
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from attacked import OLD_PLACE, convolutional, samples
from hormesis.errors import AttackError, DataError, ModelError, SettingError
from hormesis.settings.attacks import FGSM, PGD
from hormesis.stress import attacks
from hormesis.stress.attacks import clip, perturb
from hormesis.stress.attempt import random_starts

torch.set_num_threads(1)

EPSILON = 0.1
ATTACKS = [
    FGSM(EPSILON),
    PGD(EPSILON, steps=3, step_size=0.5),
    PGD(EPSILON, steps=2, step_size=0.75, random_start=False),
]
every_attack = pytest.mark.parametrize("attack", ATTACKS, ids=repr)
BOUNDS = [(0.0, 1.0), (-0.4, 2.7), (0.1, 0.3)]
every_bounds = pytest.mark.parametrize("bounds", BOUNDS)


class Wrapped(nn.Module):
    """Return the logits within a mapping, as Hugging Face networks do."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, inputs):
        return {"logits": self.network(inputs)}


def state(network):
    """Return everything that a network is, and the random state of the process."""
    tensors = [*network.named_parameters(), *network.named_buffers()]
    return {
        "values": [(name, tensor.detach().clone().tolist()) for name, tensor in tensors],
        "asked": [tensor.requires_grad for _, tensor in tensors],
        "gradients": [
            (id(t.grad), None if t.grad is None else t.grad.tolist()) for _, t in tensors
        ],
        "modes": [module.training for module in network.modules()],
        "hooks": [
            (list(m._forward_hooks), list(m._forward_pre_hooks), list(m._backward_hooks))
            for m in network.modules()
        ],
        "random": (
            torch.get_rng_state().tolist(),
            random.getstate(),
            repr(np.random.get_state()),  # noqa: NPY002 - the global state is meant
        ),
    }


def attacked(attack, network=None, bounds=(0.0, 1.0), **options):
    inputs, labels = samples(bounds)
    given = {"bounds": bounds, "seed": 0, **options}
    return perturb(network or convolutional(), inputs, labels, attack, **given)


@every_attack
@every_bounds
def test_the_threat_model_holds(attack, bounds):
    inputs, _ = samples(bounds)
    found = attacked(attack, bounds=bounds)
    assert found.shape == inputs.shape
    assert found.dtype == inputs.dtype
    assert not found.requires_grad
    low, high = torch.tensor(bounds)
    assert bool(((found >= low) & (found <= high)).all())
    assert float((found - inputs).abs().max()) <= EPSILON * (1 + 1e-5)
    assert not torch.equal(found, inputs)


@every_attack
def test_the_loss_rises(attack, recwarn):
    network = convolutional().eval()
    inputs, labels = samples()
    found = attacked(attack, network)
    with torch.no_grad():
        before = cross_entropy(network(inputs), labels, reduction="none")
        after = cross_entropy(network(found), labels, reduction="none")
    assert bool((after > before).all())
    assert not recwarn.list


@every_attack
def test_the_network_comes_back_as_it_was(attack):
    network = convolutional()
    before = state(network)
    attacked(attack, network)
    assert state(network) == before


@every_attack
def test_the_network_comes_back_as_it_was_after_an_exception(attack):
    network = convolutional()

    def interrupt(*_):
        raise KeyboardInterrupt("stop")

    network[8].register_forward_hook(interrupt)
    before = state(network)
    with pytest.raises(KeyboardInterrupt, match="stop"):
        attacked(attack, network)
    assert state(network) == before


@every_attack
def test_a_network_that_draws_leaves_the_random_state_alone(attack):
    class Noisy(nn.Module):
        def forward(self, inputs):
            return inputs.flatten(1)[:, :5] * torch.rand(5)

    network = Noisy()
    before = state(network)
    attacked(attack, network)
    assert state(network) == before


@every_attack
def test_inputs_and_labels_are_left_alone(attack):
    inputs, labels = samples()
    kept = inputs.clone(), labels.clone()
    inputs.requires_grad_()
    found = perturb(convolutional(), inputs, labels, attack, bounds=(0.0, 1.0), seed=0)
    assert not found.requires_grad
    assert torch.equal(inputs, kept[0])
    assert torch.equal(labels, kept[1])
    assert inputs.grad is None


@every_attack
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_the_callers_gradient_mode_does_not_matter(attack, context):
    network = convolutional()
    expected = attacked(attack, network)
    with context():
        found = attacked(attack, network)
    assert torch.equal(found, expected)
    assert not found.is_inference()


@every_attack
def test_the_modules_modes_do_not_matter(attack):
    assert torch.equal(attacked(attack, convolutional().train()), attacked(attack))


@every_attack
def test_wrapped_logits_and_other_label_types_do_not_matter(attack):
    inputs, labels = samples()
    found = perturb(
        Wrapped(convolutional()), inputs, labels.to(torch.int32), attack, bounds=(0.0, 1.0), seed=0
    )
    assert torch.equal(found, attacked(attack))


@every_attack
@pytest.mark.parametrize("cuts", [(3,), (1, 6), (2, 3, 4)])
def test_the_split_into_batches_does_not_matter(attack, cuts):
    # Weights that have nothing in common: no gradient is zero but for rounding, which depends on
    # the size of the batch.
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).double()
    inputs = torch.randint(0, 5, (7, 4)).double() / 4
    labels = torch.randint(0, 3, (7,))
    options = {"bounds": (0.0, 1.0), "seed": 5}
    whole = perturb(network, inputs, labels, attack, first=10, **options)
    edges = [0, *cuts, 7]
    parts = [
        perturb(network, inputs[a:b], labels[a:b], attack, first=10 + a, **options)
        for a, b in itertools.pairwise(edges)
    ]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-12)


@every_attack
def test_an_empty_batch_stays_empty(attack):
    inputs, labels = samples(count=1)
    found = perturb(convolutional(), inputs[:0], labels[:0], attack, bounds=(0.0, 1.0), seed=0)
    assert found.shape == (0, 2, 8, 8)


@every_attack
@pytest.mark.parametrize("cut", [torch.detach, lambda x: x.detach().requires_grad_()])
def test_a_network_cut_off_from_its_input_is_refused(attack, cut):
    class Cut(nn.Module):
        def forward(self, inputs):
            return cut(inputs).flatten(1)[:, :5] * 2

    with pytest.raises(AttackError, match="differentiable with respect to its input"):
        attacked(attack, Cut())


@every_attack
def test_a_gradient_that_is_not_finite_names_the_sample(attack):
    class Root(nn.Module):
        def forward(self, inputs):
            # The root's slope at 0 is infinite, and infinity times 0 is NaN.
            return (inputs.flatten(1)[:, :5] * 0).sqrt()

    with pytest.raises(AttackError, match="got NaN for sample 20; look for NaN"):
        attacked(attack, Root(), first=20)


@every_attack
def test_too_few_classes_are_refused(attack):
    network = nn.Sequential(nn.Flatten(), nn.Linear(128, 4))
    with pytest.raises(ModelError, match=r"at least 5 classes.*got 4"):
        attacked(attack, network)


@every_attack
@pytest.mark.parametrize("value", [-0.01, 1.01, torch.nan, torch.inf])
def test_inputs_outside_the_bounds_name_the_sample(attack, value):
    inputs, labels = samples()
    inputs[4, 1, 2, 3] = value
    network = convolutional()
    with pytest.raises(DataError, match=r"between 0 and 1.*in sample 104"):
        perturb(network, inputs, labels, attack, bounds=(0.0, 1.0), seed=0, first=100)


@pytest.mark.parametrize("attack", [FGSM(), PGD()])
def test_a_magnitude_still_to_be_chosen_is_refused(attack):
    with pytest.raises(SettingError, match="got 'auto'; `automatic_epsilon` finds one"):
        attacked(attack)


@pytest.mark.parametrize(
    ("shift", "match"),
    [
        (torch.nan, "NaN or infinity for sample 3"),
        (5.0, "between 0 and 1.*outside them for sample 3"),
        (0.25, r"more than 0\.1.*larger change for sample 3"),
    ],
)
def test_a_broken_attack_is_caught(monkeypatch, shift, match):
    def broken(attack, attempt):
        found = attempt.inputs.clone()
        found[3, 0, 0, 0] = 0.5 + shift
        return found

    monkeypatch.setitem(attacks.RUNS, FGSM, broken)
    inputs, labels = samples()
    inputs[3, 0, 0, 0] = 0.5
    with pytest.raises(AttackError, match=match):
        perturb(convolutional(), inputs, labels, FGSM(EPSILON), bounds=(0.0, 1.0), seed=0)


@every_bounds
@pytest.mark.parametrize("epsilon", [8 / 255, 0.1, 3.0])
def test_fgsm_is_five_lines_of_autograd(bounds, epsilon):
    network = convolutional()
    found = attacked(FGSM(epsilon), network, bounds=bounds)
    inputs, labels = samples(bounds)
    inputs.requires_grad_()
    loss = cross_entropy(network.eval()(inputs), labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, inputs)
    expected = (inputs + epsilon * gradient.sign()).clamp(*bounds).detach()
    assert torch.equal(found, expected)


@OLD_PLACE
def test_fgsm_is_that_of_foolbox():
    from foolbox.attacks.fast_gradient_method import LinfFastGradientAttack
    from foolbox.models.pytorch import PyTorchModel

    network = convolutional().eval()
    inputs, labels = samples()
    model = PyTorchModel(network, bounds=(0, 1), device="cpu")
    _, expected, _ = LinfFastGradientAttack()(model, inputs, labels, epsilons=EPSILON)
    assert torch.equal(attacked(FGSM(EPSILON)), expected)


def test_pgd_is_ten_lines_of_autograd():
    network = convolutional()
    found = attacked(PGD(EPSILON, steps=4, step_size=0.3), network)
    inputs, labels = samples()
    network.eval()
    current = (inputs + EPSILON * random_starts(inputs, seed=0)).clamp(0, 1)
    for _ in range(4):
        current.requires_grad_()
        loss = cross_entropy(network(current), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, current)
        current = (current + 0.3 * EPSILON * gradient.sign()).detach()
        current = (inputs + (current - inputs).clamp(-EPSILON, EPSILON)).clamp(0, 1)
    torch.testing.assert_close(found, current, rtol=0, atol=1e-7)


@OLD_PLACE
def test_pgd_without_a_start_is_that_of_foolbox():
    from foolbox.attacks.projected_gradient_descent import LinfProjectedGradientDescentAttack
    from foolbox.models.pytorch import PyTorchModel

    network = convolutional().eval()
    inputs, labels = samples()
    model = PyTorchModel(network, bounds=(0, 1), device="cpu")
    theirs = LinfProjectedGradientDescentAttack(steps=5, rel_stepsize=0.3, random_start=False)
    _, expected, _ = theirs(model, inputs, labels, epsilons=EPSILON)
    ours = PGD(EPSILON, steps=5, step_size=0.3, random_start=False)
    torch.testing.assert_close(attacked(ours), expected, rtol=0, atol=1e-7)


def test_the_seed_and_the_index_decide_the_start():
    attack = PGD(EPSILON, steps=1, step_size=1e-3)
    base = attacked(attack)
    assert torch.equal(attacked(attack), base)
    assert not torch.equal(attacked(attack, seed=1), base)
    assert not torch.equal(attacked(attack, first=1), base)


@given(
    count=st.integers(1, 6),
    cut=st.integers(0, 6),
    seed=st.integers(0, 2**63),
    first=st.integers(0, 10**6),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@settings(deadline=None, max_examples=50)
def test_starts_belong_to_the_sample_and_not_to_its_batch(count, cut, seed, first, dtype):
    cut = min(cut, count)
    inputs = torch.zeros(count, 2, 3, dtype=dtype)
    whole = random_starts(inputs, seed=seed, first=first)
    parts = [random_starts(inputs[:cut], seed=seed, first=first)] if cut else []
    parts += [random_starts(inputs[cut:], seed=seed, first=first + cut)] if cut < count else []
    assert torch.equal(torch.cat(parts), whole)
    assert bool((whole.abs() <= 1).all())
    assert whole.dtype == dtype


def test_the_first_starts_are_these():
    starts = random_starts(torch.zeros(2, 2, dtype=torch.float64), seed=0)
    expected = [
        [0.023643249400513433, 0.9009273926518706],
        [0.3845506729447903, -0.5533122458630597],
    ]
    torch.testing.assert_close(starts.tolist(), expected, rtol=0, atol=1e-12)


def test_starts_fill_the_ball_evenly():
    starts = random_starts(torch.zeros(100, 200), seed=0).double()
    assert abs(float(starts.mean())) < 0.02
    assert abs(float(starts.var()) - 1 / 3) < 0.01


floats = st.floats(-3, 3, width=32)


@given(
    rows=st.lists(st.tuples(floats, st.floats(-0.5, 1.5, width=32)), min_size=1, max_size=8),
    epsilon=st.floats(1e-4, 2),
)
@settings(deadline=None)
def test_clipping_keeps_the_limits_and_twice_is_once(rows, epsilon):
    found, inputs = (torch.tensor(column)[None] for column in zip(*rows, strict=True))
    options = {"epsilon": epsilon, "bounds": (-0.5, 1.5)}
    once = clip(found, inputs, **options)
    assert bool(((once >= -0.5) & (once <= 1.5)).all())
    assert bool(((once.double() - inputs.double()).abs() <= epsilon + 2e-7 * 4).all())
    assert torch.equal(clip(once, inputs, **options), once)
    inside = (found - inputs).abs() <= epsilon * (1 - 1e-6)
    inside &= (found >= -0.5) & (found <= 1.5)
    assert torch.equal(once[inside], found[inside])
