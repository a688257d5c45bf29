"""A small network with a planted noise layer, its study, and what it takes to apply that."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import hormesis as hm
import known_answers as known

QUIET = hm.Execution(engine="plain", progress=False, num_workers=1)
PROOF = hm.Proof(steps=2, restarts=2, draws=2)
SAMPLES = 120
EPSILON = 0.05


def data() -> tuple[Tensor, Tensor]:
    """Return twice as many samples as the study has."""
    return known.data(2 * SAMPLES)


def network() -> nn.Module:
    return known.Noise()


def unplanted() -> nn.Module:
    """Return the same network without the noise."""
    clean = network()
    clean.get_parameter("noise.weight").data.zero_()
    return clean


def study(out: Path | None = None, **asked: Any) -> hm.Study:
    inputs, labels = data()
    settings: dict[str, Any] = {
        "attack": hm.FGSM(EPSILON),
        "sweep": hm.Sweep(thresholds=7),
        "confirmation": hm.Confirmation("never"),
        "execution": QUIET,
    }
    return hm.analyze(
        network(), (inputs[:SAMPLES], labels[:SAMPLES]), out=out, **(settings | asked)
    )


def applied(of: Any, out: Path | None = None, **asked: Any) -> hm.Applied:
    settings: dict[str, Any] = {"proof": PROOF, "execution": QUIET, "aim": hm.Robust(1)}
    given = {"network": network(), "data": data()} | asked
    return hm.apply(of, given.pop("network"), given.pop("data"), out=out, **(settings | given))


def fgsm(model: nn.Module, inputs: Tensor, labels: Tensor, epsilon: float = EPSILON) -> Tensor:
    """Return inputs perturbed by one step, written out."""
    inputs = inputs.clone().requires_grad_(True)
    loss = nn.functional.cross_entropy(model(inputs), labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, inputs)
    return (inputs + epsilon * gradient.sign()).clamp(0, 1).detach()


@torch.no_grad()
def right(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    return model(inputs).argmax(dim=1) == labels
