"""Laws of the filters: what they keep, where their sweeps end, and that they are exact."""

import math
import pickle
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hormesis.engine.plan import make_plan
from hormesis.errors import SettingError
from hormesis.settings.choices import DEFAULT_FILTERS, FILTERS
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.stress.filters import (
    NAMED_FILTERS,
    Filter,
    Threshold,
    keep,
    keep_above,
    keep_below,
    keep_outside,
    register_filter,
)
from hormesis.stress.targets import find_targets
from hormesis.stress.thresholds import thresholds

DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)

numbers = st.floats(-8, 8, width=16, allow_subnormal=False)
# Few distinct numbers among the values: duplicates, and ties with a threshold, are common.
several = st.lists(st.one_of(numbers, st.sampled_from([-1.0, 0.0, 1.0])), min_size=2, max_size=12)


@st.composite
def values_and_edge(draw: st.DrawFn) -> tuple[list[float], float]:
    """Draw values and a threshold, half the time one of the values."""
    values = draw(several)
    return values, draw(st.one_of(st.sampled_from(values), numbers))


@st.composite
def sweeps(draw: st.DrawFn) -> tuple[Tensor, int]:
    """Draw values that differ and a number of thresholds, often one that hits values."""
    values = draw(several.filter(lambda values: min(values) < max(values)))
    count = draw(st.integers(2, 9))
    grid = torch.linspace(min(values), max(values), count).tolist()
    return torch.tensor([*values, *draw(st.lists(st.sampled_from(grid), max_size=4))]), count


def swept(name: str, values: Tensor, count: int) -> list[Threshold]:
    low, high = values.min().item(), values.max().item()
    return list(thresholds(name, low, high, count, values.dtype))


@given(values_and_edge())
def test_high_pass_keeps_exactly_what_lies_above(drawn):
    values, alpha = drawn
    assert keep_above(torch.tensor(values), alpha).tolist() == [v > alpha for v in values]


@given(values_and_edge())
def test_low_pass_keeps_exactly_what_lies_below(drawn):
    values, alpha = drawn
    assert keep_below(torch.tensor(values), alpha).tolist() == [v < alpha for v in values]


@given(values_and_edge(), st.data())
def test_pulse_wave_removes_its_lower_edge_and_keeps_its_upper_one(drawn, data):
    values, lower = drawn
    upper = data.draw(st.one_of(st.sampled_from(values), numbers))
    expected = [not lower <= v < upper for v in values]
    assert keep_outside(torch.tensor(values), lower, upper).tolist() == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("high_pass", [False, False, False, True]),
        ("low_pass", [True, True, False, False]),
        ("pulse_wave", [True, False, False, True]),
    ],
)
def test_each_name_means_its_own_filter_and_its_own_edges(name, expected):
    threshold = Threshold(name, step=0, alpha=0.5, lower=0.0, upper=1.0)
    assert keep(torch.tensor([-1.0, 0.0, 0.5, 1.0]), threshold).tolist() == expected


def test_an_unknown_filter_is_refused():
    with pytest.raises(SettingError, match=r"Unknown filter 'band'.*Known: high_pass, low_pass"):
        keep(torch.zeros(1), Threshold("band", 0, 0.0, 0.0, 0.0))


@given(sweeps())
def test_the_ends_of_a_pass_filter(drawn):
    values, count = drawn
    high, low = swept("high_pass", values, count), swept("low_pass", values, count)
    assert (high[0].alpha, high[-1].alpha) == (values.min().item(), values.max().item())
    assert (low[0].alpha, low[-1].alpha) == (values.max().item(), values.min().item())
    for sweep in (high, low):
        assert not keep(values, sweep[-1]).any()
        removed_first = values[~keep(values, sweep[0])]
        assert len(removed_first) >= 1
        assert (removed_first == sweep[0].alpha).all()


@given(sweeps(), st.sampled_from(["high_pass", "low_pass"]))
def test_a_pass_filter_removes_ever_more(drawn, name):
    values, count = drawn
    kept = [keep(values, threshold) for threshold in swept(name, values, count)]
    for wider, narrower in pairwise(kept):
        assert (wider | ~narrower).all()


@given(sweeps(), st.sampled_from(DTYPES))
def test_no_value_is_in_two_pulses(drawn, dtype):
    values, count = drawn
    values = values.to(dtype)
    sweep = swept("pulse_wave", values, count)
    removals = sum((~keep(values, threshold)).int() for threshold in sweep)
    assert int(torch.as_tensor(removals).max()) <= 1


