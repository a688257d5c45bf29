# pyright: reportArgumentType=false, reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false, reportPrivateImportUsage=false
"""Attacks of users and of other libraries: the same as ours where they do the same, and guarded."""

import random
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import hormesis as hm
from attacked import OLD_PLACE, convolutional, samples
from hormesis.data.samples import Samples
from hormesis.errors import AttackError, SettingError
from hormesis.measure.custom_attacks import settle_attack
from hormesis.settings.attacks import describe_attack
from hormesis.settings.request import AnalysisRequest, as_attack
from hormesis.stress.attacks import perturb, perturb_and_note
from hormesis.testing import AttackTests

torch.set_num_threads(1)

EPSILON = 0.05
BOUNDS = {"bounds": (0.0, 1.0), "seed": 0}


def steepest(network: nn.Module, inputs: Tensor, labels: Tensor, size: float = EPSILON) -> Tensor:
    """Return what FGSM returns, within the range of each sample rather than in bounds."""
    rows = inputs.clone().requires_grad_()
    loss = cross_entropy(network(rows), labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, rows)
    axes = tuple(range(1, inputs.ndim))
    low, high = inputs.amin(axes, keepdim=True), inputs.amax(axes, keepdim=True)
    return (inputs + size * gradient.sign()).clamp(low, high)


