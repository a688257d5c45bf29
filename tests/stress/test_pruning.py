"""Pruning by magnitude, at random and by Wanda's score, against loops that are obviously right."""

import pytest
import torch
from torch import nn

from hormesis.data.samples import samples_from
from hormesis.stress.input_norms import input_norms
from hormesis.stress.pruning import (
    even_counts,
    keep_by_wanda,
    keep_largest,
    keep_largest_by_layer,
    keep_random,
)


@pytest.fixture
def values():
    generator = torch.Generator().manual_seed(0)
    made = {
        "a": torch.randn(6, 5, generator=generator),
        "b": torch.randn(4, 3, generator=generator),
    }
    made["a"][0, :3] = 0
    return made


def dropped(kept):
    return {(name, *place) for name, keep in kept.items() for place in (~keep).nonzero().tolist()}


def ranked(values, scores):
    found = []
    for name, one in values.items():
        for place in torch.ones_like(one).nonzero().tolist():
            if one[tuple(place)] != 0:
                found.append((scores[name][tuple(place)].item(), (name, *place)))
    return [place for _, place in sorted(found, key=lambda entry: entry[0])]


@pytest.mark.parametrize("count", [0, 1, 7, 39])
def test_the_smallest_magnitudes_of_all_go(values, count):
    expected = set(ranked(values, {name: one.abs() for name, one in values.items()})[:count])
    assert dropped(keep_largest(values, count)) == expected


def test_each_layer_loses_the_same_share(values):
    found = dropped(keep_largest_by_layer(values, 13))
    assert len(found) == 13
    for name, count in (("a", 9), ("b", 4)):  # of 27 and of 12 values that are not zero
        own = {name: values[name]}
        expected = ranked(own, {name: values[name].abs()})[:count]
        assert {place for place in found if place[0] == name} == set(expected)


def test_random_values_are_others_with_another_seed(values):
    one, other = (dropped(keep_random(values, 12, seed)) for seed in (0, 1))
    assert len(one) == len(other) == 12
    assert one != other
    assert one == dropped(keep_random(values, 12, 0))
    zeros = {("a", 0, 0), ("a", 0, 1), ("a", 0, 2)}
    assert not one & zeros


def test_all_of_them_take_no_more_than_there_is(values):
    for kept in (keep_largest(values, 99), keep_largest_by_layer(values, 99)):
        assert len(dropped(kept)) == 39


def test_counts_are_even_and_add_up():
    for count in range(40):
        counts = even_counts([27, 12, 1], count)
        assert sum(counts) == count
        assert all(
            abs(own - count * size / 40) < 1 for own, size in zip(counts, [27, 12, 1], strict=True)
        )


def test_wanda_ranks_within_each_output():
    """By hand: the norms of the inputs are 5, 1 and 2."""
    network = nn.Linear(3, 2, bias=False)
    network.weight.data = torch.tensor([[1.0, 4.0, 1.0], [-1.0, 6.0, 0.5]])
    inputs = torch.tensor([[3.0, 1.0, 2.0], [4.0, 0.0, 0.0]])
    samples = samples_from((inputs, torch.tensor([0, 1])), bounds=(0.0, 4.0))
    norms = input_norms(network, samples, ["weight"], torch.device("cpu"))
    assert norms["weight"].tolist() == [[5.0, 1.0, 2.0]]
    kept = keep_by_wanda({"weight": network.weight.detach()}, norms, 2)
    assert kept["weight"].tolist() == [[True, True, False], [True, True, False]]


@pytest.mark.parametrize("groups", [1, 2])
def test_the_norm_of_a_convolution_is_that_of_an_input_channel(groups):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(4, 6, 3, groups=groups), nn.Flatten(), nn.Linear(24, 2))
        inputs = torch.rand(5, 4, 4, 4)
    samples = samples_from((inputs, torch.arange(5) % 2))
    names = ["0.weight", "2.weight", "0.bias"]
    norms = input_norms(network, samples, names, torch.device("cpu"))
    assert set(norms) == {"0.weight", "2.weight"}
    own = norms["0.weight"].expand_as(network.get_parameter("0.weight"))
    for output in range(6):
        for index in range(4 // groups):
            channel = index + output // (6 // groups) * (4 // groups)
            expected = inputs[:, channel].double().square().sum().sqrt()
            assert own[output, index, 0, 0] == pytest.approx(expected.item())
