"""Agreement against SciPy, statsmodels and closed forms; and what chance gives."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats
from statsmodels.stats.inter_rater import aggregate_raters
from statsmodels.stats.inter_rater import fleiss_kappa as reference_kappa

from hormesis.analysis.agreement import (
    correlation_interval,
    fleiss_kappa,
    kendall,
    measure_agreement,
    spearman,
)

shapes = st.tuples(st.integers(2, 4), st.integers(3, 12))
values = shapes.flatmap(
    lambda shape: arrays.arrays(float, shape, elements=st.integers(-5, 5).map(float))
)
classes = shapes.flatmap(lambda shape: arrays.arrays(int, shape, elements=st.integers(0, 2)))


@given(values)
def test_correlations_are_those_of_scipy(table: np.ndarray):
    for ours, theirs in ((spearman, stats.spearmanr), (kendall, stats.kendalltau)):
        found = ours(table)
        for one in range(len(table)):
            for other in range(one):
                if np.ptp(table[one]) == 0 or np.ptp(table[other]) == 0:
                    assert math.isnan(found[one, other])
                else:
                    expected = theirs(table[one], table[other])[0]
                    assert found[one, other] == pytest.approx(expected, abs=1e-12)


@given(classes)
def test_kappa_is_that_of_statsmodels(codes: np.ndarray):
    found = fleiss_kappa(codes)
    if len(np.unique(codes)) == 1:
        assert math.isnan(found)
    else:
        table, _ = aggregate_raters(codes.T)
        assert found == pytest.approx(reference_kappa(table), abs=1e-12)


def test_an_interval_worked_out_by_hand():
    # artanh 0.5 = 0.5493; Spearman: √(1.125/25) = 0.2121, Kendall: √(0.437/24) = 0.1349.
    low, high = correlation_interval(np.array([0.5]), 28, 0.95, kind="spearman")
    assert (low.item(), high.item()) == pytest.approx((0.1328, 0.7466), abs=2e-4)
    low, high = correlation_interval(np.array([0.5]), 28, 0.95, kind="kendall")
    assert (low.item(), high.item()) == pytest.approx((0.2774, 0.6717), abs=2e-4)
    low, high = correlation_interval(np.array([0.5]), 4, 0.95, kind="kendall")
    assert np.isnan([low, high]).all()


def test_the_interval_of_spearman_covers():
    generator = np.random.default_rng(0)
    truth, hits = 6 / math.pi * math.asin(0.6 / 2), 0  # of a normal pair correlated by 0.6
    for _ in range(500):
        x = generator.standard_normal(40)
        y = 0.6 * x + 0.8 * generator.standard_normal(40)
        found = spearman(np.stack([x, y]))[0, [1]]
        low, high = correlation_interval(found, 40, 0.95, kind="spearman")
        hits += low.item() <= truth <= high.item()
    assert 0.92 <= hits / 500 <= 0.98


def test_full_agreement_is_no_chance():
    codes = np.tile(np.arange(12) % 3, (3, 1))
    found = measure_agreement(codes.astype(float), codes, 0.95)
    assert (found.kappa, found.correlation) == pytest.approx((1.0, 1.0))
    assert (found.kappa_low, found.kappa_high) == pytest.approx((1.0, 1.0))
    assert found.kappa_p <= 0.002
    assert found.correlation_p <= 0.002


def test_chance_alone_is_not_called_agreement():
    generator = np.random.default_rng(1)
    p_values = np.array(
        [
            (found.kappa_p, found.correlation_p)
            for _ in range(60)
            for found in [
                measure_agreement(
                    generator.standard_normal((3, 15)),
                    generator.integers(0, 3, (3, 15)),
                    0.95,
                    draws=99,
                )
            ]
        ]
    )
    assert (p_values <= 0.1).mean(axis=0).max() < 0.25
    assert np.median(p_values, axis=0).min() > 0.3


def test_the_mean_correlation_is_the_mean_of_all_pairs():
    table = np.random.default_rng(2).standard_normal((5, 9))
    found = measure_agreement(table, (table > 0).astype(int), 0.95, draws=1)
    upper = np.triu_indices(5, 1)
    assert found.correlation == pytest.approx(spearman(table)[upper].mean(), abs=1e-12)


def test_all_of_one_class_has_no_kappa():
    table = np.random.default_rng(2).standard_normal((2, 9))
    found = measure_agreement(table, np.zeros((2, 9), dtype=int), 0.95, draws=9)
    assert np.isnan([found.kappa, found.kappa_low, found.kappa_p]).all()
    assert not math.isnan(found.correlation)
