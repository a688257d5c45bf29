"""Proof by simulation: intervals cover on a grid of bases and samples, or there is none."""

import numpy as np
import pytest

from coverage_grid import REFERENCES, SAMPLES, Case, coverage, finite_misses, rows


@pytest.mark.parametrize("reference", REFERENCES)
def test_from_two_hundred_samples_on_intervals_cover_as_they_say(reference):
    missed, there, _ = coverage(Case(0.6, 200, reference), 400)
    assert there.min() == 1
    assert missed.max() < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert missed.min() > 0.005  # nor do they say nothing


@pytest.mark.parametrize("reference", ["base", "random"])
def test_of_few_right_answers_there_is_no_interval_or_one_that_covers(reference):
    # The expected number is one right answer; networks that were filtered get up to 98 % right.
    missed, there, _ = coverage(Case(0.03, 30, reference), 1000)
    assert missed.max() < 0.06
    assert there[1] < 0.05
    missed, there, _ = coverage(Case(0.1, 100, reference), 400)
    assert there[1] > 0.9
    assert missed.max() < 0.06


def test_a_sequence_without_replacement_holds_at_all_looks_where_plain_intervals_do_not():
    missed = finite_misses(1024, 200)
    assert missed["finite"] <= 0.05
    assert missed["infinite"] <= 0.05
    assert missed["plain"] > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("reference", REFERENCES)
def test_the_whole_grid_covers(reference):
    for case, (missed, there, defined) in rows(1000, reference):
        shown = f"{case}: {1 - missed}, {there}"
        assert missed[defined > 0.02].max(initial=0) <= 0.06 + 0.01, shown
        if case.samples >= 200 and there.min() > 0.99 and case.base >= 0.1:
            assert missed.min() >= 0.005, shown
    assert case.samples == SAMPLES[-1]  # pyright: ignore[reportPossiblyUnboundVariable]


@pytest.mark.slow
def test_a_sequence_without_replacement_holds_at_all_looks():
    missed = finite_misses(2560, 1000)
    assert missed["finite"] <= 0.05
