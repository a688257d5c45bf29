"""Faster forms of layers: what a rewritten program calls in place of PyTorch's operations.

Images keep their channels last in memory. Each function returns fresh memory or a view of it and
changes no argument. Weights are prepared by functions too, so that a program prepares those of
unfiltered layers once, and that of a filtered layer again after each removal.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

# A convolution becomes one matrix on maps this small, if that costs little more than the taps that
# see the input. Beyond, PyTorch's own convolution of images with channels last is as fast.
_POSITIONS = 16
_COST = 1.35


@dataclass(frozen=True)
class Axis:
    """Geometry of a convolution along one axis.

    Args:
        size: Length of the input.
        kernel: Number of taps.
        stride: Step between outputs.
        padding: Zeros on either side.
        dilation: Step between taps.
    """

    size: int
    kernel: int
    stride: int
    padding: int
    dilation: int

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        span = self.dilation * (self.kernel - 1) + 1
        return (self.size + 2 * self.padding - span) // self.stride + 1

    def links(self) -> list[tuple[int, int, int]]:
        """Return each output, input and tap that meet; taps on padding meet nothing.

        Example:
            >>> Axis(size=2, kernel=3, stride=1, padding=1, dilation=1).links()
            [(0, 0, 1), (0, 1, 2), (1, 0, 0), (1, 1, 1)]
        """
        taps = []
        for output in range(self.outputs):
            for tap in range(self.kernel):
                index = output * self.stride - self.padding + tap * self.dilation
                if 0 <= index < self.size:
                    taps.append((output, index, tap))
        return taps

    def spans(self) -> list[tuple[int, int, int]]:
        """Return, for each output, the first input and the first tap that meet, and how many do.

        Only without dilation, where those that meet are neighbours.

        Example:
            >>> Axis(size=2, kernel=3, stride=1, padding=1, dilation=1).spans()
            [(0, 1, 2), (0, 0, 2)]
        """
        spans = []
        for output in range(self.outputs):
            first = output * self.stride - self.padding
            index = max(first, 0)
            spans.append((index, index - first, min(self.size, first + self.kernel) - index))
        return spans

    def trim(self) -> tuple[int, int, "Axis"]:
        """Return the first live tap, the number behind the last one, and the geometry left.

        Taps that only ever meet padding are dead. They are dropped in pairs, as the padding on
        both sides is the same.

        Example:
            >>> Axis(size=1, kernel=3, stride=1, padding=1, dilation=1).trim()[:2]
            (1, 2)
        """
        live = [tap for _, _, tap in self.links()]
        drop = min(min(live), self.kernel - 1 - max(live)) if live else 0
        drop = min(drop, self.padding // self.dilation)  # no convolution takes less than none
        left = Axis(
            self.size,
            self.kernel - 2 * drop,
            self.stride,
            self.padding - drop * self.dilation,
            self.dilation,
        )
        return drop, self.kernel - drop, left


def is_small(rows: Axis, columns: Axis) -> bool:
    """Return whether a map is so small that a matrix product may be the faster convolution."""
    return max(rows.size * columns.size, rows.outputs * columns.outputs) <= _POSITIONS


def worth_a_matrix(rows: Axis, columns: Axis) -> bool:
    """Return whether a convolution should become one matrix over all positions of its map."""
    inputs, outputs = rows.size * columns.size, rows.outputs * columns.outputs
    useful = len(rows.links()) * len(columns.links())
    return is_small(rows, columns) and inputs * outputs <= _COST * useful


def channels_last(inputs: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Return the images with their channels last in memory."""
    return inputs.contiguous(memory_format=torch.channels_last)


def cast(values: Float[Tensor, "*shape"], dtype: torch.dtype) -> Float[Tensor, "*shape"]:
    """Return values in another data type."""
    return values.to(dtype)


def scale_of(
    gain: Float[Tensor, " c"] | None, variance: Float[Tensor, " c"], eps: float
) -> Float[Tensor, " c"]:
    """Return the factor by which a batch norm in evaluation mode multiplies each channel."""
    scale = (variance.double() + eps).rsqrt()
    return (scale if gain is None else scale * gain.double()).to(variance.dtype)


