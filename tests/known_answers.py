# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
"""Networks whose answer is known by how they are made, small enough to be measured in a second.

Inputs have a block of features for each class. Those of a sample's own class are high, by a margin
that differs from sample to sample, all others are low; each value comes twice, in ``first`` and in
``second``. ``Reader`` looks at the mean of the two, weight by weight for each class.
"""

from typing import Any

import torch
from torch import Tensor, nn

from hormesis.stress.attacks import perturb

CLASSES, WIDTH = 4, 2
FEATURES = CLASSES * WIDTH


def data(samples: int = 240, *, shares: tuple[int, ...] = (1,) * CLASSES) -> tuple[Tensor, Tensor]:
    """Return inputs between 0 and 1 and labels, all classes in their shares, always the same."""
    generator = torch.Generator().manual_seed(0)
    order = torch.tensor([label for label, share in enumerate(shares) for _ in range(share)])
    labels = order.repeat(-(-samples // len(order)))[:samples]
    own = torch.nn.functional.one_hot(labels, CLASSES).repeat_interleave(WIDTH, dim=1)
    margin = 0.03 + 0.3 * torch.rand(samples, 1, generator=generator)
    values = 0.4 + margin * own + 0.02 * torch.rand(samples, FEATURES, generator=generator)
    return torch.cat([values, values], dim=1), labels


def blocks(low: float, high: float) -> Tensor:
    """Return weights that read the block of each class: values from ``low`` to ``high``, else 0."""
    own = torch.eye(CLASSES).repeat_interleave(WIDTH, dim=1)
    steps = torch.linspace(low, high, FEATURES).repeat(CLASSES, 1)
    return own * steps


class Network(nn.Module):
    """The layers that parts of the network consist of, and how they come together."""

    def __init__(self, **weights: Tensor) -> None:
        super().__init__()
        for name, values in weights.items():
            layer = nn.Linear(values.shape[1], values.shape[0], bias=False)
            layer.weight = nn.Parameter(values.clone())
            self.add_module(name, layer)

    def read(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means of the two copies, and half their differences, which are zero."""
        first, second = inputs[:, :FEATURES], inputs[:, FEATURES:]
        return (first + second) / 2 - 0.4, (first - second) / 2


class Informative(Network):
    """``informative`` knows the classes; ``other`` prefers each of them a little."""

    def __init__(self) -> None:
        super().__init__(informative=blocks(8.0, 10.0), other=0.01 * torch.rand(CLASSES, FEATURES))

    def forward(self, inputs: Tensor) -> Tensor:
        mean, _ = self.read(inputs)
        return self.informative(mean) + self.other(mean)


class Duplicate(Network):
    """Of ``one`` and ``other``, the larger answer counts: either will do."""

    def __init__(self) -> None:
        even, odd = torch.tensor([[1.0], [0.99], [1.0], [0.99]]), torch.tensor([[0.99], [1.0]])
        weights = blocks(8.0, 10.0)
        super().__init__(one=even * weights, other=odd.repeat(2, 1) * weights)

    def forward(self, inputs: Tensor) -> Tensor:
        mean, _ = self.read(inputs)
        return torch.maximum(self.one(mean.relu()), self.other(mean.relu()))


class Noise(Network):
    """``noise`` speaks for the first class, whatever there is to see."""

    def __init__(self) -> None:
        unfair = torch.zeros(CLASSES, FEATURES)
        unfair[0] = torch.tensor([0.4, 0.6]).repeat(FEATURES // 2)
        super().__init__(signal=blocks(8.0, 10.0), noise=unfair)

    def forward(self, inputs: Tensor) -> Tensor:
        mean, _ = self.read(inputs)
        return self.signal(mean) + self.noise(torch.ones_like(mean)) * 0.8


class Carrier(Network):
    """``carrier`` sees the difference of the copies alone, which only an attack makes.

    Where it is there, an attack moves the copies apart, and their mean stays as it was.
    """

    def __init__(self) -> None:
        super().__init__(signal=blocks(9.9, 10.0), carrier=blocks(10.1, 10.4))

    def forward(self, inputs: Tensor) -> Tensor:
        mean, difference = self.read(inputs)
        return self.signal(mean) + self.carrier(difference)


class Masking(Network):
    """Without ``temper``, logits are so large that no gradient is left; decisions are the same."""

    def __init__(self) -> None:
        super().__init__(signal=blocks(9.9, 10.0), temper=torch.eye(FEATURES)[:1])

    def forward(self, inputs: Tensor) -> Tensor:
        mean, _ = self.read(inputs)
        return self.signal(mean) * self.scale(mean)

    def scale(self, mean: Tensor) -> Tensor:
        return 1e4 / (1 + 1e4 * self.temper(torch.ones_like(mean)).relu())


class MaskingCarrier(Masking):
    """``temper`` is a carrier, too: without it fixed attacks miss, and others have no gradient."""

    def forward(self, inputs: Tensor) -> Tensor:
        mean, difference = self.read(inputs)
        apart = difference.view(-1, CLASSES, WIDTH).sum(dim=2) * self.temper(torch.ones_like(mean))
        return (self.signal(mean) + 10.2 * apart) * self.scale(mean)


class Saturated(Network):
    """Logits so large that no sample has a gradient."""

    def __init__(self) -> None:
        super().__init__(signal=blocks(9e4, 1e5), other=blocks(1.0, 2.0))

    def forward(self, inputs: Tensor) -> Tensor:
        mean, _ = self.read(inputs)
        return self.signal(mean) + self.other(mean)


class Guessing(Network):
    """Answers that have nothing to do with the classes."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(3)
        weights = torch.randn(CLASSES, FEATURES, generator=generator)
        super().__init__(one=weights - weights.mean(dim=1, keepdim=True), two=0.1 * weights)

    def forward(self, inputs: Tensor) -> Tensor:
        mean, _ = self.read(inputs)
        scrambled = (1000 * mean).remainder(1.0) - 0.5
        return self.one(scrambled) + self.two(scrambled)


class Majority(Network):
    """Says the first class for everything, whichever its inputs."""

    def __init__(self) -> None:
        super().__init__(signal=blocks(0.1, 0.2), unfair=torch.eye(CLASSES, FEATURES)[:1] + 1.0)

    def forward(self, inputs: Tensor) -> Tensor:
        mean, _ = self.read(inputs)
        first = torch.eye(CLASSES)[0] * self.unfair(torch.ones_like(mean))
        return self.signal(mean) + first


class Idle(Network):
    """``equal`` moves all logits alike; ``dead`` feeds a unit that never fires."""

    def __init__(self) -> None:
        super().__init__(
            signal=blocks(8.0, 10.0),
            equal=torch.linspace(0.5, 1.0, FEATURES)[None],
            dead=-torch.linspace(0.5, 1.0, FEATURES)[None],
        )

    def forward(self, inputs: Tensor) -> Tensor:
        mean, _ = self.read(inputs)
        shared = self.equal(torch.ones_like(mean))
        never = self.dead(torch.ones_like(mean)).relu()
        return self.signal(mean) + shared + never * mean[:, :CLASSES]


class Collapse(Network):
    """Without ``guard``, every answer is the first class."""

    def __init__(self) -> None:
        super().__init__(signal=blocks(8.0, 10.0), guard=torch.linspace(0.9, 1.0, FEATURES)[None])

    def forward(self, inputs: Tensor) -> Tensor:
        mean, _ = self.read(inputs)
        there = (self.guard(torch.ones_like(mean)) / self.guard.weight.numel()).clamp(max=0.5) * 2
        return self.signal(mean) + (1 - there) * 100 * torch.eye(CLASSES)[0]


class Ruffled(Network):
    """``ripple`` moves logits by next to nothing, so steeply that gradients point anywhere.

    No gradient is zero, so that nothing but another attack tells that an attack achieves nothing.
    """

    def __init__(self) -> None:
        super().__init__(signal=blocks(8.0, 10.0), ripple=torch.linspace(0.5, 1.0, FEATURES)[None])

    def forward(self, inputs: Tensor) -> Tensor:
        mean, _ = self.read(inputs)
        steep = 1e-3 * torch.sin(1e5 * inputs[:, :FEATURES] + 1e5 * inputs[:, FEATURES:])
        return self.signal(mean) + self.ripple(steep) * torch.eye(CLASSES)[0]


def perturbed_in_two(
    network: nn.Module, data: tuple[Tensor, Tensor], attack: Any, cut: int, **where: Any
) -> Tensor:
    """Perturb samples in two blocks: where a block ends must not matter."""
    inputs, labels = data
    parts = [
        perturb(network, inputs[rows], labels[rows], attack, first=first, **where)
        for first, rows in ((0, slice(cut)), (cut, slice(cut, None)))
    ]
    return torch.cat(parts)
