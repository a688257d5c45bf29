"""What `base` and `density` say of the same responses, and how one follows from the other."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.integrate import simpson
from torch import nn

import hormesis as hm
from handset import ANTIFRAGILE, FRAGILE, ROBUST
from handset import study as hand_set
from hormesis.analysis.readings import SAYS, describe_readings, other_reading, removed_share
from hormesis.report.text.score_table import reading_lines
from hormesis.report.views.contradictions import contradictions
from hormesis.settings.choices import DEFAULT_FILTERS
from hormesis.settings.scoring import Scoring

BASE, DENSITY = Scoring(reference="base"), Scoring(reference="density")


def weights_of(count):
    """Simpson's weights of so many thresholds: what they make of each one's own curve."""
    return np.array([simpson(curve, x=np.linspace(0, 1, count)) for curve in np.eye(count)])


def kept(values, count):
    """The share of values that each filter keeps, threshold by threshold, as METHOD has it."""
    low, high = values.min(), values.max()
    alphas, half = np.linspace(low, high, count), (high - low) / (2 * count)
    return {
        "high_pass": [np.mean(values > alpha) for alpha in alphas],
        "low_pass": [np.mean(values < alpha) for alpha in alphas[::-1]],
        "pulse_wave": [
            np.mean((values < alpha - half) | (values >= alpha + half)) for alpha in alphas
        ],
    }


@settings(max_examples=100, deadline=None)
@given(
    values=arrays.arrays(np.float64, st.integers(2, 60), elements=st.integers(-8, 8)),
    half=st.integers(1, 15),
)
def test_what_high_pass_and_low_pass_keep_adds_up_to_one_but_for_ties(values, half):
    """Exactly, with Simpson's weights: each value lies above a threshold, below it, or on it."""
    if values.min() == values.max():
        return
    count = 2 * half + 1  # Simpson's weights are symmetric
    weights, curves = weights_of(count), kept(values, count)
    alphas = np.linspace(values.min(), values.max(), count)
    ties = np.array([np.mean(values == alpha) for alpha in alphas])
    both = weights @ curves["high_pass"] + weights @ curves["low_pass"]
    assert both == pytest.approx(1 - weights @ ties, abs=1e-12)


@pytest.mark.parametrize("count", [5, 9, 25, 101])
@pytest.mark.parametrize("law", ["normal", "uniform", "laplace"])
def test_the_combined_score_by_density_is_that_by_base_and_a_constant(count, law):
    """(1 + 1/A)/3 in the limit of many values and thresholds."""
    values = getattr(np.random.default_rng(0), law)(size=20_000)
    weights = weights_of(count)
    moved = 1 - np.mean([weights @ curve for curve in kept(values, count).values()])
    assert moved == pytest.approx((1 + 1 / count) / 3, abs=0.02 if count < 9 else 0.01)


@pytest.fixture(scope="module")
def study():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 40), nn.Linear(40, 5)
    )
    inputs = torch.rand(120, 1, 8, 8)
    with torch.no_grad():
        labels = network(inputs).argmax(dim=1)
    return hm.analyze(
        network,
        (inputs, labels),
        attack=hm.FGSM(0.012),
        sweep=hm.Sweep(thresholds=9, control=True),
        execution=hm.Execution(progress=False),
    )


def said_of(row, words):
    """A word by where the value lies, with a `?` where the interval does not lie there whole."""
    tolerance = Scoring().tolerance
    sides = [int(row[name] > tolerance) - int(row[name] < -tolerance) for name in ("low", "high")]
    side = int(row["value"] > tolerance) - int(row["value"] < -tolerance)
    return words[side + 1] + ("" if sides == [side, side] else "?")


@pytest.mark.parametrize("first", ["network", "first"])
def test_the_other_reading_is_the_score_by_the_other_reference(study, first):
    assert "at chance" not in set(study.scores["class"])
    seen = set()
    for scoring, other in ((BASE, DENSITY), (DENSITY, BASE)):
        scored = study.with_scoring(hm.Scoring(base=first, reference=scoring.reference))
        expected = study.scores_with(hm.Scoring(base=first, reference=other.reference))
        found = scored.readings
        rows = found["score"] != "difference"
        for name in ("value", "low", "high"):
            np.testing.assert_allclose(found[name][rows], expected[name][rows], atol=1e-12)
        assert found[["value", "low", "high"]][~rows].isna().all(axis=None)
        assert set(found["says"][~rows]) == {""}
        for said, row in zip(found["says"][rows], expected[rows].to_dict("records"), strict=True):
            assert said == said_of(row, SAYS[other.reference])
            # A claim under attack is certain in its reading, and waits for stronger attacks.
            assert said.endswith("?") == (row["class"] == "undecided")
            seen.add(said)
    assert {"even?", "slower", "worse"} <= seen  # of both readings, and of both kinds


