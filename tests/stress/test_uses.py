"""The kind and the output channels of a parameter whose module tells nothing, by its use."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hormesis.settings.targets import Targets
from hormesis.stress.parts import Target
from hormesis.stress.targets import find_targets

Forward = Callable[[Tensor, Tensor], Tensor]
PICTURE = (2, 4, 5, 5)


class Layer(nn.Module):
    """A module of nobody's class, whose weight is used by any function."""

    def __init__(self, shape: tuple[int, ...], forward: Forward) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
        self.mask = torch.ones(shape)
        self.use = forward

    def forward(self, inputs: Tensor) -> Tensor:
        return self.use(inputs, self.table)


def found(shape: tuple[int, ...], forward: Forward, inputs: tuple[int, ...]) -> Target:
    (target,) = find_targets(
        Layer(shape, forward).eval(), torch.ones(inputs), Targets(include=("*",))
    )
    return target


def standardised(weight: Tensor) -> Tensor:
    return (weight - weight.mean((1, 2, 3), keepdim=True)) / weight.std((1, 2, 3), keepdim=True)


def by_batch_norm(weight: Tensor) -> Tensor:
    flat = functional.batch_norm(weight.view(1, len(weight), -1), None, None, training=True)
    return flat.view_as(weight)


BY_USE = {
    # Of shape [out, in, ...] unless noted; x is the input, w the weight.
    "conv2d": ((3, 4, 2, 2), lambda x, w: functional.conv2d(x, w), PICTURE, "convolution", 0),
    "conv1d": ((3, 4, 2), lambda x, w: functional.conv1d(x, weight=w), (2, 4, 5), "convolution", 0),
    "transposed": ((4, 3, 2, 2), functional.conv_transpose2d, PICTURE, "convolution", 1),
    "standardised": (
        (3, 4, 2, 2),
        lambda x, w: functional.conv2d(x, standardised(w)),
        PICTURE,
        "convolution",
        0,
    ),
    "by batch norm": (
        (3, 4, 2, 2),
        lambda x, w: functional.conv2d(x, by_batch_norm(w)),
        PICTURE,
        "convolution",
        0,
    ),
    "linear": ((3, 4), functional.linear, (2, 4), "linear", 0),
    "linear, transposed": ((4, 3), lambda x, w: functional.linear(x, w.t()), (2, 4), "linear", 1),
    "transposed copy": (
        (4, 3),
        lambda x, w: functional.linear(x, w.T.contiguous()),
        (2, 4),
        "linear",
        1,
    ),
    "matmul": ((4, 3), lambda x, w: x @ w, (2, 4), "linear", 1),
    "weight first": ((3, 2), lambda x, w: w @ x, (2, 4), "linear", 0),
    "array first": ((4, 3), lambda x, w: w.__rmatmul__(x), (2, 4), "linear", 1),
    "mm": ((4, 3), torch.mm, (2, 4), "linear", 1),
    "addmm": ((4, 3), lambda x, w: torch.addmm(torch.ones(3), x, w), (2, 4), "linear", 1),
    "bmm": ((2, 4, 3), torch.bmm, (2, 5, 4), "linear", 2),
    "baddbmm": (
        (2, 4, 3),
        lambda x, w: torch.baddbmm(torch.ones(3), x, w),
        (2, 5, 4),
        "linear",
        2,
    ),
    "einsum": ((3, 4), lambda x, w: torch.einsum("oi,bi->bo", w, x), (2, 4), "linear", 0),
    "einsum by heads": (
        (2, 4, 3),
        lambda x, w: torch.einsum("bhi,hio->bho", x, w),
        (2, 2, 4),
        "linear",
        2,
    ),
    "an expert": (
        (5, 3, 4),
        lambda x, w: functional.linear(x, w[x.sum().long() % 5]),
        (2, 4),
        "linear",
        1,
    ),
    "cut": ((9, 4), lambda x, w: functional.linear(x, w.chunk(3)[1]), (2, 4), "linear", 0),
    "masked": (
        (3, 4),
        lambda x, w: functional.linear(x, w * torch.ones(3, 4)),
        (2, 4),
        "linear",
        0,
    ),
    "by data": ((3, 4), lambda x, w: functional.linear(x, w.data), (2, 4), "linear", 0),
}


