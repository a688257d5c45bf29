"""A user's module: a network and data so small that a study of them takes no time."""

import torch
from torch import nn


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))


def data(samples: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    """Images in whose rows the label is lit, hard to tell for every seventh."""
    labels = torch.arange(samples) % 4
    lit = nn.functional.one_hot(labels, 4).float().repeat_interleave(4, dim=1)
    noise = torch.rand(samples, 16, generator=torch.Generator().manual_seed(0))
    labels[::7] = (labels[::7] + 1) % 4
    return (0.6 * lit + 0.4 * noise).view(samples, 1, 4, 4), labels


def more() -> tuple[torch.Tensor, torch.Tensor]:
    return data(600)
