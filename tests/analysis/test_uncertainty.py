"""Intervals against the bootstrap, closed forms and plain loops; small samples; multiplicity."""

import math
from dataclasses import replace
from functools import partial

import mpmath
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

import synthetic
from hormesis.analysis import moments
from hormesis.analysis.classes import UNDECIDED
from hormesis.analysis.confidence_sequence import ConfidenceSequence
from hormesis.analysis.moments import InfluenceMoments, StandardErrors, influence_moments
from hormesis.analysis.responses import Means, as_sweeps, response_table
from hormesis.analysis.scores import Base, classify_all, score_table
from hormesis.analysis.uncertainty import (
    Student,
    adjust_p_values,
    class_p_values,
    rule_of_three,
    with_intervals,
)
from hormesis.settings.scoring import Scoring
from hormesis.storage.outcomes import StoredOutcomes

SCORINGS = [
    Scoring(),
    Scoring(base="first"),
    Scoring(reference="base"),
    Scoring(reference="random"),
    Scoring(base="first", reference="random"),
]


def with_control(seed: int = 0, samples: int = 400) -> tuple[pd.DataFrame, StoredOutcomes]:
    """Cells of two targets and their random control, some of which share a removal."""
    generator = np.random.default_rng(seed)
    network = synthetic.network(generator, targets=2, steps=5)
    other = synthetic.network(generator, targets=2, steps=5)
    cells = network.cells()
    own = network.outcomes(samples, generator)
    control = replace(other, margin=network.margin, drop=network.drop).outcomes(samples, generator)
    cells["control"] = cells["outcome"] + len(cells)
    cells.loc[cells["step"] == 0, ["outcome", "control"]] = [0, -1]  # shared, and unfiltered
    return cells, StoredOutcomes(
        own.base_clean,
        own.base_adversarial,
        np.vstack([own.clean, control.clean]),
        np.vstack([own.adversarial, control.adversarial]),
        np.concatenate([own.changed, control.changed]),
    )


def scored(
    cells: pd.DataFrame, outcomes: StoredOutcomes, scoring: Scoring, *, better: bool = True
) -> tuple[np.ndarray, Base, pd.DataFrame]:
    means = Means()
    means.add(outcomes)
    base = Base(float(means.of("base_clean")), float(means.of("base_adversarial")), better)
    responses = response_table(cells, means)
    return score_table(responses, base, scoring)["value"].to_numpy(), base, responses


def without(outcomes: StoredOutcomes, sample: int) -> StoredOutcomes:
    values = (
        np.delete(getattr(outcomes, name), sample, axis=-1)
        for name in ("base_clean", "base_adversarial", "clean", "adversarial")
    )
    return StoredOutcomes(*values, changed=outcomes.changed)


def influence(
    responses: pd.DataFrame, base: Base, scoring: Scoring, blocks: list[StoredOutcomes]
) -> tuple[np.ndarray, InfluenceMoments]:
    found: list[np.ndarray] = []
    sums = influence_moments(as_sweeps(responses), base, scoring, lambda: blocks, keep=found.append)
    values = np.concatenate(found, axis=-1)
    return values.transpose(1, 0, 2).reshape(-1, values.shape[-1]), sums


@pytest.mark.parametrize("better", [True, False])
@pytest.mark.parametrize("scoring", SCORINGS)
def test_influence_is_what_leaving_a_sample_out_changes(scoring: Scoring, better: bool):
    cells, outcomes = with_control()
    if not better:  # a loss: any positive number
        generator = np.random.default_rng(5)
        outcomes = StoredOutcomes(
            *(
                (1 - values + generator.uniform(0.5, 1.5, values.shape)).astype(np.float32)
                for values in (
                    outcomes.base_clean,
                    outcomes.base_adversarial,
                    outcomes.clean,
                    outcomes.adversarial,
                )
            ),
            changed=outcomes.changed,
        )
    samples = len(outcomes.base_clean)
    value, base, responses = scored(cells, outcomes, scoring, better=better)
    found, _ = influence(responses, base, scoring, [outcomes])
    assert np.abs(found.mean(axis=1)).max() < 1e-5
    for sample in (0, 7, samples - 1):
        less, _, _ = scored(cells, without(outcomes, sample), scoring, better=better)
        # To first order; the jackknife's own error is one of 1/n.
        assert found[:, sample] == pytest.approx((samples - 1) * (value - less), abs=0.03)


