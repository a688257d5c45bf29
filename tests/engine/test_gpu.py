"""What a GPU must do as a CPU does. The tests of this file need one."""

import pytest
import torch
from torch import nn

import hormesis as hm

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
DEVICE = "cuda"


def test_the_engine_runs_there_and_agrees_with_the_plain_loop():
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
    network = nn.Sequential(*layers).to(DEVICE)
    data = (torch.rand(40, 1, 8, 8), torch.arange(40) % 3)
    fast, plain = (
        hm.analyze(
            network,
            data,
            attack=hm.FGSM(0.1),
            sweep=hm.Sweep(thresholds=5),
            execution=hm.Execution(engine=engine, progress=False),
        )
        for engine in ("auto", "plain")
    )
    assert fast.manifest["run"]["engine"] == "suffix"  # not the plain loop with a note why
    assert fast.responses.equals(plain.responses)
