"""The laws of an attack."""

import random
from dataclasses import is_dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hormesis.errors import DataError, SettingError
from hormesis.settings.attacks import Attack, describe_attack, shortest, tries
from hormesis.settings.threat import LEAST_LIKELY, NEXT, norm_of, target_of
from hormesis.stress.attacks import perturb
from hormesis.stress.projections import sizes

_LIMITS = ((0.0, 1.0), (-0.4, 2.7), (0.1, 0.3))


def _network() -> nn.Module:
    """Return a network with modes, buffers, gradients and hooks that an attack must not touch."""
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.BatchNorm2d(6),
        nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(96, 5),
    )  # fmt: skip
    network.eval()
    network[1].train()
    network[8].bias.requires_grad_(False)
    network[0].weight.grad = torch.ones(6, 2, 3, 3)
    return network


def _samples(limits: tuple[float, float] = (0.0, 1.0), count: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    low, high = torch.tensor(limits)
    unit = torch.rand(count, 2, 8, 8, generator=generator)
    inputs = (low + (high - low) * unit).clamp(low, high)
    inputs[0, 0, 0, 0], inputs[0, 0, 0, 1] = low, high
    return inputs, torch.randint(0, 5, (count,), generator=generator)


def _state(network: nn.Module) -> list[Any]:
    """Return all that a network is, and the random state of the process."""
    tensors = [*network.named_parameters(), *network.named_buffers()]
    return [
        [(name, value.detach().clone().tolist(), value.requires_grad) for name, value in tensors],
        [None if value.grad is None else value.grad.tolist() for _, value in tensors],
        [(module.training, list(module._forward_hooks)) for module in network.modules()],
        torch.get_rng_state().tolist(),
        random.getstate(),
        repr(np.random.get_state()),  # noqa: NPY002  (the global state is meant)
    ]


class AttackTests:
    """What holds for every attack.

    Attributes:
        attack: The attack, registered or one of the package's own, its epsilon a number of at most
            0.1.
        raises_loss: Whether it has to raise the loss of every sample of a small network, as attacks
            that follow a gradient do; or to lower the loss of the class that it aims at.
    """

    attack: ClassVar[Any]
    raises_loss: ClassVar[bool] = True

    def _perturbed(
        self,
        network: nn.Module | None = None,
        limits: tuple[float, float] = (0.0, 1.0),
        seed: int = 0,
    ) -> Tensor:
        inputs, labels = _samples(limits)
        return perturb(network or _network(), inputs, labels, self.attack, bounds=limits, seed=seed)

    def test_it_is_a_frozen_value(self) -> None:
        assert isinstance(self.attack, Attack)
        assert is_dataclass(self.attack)
        assert replace(self.attack) == self.attack
        assert hash(replace(self.attack)) == hash(self.attack)
        assert describe_attack(self.attack)["name"] == self.attack.name
        assert tries(self.attack) >= 1
        assert isinstance(shortest(self.attack), type(self.attack))

    @pytest.mark.parametrize("epsilon", [0.0, -0.1, float("inf"), float("nan"), "wide"])
    def test_an_epsilon_that_is_none_is_refused(self, epsilon: float | str) -> None:
        with pytest.raises(SettingError, match="epsilon"):
            replace(self.attack, epsilon=epsilon)

    @pytest.mark.parametrize("limits", _LIMITS)
    def test_inputs_stay_inside_the_ball_and_the_bounds(self, limits: tuple[float, float]) -> None:
        inputs, _ = _samples(limits)
        perturbed = self._perturbed(limits=limits)
        assert (perturbed.shape, perturbed.dtype) == (inputs.shape, inputs.dtype)
        assert not perturbed.requires_grad
        low, high = torch.tensor(limits)
        assert bool(((perturbed >= low) & (perturbed <= high)).all())
        moved, large = (sizes(part, norm_of(self.attack)) for part in (perturbed - inputs, inputs))
        rounding = 2 * torch.finfo(inputs.dtype).eps * float(large.max())
        assert float(moved.max()) <= float(self.attack.epsilon) * (1 + 1e-5) + rounding
        assert not torch.equal(perturbed, inputs)

    def test_the_loss_does_not_fall(self) -> None:
        if not self.raises_loss:
            return
        network, (inputs, labels) = _network().eval(), _samples()
        perturbed, target = self._perturbed(network), target_of(self.attack)
        with torch.no_grad():
            outputs = network(inputs)
            aims = {LEAST_LIKELY: outputs.argmin(dim=1), NEXT: (labels + 1) % outputs.shape[1]}
            if isinstance(target, int):
                labels = torch.full_like(labels, target)
            elif target is not None:
                labels = aims[target]
            before = cross_entropy(outputs, labels, reduction="none")
            after = cross_entropy(network(perturbed), labels, reduction="none")
        assert bool((after >= before).all() if target is None else (after <= before).all())

    def test_the_network_and_the_random_state_stay_as_they_are(self) -> None:
        network = _network()
        before = _state(network)
        self._perturbed(network)
        assert _state(network) == before

    def test_inputs_and_labels_stay_as_they_are(self) -> None:
        inputs, labels = _samples()
        before = inputs.clone(), labels.clone()
        perturb(_network(), inputs, labels, self.attack, bounds=(0.0, 1.0), seed=0)
        assert torch.equal(inputs, before[0])
        assert torch.equal(labels, before[1])

    def test_a_seed_gives_the_same_again(self) -> None:
        assert torch.equal(self._perturbed(), self._perturbed())

    @pytest.mark.parametrize("cut", [1, 3, 6])
    def test_a_sample_does_not_depend_on_its_batch(self, cut: int) -> None:
        torch.manual_seed(3)
        network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).double()
        inputs, labels = torch.randint(0, 5, (7, 4)).double() / 4, torch.randint(0, 3, (7,))

        def part(start: int, stop: int) -> Tensor:
            rows = inputs[start:stop], labels[start:stop]
            options = {"bounds": (0.0, 1.0), "seed": 5, "first": 10 + start}
            return perturb(network, *rows, self.attack, **options)

        parts = torch.cat([part(0, cut), part(cut, 7)])
        torch.testing.assert_close(parts, part(0, 7), rtol=0, atol=1e-12)

    def test_double_precision_stays_double(self) -> None:
        inputs, labels = _samples()
        network = _network().double()
        perturbed = perturb(
            network, inputs.double(), labels, self.attack, bounds=(0.0, 1.0), seed=0
        )
        assert perturbed.dtype == torch.float64

    def test_the_callers_gradient_mode_does_not_matter(self) -> None:
        network, expected = _network(), self._perturbed()
        with torch.inference_mode():
            assert torch.equal(self._perturbed(network), expected)

    def test_inputs_outside_the_bounds_are_refused(self) -> None:
        inputs, labels = _samples()
        inputs[4, 1, 2, 3] = torch.nan
        with pytest.raises(DataError, match="sample 4"):
            perturb(_network(), inputs, labels, self.attack, bounds=(0.0, 1.0), seed=0)

    def test_an_empty_batch_stays_empty(self) -> None:
        inputs, labels = _samples()
        perturbed = perturb(
            _network(), inputs[:0], labels[:0], self.attack, bounds=(0.0, 1.0), seed=0
        )
        assert perturbed.shape == (0, 2, 8, 8)
