import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hormesis.errors import ModelError
from hormesis.models.normalization import Normalized, normalized


def small(channels: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)
    )


def ready(channels: int = 3) -> nn.Sequential:
    network = small(channels)
    network(torch.zeros(2, channels, 8, 8))
    return network


@settings(max_examples=40, deadline=None)
@given(
    numbers=st.lists(st.tuples(st.floats(-3, 3), st.floats(0.01, 5)), min_size=1, max_size=4),
    spatial=st.lists(st.integers(1, 3), max_size=3),
    seed=st.integers(0, 100),
)
def test_equals_a_loop_over_channels(numbers, spatial, seed):
    mean, std = [m for m, _ in numbers], [s for _, s in numbers]
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.rand(2, len(numbers), *spatial, generator=generator)
    expected = torch.empty_like(inputs)
    for sample in range(2):
        for channel in range(len(numbers)):
            expected[sample, channel] = (inputs[sample, channel] - mean[channel]) / std[channel]
    result = normalized(nn.Identity(), mean, std)(inputs)
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)


def test_worked_out_by_hand():
    model = normalized(nn.Identity(), mean=[0.5, 0.0], std=[0.25, 2.0])
    assert model(torch.tensor([[1.0, 1.0], [0.5, -4.0]])).tolist() == [[2.0, 0.5], [0.0, -2.0]]


@pytest.mark.parametrize("training", [True, False])
def test_the_given_network_is_kept_as_it_is(training):
    network = ready().train(training)
    network[1].train(not training)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    model = normalized(network, (0.1, 0.2, 0.3), (1.0, 1.0, 1.0))
    assert model.network is network
    assert [module.training for module in network.modules()] == modes
    assert model.training is training
    assert list(network.state_dict()) == list(before)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_the_numbers_are_not_saved_and_follow_the_device():
    model = normalized(ready(), (0.1, 0.2, 0.3), (1.0, 1.0, 1.0))
    assert {name.split(".")[0] for name in model.state_dict()} == {"network"}
    assert next(name for name, _ in model.named_parameters()) == "network.0.weight"
    on_meta = normalized(nn.Conv2d(1, 1, 1, device="meta"), [0.5], [1.0])
    assert on_meta.mean.device.type == "meta"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_precision_of_the_inputs_stays(dtype):
    model = normalized(nn.Identity(), [0.5], [0.25])
    assert model(torch.ones(1, 1, 2, 2, dtype=dtype)).dtype is dtype


def test_a_deep_copy_stands_on_its_own():
    model = normalized(ready(), (0.1, 0.2, 0.3), (0.5, 0.5, 0.5)).eval()
    inputs = torch.rand(2, 3, 8, 8)
    twin = copy.deepcopy(model)
    expected = model(inputs)
    with torch.no_grad():
        twin.get_parameter("network.0.weight").zero_()
    assert torch.equal(model(inputs), expected)
    assert not torch.equal(twin(inputs), expected)


def test_can_be_exported_with_a_dynamic_batch():
    model = normalized(ready(), (0.1, 0.2, 0.3), (0.5, 0.5, 0.5)).eval()
    batch = torch.export.Dim("batch", min=2, max=64)
    example, shapes = (torch.rand(2, 3, 8, 8),), ({0: batch},)
    program = torch.export.export(model, example, dynamic_shapes=shapes, strict=False)
    inputs = torch.rand(5, 3, 8, 8)
    torch.testing.assert_close(program.module()(inputs), model(inputs), rtol=1e-6, atol=1e-6)


def test_gradients_reach_the_inputs():
    inputs = torch.ones(1, 1, 2, 2, requires_grad=True)
    normalized(nn.Identity(), [0.5], [0.25])(inputs).sum().backward()
    assert inputs.grad is not None
    assert inputs.grad.unique().tolist() == [4.0]


@pytest.mark.parametrize(
    ("mean", "std", "words"),
    [
        ([0.5], [0.0], "`std` to be finite and above 0"),
        ([0.5], [-1.0], "`std` to be finite and above 0"),
        ([0.5], [float("nan")], "`std` to be finite and above 0"),
        ([0.5], [float("inf")], "`std` to be finite and above 0"),
        ([float("nan")], [1.0], "`mean` to be finite"),
        ([float("-inf")], [1.0], "`mean` to be finite"),
        ([0.5, 0.5], [1.0], "one `std` for each channel, got 2 and 1"),
        ([], [], "one `std` for each channel, got 0 and 0"),
    ],
)
def test_numbers_that_cannot_be_used_are_refused(mean, std, words):
    with pytest.raises(ModelError, match=words):
        normalized(nn.Identity(), mean, std)


def test_a_normalised_network_is_not_normalised_again():
    inner = normalized(nn.Identity(), [0.5], [1.0])
    for model in (inner, nn.Sequential(inner)):
        with pytest.raises(ModelError, match="normalises its inputs already"):
            normalized(model, [0.5], [1.0])
    assert isinstance(normalized(inner.network, [0.1], [1.0]), Normalized)


@pytest.mark.parametrize("shape", [(2, 1, 4, 4), (2, 4, 4, 4), (3,)])
def test_inputs_with_other_channels_are_refused(shape):
    model = normalized(nn.Identity(), [0.5] * 3, [1.0] * 3)
    with pytest.raises(ModelError, match=r"\[batch, 3, \.\.\.\].*3 channel"):
        model(torch.zeros(shape))


def test_integer_inputs_are_refused():
    with pytest.raises(ModelError, match=r"floating-point inputs.*uint8"):
        normalized(nn.Identity(), [0.5], [1.0])(torch.zeros(1, 1, 2, 2, dtype=torch.uint8))


def test_print_shows_the_numbers():
    assert "mean=[0.5], std=[0.25]" in repr(normalized(nn.Identity(), [0.5], [0.25]))