def shift_of(
    scale: Float[Tensor, " c"],
    mean: Float[Tensor, " c"],
    bias: Float[Tensor, " c"] | None,
    before: Float[Tensor, " c"] | None = None,
) -> Float[Tensor, " c"]:
    """Return what a batch norm in evaluation mode adds to each channel.

    Args:
        scale: From ``scale_of``.
        mean: Running mean.
        bias: Bias of the batch norm.
        before: Bias of the convolution before it, if that is folded in.
    """
    centre = mean if before is None else mean - before
    return -centre * scale if bias is None else bias - centre * scale


def scale_weight(weight: Float[Tensor, " o *rest"], scale: Float[Tensor, " o"]) -> Tensor:
    """Return the weight of a convolution that a batch norm follows: one factor a channel."""
    return weight * scale.view(-1, *([1] * (weight.ndim - 1)))


def affine(
    inputs: Float[Tensor, "n c *rest"],
    scale: Float[Tensor, " c"],
    shift: Float[Tensor, " c"],
    relu: bool,
) -> Float[Tensor, "n c *rest"]:
    """Return a batch norm in evaluation mode, with a ReLU or not."""
    shape = (-1, *([1] * (inputs.ndim - 2)))
    result = torch.addcmul(shift.view(shape), inputs, scale.view(shape))
    return result.relu_() if relu else result


def add_relu(one: Tensor, other: Tensor) -> Tensor:
    """Return the ReLU of a sum."""
    return torch.add(one, other).relu_()


def taps_last(
    weight: Float[Tensor, "o c kh kw"], rows: Sequence[int], columns: Sequence[int]
) -> Float[Tensor, "o c h w"]:
    """Return some taps of a filter, channels last in memory."""
    return channels_last(weight[:, :, slice(*rows), slice(*columns)])


def convolve(
    inputs: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "o i kh kw"],
    bias: Float[Tensor, " o"] | None,
    geometry: Sequence[Sequence[int] | int],
    relu: bool,
) -> Float[Tensor, "n o y x"]:
    """Return a convolution, with a ReLU or not; ``geometry`` is what ``conv2d`` takes."""
    stride, padding, dilation, groups = geometry
    result = functional.conv2d(inputs, weight, bias, stride, padding, dilation, groups)  # pyright: ignore
    return result.relu_() if relu else result


def convolve_any(
    inputs: Float[Tensor, "n c *size"],
    weight: Float[Tensor, "o i *taps"],
    bias: Float[Tensor, " o"] | None,
    geometry: Sequence[Sequence[int] | int],
    relu: bool,
) -> Float[Tensor, "n o *out"]:
    """Return a convolution in one or three dimensions, with a ReLU or not."""
    stride, padding, dilation, groups = geometry
    function = functional.conv1d if inputs.ndim == 3 else functional.conv3d
    result = function(inputs, weight, bias, stride, padding, dilation, groups)  # pyright: ignore
    return result.relu_() if relu else result


def pointwise(
    inputs: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "o c 1 1"],
    bias: Float[Tensor, " o"] | None,
    stride: Sequence[int],
    relu: bool,
) -> Float[Tensor, "n o y x"]:
    """Return a 1 x 1 convolution as a matrix product over all positions."""
    picked = inputs[:, :, :: stride[0], :: stride[1]].permute(0, 2, 3, 1)
    flat = product(picked.reshape(-1, picked.shape[-1]), weight.flatten(1), bias, relu)
    return flat.view(*picked.shape[:3], -1).permute(0, 3, 1, 2)


def pointwise_onto(
    total: Float[Tensor, "n o y x"],
    inputs: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "o c 1 1"],
    stride: Sequence[int],
    relu: bool,
) -> Float[Tensor, "n o y x"]:
    """Return a sum of a 1 x 1 convolution and ``total``, with a ReLU or not."""
    sums = total.permute(0, 2, 3, 1)
    picked = inputs[:, :, :: stride[0], :: stride[1]].permute(0, 2, 3, 1)
    flat = picked.reshape(-1, picked.shape[-1])
    flat = product(flat, weight.flatten(1), sums.reshape(-1, sums.shape[-1]), relu)
    return flat.view(sums.shape).permute(0, 3, 1, 2)


