import dataclasses
import sys
import types

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from hormesis.errors import SettingError
from hormesis.stress.metrics import (
    NAMED_METRICS,
    Metric,
    accuracy,
    as_metric,
    loss,
    metric_named,
    top5,
)

NAN = torch.nan
# Few distinct values, so that equal logits are common.
tables = st.integers(1, 5).flatmap(
    lambda rows: st.integers(6, 9).flatmap(
        lambda classes: st.tuples(
            st.lists(
                st.lists(st.sampled_from([-1.0, 0.0, 2.0]), min_size=classes, max_size=classes),
                min_size=rows,
                max_size=rows,
            ),
            st.lists(st.integers(0, classes - 1), min_size=rows, max_size=rows),
        )
    )
)


@pytest.mark.parametrize("kind", [accuracy, top5, loss], ids=lambda kind: kind.name)
def test_every_performance_returns_one_float_a_sample(kind):
    outputs = torch.randn(4, 7, requires_grad=True)
    values = kind.measure(outputs, torch.tensor([0, 1, 2, 6]))
    assert values.shape == (4,)
    assert values.dtype == torch.float32
    assert not values.requires_grad
    assert NAMED_METRICS[kind.name] is kind


@given(tables)
@settings(deadline=None)
def test_accuracy_and_top5_rank_equal_logits_by_index(table):
    rows, labels = table
    ranked = [sorted(range(len(row)), key=lambda k, row=row: (-row[k], k)) for row in rows]
    outputs, truth = torch.tensor(rows), torch.tensor(labels)
    for kind, count in ((accuracy, 1), (top5, 5)):
        expected = [label in order[:count] for order, label in zip(ranked, labels, strict=True)]
        assert kind.measure(outputs, truth).tolist() == expected


@pytest.mark.parametrize("kind", [accuracy, top5], ids=lambda kind: kind.name)
@pytest.mark.parametrize("place", [0, 3])
def test_a_row_with_nan_is_wrong(kind, place):
    outputs = torch.eye(7)[:2]
    outputs[0, place] = NAN
    assert kind.measure(outputs, torch.tensor([0, 1])).tolist() == [0.0, 1.0]


def test_infinite_logits_still_rank():
    outputs = torch.tensor([[torch.inf, 1.0], [-torch.inf, 1.0]])
    assert accuracy.measure(outputs, torch.tensor([0, 1])).tolist() == [1.0, 1.0]


def test_top5_needs_six_classes():
    with pytest.raises(SettingError, match=r"at least 6 classes.*'top5', got 5; use 'accuracy'"):
        top5.measure(torch.zeros(2, 5), torch.tensor([0, 1]))


def test_loss_is_the_cross_entropy_and_lower_is_better():
    outputs, labels = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1], dtype=torch.int32)
    expected = -outputs.log_softmax(1)[torch.arange(5), labels.long()]
    torch.testing.assert_close(loss.measure(outputs, labels), expected, rtol=1e-6, atol=1e-6)
    assert float(loss.measure(outputs, labels).mean()) == pytest.approx(
        float(cross_entropy(outputs, labels.long())), rel=1e-6
    )
    assert not loss.higher_is_better
    assert accuracy.higher_is_better


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda o, _: o, r"one number a sample, shape \[3\], got shape \[3, 2\]"),
        (lambda o, _: o.sum(), r"one number a sample, shape \[3\], got shape \[\]"),
        (lambda o, _: o[:, :1], r"one number a sample, shape \[3\], got shape \[3, 1\]"),
        (lambda o, _: o.sum(1).tolist(), "a tensor of real numbers, got list"),
        (lambda o, _: o.sum(1) + 1j, "a tensor of real numbers, got complex64"),
        (lambda _, __: None, "a tensor of real numbers, got NoneType"),
    ],
)
def test_what_is_no_number_a_sample_is_refused(function, match):
    with pytest.raises(SettingError, match=f"Expected the metric 'mine' to return {match}"):
        Metric("mine", function).measure(torch.ones(3, 2), torch.tensor([0, 1, 1]))


@pytest.mark.parametrize("value", [0.5, -1.0, NAN])
def test_a_binary_performance_returns_zeros_and_ones(value):
    def mine(outputs, labels):
        return torch.where(labels == 1, value, 1.0)

    outputs, labels = torch.zeros(2, 2), torch.tensor([0, 1])
    with pytest.raises(SettingError, match="'mine' to return 0 or 1 for each sample"):
        Metric("mine", mine, binary=True).measure(outputs, labels)
    assert Metric("mine", mine).measure(outputs, labels)[0] == 1


def test_performances_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'binary'"):
        accuracy.binary = False  # pyright: ignore[reportAttributeAccessIssue]


def test_a_performance_is_known_by_name():
    assert metric_named("accuracy") is accuracy
    assert as_metric("top5") is top5
    assert as_metric(loss) is loss


def test_an_unknown_performance_is_refused_with_the_nearest_name():
    with pytest.raises(SettingError, match=r"Unknown metric 'top-5'\. Did you mean top5\?"):
        metric_named("top-5")


def certainty(outputs, labels):
    return outputs.softmax(1).amax(1)


@pytest.fixture
def module(monkeypatch):
    """Return a module of the user's that can be imported as ``mine``."""
    made = types.ModuleType("mine")
    vars(made).update(
        certainty=certainty,
        ready=Metric("ready", certainty, higher_is_better=False),
        number=3,
    )
    monkeypatch.setitem(sys.modules, "mine", made)
    return made


def test_a_function_of_the_users_is_loaded(module):
    found = metric_named("mine:certainty")
    assert found == Metric("mine:certainty", certainty)
    assert metric_named("mine:ready") is module.ready


def test_what_cannot_be_called_is_refused(module):
    with pytest.raises(SettingError, match="a name or a function of outputs and labels, got int"):
        metric_named("mine:number")


def test_a_function_is_called_by_its_name():
    found = as_metric(certainty)
    assert (found.name, found.higher_is_better, found.binary) == ("certainty", True, False)
