"""Scores against closed forms and the method's own words; classes at their borders."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import simpson

from hormesis.analysis.classes import UNTESTED
from hormesis.analysis.responses import as_sweeps
from hormesis.analysis.scores import (
    COMBINED,
    SCORES,
    UNDEFINED,
    Base,
    classify,
    integral,
    relative_response,
    score_table,
    sweep_scores,
)
from hormesis.errors import SettingError
from hormesis.settings.choices import DEFAULT_FILTERS
from hormesis.settings.scoring import Scoring

DENSITY = Scoring(reference="density")


def filtering_scores(sweep: pd.DataFrame, base: Base, scoring: Scoring) -> dict[str, float]:
    """Return the three scores of one sweep whose rows are in the order of its steps."""
    whole = sweep.assign(target="w", filter="low_pass", step=range(len(sweep)))
    found = sweep_scores(as_sweeps(whole), base, scoring)[:, 0]
    return dict(zip(SCORES, found.tolist(), strict=True))


shares = st.integers(0, 40).map(lambda correct: correct / 40)
odd = st.integers(1, 12).map(lambda half: 2 * half + 1)


@st.composite
def responses(draw: st.DrawFn, control: bool = False) -> pd.DataFrame:
    """Draw the responses of one sweep."""
    count = draw(st.integers(2, 9))
    column = st.lists(shares, min_size=count, max_size=count)
    names = ["clean", "adversarial", "density"]
    names += ["random_clean", "random_adversarial"] if control else []
    return pd.DataFrame({name: draw(column) for name in names})


def table(**columns: list[float]) -> pd.DataFrame:
    return pd.DataFrame(columns)


@given(odd, st.lists(st.floats(-3, 3, width=16), min_size=1, max_size=4))
def test_polynomials_up_to_the_third_degree_are_integrated_exactly(count, coefficients):
    x = np.linspace(0, 1, count)
    curve = np.polynomial.polynomial.polyval(x, coefficients)
    exact = sum(value / (power + 1) for power, value in enumerate(coefficients))
    assert integral(curve) == pytest.approx(exact, rel=1e-12, abs=1e-12)


def test_the_fourth_degree_shows_the_error_of_simpsons_rule():
    # One panel: (0 + 4 / 16 + 1) / 6, where the integral is 1 / 5.
    assert integral(np.linspace(0, 1, 3) ** 4) == pytest.approx(1.25 / 6, abs=1e-15)


@given(st.lists(shares, min_size=3, max_size=25).filter(lambda curve: len(curve) % 2))
def test_an_odd_count_is_the_textbook_rule(curve):
    weights = np.full(len(curve), 2.0)
    weights[1::2] = 4.0
    weights[[0, -1]] = 1.0
    expected = float(weights @ np.array(curve)) / (3 * (len(curve) - 1))
    assert integral(np.array(curve)) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(st.lists(shares, min_size=2, max_size=25))
def test_any_count_agrees_with_scipy(curve):
    expected = simpson(curve, dx=1 / (len(curve) - 1))
    assert integral(np.array(curve)) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_two_points_make_a_trapezoid():
    assert integral(np.array([1.0, 0.5])) == 0.75


@pytest.mark.parametrize("count", [4, 6, 24])
def test_an_even_count_integrates_a_parabola_exactly(count):
    x = np.linspace(0, 1, count)
    assert integral(3 * x**2 - x) == pytest.approx(0.5, abs=1e-12)


def test_scores_worked_out_on_paper():
    # Simpson's weights for three points are 1/6, 4/6, 1/6.
    sweep = table(clean=[0.8, 0.6, 0.2], adversarial=[0.5, 0.4, 0.1], density=[1.0, 0.5, 0.0])
    scores = filtering_scores(sweep, Base(0.8, 0.5), DENSITY)
    clean = (1.0 + 4 * 0.75 + 0.25) / 6 - 0.5
    adversarial = (1.0 + 4 * 0.8 + 0.2) / 6 - 0.5
    assert scores["clean"] == pytest.approx(clean, abs=1e-15)
    assert scores["adversarial"] == pytest.approx(adversarial, abs=1e-15)
    assert scores["difference"] == pytest.approx(adversarial - clean, abs=1e-15)


def test_the_first_threshold_may_be_the_base():
    sweep = table(clean=[0.5, 0.25, 0.0], adversarial=[0.2, 0.4, 0.2], density=[1.0, 0.5, 0.0])
    scores = filtering_scores(sweep, Base(0.8, 0.8), Scoring(base="first", reference="base"))
    assert scores["clean"] == pytest.approx(0.5 - 1.0, abs=1e-15)
    assert scores["adversarial"] == pytest.approx((1 + 4 * 2 + 1) / 6 - 1, abs=1e-15)


def test_the_random_reference_is_the_control_on_the_same_base():
    sweep = table(
        clean=[0.8, 0.8],
        adversarial=[0.4, 0.0],
        density=[1.0, 0.0],
        random_clean=[0.8, 0.4],
        random_adversarial=[0.4, 0.4],
    )
    scores = filtering_scores(sweep, Base(0.8, 0.4), Scoring(reference="random"))
    assert scores["clean"] == pytest.approx(1.0 - 0.75, abs=1e-15)
    assert scores["adversarial"] == pytest.approx(0.5 - 1.0, abs=1e-15)
    # The reference plays no part in it, though here it differs between clean and adversarial.
    assert scores["difference"] == pytest.approx(0.5 - 1.0, abs=1e-15)


def test_the_random_reference_needs_its_control():
    sweep = table(clean=[1.0, 0.0], adversarial=[1.0, 0.0], density=[1.0, 0.0])
    with pytest.raises(SettingError, match="'random' needs the random control; measure it with"):
        filtering_scores(sweep, Base(1.0, 1.0), Scoring(reference="random"))


@given(responses(), shares, shares, st.sampled_from(["density", "base"]))
def test_the_difference_score_is_the_difference_where_both_share_a_reference(
    sweep, clean, adversarial, reference
):
    base = Base(clean + 0.1, adversarial + 0.1)
    scores = filtering_scores(sweep, base, Scoring(reference=reference))
    expected = scores["adversarial"] - scores["clean"]
    assert scores["difference"] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(responses(), responses(), st.floats(0, 1))
def test_scores_are_linear_in_responses_and_reference(one, other, share):
    rows = min(len(one), len(other))
    one, other = one.iloc[:rows], other.iloc[:rows]
    mixed = share * one + (1 - share) * other
    base = Base(0.9, 0.6)
    parts = [filtering_scores(sweep, base, DENSITY) for sweep in (one, other, mixed)]
    for name in SCORES:
        expected = share * parts[0][name] + (1 - share) * parts[1][name]
        assert parts[2][name] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(responses(control=True), st.sampled_from(["density", "base", "random"]))
def test_units_of_performance_do_not_matter(sweep, reference):
    halved = sweep.copy()
    measured = [name for name in sweep if name != "density"]
    halved[measured] = sweep[measured] / 2
    scoring = Scoring(reference=reference)
    scores = filtering_scores(sweep, Base(0.9, 0.6), scoring)
    assert filtering_scores(halved, Base(0.45, 0.3), scoring) == pytest.approx(scores, abs=1e-12)


def test_nothing_changing_is_zero_by_the_reference_base():
    sweep = table(clean=[0.7] * 5, adversarial=[0.3] * 5, density=[1.0, 0.7, 0.5, 0.2, 0.0])
    scores = filtering_scores(sweep, Base(0.7, 0.3), Scoring(reference="base"))
    assert scores == pytest.approx(dict.fromkeys(SCORES, 0.0), abs=1e-15)


def test_a_rising_loss_counts_as_a_fall():
    loss = table(clean=[0.5, 1.0, 2.0], adversarial=[1.0, 0.5, 1.0], density=[1.0, 0.5, 0.0])
    base = Base(0.5, 1.0, higher_is_better=False)
    scores = filtering_scores(loss, base, Scoring(reference="base"))
    assert scores["clean"] == pytest.approx((1 + 4 * 0.5 + 0.25) / 6 - 1, abs=1e-15)
    assert scores["adversarial"] == pytest.approx((1 + 4 * 2 + 1) / 6 - 1, abs=1e-15)


@pytest.mark.parametrize("better", [True, False])
@pytest.mark.parametrize(
    "scoring", [DENSITY, Scoring(reference="base"), Scoring(base="first", reference="density")]
)
def test_a_base_of_zero_gives_no_number(scoring, better):
    first = 0.0 if scoring.base == "first" else 0.1
    sweep = table(clean=[first, 0.2], adversarial=[0.3, 0.1], density=[1.0, 0.0])
    scores = filtering_scores(sweep, Base(0.0, 0.5, better), scoring)
    assert math.isnan(scores["clean"])
    assert math.isnan(scores["difference"])
    assert math.isfinite(scores["adversarial"])
    turned = sweep.rename(columns={"clean": "adversarial", "adversarial": "clean"})
    scores = filtering_scores(turned, Base(0.5, 0.0, better), scoring)
    assert math.isnan(scores["adversarial"])
    assert math.isnan(scores["difference"])
    assert math.isfinite(scores["clean"])


def test_a_loss_that_falls_to_zero_has_no_inverse():
    sweep = table(clean=[1.0, 0.0], adversarial=[1.0, 1.0], density=[1.0, 0.0])
    scores = filtering_scores(sweep, Base(1.0, 1.0, higher_is_better=False), DENSITY)
    assert math.isnan(scores["clean"])
    assert scores["adversarial"] == pytest.approx(0.5, abs=1e-15)


def test_a_first_response_of_zero_gives_no_number():
    sweep = table(clean=[0.0, 0.2], adversarial=[0.3, 0.1], density=[1.0, 0.0])
    scores = filtering_scores(sweep, Base(0.9, 0.9), Scoring(base="first", reference="density"))
    assert math.isnan(scores["clean"])
    assert scores["adversarial"] == pytest.approx(2 / 3 - 0.5, abs=1e-15)


def test_a_response_relative_to_its_base_is_not_bounded_by_one():
    assert relative_response(np.array([0.9]), 0.3).tolist() == pytest.approx([3.0], abs=1e-12)


@given(st.floats(1e-6, 4), st.floats(0, 4))
def test_classes_and_their_borders(value, tolerance):
    above = math.nextafter(tolerance, math.inf)
    assert classify(tolerance, tolerance) == classify(-tolerance, tolerance) == "robust"
    assert classify(above, tolerance) == "antifragile"
    assert classify(-above, tolerance) == "fragile"
    assert classify(value, value) == "robust"
    assert classify(float("nan"), tolerance) == UNDEFINED


def test_zero_is_robust_without_tolerance():
    assert [classify(v, 0.0) for v in (-0.0, 0.0, 5e-324, -5e-324)] == [
        "robust",
        "robust",
        "antifragile",
        "fragile",
    ]


def study_of(filters: tuple[str, ...], *, changed: bool = True) -> pd.DataFrame:
    """Return responses of two targets; the second one's steps come out of order."""
    rows = []
    for target in ("b", "a"):
        for name in filters:
            steps = range(3) if target == "b" else (1, 2, 0)
            for step in steps:
                clean = (0.8, 0.4, 0.0)[step] if name != "pulse_wave" else 0.8
                density = (1.0, 0.5, 0.0)[step] if name != "pulse_wave" else 0.7
                rows.append((target, name, step, density, clean, clean / 2, changed and step == 1))
    names = ["target", "filter", "step", "density", "clean", "adversarial", "changed"]
    return pd.DataFrame(rows, columns=names)