def some_inputs(
    weight: Float[Tensor, "o c kh kw"], start: int, stop: int
) -> Float[Tensor, "o part kh kw"]:
    """Return what a filter does to some of its input channels."""
    return weight[:, start:stop]


def by_position(weight: Float[Tensor, "o c kh kw"]) -> Float[Tensor, "kh kw c o"]:
    """Return a filter in the order that ``by_strips`` takes."""
    return weight.permute(2, 3, 1, 0).contiguous()


def by_strips(
    inputs: Float[Tensor, "n c h w"],
    taps: Float[Tensor, "kh kw c o"],
    bias: Float[Tensor, " o"] | None,
    rows: Axis,
    columns: Axis,
    relu: bool,
) -> Float[Tensor, "n o y x"]:
    """Return a convolution as a matrix product for each output position and row of taps.

    What would meet padding is left out, which on a small map is a good part of the work.
    """
    last = inputs.permute(0, 2, 3, 1).contiguous()
    shape = (len(inputs), rows.outputs, columns.outputs, taps.shape[3])
    result = last.new_zeros(shape) if bias is None else bias.expand(shape).contiguous()
    for x, (first, tap, count) in enumerate(columns.spans()):
        for y, row, i in rows.links() if count > 0 else ():
            strip = last[:, row, first : first + count].flatten(1)
            result[:, y, x].addmm_(strip, taps[i, tap : tap + count].flatten(0, 1))
    return (result.relu_() if relu else result).permute(0, 3, 1, 2)


def matrix_of(
    weight: Float[Tensor, "o c kh kw"], rows: Axis, columns: Axis
) -> Float[Tensor, "y_x_o h_w_c"]:
    """Return the matrix of a convolution: output positions x channels by input ones."""
    taps = weight.permute(2, 3, 0, 1)
    if weight.shape[2:].numel() > 1:
        taps = taps.contiguous()
    shape = (rows.outputs, columns.outputs, weight.shape[0])
    matrix = weight.new_zeros(*shape, rows.size, columns.size, weight.shape[1])
    for y, h, i in rows.links():
        for x, w, j in columns.links():
            matrix[y, x, :, h, w] = taps[i, j]
    return matrix.view(-1, rows.size * columns.size * weight.shape[1])


def repeat_bias(bias: Float[Tensor, " o"] | None, times: int) -> Float[Tensor, " y_x_o"] | None:
    """Return a bias once for each output position."""
    return None if bias is None else bias.repeat(times)


def by_matrix(
    inputs: Float[Tensor, "n c h w"],
    matrix: Float[Tensor, "y_x_o h_w_c"],
    bias: Float[Tensor, " y_x_o"] | None,
    size: Sequence[int],
    relu: bool,
) -> Float[Tensor, "n o y x"]:
    """Return a convolution by its matrix, on maps that end up of ``size``."""
    flat = product(inputs.permute(0, 2, 3, 1).reshape(len(inputs), -1), matrix, bias, relu)
    return flat.view(len(inputs), *size, -1).permute(0, 3, 1, 2)


def product(
    inputs: Float[Tensor, "rows i"],
    weight: Float[Tensor, "o i"],
    bias: Float[Tensor, "*each o"] | None,
    relu: bool,
) -> Float[Tensor, "rows o"]:
    """Return a linear layer, with a ReLU or not; its bias may differ from row to row."""
    turned = weight.t()
    result = inputs @ turned if bias is None else torch.addmm(bias, inputs, turned)
    return result.relu_() if relu else result


def shuffle(inputs: Float[Tensor, "n c h w"], groups: int) -> Float[Tensor, "n c h w"]:
    """Return the channels dealt out over groups, as ShuffleNet does."""
    last = inputs.permute(0, 2, 3, 1)
    dealt = last.unflatten(3, (groups, -1)).transpose(3, 4).reshape(last.shape)
    return dealt.permute(0, 3, 1, 2)
