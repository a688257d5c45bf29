"""Training: the weights, whatever interrupts it, and what it refuses."""

import pytest
import torch
from torch import nn

import hormesis as hm
from hormesis.inputs.checkpoints import load_checkpoint

QUIET = hm.Session(progress=False, loggers={}, device="cpu")


def data(count=30, seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.rand(count, 1, 8, 8, generator=generator)
    return inputs, torch.arange(count) % 3


def network(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Flatten(),
            nn.Linear(144, 3),
        )


def trained(out, session=QUIET, **recipe):
    options = {"epochs": 4, "batch": 8, "seed": 3} | recipe
    return hm.train(
        network(), (data(), data(12, 1)), out=out, recipe=hm.Recipe(**options), session=session
    )


class Stop(Exception): ...


@pytest.mark.parametrize(
    "recipe",
    [
        {},
        {
            "optimizer": "SGD",
            "optimizer_options": {"momentum": 0.9},
            "schedule": "StepLR",
            "schedule_options": {"step_size": 1, "gamma": 0.5},
        },
        {"schedule": "OneCycleLR"},
        {"schedule": "CosineAnnealingLR"},
        {
            "schedule": "ReduceLROnPlateau",
            "schedule_options": {"patience": 0, "threshold": 1.0, "factor": 0.1},
        },
        {"augment": {"RandomCrop": {"size": 8, "padding": 1}, "RandomHorizontalFlip": None}},
        {"attack": hm.PGD(0.1, steps=2), "adversarial": True},
    ],
    ids=lambda r: str(list(r.values())[:1]),
)
@pytest.mark.parametrize("at", ["write_metrics", "write_checkpoint"])
def test_resume(tmp_path, monkeypatch, recipe, at):
    from hormesis.training import keeper

    whole = trained(tmp_path / "whole", **recipe)
    real = getattr(keeper, at)
    calls = []

    def failing(*args):
        calls.append(1)
        if len(calls) == 3:
            raise Stop
        return real(*args)

    with monkeypatch.context() as patched:
        patched.setattr(keeper, at, failing)
        with pytest.raises(Stop):
            trained(tmp_path / "cut", **recipe)
    again = trained(tmp_path / "cut", **recipe)
    for epoch, path in whole.checkpoints.items():
        a, b = load_checkpoint(path), load_checkpoint(again.checkpoints[epoch])
        assert a.keys() == b.keys()
        assert all(torch.equal(a[k], b[k]) for k in a), epoch
    assert again.metrics.drop(columns="seconds").equals(whole.metrics.drop(columns="seconds"))
    print(whole.metrics)
    assert list(again.metrics["epoch"]) == [1, 2, 3, 4]