def plain_error(outcomes: StoredOutcomes, cells: pd.DataFrame) -> float:
    """The error of one clean score by the formula for a ratio of means, sample by sample."""
    rows = cells.loc[(cells["target"] == "layer0.weight") & (cells["filter"] == "low_pass")]
    weights = np.array([1, 4, 2, 4, 1]) / 12
    above = weights @ outcomes.clean[rows["outcome"].to_numpy()]
    below = outcomes.base_clean
    samples = len(below)
    ratio = above.mean() / below.mean()
    variance = (
        above.var(ddof=1) - 2 * ratio * np.cov(above, below)[0, 1] + ratio**2 * below.var(ddof=1)
    )
    return math.sqrt(variance / samples + 1 / (9 * samples**2)) / below.mean()


def test_the_standard_error_is_that_of_a_ratio_of_means():
    cells, outcomes = with_control()
    _, base, responses = scored(cells, outcomes, Scoring())
    _, sums = influence(responses, base, Scoring(), [outcomes])
    # Of one target: high pass, low pass, pulse wave, combined; clean, adversarial, difference.
    assert sums.standard_errors().above[3] == pytest.approx(plain_error(outcomes, cells), rel=1e-4)
    assert sums.standard_errors().unseen[3] == 0


@pytest.mark.parametrize("scoring", SCORINGS)
def test_the_bootstrap_agrees(scoring: Scoring):
    generator = np.random.default_rng(3)
    network = synthetic.network(generator, targets=3, steps=5)
    made = synthetic.study(network, network.outcomes(1500, generator))
    if scoring.reference == "random":
        scoring = replace(scoring, reference="base")
    delta = made.scores_with(scoring)
    bootstrap = made.scores_with(replace(scoring, interval="bootstrap"))
    widths = ((bootstrap["high"] - bootstrap["low"]) / (delta["high"] - delta["low"])).to_numpy()
    assert widths.min() > 0.88
    assert widths.max() < 1.12
    assert abs(widths.mean() - 1) < 0.03
    middles = (bootstrap["high"] + bootstrap["low"]) / 2
    most = 0.15 * (delta["high"] - delta["low"]).to_numpy().max()
    assert np.abs((middles - delta["value"]).to_numpy()).max() < most


def test_the_bootstrap_agrees_on_the_random_reference_and_shared_removals():
    cells, outcomes = with_control(samples=1200)
    from hormesis.analysis.bootstrap import bootstrap_errors, resampled_means

    scoring = Scoring(reference="random")
    _, base, responses = scored(cells, outcomes, scoring)
    _, sums = influence(responses, base, scoring, [outcomes])
    resample = partial(resampled_means, lambda: [outcomes])
    again = bootstrap_errors(as_sweeps(responses), base, scoring, resample, sums)
    assert again.above == pytest.approx(sums.standard_errors().above, rel=0.15)
    assert again.below == pytest.approx(sums.standard_errors().below, rel=0.15)


@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_blocks_and_the_order_of_samples_do_not_matter(parts: int, seed: int):
    cells, outcomes = with_control(samples=60)
    _, base, responses = scored(cells, outcomes, Scoring())
    _, whole = influence(responses, base, Scoring(), [outcomes])
    order = np.random.default_rng(seed).permutation(60)
    blocks = [
        StoredOutcomes(
            outcomes.base_clean[some],
            outcomes.base_adversarial[some],
            outcomes.clean[:, some],
            outcomes.adversarial[:, some],
            outcomes.changed,
        )
        for some in np.array_split(order, parts)
    ]
    _, split = influence(responses, base, Scoring(), blocks)
    assert split.standard_errors().above == pytest.approx(whole.standard_errors().above, rel=1e-5)
    assert split.samples == 60


