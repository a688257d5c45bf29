"""Puts the faster forms of ``kernels.py`` into an exported graph."""

import operator
from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from hormesis.engine import kernels
from hormesis.engine.graph import last_relu
from hormesis.engine.kernels import Axis

_ATEN = torch.ops.aten
_NORM = _ATEN._native_batch_norm_legit_no_training.default
_LAST = "last"  # marks the ReLU behind the logits
_CONVOLUTIONS = (_ATEN.conv1d.default, _ATEN.conv2d.default, _ATEN.conv3d.default)


def rewrite(exported: ExportedProgram) -> None:
    """Replace layers by forms that take less time; results differ by rounding only.

    - Batch norm in evaluation mode goes into the convolution before it, or becomes one multiply
      and add; a ReLU behind either is done in the same place.
    - Images keep their channels last in memory.
    - On a tiny map a 1 x 1 convolution is a matrix product; others are one where that costs little
      more, and a sum of several where not. Filter taps that only ever meet padding are dropped.
    - Channels are not joined to be mixed at once: a 1 x 1 convolution takes them part by part.

    Args:
        exported: An exported network; its graph is changed in place.
    """
    graph = exported.graph
    _mark_last(graph)
    for node in list(graph.nodes):
        if node.target in _CONVOLUTIONS:
            _rewrite_convolution(graph, node)
        elif node.target is _NORM:
            _rewrite_norm(graph, node)
        elif node.target is _ATEN.relu.default:
            _rewrite_sum(graph, node)
        elif node.target is _ATEN.view.default:
            _rewrite_shuffle(graph, node)
    for join in graph.find_nodes(op="call_function", target=_ATEN.cat.default):
        _take_apart(graph, join)
    for node in list(graph.nodes):
        if node.target in (_ATEN.view.default, _ATEN._unsafe_view.default):
            node.target = torch.reshape  # a view asks for a layout that may be another one now
    if any(node.target in (kernels.convolve, kernels.pointwise) for node in graph.nodes):
        _place_channels_last(graph, exported.graph_signature.user_inputs)
    graph.eliminate_dead_code()


def round_to(exported: ExportedProgram, dtype: torch.dtype) -> None:
    """Let an exported network compute in another data type, and return its logits in its own.

    Parameters stay as they are until they are used, so that they are filtered exactly.

    Args:
        exported: An exported network; its graph is changed in place.
        dtype: Such as ``torch.bfloat16``.
    """
    graph = exported.graph
    first = next(node for node in graph.nodes if node.op != "placeholder")
    with graph.inserting_before(first):
        for node in graph.find_nodes(op="placeholder"):
            if node.users and _is_float(node):
                rounded = _call(graph, kernels.cast, node, dtype)
                rounded.meta["val"] = node.meta["val"]
                node.replace_all_uses_with(rounded)
                rounded.args = (node, dtype)
    end = graph.output_node()
    with graph.inserting_before(end):
        for node in end.all_input_nodes:
            if _is_float(node):
                back = _call(graph, kernels.cast, node, node.meta["val"].dtype)
                end.replace_input_with(node, back)


