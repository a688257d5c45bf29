"""Means and differences over seeds and samples: intervals that hold, verdicts in words."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hormesis.analysis.effects import (
    CONFIRMED,
    GAIN,
    LOSS,
    MASKING,
    NOTHING,
    accuracy_table,
    crossed_mean,
    effect_table,
    pooled_accuracy,
)


def test_one_seed_is_student_s_interval_over_samples_and_a_little_more():
    values = np.random.default_rng(0).integers(0, 2, (1, 400)).astype(float)
    found = crossed_mean(values)
    half = stats.t.ppf(0.975, 399) * values.std(ddof=1) / 20
    assert found.value == pytest.approx(values.mean())
    assert half < found.high - found.value < 1.01 * half
    assert found.high - found.value == pytest.approx(found.value - found.low)


def test_seeds_that_disagree_widen_the_interval_to_that_of_three():
    values = np.repeat([[0.0], [0.5], [1.0]], 10_000, axis=1)
    found = crossed_mean(values)
    half = stats.t.ppf(0.975, 2) * 0.5 / np.sqrt(3)
    assert found.high - found.value == pytest.approx(half, rel=1e-3)


def test_equal_outcomes_have_an_interval_too():
    found = crossed_mean(np.zeros((3, 100)))
    assert found.value == 0
    assert found.high == pytest.approx(stats.t.ppf(0.975, 99) / 300)


@pytest.mark.parametrize(("between", "level"), [(0.0, 0.95), (0.1, 0.95), (0.3, 0.8)])
def test_intervals_hold_the_truth(between, level):
    """Networks and samples drawn anew: at least as often as the level says, up to noise."""
    random = np.random.default_rng(1)
    held, draws = 0, 600
    for _ in range(draws):
        seeds = random.normal(0, between, (3, 1))
        samples = random.normal(0, 1, (1, 80))
        noise = random.normal(0, 1, (3, 80))
        found = crossed_mean(np.tanh(seeds + samples + noise), level)
        held += found.low <= 0 <= found.high
    assert held / draws > level - 3 * np.sqrt(level * (1 - level) / draws)
    assert held / draws < 0.999


def outcomes(**arms):
    """Rows from ``{arm: {(attack, epsilon): [seeds][samples]}}``."""
    rows = [
        (arm, seed, attack, epsilon, sample, bool(right))
        for arm, measured in arms.items()
        for (attack, epsilon), seeds in measured.items()
        for seed, samples in enumerate(seeds)
        for sample, right in enumerate(samples)
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "attack", "epsilon", "sample", "right"])


GOOD, BAD = [[1] * 60] * 3, [[0] * 60] * 3
HALF = [[1, 0] * 30] * 3
KEY = {"clean": ("clean", 0.0), "fgsm": ("fgsm", 0.1), "pgd": ("pgd", 0.1)}


def verdicts(selective, everything):
    def arm(values):
        return dict(zip(KEY.values(), values, strict=True))

    table = effect_table(outcomes(selective=arm(selective), everything=arm(everything)))
    return dict(zip(table["attack"], table["verdict"], strict=True))


def test_a_gain_under_fgsm_that_pgd_does_not_confirm_is_masking():
    found = verdicts((HALF, GOOD, BAD), (HALF, HALF, BAD))
    assert found == {"clean": NOTHING, "fgsm": MASKING, "pgd": NOTHING}
    assert found["fgsm"] == "masking: PGD does not confirm"


def test_a_gain_that_pgd_confirms_is_one_and_a_loss_is_a_loss():
    found = verdicts((BAD, GOOD, GOOD), (HALF, HALF, HALF))
    assert found == {"clean": LOSS, "fgsm": CONFIRMED, "pgd": GAIN}


def test_a_gain_under_fgsm_alone_has_nothing_to_confirm_it():
    table = effect_table(outcomes(a={("fgsm", 0.1): GOOD}, everything={("fgsm", 0.1): BAD}))
    assert table["verdict"].tolist() == [GAIN]


def test_differences_are_paired_by_seed_and_sample():
    """Two arms that get other samples right differ by nothing on average, and by no chance."""
    left = [[1, 0, 1, 0, 1, 1] * 10] * 2
    table = outcomes(a={("pgd", 0.1): left}, everything={("pgd", 0.1): left})
    found = effect_table(table).iloc[0]
    assert found["difference"] == 0
    assert found["high"] < 0.02
    shuffled = table.sample(frac=1, random_state=0)
    again = effect_table(shuffled).iloc[0]
    assert (again["difference"], again["high"]) == (
        found["difference"],
        pytest.approx(found["high"]),
    )


def test_only_seeds_that_both_arms_have_count():
    table = outcomes(a={("pgd", 0.1): GOOD}, everything={("pgd", 0.1): HALF})
    fewer = table.query("arm == 'a' or seed < 1")
    assert effect_table(fewer).iloc[0]["difference"] == pytest.approx(0.5)
    assert effect_table(table.query("arm == 'a'")).empty


def test_tables_have_the_columns_that_others_read():
    table = outcomes(a={("clean", 0.0): GOOD, ("pgd", 0.1): HALF}, everything={("pgd", 0.1): BAD})
    columns = ["arm", "seed", "attack", "epsilon", "samples", "accuracy", "low", "high"]
    by_seed = accuracy_table(table)
    assert by_seed.columns.tolist() == columns
    assert min(by_seed["low"]) >= 0
    assert max(by_seed["high"]) <= 1
    assert len(by_seed) == 9
    pooled = pooled_accuracy(table)
    assert pooled["accuracy"].tolist() == [1.0, 0.5, 0.0]
    assert effect_table(table).columns.tolist() == [
        "arm",
        "attack",
        "epsilon",
        "difference",
        "low",
        "high",
        "verdict",
    ]
