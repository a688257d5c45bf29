"""Each form of a convolution against PyTorch's own."""

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from hormesis.engine import kernels
from hormesis.engine.kernels import Axis

axes = st.builds(
    Axis,
    size=st.integers(1, 5),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 3),
    dilation=st.integers(1, 2),
)


@given(axes, axes, st.booleans(), st.booleans())
@settings(deadline=None)
def test_every_form_is_the_convolution(rows: Axis, columns: Axis, biased: bool, relu: bool) -> None:
    assume(rows.outputs > 0 and columns.outputs > 0)
    generator = torch.Generator().manual_seed(rows.size + 7 * columns.kernel)
    inputs = torch.rand(3, 2, rows.size, columns.size, generator=generator).double() - 0.5
    weight = torch.rand(5, 2, rows.kernel, columns.kernel, generator=generator).double() - 0.5
    bias = torch.rand(5, generator=generator).double() if biased else None
    stride, padding, dilation = (
        (getattr(rows, name), getattr(columns, name)) for name in ("stride", "padding", "dilation")
    )
    expected = functional.conv2d(inputs, weight, bias, stride, padding, dilation)
    expected = expected.relu() if relu else expected

    (top, bottom, rows), (left, right, columns) = rows.trim(), columns.trim()
    weight = kernels.taps_last(weight, (top, bottom), (left, right))
    size = (rows.outputs, columns.outputs)
    matrix = kernels.matrix_of(weight, rows, columns)
    repeated = kernels.repeat_bias(bias, size[0] * size[1])
    found = kernels.by_matrix(inputs, matrix, repeated, size, relu)
    torch.testing.assert_close(found, expected)
    if columns.dilation == 1:
        taps = kernels.by_position(weight)
        found = kernels.by_strips(inputs, taps, bias, rows, columns, relu)
        torch.testing.assert_close(found, expected)
    sides = [(axis.stride, axis.padding, axis.dilation) for axis in (rows, columns)]
    geometry = [*zip(*sides, strict=True), 1]
    torch.testing.assert_close(kernels.convolve(inputs, weight, bias, geometry, relu), expected)


def test_a_join_is_mixed_part_by_part() -> None:
    generator = torch.Generator().manual_seed(0)
    parts = [torch.rand(4, channels, 3, 3, generator=generator).double() for channels in (2, 5)]
    weight = torch.rand(6, 7, 1, 1, generator=generator).double() - 0.5
    bias = torch.rand(6, generator=generator).double()
    expected = functional.conv2d(torch.cat(parts, 1), weight, bias, 2).relu()
    total = kernels.pointwise(parts[0], kernels.some_inputs(weight, 0, 2), bias, (2, 2), False)
    kept = total.clone()
    share = kernels.some_inputs(weight, 2, 7)
    found = kernels.pointwise_onto(total, parts[1], share, (2, 2), True)
    torch.testing.assert_close(found, expected)
    assert torch.equal(total, kept)
