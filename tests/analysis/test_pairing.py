"""Coverage of intervals of paired and of independent stressed data, by simulation."""

from dataclasses import replace

import numpy as np
import pytest

from hormesis.analysis.uncertainty import Student
from hormesis.data.sampling import random_order
from hormesis.storage.outcomes import StoredOutcomes, only_samples
from simulations import Drawn

SAMPLES, LEVEL = 300, 0.95


def joined(clean: StoredOutcomes, stressed: StoredOutcomes, order: np.ndarray) -> StoredOutcomes:
    """Return pairs of the clean outcomes of one set and the stressed ones of another, reordered."""
    return replace(
        clean,
        base_adversarial=stressed.base_adversarial[order],
        adversarial=stressed.adversarial[:, order],
    )


def covers(drawn: Drawn, outcomes: StoredOutcomes) -> tuple[bool, float]:
    """Return whether the interval of the difference score holds the truth, and its half-width."""
    drawn.outcomes = outcomes
    value, width = drawn.after(SAMPLES, Student(SAMPLES, LEVEL))
    # Rows run by filter and score: the last one is the difference score of the combined filter.
    return bool(abs(value - drawn.truth)[-1] <= width[-1]), float(width[-1])


def by_ease(outcomes: np.ndarray) -> np.ndarray:
    """Return an order such as that of a data set whose classes are more or less easy."""
    return np.argsort(outcomes.mean(axis=0), kind="stable")


def simulate(runs: int) -> dict[str, tuple[float, float]]:
    """Return the coverage and the mean half-width of each way of pairing."""
    found: dict[str, list[tuple[bool, float]]] = {}
    at_random = random_order(SAMPLES, 1).numpy()
    in_order = np.arange(SAMPLES)
    for seed in range(runs):
        drawn = Drawn(seed, 2 * SAMPLES)
        one, other = (
            only_samples(drawn.outcomes, first, first + SAMPLES) for first in (0, SAMPLES)
        )
        easy, easy_too = by_ease(one.clean), by_ease(other.adversarial)
        sorted_clean = replace(one, base_clean=one.base_clean[easy], clean=one.clean[:, easy])
        for name, outcomes in {
            "paired": joined(one, one, in_order),
            "paired, taken as independent": joined(one, one, at_random),
            "independent": joined(sorted_clean, other, easy_too[at_random]),
            "independent, taken as paired": joined(sorted_clean, other, easy_too),
        }.items():
            found.setdefault(name, []).append(covers(drawn, outcomes))
    return {
        name: (float(np.mean([hit for hit, _ in rows])), float(np.mean([w for _, w in rows])))
        for name, rows in found.items()
    }


@pytest.mark.slow
def test_intervals_know_whether_samples_are_pairs() -> None:
    """1,000 networks: a rate of 0.95 has a standard error of 0.7 points."""
    found = simulate(1000)
    assert 0.93 < found["paired"][0] < 0.98
    assert 0.93 < found["independent"][0] < 0.98
    assert found["paired, taken as independent"][0] >= found["paired"][0]
    assert found["paired, taken as independent"][1] > 1.1 * found["paired"][1]
    assert found["independent, taken as paired"][0] < 0.9
