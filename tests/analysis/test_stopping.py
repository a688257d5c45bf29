"""Stopping: the same place whatever the blocks, nothing past it, and classes that are certain."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import synthetic
from hormesis.analysis.confidence_sequence import ConfidenceSequence
from hormesis.analysis.stopping import FIRST_LOOK, Stopping
from hormesis.settings.scoring import Scoring
from hormesis.storage.outcomes import StoredOutcomes, concatenate, only_samples

NETWORK = synthetic.network(np.random.default_rng(4), targets=3, steps=5)
OUTCOMES = NETWORK.outcomes(3000, np.random.default_rng(1))


def stopped(edges: list[int], until: str | float = 0.05) -> tuple[Stopping, StoredOutcomes]:
    stopping = Stopping(NETWORK.cells(), Scoring(), until, planned=3000)
    counted = []
    for first, end in zip([0, *edges], [*edges, 3000], strict=True):
        if not stopping.done:
            counted.append(stopping.update(only_samples(OUTCOMES, first, end)))
    return stopping, concatenate(counted)


@given(st.sets(st.integers(1, 2999), max_size=8))
def test_blocks_do_not_move_the_place(edges: set[int]):
    one, counted = stopped([])
    other, again = stopped(sorted(edges))
    assert one.done
    assert 256 <= one.samples < 3000
    assert (other.samples, other.settled) == (one.samples, one.settled)
    assert np.array_equal(counted.clean, OUTCOMES.clean[:, : one.samples])
    seen = ~np.isnan(again.clean)  # the others belong to targets that were settled before
    assert np.array_equal(again.clean[seen], counted.clean[seen])
    for row, target in enumerate(NETWORK.cells()["target"]):
        assert seen[row, : one.settled[target]].all()
    assert np.array_equal(again.base_adversarial, counted.base_adversarial)


def test_it_stops_when_every_interval_is_narrow_and_not_before():
    stopping, _ = stopped([])
    table = stopping.scores()
    assert set(table["filter"]) == {"combined"}
    assert (table["high"] - table["value"]).to_numpy().max() <= 0.05
    assert max(stopping.settled.values()) == stopping.samples
    assert set(stopping.settled) == set(NETWORK.targets)
    before = Stopping(NETWORK.cells(), Scoring(), 0.05, planned=3000)
    before.update(only_samples(OUTCOMES, 0, stopping.samples - 1))
    assert not before.done
    assert "% of the work was saved" in stopping.notes()[0]


def test_it_goes_on_where_a_target_is_not_settled():
    stopping, counted = stopped([], until=1e-4)
    assert not stopping.done
    assert stopping.samples == len(counted.base_clean) == 3000
    assert stopping.notes() == [
        "All 3000 samples were needed: 0 of 3 targets were settled before the last one."
    ]


def test_it_never_stops_unless_asked():
    stopping = Stopping(NETWORK.cells(), Scoring(), None, planned=3000)
    assert stopping.update(OUTCOMES) is OUTCOMES
    assert not stopping.done
    assert stopping.notes() == []


def test_certain_classes_are_certain_by_the_sequence():
    stopping, _ = stopped([], until="certain")
    table = stopping.scores()
    if stopping.done:
        assert table["certain"].to_numpy().all()
    else:
        assert not table["certain"].to_numpy().all()
    law = ConfidenceSequence(stopping.samples, 3000, 0.95)
    assert law.critical() > 2.5


def test_what_nothing_reaches_holds_nothing_up():
    outcomes = StoredOutcomes(
        OUTCOMES.base_clean,
        OUTCOMES.base_adversarial,
        OUTCOMES.clean,
        OUTCOMES.adversarial,
        np.zeros(len(OUTCOMES.clean), dtype=bool),
    )
    stopping = Stopping(NETWORK.cells(), Scoring(), "certain", planned=3000)
    stopping.update(outcomes)
    assert (stopping.done, stopping.samples) == (True, FIRST_LOOK)


@given(st.integers(2, 10**5), st.floats(0.5, 0.999))
def test_the_boundary_is_that_of_the_paper(samples: int, level: float):
    # Theorem 2.2 as printed, with its own ρ and no factor taken out.
    planned = 10_000
    alpha = 1 - level
    best = 0.1 * planned
    rho = math.sqrt((-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / best)
    t = samples
    printed = math.sqrt(
        2 * (t * rho**2 + 1) / (t**2 * rho**2) * math.log(math.sqrt(t * rho**2 + 1) / alpha)
    )
    law = ConfidenceSequence(samples, planned, level)
    assert law.critical() / math.sqrt(t) == pytest.approx(printed, rel=1e-9)


def test_the_boundary_is_tightest_around_a_tenth():
    planned = 10_000
    relative = {
        t: ConfidenceSequence(t, planned, 0.95).critical()
        / math.sqrt(2 * math.log(math.log(t) + 3))
        for t in (10, 1000, 10**7)
    }
    assert (
        ConfidenceSequence(1000, planned, 0.95).critical()
        < ConfidenceSequence(10, planned, 0.95).critical()
    )
    assert (
        ConfidenceSequence(1000, planned, 0.95).critical()
        < ConfidenceSequence(10**7, planned, 0.95).critical()
    )
    assert min(relative.values()) > 1