def test_the_table_of_scores():
    scores = score_table(
        study_of(DEFAULT_FILTERS), Base(0.8, 0.4), Scoring(reference="density", tolerance=0.2)
    )
    assert scores.columns.tolist() == ["target", "filter", "score", "value", "class"]
    assert scores["target"].unique().tolist() == ["b", "a"]
    assert scores["filter"].unique().tolist() == [*DEFAULT_FILTERS, COMBINED]
    assert scores["score"].tolist() == list(SCORES) * 8
    found = {tuple(row[:3]): row[3:] for row in scores.itertuples(index=False, name=None)}
    for target in ("a", "b"):
        high, pulse, combined = (
            found[target, name, "clean"] for name in ("high_pass", "pulse_wave", COMBINED)
        )
        assert high == (pytest.approx(0.0, abs=1e-15), "robust")
        assert pulse == (pytest.approx(0.3, abs=1e-15), "antifragile")
        assert combined == (pytest.approx(0.1, abs=1e-15), "robust")


@pytest.mark.parametrize("filters", [DEFAULT_FILTERS[:1], DEFAULT_FILTERS[1:]])
def test_the_combined_score_needs_all_three_filters(filters):
    scores = score_table(study_of(filters), Base(0.8, 0.4), DENSITY)
    assert scores["filter"].unique().tolist() == list(filters)


def test_a_target_that_nothing_reached_is_untested_and_never_robust():
    scores = score_table(study_of(DEFAULT_FILTERS, changed=False), Base(0.8, 0.4), DENSITY)
    assert set(scores["class"]) == {UNTESTED}
    assert all(math.isnan(value) for value in scores["value"])


def test_a_floored_network_is_undefined_where_it_has_to_be():
    scores = score_table(study_of(DEFAULT_FILTERS), Base(0.8, 0.0), DENSITY)
    for _, _, score, value, label in scores.itertuples(index=False, name=None):
        assert (label == UNDEFINED) == math.isnan(value) == (score != "clean")


def test_steps_out_of_order_are_put_in_order():
    table_of_all = study_of(DEFAULT_FILTERS)
    table_of_all["clean"] **= 2
    scores = score_table(table_of_all, Base(0.64, 0.4), DENSITY)
    found = {tuple(row[:3]): row[3] for row in scores.itertuples(index=False, name=None)}
    # Steps of `a` come as 1, 2, 0, those of `b` as 0, 1, 2.
    for target in ("a", "b"):
        expected = (1 + 4 * 0.25) / 6 - 0.5
        assert found[target, "high_pass", "clean"] == pytest.approx(expected, abs=1e-12)
