"""A tiny network with everything that has to stay frozen, its data, and a study of it."""

from functools import cache

import pandas as pd
import torch
from torch import nn

import hormesis as hm

QUIET = hm.TrainerConfig(progress=False, loggers={}, device="cpu")


def data(count=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 1, 8, 8, generator=generator), torch.arange(count) % 3


def sets():
    return data(), data(12, 1)


def network(seed=0):
    """Two convolutions with batch norms and biases, and a linear layer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Conv2d(4, 4, 3, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64, 3),
        ).eval()


@cache
def study(per="tensor"):
    return hm.analyze(
        network(),
        data(12, 1),
        attack=hm.FGSM(0.05),
        targets=hm.Targets(per=per),
        sweep=hm.Sweep(thresholds=5),
        execution=hm.Execution(engine="plain", progress=False),
    )


def upper(of, share=0.5, **changes):
    """The selection that trains the targets whose clean score lies above a quantile."""
    scores = of.scores_with(hm.Scoring(reference="base"))
    rows = scores.loc[(scores["filter"] == "combined") & (scores["score"] == "clean")]
    border = float(rows["value"].quantile(share))
    keep = ("antifragile",) if border > 0 else ("robust", "antifragile")
    scoring = hm.Scoring(reference="base", tolerance=abs(border))
    settings = {"keep": keep, "by": "clean", "undecided": "estimate", "scoring": scoring}
    return hm.Selection(**settings | changes)


def table(**rows):
    """Classes as ``target_classes`` returns them: name, kind, size, class."""
    made = [(name, "linear", size, label, 0.0) for name, (size, label) in rows.items()]
    return pd.DataFrame(made, columns=["target", "kind", "size", "class", "value"])