def test_many_rows_are_taken_a_few_samples_at_a_time(monkeypatch: pytest.MonkeyPatch):
    cells, outcomes = with_control(samples=60)
    _, base, responses = scored(cells, outcomes, Scoring())
    values, whole = influence(responses, base, Scoring(), [outcomes])
    monkeypatch.setattr(moments, "_MOST_VALUES", 200)
    again, split = influence(responses, base, Scoring(), [outcomes])
    assert np.array_equal(again, values)
    assert split.samples == 60
    assert split.second == pytest.approx(whole.second, rel=1e-6)


def constant(samples: int) -> tuple[pd.DataFrame, StoredOutcomes]:
    cells, _ = with_control()
    ones = np.ones((2 * len(cells), samples), dtype=np.float32)
    return cells, StoredOutcomes(ones[0], ones[0], ones, ones, np.ones(2 * len(cells), dtype=bool))


@pytest.mark.parametrize("samples", [10, 1000])
def test_equal_outcomes_leave_the_width_of_the_rule_of_three(samples: int):
    cells, outcomes = constant(samples)
    value, base, responses = scored(cells, outcomes, Scoring(reference="base"))
    _, sums = influence(responses, base, Scoring(reference="base"), [outcomes])
    table = with_intervals(
        score_table(responses, base, Scoring(reference="base")),
        sums.standard_errors(),
        Student(samples, 0.95),
        Scoring(reference="base"),
    )
    clean = table.loc[table["score"] == "clean"]
    assert value == pytest.approx(0, abs=1e-12)
    # No failure in n samples: less than log(2/0.05)/n of them at 97.5 %.
    assert (clean["high"] - clean["value"]).to_numpy() == pytest.approx(math.log(40) / samples)
    assert (0.025 ** (1 / samples)) == pytest.approx(1 - math.log(40) / samples, abs=0.07)
    assert set(clean["class"]) == ({UNDECIDED} if samples == 10 else {"robust"})


def test_a_single_sample_gives_no_interval_and_no_certainty():
    cells, outcomes = constant(1)
    _, base, responses = scored(cells, outcomes, Scoring())
    _, sums = influence(responses, base, Scoring(), [outcomes])
    table = with_intervals(
        score_table(responses, base, Scoring()), sums.standard_errors(), Student(1, 0.95), Scoring()
    )
    assert table[["low", "high"]].isna().to_numpy().all()
    assert not table["certain"].to_numpy().any()
    assert set(table["class"]) == {UNDECIDED}


def test_a_floored_base_has_no_interval():
    generator = np.random.default_rng(0)
    network = synthetic.network(generator, steps=5)
    outcomes = network.outcomes(50, generator)
    floored = replace(outcomes, base_adversarial=0 * outcomes.base_adversarial)
    for interval in ("delta", "bootstrap"):
        scores = synthetic.study(network, floored).scores_with(Scoring(interval=interval))
        clean = scores["score"] == "clean"
        assert scores.loc[~clean, ["low", "high"]].isna().to_numpy().all()
        assert set(scores.loc[~clean, "class"]) == {"undefined"}
        assert not scores.loc[~clean, "certain"].any()
        assert scores.loc[clean, ["low", "high"]].notna().to_numpy().all()


def table_of(values: list[float], error: float, scoring: Scoring) -> pd.DataFrame:
    from hormesis.analysis.scores import classify

    rows = [
        (f"t{n}", "f", "clean", v, classify(v, scoring.tolerance)) for n, v in enumerate(values)
    ]
    table = pd.DataFrame(rows, columns=["target", "filter", "score", "value", "class"])
    errors = np.full(len(values), error)
    return with_intervals(
        table, StandardErrors(errors, errors, 0 * errors), Student(10**6, scoring.level), scoring
    )


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=9), st.floats(0.001, 0.2))
def test_a_class_is_certain_where_the_interval_lies_within_it(values: list[float], error: float):
    found = table_of(values, error, Scoring())
    for row in found.to_dict("records"):
        low, high = row["low"], row["high"]
        within = high < -0.05 or low > 0.05 or (low > -0.05 and high < 0.05)
        near = min(abs(abs(low) - 0.05), abs(abs(high) - 0.05)) < 1e-6
        assert near or row["certain"] == within
        assert row["class"] == (row["point"] if row["certain"] else UNDECIDED)


