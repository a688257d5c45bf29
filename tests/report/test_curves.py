"""Responses with intervals, and relative to their base."""

import numpy as np
import pytest
from scipy import stats

import handset
import synthetic
from handset import FRAGILE, ROBUST
from hormesis.report.views.curves import relative_responses, with_bands
from hormesis.settings.scoring import Scoring

ENDS = ["clean_low", "clean_high", "adversarial_low", "adversarial_high"]


def test_of_accuracies_the_intervals_are_wilsons():
    study = handset.study({"w": ROBUST, "v": FRAGILE})
    table = with_bands(study, ["w"])
    factor = float(stats.t.ppf(0.975, 9))
    share, n = 0.4, 10  # of the middle threshold
    roots = np.roots([1 + factor**2 / n, -(2 * share + factor**2 / n), share**2])
    middle = table.loc[table["step"] == 1].iloc[0]
    assert [middle["clean_low"], middle["clean_high"]] == pytest.approx(sorted(roots), rel=1e-12)
    assert set(table["target"]) == {"w"}
    assert table["clean"].between(table["clean_low"], table["clean_high"]).all()


def losses():
    generator = np.random.default_rng(3)
    network = synthetic.network(generator, targets=2, steps=3)
    outcomes = network.outcomes(40, generator)
    scaled = {
        name: getattr(outcomes, name) * np.float32(1.5) + np.float32(0.25)
        for name in ("base_clean", "base_adversarial", "clean", "adversarial")
    }
    outcomes = synthetic.StoredOutcomes(**scaled, changed=outcomes.changed)
    made = synthetic.study(network, outcomes, folder=None)
    made.manifest["question"]["performance"] = {"name": "loss", "higher_is_better": False}
    return made, outcomes


def test_of_other_performances_they_are_students():
    study, outcomes = losses()
    table = with_bands(study)
    assert table[study.responses.columns].equals(study.responses)
    for kind in ("clean", "adversarial"):
        values = getattr(outcomes, kind)[study.responses["outcome"]]
        half = stats.t.ppf(0.975, 39) * stats.sem(values.astype(np.float64), axis=-1)
        found = table[[f"{kind}_low", f"{kind}_high"]].to_numpy().T
        expected = [values.mean(-1) - half, values.mean(-1) + half]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_cell_that_removes_nothing_has_the_interval_of_the_unfiltered_network():
    study, outcomes = losses()
    study.responses.loc[0, ["outcome", "clean"]] = (-1, study.base.clean)
    low, high = with_bands(study)[["clean_low", "clean_high"]].iloc[0]
    values = outcomes.base_clean.astype(np.float64)
    half = stats.t.ppf(0.975, 39) * stats.sem(values)
    assert (high - low) / 2 == pytest.approx(half, rel=1e-5)


def test_without_outcomes_a_loss_has_no_interval():
    study = handset.study({"w": ROBUST})
    study.manifest["question"]["performance"]["name"] = "loss"
    assert with_bands(study)[ENDS].isna().to_numpy().all()
    assert relative_responses(study, "w")[0].clean.low == ()


def test_curves_are_relative_to_the_unfiltered_network():
    first, _, _ = relative_responses(handset.study({"w": ROBUST}), "w")
    assert (first.filter, first.progress, first.alpha) == (
        "high_pass",
        (0.0, 0.5, 1.0),
        (-1.0, 0.0, 1.0),
    )
    assert first.clean.values == first.adversarial.values == (1.0, 0.5, 0.0)
    assert first.clean.reference == handset.DENSITY
    assert first.clean.low[1] < 0.5 < first.clean.high[1]


def test_curves_follow_base_and_reference():
    study = handset.study({"w": (0.4, 0.4, 0.2)}).with_scoring(
        Scoring(base="first", reference="base")
    )
    first = relative_responses(study, "w", bands=False)[0]
    assert first.clean.values == (1.0, 1.0, 0.5)
    assert first.clean.reference == (1.0, 1.0, 1.0)
    assert first.clean.low == ()


def test_the_random_reference_is_relative_too():
    study = handset.study({"w": ROBUST})
    study.responses["random_clean"], study.responses["random_adversarial"] = 0.4, 0.1
    first = relative_responses(study.with_scoring(Scoring(reference="random")), "w")[0]
    assert first.clean.reference == (0.5, 0.5, 0.5)
    assert first.adversarial.reference == (0.25, 0.25, 0.25)


def test_a_loss_is_turned_over_with_its_interval():
    base = {"clean": 0.5, "adversarial": 0.5, "higher_is_better": False, "samples": 10}
    study = handset.study({"w": (0.5, 1.0, 1.0)}, base=base)
    curve = relative_responses(study, "w")[0].clean
    assert curve.values == (1.0, 0.5, 0.5)
    assert curve.low[0] < 1.0 < curve.high[0]


def test_over_a_base_of_zero_there_is_no_number():
    study = handset.study({"w": ROBUST}, base={"clean": 0.8, "adversarial": 0.0, "samples": 10})
    assert np.isnan(relative_responses(study, "w")[0].adversarial.values).all()


def test_settled_targets_have_the_intervals_of_their_own_samples():
    generator = np.random.default_rng(5)
    network = synthetic.network(generator, targets=3, steps=5)
    study, stopping = synthetic.stopped(
        network, network.outcomes(3000, generator), "certain", edges=(256, 512, 1024, 2048)
    )
    assert len({prefix.samples for prefix in stopping.settled_groups}) > 1
    table = with_bands(study)
    for name, prefix in study.group_of.items():
        rows = table.loc[table["target"] == name]
        factor = float(study.interval_method(study.scoring, prefix.samples).critical())
        width = (rows["clean_high"] - rows["clean_low"]).max()
        assert width == pytest.approx(factor / np.sqrt(prefix.samples), rel=0.3)