@given(sweeps())
def test_pulses_have_their_width_and_just_fail_to_touch(drawn):
    values, count = drawn
    low, high = values.min().item(), values.max().item()
    sweep = list(thresholds("pulse_wave", low, high, count, torch.float64))
    span = high - low
    for before, after in pairwise(sweep):
        assert after.alpha - before.alpha == pytest.approx(span / (count - 1), rel=1e-9)
        gap = span / (count - 1) - span / count
        assert after.lower - before.upper == pytest.approx(gap, rel=1e-6, abs=1e-12)
        assert after.lower > before.upper
    for threshold in sweep:
        assert threshold.upper - threshold.alpha == pytest.approx(span / (2 * count), rel=1e-9)
        assert threshold.alpha - threshold.lower == pytest.approx(span / (2 * count), rel=1e-9)


@given(sweeps(), st.sampled_from(DEFAULT_FILTERS))
def test_filtering_twice_changes_nothing(drawn, name):
    values, count = drawn
    for threshold in swept(name, values, count):
        once = values.masked_fill(~keep(values, threshold), 0.0)
        # What was zeroed is zero, whatever the second pass thinks of a zero.
        assert torch.equal(once, once.masked_fill(~keep(once, threshold), 0.0))


@given(sweeps(), st.sampled_from(DTYPES), st.sampled_from(DEFAULT_FILTERS))
def test_every_edge_is_a_number_of_the_weights_type(drawn, dtype, name):
    values, count = drawn
    values = values.to(dtype)
    for threshold in swept(name, values, count):
        edges = torch.tensor(
            [threshold.alpha, threshold.lower, threshold.upper], dtype=torch.float64
        )
        assert torch.equal(edges, edges.to(dtype).double())
        # Hence the comparison in the weights' own type is the exact one.
        assert torch.equal(keep(values, threshold), keep(values.double(), threshold))


@settings(max_examples=30)
@given(sweeps(), st.sampled_from(DEFAULT_FILTERS))
def test_steps_count_from_zero_along_the_filters_own_direction(drawn, name):
    values, count = drawn
    sweep = swept(name, values, count)
    assert [threshold.step for threshold in sweep] == list(range(count))
    assert {threshold.filter for threshold in sweep} == {name}
    alphas = [threshold.alpha for threshold in sweep]
    assert alphas == sorted(alphas, reverse=name == "low_pass")


@pytest.mark.parametrize(
    ("mirror", "name"), [(torch.neg, "low_pass"), (torch.clone, "high_pass")], ids=["low", "high"]
)
def test_low_pass_is_high_pass_of_the_mirrored_weights(mirror: Callable[[Tensor], Tensor], name):
    values = torch.tensor([-2.0, -0.5, 0.0, 0.0, 1.0, 3.0])
    expected = [keep(values, threshold).tolist() for threshold in swept("high_pass", values, 5)]
    mirrored = mirror(values)
    assert [keep(mirrored, t).tolist() for t in swept(name, mirrored, 5)] == expected


def test_thresholds_near_the_largest_half_precision_number_stay_usable():
    values = torch.tensor([-65504.0, 0.0, 65504.0], dtype=torch.float16)
    removed = [int((~keep(values, t)).sum()) for t in swept("pulse_wave", values, 3)]
    assert removed == [1, 1, 1]
    assert not any(math.isnan(t.upper) for t in swept("pulse_wave", values, 3))


def keep_within(values, at):
    return (values >= at.lower) & (values < at.upper)


@pytest.fixture
def within(monkeypatch):
    """Return a filter, known for the time of a test, whose removals are no neighbours."""
    for table in (NAMED_FILTERS, FILTERS):
        monkeypatch.setitem(table, "within", None)  # taken back at the end
    return register_filter(Filter("within", "keeps a window", keep_within))


def test_a_filter_of_the_users_goes_along_to_other_processes(within, monkeypatch):
    threshold = Threshold("within", 0, 0.0, -1.0, 1.0)
    content = pickle.dumps(threshold)
    monkeypatch.delitem(NAMED_FILTERS, "within")
    assert pickle.loads(content) == threshold  # noqa: S301  (written a line above)
    assert keep(torch.tensor([-2.0, 0.0]), threshold).tolist() == [False, True]


def test_removals_that_are_no_neighbours_are_told_apart(within):
    network = torch.nn.Linear(4, 2, bias=False)
    found = find_targets(network, torch.zeros(1, 4), Targets())
    plan = make_plan(network, found, Sweep(("within",), thresholds=4))
    keys = [removal.key() for removal in plan.removals]
    assert len(set(keys)) == len(keys) > 1
    for cell in plan.cells:
        (left,) = plan.removals[cell.removal].apply(dict(network.named_parameters())).values()
        assert int((left == 0).sum()) == cell.zeroed


def test_a_name_that_is_taken_or_none_is_refused():
    with pytest.raises(SettingError, match="another `name` than 'high_pass'"):
        register_filter(NAMED_FILTERS["high_pass"])
    for name in ("combined", "a filter", ""):
        with pytest.raises(SettingError, match="letters, digits and _"):
            Filter(name, "", keep_within)