def test_a_network_at_chance_has_no_reading_in_words():
    curves = {"kept.weight": ROBUST, "lost": FRAGILE}
    guessing = hand_set(curves).with_scoring(Scoring())
    scores = guessing.scores
    attacked = scores["score"] == "adversarial"
    scores = scores.assign(**{"class": scores["class"].where(~attacked, "at chance")})
    said = describe_readings(guessing.readings, scores, "density", 0.05)["says"]
    assert set(said[attacked]) == {""}
    assert "" not in set(said[scores["score"] == "clean"])


def test_beside_the_random_reference_stands_base(study):
    found = study.with_scoring(Scoring(reference="random")).readings
    expected = study.scores_with(BASE)
    rows = found["score"] != "difference"
    np.testing.assert_allclose(found["value"][rows], expected["value"][rows], atol=1e-12)
    assert other_reading(Scoring(reference="random")) == "base"


def test_the_identity_holds_in_a_study_target_by_target(study):
    """The 11,520 values of the wide layer come close to the limit; its 72 and 200 do less."""
    by_base, by_density = (
        study.scores_with(scoring).query("filter == 'combined' and score != 'difference'")
        for scoring in (BASE, DENSITY)
    )
    moved = by_density["value"].to_numpy() - by_base["value"].to_numpy()
    rows = study.scores["filter"] == "combined"
    constant = removed_share(study.sweeps)[rows.to_numpy()[::3]]
    np.testing.assert_allclose(moved, np.repeat(constant, 2), atol=1e-12)
    sizes = by_base["target"].map(study.targets.set_index("target")["size"]).to_numpy()
    limit = (1 + 1 / 9) / 3
    assert abs(moved - limit)[sizes > 10_000].max() < 0.01
    assert abs(moved - limit).max() < 0.05


def test_a_layer_that_does_nothing_is_robust_by_default_and_falls_slower_than_it_is_emptied():
    """By `density`, which is the notebooks' reference, it came out antifragile."""
    made = hand_set({"nothing": ANTIFRAGILE}).with_scoring(Scoring())
    assert set(made.scores["class"]) == {"robust"}
    assert set(made.readings.query("score == 'clean'")["says"]) == {"slower"}
    assert reading_lines(made)[:1] == ["clean by density: 1 slower"]
    by_density = made.with_scoring(DENSITY).scores.query("score == 'clean'")
    assert set(by_density["class"]) == {"antifragile"}


def test_where_both_are_certain_and_point_in_opposite_directions_it_is_said():
    made = hand_set({"kept.weight": ROBUST, "lost": FRAGILE}).with_scoring(Scoring())
    scores = made.scores.assign(certain=True)
    table = made.readings
    value = table["value"].to_numpy() + 0.2
    moved = table.assign(value=value, low=value - 0.01, high=value + 0.01)
    said = describe_readings(moved, scores, "density", 0.05)
    rows = said["contradicts"].to_numpy()
    assert set(said.loc[rows, "says"]) == {"slower"}
    assert set(scores.loc[rows, "class"]) == {"fragile"}
    assert set(scores.loc[rows, "score"]) == {"clean", "adversarial"}
    unsure = describe_readings(moved, scores.assign(certain=False), "density", 0.05)
    assert True not in unsure["contradicts"].tolist()
    assert contradictions(made) == []  # without intervals nothing is certain


def test_a_contradiction_is_a_sentence(study):
    scored = study.with_scoring(Scoring())
    found = contradictions(scored)
    readings, scores = scored.readings, scored.scores
    rows = scores["filter"] == "combined"
    for score, where in (("clean", "on clean inputs"), ("adversarial", "under attack")):
        own = rows & (scores["score"] == score)
        count = int((readings["contradicts"] & own).sum())
        said = [sentence for sentence in found if where in sentence]
        assert bool(said) == bool(count)
        if said:
            assert said[0].startswith(f"{count} of {own.sum()} ")
            assert "by base, and yet performance falls" in said[0]


def test_every_filter_has_its_readings(study):
    assert set(study.readings["filter"]) == {*DEFAULT_FILTERS, "combined"}
    assert len(study.readings) == len(study.scores)