def noisy(network: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """Draw from all three global random states."""
    moved = torch.rand_like(inputs) + random.random() + float(np.random.rand())  # noqa: NPY002
    return inputs + EPSILON * (0.5 - inputs) * (moved / 3)


class TestFunction(AttackTests):
    attack = hm.CustomAttack(steepest, epsilon=EPSILON)


def half_way(network: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """Return inputs drawn toward their own mean, at random."""
    middle = inputs.flatten(1).mean(1).view(-1, *[1] * (inputs.ndim - 1))
    return inputs + (EPSILON * torch.rand_like(inputs) * (middle - inputs)).clamp(-EPSILON, EPSILON)


class TestRandomFunction(AttackTests):
    attack = hm.CustomAttack(half_way, epsilon=EPSILON, per_sample=True)
    raises_loss = False


def as_samples(count: int = 8) -> Samples:
    inputs, labels = samples(count=count)
    return Samples(inputs, labels, (0.0, 1.0), classes=5, name="eight")


def settled(function, network: nn.Module | None = None, **fields):
    request = AnalysisRequest(attack=hm.CustomAttack(function, **fields))
    return settle_attack(network or convolutional().eval(), as_samples(), request)


def test_what_is_random_is_seeded_by_the_sample():
    request = settled(noisy, name="noisy")
    assert request.attack == hm.CustomAttack(noisy, "noisy", per_sample=True)
    assert request.notes == (
        "The attack noisy draws at random or depends on the other samples of a batch: it was run "
        "on one sample at a time, seeded by the sample.",
    )
    (inputs, labels), network = samples(), convolutional()
    found = perturb(network, inputs, labels, request.attack, **BOUNDS)
    order = torch.tensor([5, 0, 3])
    again = perturb(
        network, inputs[order], labels[order], request.attack, first=10 + order, **BOUNDS
    )
    moved = perturb(network, inputs, labels, request.attack, first=10, **BOUNDS)
    assert torch.equal(again, moved[order])
    assert not torch.equal(found, moved)
    assert not torch.equal(
        perturb(network, inputs, labels, request.attack, **{**BOUNDS, "seed": 1}), found
    )


def test_what_depends_on_the_batch_gets_one_sample_at_a_time():
    def toward_the_mean(network, inputs, labels):
        return inputs + 0.1 * (inputs.mean(0, keepdim=True) - inputs)

    request = settled(toward_the_mean)
    assert request.attack == hm.CustomAttack(toward_the_mean, per_sample=True)


def test_what_depends_on_nothing_else_is_run_in_batches():
    request = settled(steepest)
    assert request.attack == hm.CustomAttack(steepest)
    assert request.notes == ()


class Careless:
    """Leaves everything behind that an attack can leave."""

    def __call__(self, network: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
        np.random.seed(1)  # noqa: NPY002
        random.seed(1)
        torch.manual_seed(1)
        network.train()
        for parameter in network.parameters():
            parameter.requires_grad_(True)
        network.eval()
        cross_entropy(network(inputs), labels).backward()
        network.train()
        torch.set_grad_enabled(False)
        inputs.mul_(0.5)  # its own copy
        return inputs


def test_careless_attacks_leave_no_trace():
    network, (inputs, labels) = convolutional(), samples()
    before = {
        "states": (repr(np.random.get_state()), random.getstate(), torch.get_rng_state().tolist()),  # noqa: NPY002
        "modes": [module.training for module in network.modules()],
        "asked": [one.requires_grad for one in network.parameters()],
        "gradients": [one.grad is None for one in network.parameters()],
        "inputs": inputs.tolist(),
    }
    found = perturb(network, inputs, labels, hm.CustomAttack(Careless()), **BOUNDS)
    after = {
        "states": (repr(np.random.get_state()), random.getstate(), torch.get_rng_state().tolist()),  # noqa: NPY002
        "modes": [module.training for module in network.modules()],
        "asked": [one.requires_grad for one in network.parameters()],
        "gradients": [one.grad is None for one in network.parameters()],
        "inputs": inputs.tolist(),
    }
    assert after == before
    assert torch.equal(found, inputs * 0.5)
    assert torch.is_grad_enabled()


def trains(network: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    network.train()
    network(inputs)  # moves the means of batch normalisation
    return inputs * 0.5


def replaces(network: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    network[8].weight = nn.Parameter(torch.zeros(5, 96))
    return inputs * 0.5


def breaks(network: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    network[0].weight.data.zero_()
    raise KeyboardInterrupt("stop")


@pytest.mark.parametrize(
    ("function", "error", "match"),
    [
        (trains, AttackError, r"got a change of '1\.num_batches_tracked|got a change of '\d"),
        (replaces, AttackError, "got a change of 'weight', which was taken back"),
        (breaks, KeyboardInterrupt, "stop"),
    ],
)
def test_a_network_that_was_changed_is_put_back(function, error, match):
    network, (inputs, labels) = convolutional(), samples()
    weights = [*network.parameters()]
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(error, match=match):
        perturb(network, inputs, labels, hm.CustomAttack(function), **BOUNDS)
    assert all(one is other for one, other in zip(network.parameters(), weights, strict=True))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_whole_numbers_have_to_stay():
    def turned(network, inputs, labels):
        return {**inputs, "ids": inputs["ids"] + 1}

    inputs = {"values": torch.rand(2, 3), "ids": torch.arange(2)}
    with pytest.raises(AttackError, match="to leave inputs of whole numbers as they are"):
        perturb(nn.Identity(), inputs, torch.arange(2), hm.CustomAttack(turned), **BOUNDS)
    halved = hm.CustomAttack(lambda network, rows, labels: {**rows, "values": rows["values"] / 2})
    found = perturb(nn.Identity(), inputs, torch.arange(2), halved, **BOUNDS)
    assert torch.equal(found["values"], inputs["values"] / 2)
    assert torch.equal(found["ids"], inputs["ids"])


def test_a_sample_that_stays_is_noted():
    attack = hm.CustomAttack(
        lambda network, rows, labels: torch.where(labels.view(-1, 1, 1, 1) > 2, rows / 2, rows)
    )
    inputs, labels = samples()
    noted = perturb_and_note(convolutional(), inputs, labels, attack, **BOUNDS)
    assert noted.idle.tolist() == [[False] * 7, (labels <= 2).tolist()]


@OLD_PLACE
def test_attacks_of_foolbox():
    import foolbox

    network, (inputs, labels) = convolutional().eval(), samples()
    theirs = foolbox.attacks.LinfPGD(steps=3, random_start=False)
    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    _, expected, _ = theirs(model, inputs, labels, epsilons=EPSILON)
    found = perturb(network, inputs, labels, hm.CustomAttack(theirs, epsilon=EPSILON), **BOUNDS)
    assert torch.equal(found, expected)
    deepfool = hm.CustomAttack(foolbox.attacks.L2DeepFoolAttack(steps=5))
    raw, _, _ = deepfool.function(model, inputs, labels, epsilons=None)
    assert torch.equal(perturb(network, inputs, labels, deepfool, **BOUNDS), raw)
    assert (deepfool.norm, deepfool.epsilon) == ("l2", None)
    assert hm.CustomAttack(foolbox.attacks.L2FastGradientAttack(), epsilon="auto").norm == "l2"
    with pytest.raises(SettingError, match="whose norm is neither linf nor l2"):
        hm.CustomAttack(foolbox.attacks.L1FastGradientAttack(), epsilon=1)
    limits = {"bounds": (torch.zeros(2, 8, 8), torch.ones(2, 8, 8)), "seed": 0}
    with pytest.raises(AttackError, match="Expected bounds of two numbers"):
        perturb(network, inputs, labels, hm.CustomAttack(theirs, epsilon=1.0), **limits)


def test_attacks_of_torchattacks():
    torchattacks = pytest.importorskip("torchattacks", reason="it is no dependency")
    network, (inputs, labels) = convolutional().eval(), samples()
    theirs = torchattacks.FGSM(network, eps=EPSILON)
    found = perturb(network, inputs, labels, as_attack(theirs), **BOUNDS)
    assert torch.equal(found, theirs(inputs, labels))
    assert torch.equal(found, perturb(network, inputs, labels, hm.FGSM(EPSILON), **BOUNDS))


def test_attacks_of_art(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))  # where it writes when it is imported
    art = pytest.importorskip("art.attacks.evasion", reason="it is no dependency")
    classification = pytest.importorskip("art.estimators.classification")
    network, (inputs, labels) = convolutional().eval(), samples()
    estimator = classification.PyTorchClassifier(
        network, nn.CrossEntropyLoss(), (2, 8, 8), 5, clip_values=(0, 1)
    )
    theirs = hm.CustomAttack(art.FastGradientMethod(estimator, eps=EPSILON), epsilon=EPSILON)
    found = perturb(network, inputs, labels, theirs, **BOUNDS)
    expected = perturb(network, inputs, labels, hm.FGSM(EPSILON), **BOUNDS)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)


class Standard:
    """An object with the interface of AutoAttack."""

    norm, epsilon = "L2", 0.3

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def run_standard_evaluation(self, x: Tensor, y: Tensor, bs: int = 250) -> Tensor:
        assert bs == len(x)
        return x * 0.9


class Newer:
    norm, epsilon = "L2", 0.3

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def run_standard_evaluation(self, x: Tensor, y: Tensor, /, *, batch_size: int = 250):
        assert batch_size == len(x)
        return x * 0.9, y


class Generator:
    """An object with the interface of ART."""

    norm = np.inf

    def __init__(self, model: nn.Module) -> None:
        self.estimator = Standard(model)

    def generate(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x * 0.9).astype(np.float64)


@pytest.mark.parametrize("kind", [Standard, Newer, Generator])
def test_objects_that_are_bound_to_a_network(kind):
    network, (inputs, labels) = convolutional(), samples()
    attack = as_attack(kind(network))
    found = perturb(network, inputs, labels, attack, **BOUNDS)
    torch.testing.assert_close(found, inputs * 0.9)
    assert attack.norm == ("linf" if kind is Generator else "l2")
    wrapped = as_attack(kind(nn.Sequential(nn.Identity(), network)))
    assert settle_attack(network, as_samples(), AnalysisRequest(attack=wrapped)).attack == wrapped
    with pytest.raises(AttackError, match="bound to the analysed network, got another one: make"):
        settle_attack(convolutional(), as_samples(), AnalysisRequest(attack=attack))
    by_ray = AnalysisRequest(attack=attack, execution=hm.Execution(engine="ray"))
    with pytest.raises(SettingError, match="Expected another engine than 'ray'"):
        settle_attack(network, as_samples(), by_ray)


def test_autoattack_itself():
    pyautoattack = pytest.importorskip("pyautoattack")
    network, (inputs, labels) = convolutional().eval(), samples()
    options = {"eps": EPSILON, "seed": 0, "version": "custom", "attacks": ["apgd-ce"]}
    theirs = pyautoattack.AutoAttack(network, **options)
    theirs.apgd.n_iter, theirs.apgd.n_restarts = 3, 1
    attack = hm.CustomAttack(theirs, epsilon=EPSILON)
    expected, _ = theirs.run_standard_evaluation(inputs, labels)
    assert torch.equal(perturb(network, inputs, labels, attack, **BOUNDS), expected)


def test_names_and_settings_are_recorded_and_never_code():
    described = describe_attack(hm.CustomAttack(partial(steepest, size=0.02), epsilon="8/255"))
    assert described == {
        "name": described["name"],
        "function": described["function"],
        "epsilon": 8 / 255,
        "settings": {"size": 0.02},
    }
    assert described["function"].endswith("test_custom_attacks:steepest")
    assert described["name"] == described["function"].replace(":", ".")[-64:]
    theirs = describe_attack(as_attack(Standard(nn.Linear(1, 1))))
    assert "model" not in theirs.get("settings", {})


def test_what_is_no_attack_is_refused():
    for wrong, match in [
        (3 + 4j, "got complex"),
        ({"epsilon": 1}, "a function of network, inputs and labels, or an attack of Foolbox"),
        (Standard, "got the class Standard: call it first"),
    ]:
        with pytest.raises(SettingError, match=match):
            as_attack(wrong)
    with pytest.raises(SettingError, match="Expected another `name` than 'fgsm'"):
        hm.CustomAttack(steepest, "fgsm")
    with pytest.raises(SettingError, match="at most 64 characters"):
        hm.CustomAttack(steepest, "x" * 65)
    with pytest.raises(SettingError, match="which alone can change its magnitude, got 'auto'"):
        hm.CustomAttack(steepest, epsilon="auto")


def test_a_copy_with_another_field_is_as_good():
    attack = hm.CustomAttack(steepest, "mine", epsilon=0.1)
    assert replace(attack, epsilon=0.2) == hm.CustomAttack(steepest, "mine", epsilon=0.2)
    assert hash(replace(attack)) == hash(attack)