def test_multiplicity_takes_certainty_away_and_never_gives_it():
    values = [0.05 + 0.02 * z for z in (2.0, 2.2, 2.6, 3.5, 5.0)]
    counts = {
        how: int(table_of(values, 0.02, Scoring(multiplicity=how))["certain"].to_numpy().sum())
        for how in ("none", "bh", "holm")
    }
    # By hand: p = .0455 .0278 .0093 .0005 .0000; Holm multiplies by 1 to 5, BH by 5/5 to 5/1.
    assert counts == {"none": 5, "bh": 5, "holm": 3}
    p = 2 * stats.norm.sf([2.0, 2.2, 2.6, 3.5, 5.0])
    for how, name in (("bh", "fdr_bh"), ("holm", "holm")):
        assert counts[how] == multipletests(p, 0.05, name)[0].sum()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_adjusted_p_values_are_those_of_statsmodels(p: list[float]):
    given_p = np.array(p)
    for how, name in (("bh", "fdr_bh"), ("holm", "holm")):
        assert adjust_p_values(given_p, how) == pytest.approx(multipletests(given_p, 0.05, name)[1])
    assert adjust_p_values(given_p, "none") is given_p


def test_a_study_without_outcomes_has_points_and_no_certainty():
    network = synthetic.network(np.random.default_rng(0), steps=5)
    made = synthetic.study(network, network.outcomes(50, np.random.default_rng(0)))
    bare = replace(made, packed={})
    scores = bare.scores
    assert scores[["low", "high"]].isna().to_numpy().all()
    assert scores["class"].equals(scores["point"])
    assert not scores["certain"].to_numpy().any()


@given(st.integers(2, 10**6), st.floats(0, 30))
def test_p_values_fit_the_intervals(samples: int, distance: float):
    for interval_method in (Student(samples, 0.95), ConfidenceSequence(samples, 2 * samples, 0.95)):
        outside = interval_method.p_value(np.array([distance]))[0] <= 0.05
        assert (
            outside == (distance >= interval_method.critical())
            or abs(distance - interval_method.critical()) < 1e-6
        )
        assert interval_method.p_value(np.array([-1.0]))[0] >= 0.95


@pytest.mark.parametrize("distance", [-1e300, -3.0, 0.0, 0.2, 70.0, 1e9, 1e300])
@pytest.mark.parametrize("unseen", [1e-310, 1e-12, 0.1, 3.0])
def test_the_rule_of_three_at_any_distance(distance, unseen):
    exact = 2 * mpmath.exp(-max(mpmath.mpf(distance), 0) / mpmath.mpf(unseen))
    found = rule_of_three(np.array([distance]), np.array([unseen]))[0]
    assert found == pytest.approx(float(exact), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("distance", [-1e200, 0.0, 1.5, 30.0, 1e160, math.inf])
def test_confidence_sequences_at_any_distance(distance):
    sequence = ConfidenceSequence(1000, 10_000, 0.95)
    time = 1000 * (-2 * mpmath.log(0.05) + mpmath.log(-2 * mpmath.log(0.05) + 1)) / 1000
    far = mpmath.mpf(max(distance, 0.0))
    exact = min(1, mpmath.sqrt(time + 1) * mpmath.exp(-(far**2) * time / (2 * (time + 1))))
    found = float(sequence.p_value(np.array([distance]))[0])
    assert found == pytest.approx(float(exact), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize(
    "method", [Student(100, 0.95), ConfidenceSequence(100, 1000, 0.95, finite=True)]
)
@pytest.mark.parametrize("size", [1e-200, 1e-30, 1.0, 1e30])
def test_no_score_is_too_large_and_no_error_too_small_for_a_p_value(method, size):
    values = np.array([-1e9, -size, 0.0, size, 1e9, np.nan])
    below, above, unseen = (np.full(6, part) for part in (1e-200, 1e-200, 1e-300))
    errors = StandardErrors(below, above, unseen)
    scores = pd.DataFrame({"value": values, "class": classify_all(values, 0.01)})
    for some in (errors, replace(errors, unseen=np.zeros(6)), replace(errors, below=np.zeros(6))):
        p = class_p_values(scores, some, method, tolerance=0.01)  # warnings are errors here
        assert p[[0, 2, 4]].tolist() == [0.0, 0.0, 0.0]
        assert p[5] == 1.0
