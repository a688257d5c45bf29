"""Studies of made-up networks whose true scores are known.

Each sample has a margin ``m ~ N(μ, 1)`` and is right where it is above zero; the attack takes a
number off it, and each removal adds a shift and noise of its own, which is shared in part by all
thresholds of a filter. Every accuracy is then a value of the normal distribution function, and
clean and adversarial, filtered and unfiltered outcomes of a sample hang together as real ones do.
"""

from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

import handset
from hormesis.analysis.responses import Means, response_table
from hormesis.analysis.scores import Base
from hormesis.analysis.stopping import Stopping
from hormesis.results.study import Study
from hormesis.settings.choices import DEFAULT_FILTERS
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.storage.outcomes import StoredOutcomes, only_samples
from hormesis.storage.shards import Shard, pack

SHARED = 0.9  # of a removal's noise


@dataclass(frozen=True)
class Network:
    """What the outcomes of a network follow.

    ``margin`` and ``drop`` are numbers; ``shift`` and ``noise`` are targets × filters × thresholds.
    """

    margin: float
    drop: float
    shift: np.ndarray
    noise: np.ndarray

    @property
    def targets(self) -> list[str]:
        return [f"layer{place}.weight" for place in range(len(self.shift))]

    def cells(self) -> pd.DataFrame:
        targets, filters, steps = self.shift.shape
        count = targets * filters * steps
        step = np.tile(np.arange(steps), targets * filters)
        return pd.DataFrame(
            {
                "target": np.repeat(self.targets, filters * steps),
                "filter": np.tile(np.repeat(DEFAULT_FILTERS[:filters], steps), targets),
                "step": step,
                "alpha": step / (steps - 1),
                "zeroed": step,
                "density": 1 - step / (steps - 1),
                "progress": step / (steps - 1),
                "lower": 0.0,
                "upper": 1.0,
                "outcome": np.arange(count),
            }
        )

    def true_means(self) -> tuple[np.ndarray, np.ndarray, Base]:
        """The true accuracies: clean and adversarial by sweep and step, and unfiltered."""
        spread, steps = np.sqrt(1 + np.square(self.noise)), self.shift.shape[-1]
        clean, adversarial = (
            stats.norm.cdf((self.margin - drop + self.shift) / spread).reshape(-1, steps)
            for drop in (0.0, self.drop)
        )
        base, attacked = (float(stats.norm.cdf(self.margin - d)) for d in (0.0, self.drop))
        return clean, adversarial, Base(base, attacked)

    def outcomes(self, samples: int, generator: np.random.Generator) -> StoredOutcomes:
        """Draw the outcomes of so many samples."""
        margin = self.margin + generator.standard_normal(samples, dtype=np.float32)
        targets, filters, steps = self.shift.shape
        shape = (targets, filters, steps, samples)
        common = generator.standard_normal((targets, filters, 1, samples), dtype=np.float32)
        own = generator.standard_normal(shape, dtype=np.float32)
        noise = np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * own
        filtered = margin + self.shift[..., None] + self.noise[..., None] * noise
        filtered = filtered.reshape(-1, samples)
        return StoredOutcomes(
            base_clean=(margin > 0).astype(np.float32),
            base_adversarial=(margin > self.drop).astype(np.float32),
            clean=(filtered > 0).astype(np.float32),
            adversarial=(filtered > self.drop).astype(np.float32),
            changed=np.ones(len(filtered), dtype=bool),
        )


def network(
    generator: np.random.Generator, targets: int = 1, steps: int = 25, filters: int = 3
) -> Network:
    """Draw a network: how good it is, how much the attack takes, how each target falls."""
    margin = generator.uniform(0.5, 2.5)
    shape = (targets, filters, 1)
    middle, steep = generator.uniform(0.1, 1.1, shape), generator.uniform(3, 30, shape)
    fall = 1 / (1 + np.exp(-steep * (np.linspace(0, 1, steps) - middle)))
    return Network(
        margin=margin,
        drop=generator.uniform(0.2, margin + 0.8),
        shift=-(margin + generator.uniform(0.3, 1.5, shape)) * fall,
        noise=generator.uniform(0.02, 1.0, shape) * fall + 0.001,
    )


def study(
    of: Network, outcomes: StoredOutcomes, *, folder: Path | None = None, **changes: Any
) -> Study:
    """A study in memory of these outcomes; ``changes`` replace entries of its manifest."""
    means = Means()
    means.add(outcomes)
    samples = means.samples
    manifest = handset.manifest(
        base={
            "clean": float(means.of("base_clean")),
            "adversarial": float(means.of("base_adversarial")),
            "higher_is_better": True,
            "samples": samples,
        }
    )
    manifest["question"]["data"]["samples"] = samples
    manifest["question"]["sweep"] = vars(Sweep(thresholds=of.shift.shape[-1]))
    manifest |= changes
    targets = handset.targets(of.targets)
    targets["kind"] = ["convolution"] * (len(of.targets) - 1) + ["linear", "bias"]
    packed = {
        first: pack(Shard(first, only_samples(outcomes, first, first + 256)))
        for first in range(0, samples, 256)
    }
    return Study(manifest, targets, response_table(of.cells(), means), folder, packed)


def stopped(
    of: Network,
    outcomes: StoredOutcomes,
    until: str | float,
    *,
    scoring: Scoring = Scoring(),
    edges: tuple[int, ...] = (),
) -> tuple[Study, Stopping]:
    """A study in memory that chose when to stop, its blocks ending at ``edges``."""
    planned = len(outcomes.base_clean)
    stopping = Stopping(of.cells(), scoring, until, planned)
    packed = {}
    for first, end in pairwise((0, *edges, planned)):
        if not stopping.done:
            block = stopping.update(only_samples(outcomes, first, end))
            packed[first] = pack(Shard(first, block))
    made = study(of, only_samples(outcomes, 0, stopping.samples), scoring=asdict(scoring))
    question = made.manifest["question"]
    question["data"]["samples"] = planned
    question["sweep"] = vars(Sweep(thresholds=of.shift.shape[-1], until=until))
    made.manifest["settled"] = [prefix.described() for prefix in stopping.settled_groups]
    return replace(made, responses=stopping.responses(), packed=packed), stopping


def written(of: Network, outcomes: StoredOutcomes, folder: Path, **changes: Any) -> Path:
    """Write a study of these outcomes, and return its folder."""
    made = study(of, outcomes, **changes)
    return handset.write(folder, (made.manifest, made.targets, made.responses), outcomes)
