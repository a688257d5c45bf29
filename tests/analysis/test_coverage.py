"""Proof by simulation: intervals hold the truth as often as they say, also when looked at often."""

import numpy as np
import pytest

from simulations import coverage, false_certain, looked_at, looks_until, rare

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("samples", [200, 1000])
def test_intervals_cover_as_they_say(samples: int):
    single, combined = coverage(2000, samples)
    assert 0.94 <= single.mean() <= 0.96
    assert 0.94 <= combined.mean() <= 0.96
    # Each score on its own, within three standard errors of a simulation of this size.
    error = 3 * np.sqrt(0.05 * 0.95 / 2000)
    assert np.abs(combined - 0.95).max() < error + 0.01


@pytest.mark.parametrize("samples", [10, 50])
def test_few_samples_give_intervals_that_are_too_wide_and_never_too_narrow(samples: int):
    single, combined = coverage(1000, samples)
    assert min(*single, *combined) >= 0.94


def test_a_sequence_holds_at_all_looks_where_plain_intervals_do_not():
    sequence, plain, wrong = looked_at(1000, looks_until(2560), 10_000)
    assert sequence.min() >= 0.95
    assert plain.max() < 0.9
    assert wrong.max() <= 0.05


def test_a_score_on_the_border_is_seldom_called_certain():
    assert false_certain(1000, 500) <= 0.04  # one side of a 95 % interval, and what skewness adds


@pytest.mark.parametrize("samples", [30, 1000])
@pytest.mark.parametrize("expected", [0.5, 2, 5, 8, 20])
def test_rare_losses_are_allowed_for(samples: int, expected: float):
    assert rare(samples, expected) >= 0.88
