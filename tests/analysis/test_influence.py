"""Influence values against derivatives found by moving the weight of one sample at a time."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import synthetic
from hormesis.analysis.confidence_sequence import ConfidenceSequence
from hormesis.analysis.influence import gradient, influence_values
from hormesis.analysis.moments import StandardErrors, influence_moments
from hormesis.analysis.responses import Means, as_sweeps, response_table
from hormesis.analysis.scores import Base, score_layout, score_table, sweep_scores
from hormesis.analysis.uncertainty import Student, with_draws, with_intervals
from hormesis.errors import SettingError
from hormesis.settings.scoring import Scoring
from hormesis.storage.outcomes import StoredOutcomes

SAMPLES, DRAWS, CHANCE = 60, 3, 0.1


def made(draws: int = DRAWS, *, loss: bool = False) -> tuple[pd.DataFrame, StoredOutcomes]:
    """Return cells with so many draws of the control, and outcomes."""
    generator = np.random.default_rng(1)
    network = synthetic.network(generator, targets=2, steps=5)
    network = replace(network, margin=1.5, drop=1.2)
    cells, outcomes = network.cells(), network.outcomes(SAMPLES, generator)
    count = len(cells)
    for draw in range(draws):
        cells["control" + (f"_{draw + 1}" if draw else "")] = np.arange(count) + (draw + 1) * count
    parts = [outcomes, *(network.outcomes(SAMPLES, generator) for _ in range(draws))]
    found = replace(
        outcomes,
        clean=np.concatenate([part.clean for part in parts]),
        adversarial=np.concatenate([part.adversarial for part in parts]),
        changed=np.ones(count * (draws + 1), dtype=bool),
    )
    if loss:
        names = ("base_clean", "base_adversarial", "clean", "adversarial")
        shift = {
            name: 1.5 - getattr(found, name) + generator.random(SAMPLES).astype(np.float32)
            for name in names
        }
        found = replace(found, **shift)
    return cells, found


def scored(
    cells: pd.DataFrame, outcomes: StoredOutcomes, scoring: Scoring, weights: np.ndarray, base: Base
) -> np.ndarray:
    """Return the scores by means of samples with these weights."""

    def mean(values: np.ndarray) -> np.ndarray:
        return values.astype(float) @ weights

    rows = {name: mean(getattr(outcomes, name)) for name in ("clean", "adversarial")}
    controls = [name for name in cells if name.startswith("control")]
    table = cells.copy()
    for name, values in rows.items():
        table[name] = values[cells["outcome"]]
        if controls:
            table[f"random_{name}"] = np.mean([values[cells[one]] for one in controls], axis=0)
    own = replace(
        base,
        clean=float(mean(outcomes.base_clean)),
        adversarial=float(mean(outcomes.base_adversarial)),
    )
    sweeps = as_sweeps(table)
    return (score_layout(sweeps).mean @ sweep_scores(sweeps, own, scoring).T).T


def values(
    cells: pd.DataFrame, outcomes: StoredOutcomes, scoring: Scoring, base: Base
) -> np.ndarray:
    """Return the influence values of the package."""
    means = Means()
    means.add(outcomes)
    sweeps = as_sweeps(response_table(cells, means))
    own = replace(
        base,
        clean=float(means.of("base_clean")),
        adversarial=float(means.of("base_adversarial")),
    )
    slopes = gradient(sweeps, own, scoring, score_layout(sweeps), len(outcomes.clean))
    return influence_values(slopes, outcomes)


@pytest.mark.parametrize("loss", [False, True], ids=["accuracy", "loss"])
@pytest.mark.parametrize("chance", [False, True], ids=["plain", "chance"])
@pytest.mark.parametrize("reference", ["base", "density", "random"])
@pytest.mark.parametrize("base", ["network", "first"])
def test_influence_is_the_derivative_by_the_weight_of_a_sample(base, reference, chance, loss):
    scoring = Scoring(base=base, reference=reference, chance_corrected=chance)
    cells, outcomes = made(loss=loss)
    known = Base(0.0, 0.0, not loss, chance=5.0 if loss else CHANCE)
    found = values(cells, outcomes, scoring, known)
    even = np.full(SAMPLES, 1 / SAMPLES)
    of = partial(scored, cells, outcomes, scoring, base=known)
    for sample in (0, 7, 33):
        direction = -even.copy()
        direction[sample] += 1
        step = 1e-5
        expected = (of(even + step * direction) - of(even - step * direction)) / (2 * step)
        assert found[..., sample] == pytest.approx(expected, abs=2e-4)
    assert found.mean(axis=-1) == pytest.approx(np.zeros_like(found[..., 0]), abs=1e-5)


def test_a_score_counted_from_chance_is_one_less_where_the_network_only_guesses():
    cells, outcomes = made(0)
    rows = {"clean": CHANCE, "adversarial": CHANCE, "changed": True}
    responses = cells.assign(**rows)
    base = Base(0.8, 0.4, chance=CHANCE)
    table = score_table(responses, base, Scoring(reference="base", chance_corrected=True))
    assert table.loc[table["score"] != "difference", "value"].tolist() == pytest.approx([-1.0] * 16)
    again = score_table(responses, Base(0.8, 0.05, chance=CHANCE), Scoring(chance_corrected=True))
    assert again.loc[again["score"] == "adversarial", "class"].unique().tolist() == ["undefined"]
    assert len(outcomes.clean) == len(cells)
    with pytest.raises(SettingError, match="need the performance of guessing, which is not known"):
        score_table(responses, Base(0.8, 0.4), Scoring(chance_corrected=True))


def test_a_magnitude_that_the_samples_chose_ties_the_base_to_the_clean_one():
    cells, outcomes = made(0)
    scoring = Scoring(reference="base")
    given = values(cells, outcomes, scoring, Base(0.0, 0.0))
    tied = values(cells, outcomes, scoring, Base(0.0, 0.0, tied=1.0))
    assert np.array_equal(tied[0], given[0])
    means = Means()
    means.add(outcomes)
    clean, adversarial = (float(means.of(f"base_{name}")) for name in ("clean", "adversarial"))
    off = outcomes.base_adversarial - adversarial - (outcomes.base_clean - clean) / 2
    first = cells.loc[(cells["target"] == "layer0.weight") & (cells["filter"] == "high_pass")]
    rows = first["outcome"].to_numpy()
    own = {name: means.of(name)[rows] for name in ("clean", "adversarial")}
    weights = np.array([1, 4, 2, 4, 1]) / 12

    def slope(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        inside = (np.clip(part, 1e-3, 0.999) for part in (before, after))
        first, last = (stats.norm.ppf(part) for part in inside)
        return stats.norm.pdf(last) * (first - last)

    falls = weights @ slope(own["clean"], own["adversarial"])
    falls = falls / slope(np.array(clean), np.array(adversarial))
    rate = falls / adversarial - weights @ own["adversarial"] / adversarial**2
    assert tied[1, 0] == pytest.approx(given[1, 0] - rate * off, abs=1e-4)
    assert tied[2, 0] == pytest.approx(given[2, 0] - rate * off, abs=1e-4)
    # A filter that removes nothing follows the unfiltered network: its score is certain.
    idle = cells.assign(outcome=-1)
    assert np.abs(values(idle, outcomes, scoring, Base(0.0, 0.0, tied=1.0))).max() < 1e-5


def test_the_variance_between_draws_is_that_of_a_two_way_layout():
    cells, outcomes = made()
    scoring = Scoring(reference="random")
    means = Means()
    means.add(outcomes)
    base = Base(float(means.of("base_clean")), float(means.of("base_adversarial")))
    sweeps = as_sweeps(response_table(cells, means))
    halves = [
        replace(outcomes, **{name: getattr(outcomes, name)[..., part] for name in NAMES})
        for part in (slice(0, 25), slice(25, None))
    ]
    sums = influence_moments(sweeps, base, scoring, lambda: halves)
    first = cells.iloc[:5]  # one target, one filter
    weights = np.array([1, 4, 2, 4, 1]) / 12 / base.clean
    names = ["control", "control_2", "control_3"]
    table = np.stack([weights @ outcomes.clean[first[name]] for name in names])  # draws × samples
    grand, by_draw, by_sample = table.mean(), table.mean(axis=1), table.mean(axis=0)
    rest = table - by_draw[:, None] - by_sample + grand
    interaction = np.square(rest).sum() / ((SAMPLES - 1) * (DRAWS - 1))
    draws = SAMPLES * np.square(by_draw - grand).sum() / (DRAWS - 1)
    expected = max(draws - interaction, 0) / (SAMPLES * DRAWS)
    assert sums.draws is not None
    assert sums.draws[0, 0] == pytest.approx(expected, rel=1e-4, abs=1e-9)
    assert (sums.draws[2] == 0).all()  # no reference enters the difference
    assert sums.freedom == 2


NAMES = ("base_clean", "base_adversarial", "clean", "adversarial")


def test_one_draw_says_nothing_of_the_variance_between_draws():
    cells, outcomes = made(1)
    means = Means()
    means.add(outcomes)
    base = Base(float(means.of("base_clean")), float(means.of("base_adversarial")))
    sweeps = as_sweeps(response_table(cells, means))
    sums = influence_moments(sweeps, base, Scoring(reference="random"), lambda: [outcomes])
    assert sums.draws is None


def test_draws_widen_an_interval_by_their_own_law():
    one = np.ones(1)
    spread = StandardErrors(one, one, 0 * one, draws=2 * one, freedom=4)
    for interval_method in (Student(50, 0.95), ConfidenceSequence(500, 1000, 0.95)):
        wide = with_draws(spread, interval_method).above * interval_method.critical()
        expected = np.hypot(interval_method.critical(), 2 * stats.t.ppf(0.975, 4))
        assert wide[0] == pytest.approx(float(expected))
    assert with_draws(replace(spread, draws=None), Student(50, 0.95)).above[0] == 1


def interval(spread: StandardErrors, value: float = 0.2) -> pd.Series:
    row = {"target": "w", "filter": "low_pass", "score": "clean", "value": value}
    table = pd.DataFrame([{**row, "class": "antifragile" if value > 0.05 else "fragile"}])
    return with_intervals(table, spread, Student(1000, 0.95), Scoring()).iloc[0]


@pytest.mark.parametrize(("ratio", "right"), [(1.2, 40), (3.0, 12), (0.1, 8), (6.0, 25)])
def test_the_ends_are_where_fiellers_theorem_puts_them(ratio, right):
    # A filtered network that is right on other samples: variances of a ratio of two shares.
    samples, share = 1000, right / 1000
    other = ratio * share
    top, bottom = other * (1 - other) / samples, share * (1 - share) / samples
    both = -other * share / samples  # never right on the same sample
    variance = (top - 2 * ratio * both + ratio**2 * bottom) / share**2
    covariance, relative = (both - ratio * bottom) / share**2, bottom / share**2
    error = np.sqrt([variance])
    pair = [np.array([[part], [0.0]]) for part in (covariance, relative)]
    spread = StandardErrors(error, error, 0 * error, pair[0], pair[1])
    found = interval(spread, ratio - 1)
    c2 = stats.t.ppf(0.975, 999) ** 2
    a, b, c = share**2 - c2 * bottom, -2 * (other * share - c2 * both), other**2 - c2 * top
    low, high = sorted(np.roots([a, b, c]))
    assert found["high"] == pytest.approx(high - 1, rel=1e-6)  # pyright: ignore[reportGeneralTypeIssues]
    if right >= 20:
        assert found["low"] == pytest.approx(low - 1, rel=1e-6)  # pyright: ignore[reportGeneralTypeIssues]
    else:
        assert found["low"] <= low - 1 + 1e-9
    certain = found["low"] > 0.05 or found["high"] < -0.05
    assert bool(found["certain"]) == certain


def test_of_a_base_that_may_be_zero_there_is_no_interval_and_no_certain_class():
    error = np.array([1e-6])
    pair = [np.array([[0.0], [0.0]]), np.array([[0.3], [0.0]])]  # three right answers of many
    found = interval(StandardErrors(error, error, 0 * error, pair[0], pair[1]))
    assert np.isnan(found["low"])
    assert np.isnan(found["high"])
    assert (found["class"], found["certain"]) == ("undecided", False)


def test_a_border_far_on_the_other_side_does_not_overflow():
    tiny = np.array([1e-9])
    with np.errstate(over="raise"):
        found = interval(StandardErrors(tiny, tiny, tiny), value=-5.0)
    assert found["certain"]  # pyright: ignore[reportGeneralTypeIssues]


def test_all_samples_of_a_finite_set_leave_nothing_open():
    cells, outcomes = made(0)
    means = Means()
    means.add(outcomes)
    base = Base(float(means.of("base_clean")), float(means.of("base_adversarial")), tied=1.0)
    sweeps = as_sweeps(response_table(cells, means))
    scoring = Scoring(population="finite")
    sums = influence_moments(sweeps, base, scoring, lambda: [outcomes])
    assert (sums.standard_errors(SAMPLES).above == 0).all()
    assert (sums.standard_errors(SAMPLES).unseen == 0).all()
    whole, half = sums.standard_errors(), sums.standard_errors(2 * SAMPLES)
    assert half.above == pytest.approx(whole.above * np.sqrt(0.5))
    assert sums.standard_errors(10**9).above == pytest.approx(whole.above, rel=1e-6)


def test_a_sequence_without_replacement_runs_on_the_time_of_the_bridge():
    far = ConfidenceSequence(1000, 10**9, 0.95, finite=True).critical()
    assert far == pytest.approx(ConfidenceSequence(1000, 10**9, 0.95).critical(), rel=1e-6)
    # Half of the samples are at the time of all of them.
    half = ConfidenceSequence(500, 1000, 0.95, finite=True).critical()
    assert half == pytest.approx(ConfidenceSequence(1000, 1000, 0.95).critical())
    assert np.isfinite(ConfidenceSequence(1000, 1000, 0.95, finite=True).critical())
