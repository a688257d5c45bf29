"""A stem for small images: what it changes, and what it leaves."""

import pytest
import torch
from torch import nn

from hormesis.errors import ModelError, SettingError
from hormesis.models.networks import PAPER, build_model
from hormesis.models.small_stem import with_small_stem


@pytest.mark.parametrize("name", PAPER)
def test_the_paper_s_networks_keep_the_resolution(name):
    network = build_model(name, classes=10, channels=1, stem="small").eval()
    first = next(layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
    assert (first.in_channels, first.kernel_size, first.stride) == (1, (3, 3), (1, 1))
    sizes = []

    def note(layer, inputs):
        sizes.append(tuple(inputs[0].shape[2:]))

    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    for layer in convolutions[:2]:
        layer.register_forward_pre_hook(note)
    with torch.no_grad():
        assert network(torch.rand(2, 1, 32, 32)).shape == (2, 10)
    assert sizes == [(32, 32), (32, 32)]


@pytest.mark.parametrize("name", PAPER)
def test_everything_behind_the_stem_stays(name):
    usual = build_model(name, classes=10, channels=3)
    small = build_model(name, classes=10, channels=3, stem="small")
    one, other = usual.state_dict(), small.state_dict()
    assert one.keys() == other.keys()
    first = next(iter(one))
    assert [key for key in one if one[key].shape != other[key].shape] in ([first], [])
    assert all(torch.equal(one[key], other[key]) for key in list(one)[2:])


def test_the_seed_decides_the_stem_too():
    networks = [
        build_model("resnet18", classes=2, channels=1, seed=seed, stem="small")
        for seed in (0, 0, 1)
    ]
    weights = [network.get_parameter("conv1.weight") for network in networks]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(4, 2)),
        nn.Linear(4, 2),
        nn.Conv2d(1, 2, 3),
        nn.Sequential(nn.Conv2d(2, 2, 3, groups=2)),
        nn.Sequential(nn.Linear(4, 2), nn.Conv2d(1, 2, 3)),
    ],
)
def test_a_network_without_such_a_stem_is_refused(network):
    with pytest.raises(ModelError, match="leave `stem` at 'standard'"):
        with_small_stem(network)


def test_an_unknown_stem_is_refused():
    with pytest.raises(SettingError, match=r"Unknown stem 'smal'\. Did you mean small"):
        build_model("resnet18", classes=2, channels=1, stem="smal")
