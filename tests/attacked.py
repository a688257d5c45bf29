"""A network, samples and a filter of warnings that tests of attacks share."""

import pytest
import torch
from torch import nn

# Foolbox 3.3.4 imports a SciPy name from its old place, for attacks that are not used here.
OLD_PLACE = pytest.mark.filterwarnings("ignore:Please import `gaussian_filter`:DeprecationWarning")


def convolutional():
    """Return a network with one BatchNorm in training mode and a mix of everything else."""
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Conv2d(6, 6, 3),
        nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(96, 5),
    )  # fmt: skip
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            nn.init.normal_(buffer, std=0.1)
    network.eval()
    network[1].train()
    network[8].bias.requires_grad_(False)
    network[0].weight.grad = torch.ones(6, 2, 3, 3)
    network[3].register_forward_hook(lambda *_: None)
    return network


def samples(bounds=(0.0, 1.0), count=7, dtype=torch.float32):
    generator = torch.Generator().manual_seed(2)
    unit = torch.rand(count, 2, 8, 8, generator=generator, dtype=dtype)
    low, high = torch.tensor(bounds, dtype=dtype)
    inputs = (low + (high - low) * unit).clamp(low, high)
    inputs[0, 0, 0, 0], inputs[0, 0, 0, 1] = low, high
    return inputs, torch.randint(0, 5, (count,), generator=generator)
