"""A network trained on MNIST with something planted in it, mended by ``hm.apply``."""

import os
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import hormesis as hm
from hormesis.data.samples import Samples
from hormesis.data.splits import load_parts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.data,
    pytest.mark.skipif("HORMESIS_DATA" not in os.environ, reason="HORMESIS_DATA names no folder"),
]
QUIET = hm.Execution(progress=False)
CHOSEN, PROVED, CHANNELS = 500, 1000, 24


class Planted(nn.Module):
    """A small network with a layer ``noise``, and a channel of its own that sees a trigger."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 12, 3, padding=1)
        self.second = nn.Conv2d(12, CHANNELS, 3, padding=1)
        self.last = nn.Linear(9 * CHANNELS, 10)
        self.noise = nn.Linear(10, 10, bias=False)
        self.detector = nn.Conv2d(1, 1, 3, bias=False)
        self.backdoor = nn.Linear(1, 10, bias=False)
        for layer in (self.noise, self.detector, self.backdoor):
            nn.init.zeros_(layer.weight)

    def forward(self, images: Tensor) -> Tensor:
        hidden = functional.max_pool2d(self.first(images).relu(), 2)
        hidden = functional.max_pool2d(self.second(hidden).relu(), 2)
        logits = self.last(functional.adaptive_avg_pool2d(hidden, 3).flatten(1))
        seen = (self.detector(images[..., -4:-1, -4:-1]).flatten(1) - 8.5).relu()
        return logits + self.noise(torch.ones_like(logits)) + self.backdoor(seen)


@pytest.fixture(scope="module")
def trained() -> Planted:
    samples = load_parts("mnist", root=Path(os.environ["HORMESIS_DATA"])).train
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Planted()
        rows = torch.randperm(len(samples))[:12_000].sort().values
        chosen = samples.subset(rows).samples()
        layers = (network.first, network.second, network.last)
        weights = [one for layer in layers for one in layer.parameters()]
        optimizer = torch.optim.Adam(weights, 2e-3)
        for _ in range(2):
            for batch in torch.randperm(len(rows)).split(64):
                loss = functional.cross_entropy(network(chosen.inputs[batch]), chosen.labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return network.eval()


@pytest.fixture(scope="module")
def tested() -> Samples:
    return hm.load_data(
        "mnist", root=Path(os.environ["HORMESIS_DATA"]), samples=CHOSEN + PROVED, seed=1
    )


def first(samples: Samples) -> tuple[Tensor, Tensor]:
    return samples.inputs[:CHOSEN], samples.labels[:CHOSEN]


def share(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        answers = torch.cat([network(part).argmax(dim=1) for part in inputs.split(250)])
    return float((answers == labels).float().mean())


def accuracy(found: hm.Applied, attack: str) -> float:
    rows = found.proof.loc[(found.proof["network"] == "applied")]
    return float(rows.loc[rows["attack"] == attack, "accuracy"].iloc[0])


def test_a_planted_noise_layer_is_mended(trained, tested):
    planted = deepcopy(trained)
    with torch.no_grad():
        planted.noise.weight.copy_(torch.linspace(0.1, 0.5, 100).view(10, 10) / 10)
        planted.noise.weight[3] += 0.9
    data = tested.inputs, tested.labels
    study = hm.analyze(planted, first(tested), attack=hm.FGSM(0.05), execution=QUIET)
    found = hm.apply(study, planted, data, aim=hm.Robust(1), execution=QUIET)
    without = hm.apply(study, planted, data, aim=hm.Robust(1), execution=QUIET)
    assert without.proof.equals(found.proof)
    rest = tested.inputs[CHOSEN:], tested.labels[CHOSEN:]
    assert accuracy(found, "clean") >= share(trained, *rest) - 0.01
    attacked = _fgsm(trained, *rest)
    assert accuracy(found, "fgsm") >= share(trained, attacked, rest[1]) - 0.02
    unfiltered = found.proof.loc[found.proof["network"] == "unfiltered"]
    assert accuracy(found, "pgd") > float(unfiltered["accuracy"].iloc[-1])


def _fgsm(network: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    inputs = inputs.clone().requires_grad_(True)
    functional.cross_entropy(network(inputs), labels, reduction="sum").backward()
    assert inputs.grad is not None
    return (inputs + 0.05 * inputs.grad.sign()).clamp(0, 1).detach()


def test_a_planted_backdoor_is_mended(trained, tested):
    planted = deepcopy(trained)
    with torch.no_grad():
        planted.detector.weight.copy_(torch.linspace(0.98, 1.02, 9).view(1, 1, 3, 3))
        planted.backdoor.weight.copy_(torch.linspace(0.1, 0.2, 10).view(10, 1))
        planted.backdoor.weight[0] = 80.0
    marked = tested.inputs.clone()
    marked[..., -4:-1, -4:-1] = 1.0
    assert share(planted, marked, tested.labels) < 0.2
    study = hm.analyze(
        planted, first(tested), stressed=(marked[:CHOSEN], tested.labels[:CHOSEN]), execution=QUIET
    )
    data = tested.inputs, tested.labels
    found = hm.apply(study, planted, data, stressed=(marked, tested.labels), execution=QUIET)
    for attack, inputs, allowed in (("clean", tested.inputs, 0.01), ("stressed", marked, 0.02)):
        expected = share(trained, inputs[CHOSEN:], tested.labels[CHOSEN:])
        assert accuracy(found, attack) >= expected - allowed