def _is_float(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _mark_last(graph: fx.Graph) -> None:
    """Mark the ReLU behind the logits: its input is asked for, see ``Program.before``."""
    for result in graph.output_node().all_input_nodes:
        relu = last_relu(result)
        if relu is not None:
            relu.meta[_LAST] = True


def _call(graph: fx.Graph, function: Callable[..., Any], *args: object) -> fx.Node:
    return graph.call_function(function, args)  # pyright: ignore[reportArgumentType]


def _replace(old: fx.Node, new: fx.Node) -> None:
    new.meta["val"] = old.meta["val"]
    old.replace_all_uses_with(new)


def _argument(node: fx.Node, index: int, name: str, default: Any) -> Any:  # noqa: ANN401
    return node.args[index] if len(node.args) > index else node.kwargs.get(name, default)


def _shape(node: Any) -> list[Any]:  # noqa: ANN401
    return list(node.meta["val"].shape)


def _only_user(node: fx.Node, target: object) -> fx.Node | None:
    """Return the one user of a node if it calls ``target``."""
    users = list(node.users)
    return users[0] if len(users) == 1 and users[0].target is target else None


def _normed(norm: fx.Node) -> fx.Node | None:
    """Return the result of a batch norm, unless its statistics are used too."""
    result = _only_user(norm, operator.getitem)
    return result if result is not None and result.args[1] == 0 else None


def _ends(node: fx.Node) -> tuple[fx.Node, bool]:
    """Return the last node of a layer, which is a ReLU behind it or itself."""
    relu = _only_user(node, _ATEN.relu.default)
    return (node, False) if relu is None or _LAST in relu.meta else (relu, True)


def _factors(graph: fx.Graph, norm: fx.Node, before: Any) -> tuple[fx.Node, fx.Node]:  # noqa: ANN401
    _, gain, bias, mean, variance, _, eps = norm.args
    scale = _call(graph, kernels.scale_of, gain, variance, eps)
    return scale, _call(graph, kernels.shift_of, scale, mean, bias, before)


def _rewrite_norm(graph: fx.Graph, norm: fx.Node) -> None:
    result = _normed(norm)
    if result is None:
        return
    end, relu = _ends(result)
    with graph.inserting_before(end):
        scale, shift = _factors(graph, norm, None)
        _replace(end, _call(graph, kernels.affine, norm.args[0], scale, shift, relu))


def _rewrite_convolution(graph: fx.Graph, node: fx.Node) -> None:
    inputs, weight = node.args[:2]
    bias = _argument(node, 2, "bias", None)
    end, relu = _ends(node)
    norm = _only_user(node, _NORM)
    result = None if norm is None else _normed(norm)
    if norm is not None and result is not None:
        end, relu = _ends(result)
    with graph.inserting_before(end):
        if norm is not None and result is not None:
            shape = _shape(weight)
            scale, bias = _factors(graph, norm, bias)
            weight = _call(graph, kernels.scale_weight, weight, scale)
            weight.meta["val"] = torch.empty(shape, device="meta")
        _replace(end, _form(graph, node, inputs, weight, bias, relu))


def _form(graph: fx.Graph, node: fx.Node, *parts: Any) -> fx.Node:  # noqa: ANN401
    """Return the fastest form of a convolution."""
    inputs, weight, bias, relu = parts
    dims = len(_shape(weight)) - 2
    stride, padding, dilation = (
        _each(_argument(node, index, name, default), dims)
        for index, name, default in ((3, "stride", 1), (4, "padding", 0), (5, "dilation", 1))
    )
    groups = _argument(node, 6, "groups", 1)
    if dims != 2:
        geometry = (stride, padding, dilation, groups)
        return _call(graph, kernels.convolve_any, inputs, weight, bias, geometry, relu)
    sizes = zip(_shape(inputs)[2:], _shape(weight)[2:], stride, padding, dilation, strict=True)
    (top, bottom, rows), (left, right, columns) = (Axis(*size).trim() for size in sizes)
    if (
        groups == 1
        and kernels.worth_a_matrix(rows, columns)
        and (rows.size, columns.size) != (1, 1)
    ):
        weight = _call(graph, kernels.taps_last, weight, (top, bottom), (left, right))
        matrix = _call(graph, kernels.matrix_of, weight, rows, columns)
        size = (rows.outputs, columns.outputs)
        bias = bias and _call(graph, kernels.repeat_bias, bias, size[0] * size[1])
        return _call(graph, kernels.by_matrix, inputs, matrix, bias, size, relu)
    weight = _call(graph, kernels.taps_last, weight, (top, bottom), (left, right))
    padding = (rows.padding, columns.padding)
    small = groups == 1 and kernels.is_small(rows, columns)
    mixes = groups == 1 and (rows.kernel, columns.kernel, *padding) == (1, 1, 0, 0)
    if mixes and (small or _is_joined(inputs)):
        return _call(graph, kernels.pointwise, inputs, weight, bias, stride, relu)
    if small and columns.dilation == 1:
        taps = _call(graph, kernels.by_position, weight)
        return _call(graph, kernels.by_strips, inputs, taps, bias, rows, columns, relu)
    geometry = (stride, padding, dilation, groups)
    return _call(graph, kernels.convolve, inputs, weight, bias, geometry, relu)


def _is_joined(node: fx.Node) -> bool:
    """Return whether channels of several values are joined here, or before pooling."""
    if node.target is _ATEN.max_pool2d.default:
        return _is_joined(node.all_input_nodes[0])
    return node.target is _ATEN.cat.default


def _take_apart(graph: fx.Graph, join: fx.Node) -> None:
    """Let pooling and 1 x 1 convolutions take the parts of a join one by one."""
    parts: Any = join.args[0]
    if _argument(join, 1, "dim", 0) not in (1, -3) or len(_shape(join)) != 4:
        return
    for user in list(join.users):
        with graph.inserting_before(user):
            if user.target is _ATEN.max_pool2d.default:
                pooled = [_pooled(graph, user, part) for part in parts]
                rejoined = _call(graph, _ATEN.cat.default, pooled, 1)
                _replace(user, rejoined)
                _take_apart(graph, rejoined)
            elif user.target is kernels.pointwise:
                _replace(user, _mixed(graph, user, parts))


def _pooled(graph: fx.Graph, pool: fx.Node, part: fx.Node) -> fx.Node:
    node = graph.call_function(_ATEN.max_pool2d.default, (part, *pool.args[1:]), pool.kwargs)
    node.meta["val"] = _ATEN.max_pool2d.default(part.meta["val"], *pool.args[1:], **pool.kwargs)
    return node


def _mixed(graph: fx.Graph, user: fx.Node, parts: Sequence[fx.Node]) -> fx.Node:
    """Return a 1 x 1 convolution of joined channels as a sum over what was joined."""
    _, weight, bias, stride, relu = user.args
    total, start = None, 0
    for number, part in enumerate(parts, start=1):
        stop = start + _shape(part)[1]
        share = _call(graph, kernels.some_inputs, weight, start, stop)
        ends = relu and number == len(parts)
        if total is None:
            total = _call(graph, kernels.pointwise, part, share, bias, stride, ends)
        else:
            total = _call(graph, kernels.pointwise_onto, total, part, share, stride, ends)
        start = stop
    assert total is not None, "a join has at least one part"
    return total


def _each(value: int | Sequence[int], dims: int) -> tuple[int, ...]:
    """Return one number for each dimension."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * dims if len(values) == 1 else values


def _rewrite_sum(graph: fx.Graph, relu: fx.Node) -> None:
    total = relu.args[0]
    if _LAST in relu.meta or not isinstance(total, fx.Node):
        return
    if _only_user(total, _ATEN.relu.default) is None:
        return
    if total.target is _ATEN.add.Tensor and not total.kwargs:
        one, other = total.args
        if isinstance(one, fx.Node) and isinstance(other, fx.Node):
            with graph.inserting_before(relu):
                _replace(relu, _call(graph, kernels.add_relu, one, other))


def _rewrite_shuffle(graph: fx.Graph, first: fx.Node) -> None:
    """Replace view, transpose, clone and view by one copy that keeps channels last."""
    swap = _only_user(first, _ATEN.transpose.int)
    clone = swap and _only_user(swap, _ATEN.clone.default)
    end = clone and _only_user(clone, _ATEN.view.default)
    source: Any = first.args[0]
    if end is None or swap is None or tuple(swap.args[1:]) != (1, 2):
        return
    before, inside, after = _shape(source), _shape(first), _shape(end)
    if len(before) == 4 and before == after and inside[3:] == before[2:] and len(inside) == 5:
        with graph.inserting_before(end):
            _replace(end, _call(graph, kernels.shuffle, source, inside[1]))


def _place_channels_last(graph: fx.Graph, inputs: Collection[object]) -> None:
    """Turn images around where they come in; what follows keeps their layout."""
    for node in graph.nodes:
        if node.op == "placeholder" and node.name in inputs and len(_shape(node)) == 4:
            with graph.inserting_after(node):
                turned = _call(graph, kernels.channels_last, node)
            turned.meta["val"] = node.meta["val"]
            node.replace_all_uses_with(turned)
            turned.args = (node,)
