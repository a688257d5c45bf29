"""Coverage by simulation, over networks whose true scores are known: ``python simulations.py``."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

import synthetic
from hormesis.analysis.confidence_sequence import ConfidenceSequence
from hormesis.analysis.moments import InfluenceMoments, influence_moments
from hormesis.analysis.responses import Means, Sweeps, as_sweeps, response_table
from hormesis.analysis.scores import Base, ScoreLayout, classify, score_layout, sweep_scores
from hormesis.analysis.uncertainty import IntervalMethod, Student
from hormesis.settings.scoring import Scoring
from hormesis.storage.outcomes import only_samples

STEPS = 9
SCORES = ("clean", "adversarial", "difference")


@cache
def template(targets: int) -> tuple[Sweeps, ScoreLayout]:
    """Return sweeps of so many targets, whose responses are to be replaced."""
    network = synthetic.network(np.random.default_rng(0), targets, STEPS)
    means = Means()
    means.add(network.outcomes(2, np.random.default_rng(0)))
    sweeps = as_sweeps(response_table(network.cells(), means))
    return sweeps, score_layout(sweeps)


class Drawn:
    """One network, its outcomes, and intervals after any number of samples."""

    def __init__(self, seed: int, samples: int, targets: int = 1) -> None:
        generator = np.random.default_rng(seed)
        self.network = synthetic.network(generator, targets, STEPS)
        self.outcomes = self.network.outcomes(samples, generator)
        self.sweeps, self.rows = template(targets)
        clean, adversarial, base = self.network.true_means()
        columns = dict(self.sweeps.columns) | {"clean": clean, "adversarial": adversarial}
        self.truth = self.values(replace(self.sweeps, columns=columns), base)

    def values(self, sweeps: Sweeps, base: Base) -> np.ndarray:
        return (self.rows.mean @ sweep_scores(sweeps, base, Scoring()).T).ravel()

    def after(self, samples: int, interval_method: IntervalMethod) -> tuple[np.ndarray, np.ndarray]:
        """Values and half-widths, both by target, filter and score."""
        seen = only_samples(self.outcomes, 0, samples)
        base = Base(float(seen.base_clean.mean()), float(seen.base_adversarial.mean()))
        columns = dict(self.sweeps.columns)
        for name in ("clean", "adversarial"):
            columns[name] = getattr(seen, name).mean(axis=1, dtype=np.float64)[columns["outcome"]]
        sweeps = replace(self.sweeps, columns=columns)
        spread = influence_moments(sweeps, base, Scoring(), lambda: [seen]).standard_errors()
        value = self.values(sweeps, base)
        log = np.log(2 / (1 - interval_method.level))
        return value, np.maximum(interval_method.critical() * spread.above, log * spread.unseen)


def coverage(networks: int, samples: int, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Return how often intervals hold the truth, by score: of single filters, and combined."""
    hits = []
    for seed in range(networks):
        drawn = Drawn(seed, samples)
        value, half = drawn.after(samples, Student(samples, level))
        if np.isfinite(half).all():
            hits.append(np.abs(value - drawn.truth) <= half)
    found = np.array(hits).reshape(len(hits), 4, 3)
    return found[:, :3].mean(axis=(0, 1)), found[:, 3].mean(axis=0)


def looked_at(
    networks: int, looks: Sequence[int], planned: int, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, by combined score, how often all looks hold the truth.

    For the confidence sequence, then for plain intervals looked at as often; and how often a class
    that the sequence called certain at any look was wrong.
    """
    always, plainly, wrong = np.ones((3, networks, 3), dtype=bool)
    wrong[:] = False
    for seed in range(networks):
        drawn = Drawn(10_000 + seed, looks[-1])
        truth = drawn.truth[-3:]
        true_class = np.array([classify(value, 0.05) for value in truth])
        for samples in looks:
            interval_method = ConfidenceSequence(samples, planned, level)
            value, half = (part[-3:] for part in drawn.after(samples, interval_method))
            always[seed] &= np.abs(value - truth) <= half
            plain = drawn.after(samples, Student(samples, level))[1][-3:]
            plainly[seed] &= np.abs(value - truth) <= plain
            point = np.array([classify(one, 0.05) for one in value])
            outside = (value - half > 0.05) | (value + half < -0.05)
            inside = (value - half >= -0.05) & (value + half <= 0.05)
            wrong[seed] |= (outside | inside) & (point != true_class)
    return always.mean(axis=0), plainly.mean(axis=0), wrong.mean(axis=0)


def false_certain(networks: int, samples: int, level: float = 0.95) -> float:
    """Return how often a true score on the border of *robust* is called certain to lie outside."""
    wrong = []
    for seed in range(networks):
        drawn = Drawn(seed, samples)
        value, half = drawn.after(samples, Student(samples, level))
        border = np.abs(drawn.truth)
        wrong.append((value - half > border) | (value + half < -border))
    return float(np.mean(wrong))


def rare(samples: int, expected: float, draws: int = 20_000) -> float:
    """Return the coverage where a sample loses everything, rarely, and nothing else happens."""
    share = expected / samples
    count = np.random.default_rng(0).binomial(samples, share, draws)
    mean = count / samples
    lost, kept = np.square(1 - mean), np.square(mean)
    second = count * lost + (samples - count) * kept
    fourth = count * lost**2 + (samples - count) * kept**2
    rows = (np.tile(part, (3, 1)) for part in (second, fourth, np.ones(draws)))
    second, fourth, most = rows
    spread = InfluenceMoments(second, fourth, most, samples).standard_errors()
    error, unseen = spread.above[::3], spread.unseen[::3]
    half = np.maximum(Student(samples, 0.95).critical() * error, np.log(40) * unseen)
    return float((np.abs(mean - share) <= half).mean())


def looks_until(planned: int) -> list[int]:
    """Return the looks that ``Stopping`` takes."""
    looks = [256]
    while looks[-1] < planned:
        looks.append(max(looks[-1] + 256, int(looks[-1] * 1.1)))
    return [look for look in looks if look <= planned]


def main() -> None:
    """Print the tables of docs/uncertainty.md."""
    print("| samples | clean | adversarial | difference | one filter |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for samples in (10, 20, 50, 100, 200, 500, 1000, 2000):
        single, combined = coverage(2000, samples)
        cells = " | ".join(f"{share:.1%}" for share in (*combined, single.mean()))
        print(f"| {samples} | {cells} |", flush=True)
    found = looked_at(1000, looks_until(2560), 10_000)
    for name, shares in zip(("sequence", "plain", "false certain"), found, strict=True):
        print(name, *(f"{share:.1%}" for share in shares), flush=True)
    print(f"on the border {false_certain(1000, 500):.1%}")
    for samples in (30, 1000):
        print(
            samples,
            *(f"{expected}: {rare(samples, expected):.1%}" for expected in (1, 3, 5, 8, 12, 20)),
        )


if __name__ == "__main__":
    main()
