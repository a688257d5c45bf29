"""How many samples it takes to be sure of a finite test set: ``python -m benchmarks.sampling``.

A small network, trained for one epoch on MNIST, is measured once on all 10,000 test images. The
outcomes are then replayed in other random orders through the rule that stops a sweep, for intervals
about other images like these and for intervals about just these; the truth of the second is known.
It takes some two minutes of one core.
"""

import argparse
import os
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torchvision.datasets import MNIST

import hormesis as hm
from hormesis.analysis.stopping import Stopping, looks
from hormesis.storage.outcomes import NAMES, StoredOutcomes


def network(images: torch.Tensor, labels: torch.Tensor) -> nn.Module:
    """Return a small network, trained on the images once."""
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(576, 10),
    )
    optimizer = torch.optim.Adam(made.parameters(), 2e-3)
    for batch in torch.randperm(len(labels)).split(100):
        loss = nn.functional.cross_entropy(made(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return made


def ordered(outcomes: StoredOutcomes, order: np.ndarray) -> StoredOutcomes:
    """Return outcomes with the samples in another order."""
    return replace(outcomes, **{name: getattr(outcomes, name)[..., order] for name in NAMES})


def replayed(
    study: hm.Study, outcomes: StoredOutcomes, scoring: hm.Scoring, until: str | float
) -> tuple[float, bool]:
    """Return the share of the work that was done, and whether an interval ever missed.

    What the intervals are about is taken to be the scores of all samples.
    """
    samples = len(outcomes.base_clean)
    truth = study.scores_with(scoring).query("filter == 'combined'").set_index(["target", "score"])
    stopping = Stopping(study.responses, scoring, until, samples, chance=study.base.chance)
    missed = False
    edges = [0, *looks(samples), samples]
    for first, end in pairwise(edges):
        part = {name: getattr(outcomes, name)[..., first:end] for name in NAMES}
        stopping.update(replace(outcomes, **part))
        now = stopping.scores().set_index(["target", "score"])
        value = truth["value"].loc[now.index]
        missed |= bool(((now["low"] > value) | (now["high"] < value)).any())
        if stopping.done:
            break
    return stopping._work / (len(stopping.wanted) * samples), missed


def main() -> None:
    """Print the table of docs/uncertainty.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--orders", type=int, default=8)
    parser.add_argument("--data-root")
    given = parser.parse_args()
    torch.set_num_threads(1)
    root = given.data_root or os.environ["HORMESIS_DATA"]
    parts = [MNIST(root, train=part) for part in (True, False)]
    training, test = ((part.data[:, None].float() / 255, part.targets) for part in parts)
    made = network(*training)
    study = hm.analyze(
        made, test, sweep=hm.Sweep(thresholds=9), execution=hm.Execution(progress=False)
    )
    outcomes = study.outcomes()
    print(study.base, "ε", study.manifest["attack"]["epsilon"])
    print("| until | about | work | orders with a miss |")
    for until in (0.03, 0.02, 0.01, "certain"):
        for population in ("infinite", "finite"):
            scoring = hm.Scoring(reference="base", population=population)
            found = [
                replayed(
                    study,
                    ordered(outcomes, np.random.default_rng(seed).permutation(10_000)),
                    scoring,
                    until,
                )
                for seed in range(given.orders)
            ]
            work, missed = np.mean(found, axis=0)
            print(f"| {until} | {population} | {work:.1%} | {missed:.0%} |", flush=True)


if __name__ == "__main__":
    main()
