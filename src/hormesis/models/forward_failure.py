"""Why a network cannot run on the inputs that it was given, in a sentence."""

import inspect
import re
from collections.abc import Mapping

from torch import Tensor, nn

from hormesis.data.embedded import without_perturbation
from hormesis.data.trees import Tree, tensors_in
from hormesis.errors import quoted

CHANNELS = re.compile(r"expected input\[([\d, ]+)\] to have (\d+) channels?, but got (\d+)")
_LOOK_UP = ("argument #1 'indices'", "used as indices")  # of an embedding, and of indexing
_NAMES = 8  # of arguments that a sentence lists


def forward_failure(network: nn.Module, inputs: Tree, error: BaseException) -> str:
    """Return the sentence on a network that cannot run.

    Args:
        network: The network, as its user made it.
        inputs: What it was given.
        error: What it raised.

    Example:
        >>> import torch
        >>> forward_failure(nn.Embedding(9, 2), torch.zeros(2, 3), RuntimeError("used as indices"))
        'The network looks up whole numbers, such as token ids, and got float32 of shape [2, 3]: \
pass them as `ids.long()`.'
    """
    inputs = without_perturbation(inputs)
    said, tensors = str(error), tensors_in(inputs)
    match = CHANNELS.search(said)
    # Only the first layer sees the inputs' own shape; deeper mismatches are the network's fault.
    if match and isinstance(inputs, Tensor) and _lengths(match[1]) == list(inputs.shape):
        return _on_channels(inputs, int(match[2]), int(match[3]))
    what = _described(inputs)
    floating = [one for one in tensors if one.is_floating_point()]
    if floating and any(words in said for words in _LOOK_UP):
        return (
            f"The network looks up whole numbers, such as token ids, and got {_typed(floating[0])}:"
            " pass them as `ids.long()`."
        )
    whole = [one for one in tensors if not one.is_floating_point() and one.numel()]
    if whole and isinstance(error, IndexError) and "out of range" in said:
        top = max(int(one.max()) for one in whole)
        return (
            f"The network looks up a number that it does not have, on {what}: check that token ids,"
            f" here up to {top}, are below the size of its vocabulary, and lengths within its own."
        )
    misfit = _misfit(network, inputs)
    if misfit:
        return f"The network cannot run on {what}: {misfit}."
    return f"The network cannot run on {what}: {quoted(error)}"


def _lengths(listed: str) -> list[int]:
    return [int(length) for length in listed.split(",")]


def _on_channels(inputs: Tensor, expected: int, given: int) -> str:
    shape = list(inputs.shape)
    remedy = f"pass a network made for {given} channel(s)"
    if shape[-1] == expected:
        order = ", ".join(map(str, (0, len(shape) - 1, *range(1, len(shape) - 1))))
        remedy = f"move the channels, here the last axis, with `inputs.permute({order})`"
    return (
        f"The network takes {expected} input channel(s) and the data have {given}, in inputs of "
        f"shape {shape}: {remedy}."
    )


def _misfit(network: nn.Module, inputs: Tree) -> str:
    """Return why inputs do not fit the arguments of a network, if they do not."""
    forward = inspect.signature(network.forward).parameters.values()
    if any(one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL) for one in forward):
        return ""
    names = ", ".join(repr(one.name) for one in list(forward)[:_NAMES])
    needed = [one.name for one in forward if one.default is one.empty]
    if isinstance(inputs, Mapping):
        known = {one.name for one in forward}
        unknown = [name for name in inputs if name not in known]
        missing = [name for name in needed if name not in inputs]
        if unknown and len(needed) > len(inputs) - len(unknown):
            return (
                f"its forward takes {names}, and not {unknown[0]!r}: rename this input, leave it "
                "out, or name it as `label`"
            )
        return f"its forward also needs {missing[0]!r}: add this input" if missing else ""
    count = len(inputs) if isinstance(inputs, tuple | list) else 1
    if not len(needed) <= count <= len(forward):
        return f"its forward takes {names}, and got {count} input(s): pass a tuple of as many"
    return ""


def _described(inputs: Tree) -> str:
    """Return what a network was given, as part of a sentence."""
    if isinstance(inputs, Tensor):
        return f"inputs of shape {list(inputs.shape)}"
    if isinstance(inputs, Mapping):
        named = {name: part for name, part in inputs.items() if isinstance(part, Tensor)}
        listed = ", ".join(f"{name!r} {list(part.shape)}" for name, part in named.items())
        return f"the inputs {listed}"
    return f"{len(inputs)} inputs of shapes {[list(one.shape) for one in tensors_in(inputs)]}"


def _typed(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {list(tensor.shape)}"