@pytest.mark.parametrize("name", BY_USE)
def test_a_weight_that_enters_a_product_is_found_with_its_output_channels(name):
    shape, forward, inputs, kind, axis = BY_USE[name]
    target = found(shape, forward, inputs)
    assert (target.kind, target.axis) == (kind, axis)


NO_SINGLE_CHANNELS = ("bmm", "baddbmm", "einsum by heads", "an expert", "cut", "by batch norm")


@pytest.mark.parametrize("name", [name for name in BY_USE if name not in NO_SINGLE_CHANNELS])
def test_the_output_channel_of_a_weight_changes_its_own_outputs_alone(name):
    """Independent of how uses are read: what a channel's values reach, measured."""
    shape, forward, size, _, _ = BY_USE[name]
    layer = Layer(shape, forward).eval()
    inputs = torch.rand(size, generator=torch.Generator().manual_seed(1))
    selection = Targets(include=("*",), per="channel")
    channels = find_targets(layer, inputs, selection)
    before = layer(inputs).detach()
    axis = 0 if name == "weight first" else 1
    assert len(channels) == before.shape[axis]
    for index, channel in enumerate(channels):
        other = Layer(shape, forward).eval()
        with torch.no_grad():
            channel.parts[0].of(other.table).copy_(channel.parts[0].of(layer.table).flip(0) * 2 + 1)
        changed = (other(inputs) - before).abs() > 1e-6
        others = [number for number in range(before.shape[axis]) if number != index]
        assert not changed.index_select(axis, torch.tensor(others)).any()


NOT_BY_USE = {
    "added": ((1, 4), lambda x, w: x + w, (2, 4)),
    "scales the input": ((4,), lambda x, w: x * w, (2, 4)),
    "scales a weight": (
        (3,),
        lambda x, w: functional.linear(x, torch.ones(3, 4) * w[:, None]),
        (2, 4),
    ),
    "is the input of a layer": (
        (1, 4),
        lambda x, w: functional.linear(w.expand(2, 4), torch.ones(3, 4)) + x.sum(),
        (2, 4),
    ),
    "joined with the input": (
        (1, 4),
        lambda x, w: torch.cat([x, w.expand(2, 4)], 1) @ torch.ones(8, 2),
        (2, 4),
    ),
    "looked at": ((3, 4), lambda x, w: x * w.shape[0], (2, 4)),
}


@pytest.mark.parametrize("name", NOT_BY_USE)
def test_what_enters_no_product_as_a_weight_stays_other(name):
    shape, forward, inputs = NOT_BY_USE[name]
    assert found(shape, forward, inputs).kind == "other"


def test_factors_of_a_weight_are_of_its_kind():
    class LowRank(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frozen, self.down, self.up = (
                nn.Parameter(torch.rand(shape)) for shape in ((4, 6), (2, 6), (4, 2))
            )

        def forward(self, inputs: Tensor) -> Tensor:
            weight = self.frozen + self.up @ self.down
            return functional.conv1d(inputs[..., None], weight[..., None])[..., 0]

    targets = find_targets(LowRank().eval(), torch.ones(2, 6), Targets())
    assert {target.name: target.kind for target in targets} == dict.fromkeys(
        ("frozen", "down", "up"), "convolution"
    )
    assert all(target.tested for target in targets)


def test_layers_of_transformers_keep_their_outputs_last():
    from transformers.pytorch_utils import Conv1D

    layer = nn.Sequential(Conv1D(6, 4), nn.Flatten())
    targets = find_targets(layer.eval(), torch.ones(2, 4), Targets(per="channel"))
    tested = [target for target in targets if target.tested]
    assert [target.name for target in tested] == [f"0.weight[{index}]" for index in range(6)]
    assert {target.parts[0].axis for target in tested} == {1}
    assert {target.kind for target in tested} == {"linear"}


def test_the_class_of_a_module_goes_before_the_use():
    network = nn.Embedding(4, 4)

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = network

        def forward(self, inputs: Tensor) -> Tensor:
            return inputs @ self.words.weight

    (target,) = find_targets(Tied().eval(), torch.ones(2, 4), Targets(include=("*",)))
    assert (target.kind, target.axis) == ("embedding", None)
