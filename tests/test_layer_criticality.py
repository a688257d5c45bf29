"""Layers are not created equal (Zhang, Bengio and Singer, arXiv 1902.01996), on digits.

A network of equal fully connected layers is trained; then each layer alone goes back to its initial
weights, or to fresh random ones. The paper's findings, with its threshold of performance:

- going back to the initial weights costs no more than fresh ones, for most layers much less;
- some layers may go back to their initial weights at little cost ("robust to re-initialisation"),
  others may not ("critical").
"""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import hormesis as hm
from hormesis.data.datasets import digits

LAYERS, WIDTH = 5, 512


def trained() -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """Return a network of equal layers, trained on the digits, and its initial weights."""
    torch.manual_seed(0)
    hidden = [part for _ in range(LAYERS - 2) for part in (nn.Linear(WIDTH, WIDTH), nn.ReLU())]
    network = nn.Sequential(
        nn.AvgPool2d(4),
        nn.Flatten(),
        nn.Linear(64, WIDTH),
        nn.ReLU(),
        *hidden,
        nn.Linear(WIDTH, 10),
    )
    initial = copy.deepcopy(network.state_dict())
    samples = digits("train")
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    for _ in range(40):
        for rows in torch.randperm(len(samples)).split(64):
            optimizer.zero_grad()
            logits = network(samples.inputs[rows])
            nn.functional.cross_entropy(logits, samples.labels[rows]).backward()
            optimizer.step()
    return network.eval(), initial


@pytest.mark.slow
def test_some_layers_are_critical_and_others_are_not():
    network, initial = trained()
    sweeps = {
        "rewound": hm.replacements.rewinding(initial, (1,)),
        "fresh": hm.replacements.reinitialization((1,), draws=5),
    }
    kept = {}
    for name, replacement in sweeps.items():
        study = hm.analyze(
            network,
            digits("test"),
            attack=None,
            sweep=hm.Sweep(filters=(replacement,)),
            execution=hm.Execution(progress=False, num_workers=1),
        )
        assert study.base.clean > 0.95
        means: Any = study.responses.groupby("target", sort=False)["clean"].mean()
        kept[name] = np.array(means.tolist()) / study.base.clean
    assert kept["rewound"].max() > 0.95  # some may go back to where they began,
    assert kept["rewound"].min() < 0.7  # others may not,
    assert kept["fresh"].max() < 0.5  # and none does without its own beginning
    assert (kept["rewound"] >= kept["fresh"]).all()
