"""Scores of a whole set against other libraries, and linearised values against plain loops."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score, roc_auc_score
from torchmetrics.functional.classification import multiclass_calibration_error

from hormesis.analysis.linearised import (
    linearised,
    linearised_outcomes,
    measured_labels,
    resampled_set_scores,
    set_score,
)
from hormesis.analysis.set_metrics import AreaUnderRoc, MacroF1, UserSetMetric, set_metric_of
from hormesis.errors import SettingError, StudyError
from hormesis.storage.outcomes import StoredOutcomes
from hormesis.stress.aggregates import OWN_AGGREGATES, register_aggregate

SEEDS = st.integers(0, 2**32 - 1)


def drawn(name: str, seed: int, samples: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Numbers as a network gives them, many of them tied, and labels, some classes rare."""
    generator = np.random.default_rng(seed)
    if name == "auroc":
        labels = generator.permutation((np.arange(samples) < max(2, samples // 5)).astype(np.int64))
        return np.round(labels + generator.normal(0, 1, samples), 1).astype(np.float32), labels
    if name == "calibration_error":
        confidence = generator.uniform(0.1, 1, samples)
        right = generator.uniform(size=samples) < confidence**2
        return np.where(right, confidence, -confidence).astype(np.float32), np.zeros(samples, int)
    labels = np.minimum(generator.geometric(0.4, samples), 6)  # class 6 may occur once, 0 never
    predicted = np.where(
        generator.uniform(size=samples) < 0.6, labels, generator.integers(0, 8, samples)
    )
    return predicted.astype(np.float32), labels.astype(np.int64)


def left_out_by_loop(name: str, numbers: np.ndarray, labels: np.ndarray) -> np.ndarray:
    rest = [np.delete(np.arange(len(numbers)), one) for one in range(len(numbers))]
    return np.array([set_score(set_metric_of(name, labels[some]), numbers[some]) for some in rest])


def plain_macro_f1(predicted: np.ndarray, labels: np.ndarray) -> float:
    return float(f1_score(labels, predicted, labels=np.unique(labels), average="macro"))


@given(SEEDS, st.integers(1, 60))
def test_macro_f1_is_that_of_scikit_learn(seed: int, samples: int):
    numbers, labels = drawn("macro_f1", seed, samples)
    found = set_score(set_metric_of("macro_f1", labels), numbers)
    assert found == pytest.approx(plain_macro_f1(numbers, labels), abs=1e-12)


@given(SEEDS, st.integers(5, 60))
def test_auroc_is_that_of_scikit_learn_and_of_mann_and_whitney(seed: int, samples: int):
    numbers, labels = drawn("auroc", seed, samples)
    found = set_score(set_metric_of("auroc", labels), numbers)
    assert found == pytest.approx(roc_auc_score(labels, numbers), abs=1e-12)
    ones, zeros = numbers[labels == 1], numbers[labels == 0]
    pairs = len(ones) * len(zeros)
    assert found == pytest.approx(stats.mannwhitneyu(ones, zeros).statistic / pairs, abs=1e-12)


@given(SEEDS)
def test_calibration_error_is_that_of_torchmetrics(seed: int):
    generator = torch.Generator().manual_seed(seed)
    probabilities = torch.rand(80, 4, generator=generator, dtype=torch.float64).softmax(dim=1)
    probabilities = (3 * probabilities.log()).softmax(dim=1)
    labels = torch.randint(0, 4, (80,), generator=generator)
    confidence, guessed = probabilities.max(dim=1)
    numbers = confidence.where(guessed == labels, -confidence).numpy()
    found = set_score(set_metric_of("calibration_error", labels.numpy()), numbers)
    expected = multiclass_calibration_error(probabilities, labels, num_classes=4, n_bins=15)
    assert found == pytest.approx(float(expected), abs=1e-6)


def test_a_confidence_on_a_border_belongs_to_the_lower_bin():
    numbers = np.array([3 / 15, -(3 / 15 + 1e-9), 1.0, -1e-12])
    # Bins 3, 4, 15 and 1: each sample is alone.
    expected = (12 / 15 + 3 / 15 + 0.0 + 0.0) / 4
    metric = set_metric_of("calibration_error", np.zeros(4, dtype=np.int64))
    assert set_score(metric, numbers) == pytest.approx(expected, abs=1e-8)


@given(st.sampled_from(OWN_AGGREGATES), SEEDS, st.integers(10, 40))
def test_linearised_values_are_those_of_a_plain_loop(name: str, seed: int, samples: int):
    numbers, labels = drawn(name, seed, samples)
    left = left_out_by_loop(name, numbers, labels)
    metric = set_metric_of(name, labels)
    values = linearised(metric, numbers)
    expected = set_score(metric, numbers) + (samples - 1) * (left.mean() - left)
    np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-9)
    assert values.mean() == pytest.approx(set_score(metric, numbers), abs=1e-12)


def test_a_class_vanishes_with_its_only_sample():
    labels, predicted = np.array([0, 0, 0, 1]), np.array([0.0, 0.0, 1.0, 1.0])
    values = linearised(MacroF1(labels), predicted)
    # Without a right 0: (2/3 + 2/3)/2; without the wrong one: 1; without the only 1: 4/5.
    left = np.array([2 / 3, 2 / 3, 1.0, 4 / 5])
    expected = (4 / 5 + 2 / 3) / 2 + 3 * (left.mean() - left)
    np.testing.assert_allclose(values, expected, rtol=1e-12)


@pytest.mark.parametrize("name", OWN_AGGREGATES)
def test_a_constant_prediction_has_a_score(name: str):
    _, labels = drawn(name, 0)
    values = linearised(set_metric_of(name, labels), np.full(40, 1.0))
    assert np.isfinite(values).all()
    if name == "auroc":
        assert (values == 0.5).all()


def test_the_variance_of_the_area_is_that_of_delong():
    numbers, labels = drawn("auroc", 5, 400)
    values = linearised(AreaUnderRoc(labels), numbers)
    ones, zeros = numbers[labels == 1], numbers[labels == 0]
    ordered = (ones[:, None] > zeros) + 0.5 * (ones[:, None] == zeros)
    delong = ordered.mean(axis=1).var(ddof=1) / len(ones) + ordered.mean(axis=0).var(ddof=1) / len(
        zeros
    )
    assert values.var(ddof=1) / 400 == pytest.approx(delong, rel=0.02)


def test_without_two_samples_of_a_class_there_is_no_area():
    one = AreaUnderRoc(np.array([0, 0, 1]))
    assert np.isnan(linearised(one, np.array([0.0, 1.0, 2.0]))).all()
    none = AreaUnderRoc(np.array([0, 0, 0]))
    assert math.isnan(set_score(none, np.array([0.0, 1.0, 2.0])))


@pytest.mark.parametrize("name", OWN_AGGREGATES)
def test_a_number_that_is_nan_leaves_no_score(name: str):
    numbers, labels = drawn(name, 1)
    numbers[3] = np.nan
    metric = set_metric_of(name, labels)
    assert math.isnan(set_score(metric, numbers))
    assert np.isnan(linearised(metric, numbers)).all()


@given(st.sampled_from(OWN_AGGREGATES), SEEDS)
def test_scores_of_resampled_samples_are_those_of_the_samples_repeated(name: str, seed: int):
    numbers, labels = drawn(name, seed)
    counts = np.random.default_rng(seed).multinomial(40, np.full(40, 1 / 40), size=3)
    outcomes = StoredOutcomes(numbers, -numbers, numbers[None], numbers[None], np.array([True]))
    metric = set_metric_of(name, labels)
    found = resampled_set_scores(outcomes, metric, np.array([0]), counts)
    assert found.shape == (2, 2, 3)
    for replicate, count in enumerate(counts):
        some = np.repeat(np.arange(40), count)
        again = set_score(set_metric_of(name, labels[some]), numbers[some])
        np.testing.assert_allclose(found[0, :, replicate], again, rtol=1e-12)
        other = set_score(set_metric_of(name, labels[some]), -numbers[some])
        np.testing.assert_allclose(found[1, 1, replicate], other, rtol=1e-12)


@pytest.mark.parametrize("name", OWN_AGGREGATES)
def test_the_bootstrap_agrees_on_300_samples(name: str):
    numbers, labels = drawn(name, 8, 300)
    metric = set_metric_of(name, labels)
    counts = np.random.default_rng(0).multinomial(300, np.full(300, 1 / 300), size=2000)
    outcomes = StoredOutcomes(numbers, numbers, numbers[None], numbers[None], np.array([True]))
    scores = resampled_set_scores(outcomes, metric, np.array([0]), counts)[0, 0]
    jackknife = linearised(metric, numbers).std(ddof=1) / np.sqrt(300)
    assert jackknife == pytest.approx(scores.std(), rel=0.2)


def accuracy_of_all(numbers: np.ndarray, labels: np.ndarray) -> float:
    return float((numbers == labels).mean())


def test_a_mean_of_the_users_has_the_samples_own_values():
    numbers, labels = drawn("macro_f1", 2)
    values = linearised(UserSetMetric(labels, "mine", accuracy_of_all), numbers)
    np.testing.assert_allclose(values, numbers == labels, atol=1e-12)


def test_many_samples_are_left_out_in_groups_with_the_same_variance():
    numbers, labels = drawn("macro_f1", 4, 3050)
    values = linearised(UserSetMetric(labels, "mine", accuracy_of_all), numbers)
    right = (numbers == labels).astype(float)
    assert values.mean() == pytest.approx(right.mean(), abs=1e-12)
    assert values.var(ddof=1) == pytest.approx(right.var(ddof=1), rel=0.25)  # of 200 groups
    assert len(np.unique(values.round(12))) <= 200


def test_outcomes_are_linearised_row_by_row_over_all_blocks():
    numbers, labels = drawn("auroc", 3)
    rows = np.stack([numbers, -numbers])
    blocks = [
        StoredOutcomes(
            numbers[part], 2 * numbers[part], rows[:, part], rows[:, part], np.array([True, first])
        )
        for first, part in ((False, slice(0, 7)), (True, slice(7, 40)))
    ]
    metric = set_metric_of("auroc", labels)
    found = linearised_outcomes(blocks, metric)
    np.testing.assert_allclose(found.base_clean, linearised(metric, numbers), rtol=1e-6)
    np.testing.assert_allclose(found.base_adversarial, found.base_clean, rtol=1e-6)
    np.testing.assert_allclose(found.clean[1].mean(), 1 - found.clean[0].mean(), rtol=1e-5)
    assert found.changed.tolist() == [True, True]


def test_an_aggregate_that_fails_is_named():
    def broken(numbers: np.ndarray, labels: np.ndarray) -> float:
        raise ValueError("no such class")

    metric = UserSetMetric(np.array([0, 1]), "mine", broken)
    with pytest.raises(StudyError, match="aggregate of the metric 'mine' failed on 2 samples"):
        set_score(metric, np.array([0.0, 1.0]))


def test_what_is_no_function_is_refused():
    with pytest.raises(SettingError, match="Expected `aggregate` to be a function of the numbers"):
        register_aggregate("mine", 3)


def test_a_study_without_labels_is_refused():
    with pytest.raises(StudyError, match="has no labels"):
        measured_labels(None, ((0, 2),))
