"""Any network as a module of one argument and one result, which is what engines measure.

Networks take tensors, several inputs or keywords, in their own data type, and return logits or
whole structures. Inside an ``AdaptedNetwork`` all that is settled once: it takes the inputs of a
study as one tree of tensors, and returns one tensor whose first axis is the sample.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map, tree_structure, tree_unflatten

from hormesis.data.trees import Tree, count_rows, flat_rows, symbolic_rows, tensors_in
from hormesis.errors import HormesisError, ModelError, quoted, recipe
from hormesis.models.embedding_perturbation import EmbeddingPerturbation
from hormesis.models.forward_failure import forward_failure

WHOLE = "*"  # the output to measure is all that the network returns
Output = str | int | Callable[[Any], Any] | None
"""Which output is measured: its name, its place, a function of all of them, or None to find it."""


@dataclass(frozen=True)
class OutputForm:
    """The structure of all outputs of a network, to put them together again.

    Args:
        structure: Of the outputs, as PyTorch flattens them.
        shapes: Shape of one sample of each tensor; None for whatever is no tensor of samples.
        others: Leaves that are no tensors of samples.
    """

    structure: Any
    shapes: tuple[tuple[int, ...] | None, ...]
    others: tuple[Any, ...]

    def restore(self, flat: Tensor) -> Any:  # noqa: ANN401  (whatever the network returns)
        """Return the outputs from one row of numbers a sample, as ``flatten_outputs`` made them."""
        leaves, start = [], 0
        for shape, other in zip(self.shapes, self.others, strict=True):
            if shape is None:
                leaves.append(other)
                continue
            size = prod(shape)
            leaves.append(flat[:, start : start + size].reshape(-1, *shape))
            start += size
        return tree_unflatten(leaves, self.structure)


class AdaptedNetwork(nn.Module):
    """A network that takes the inputs of a study as one tree, and returns one tensor.

    Args:
        network: The network; it is not copied.
        output: Which of its outputs is measured.
        by_keyword: Whether a mapping of inputs goes to the network's parameters of these names.
        apart: Whether a tuple of inputs goes to its positional parameters, one by one.
        perturbation: How the inputs' perturbation of embeddings is added, if they have one.
    """

    def __init__(
        self,
        network: nn.Module,
        output: Output,
        *,
        by_keyword: bool,
        apart: bool,
        perturbation: EmbeddingPerturbation | None = None,
    ) -> None:
        """Note the data type that the network computes in."""
        super().__init__()
        self.network = network
        self.output, self.by_keyword, self.apart = output, by_keyword, apart
        self.perturbation = perturbation
        self.dtype = floating_type(network)
        self.training = network.training

    def forward(self, inputs: Tree) -> Tensor:
        """Return the measured output for a tree of inputs.

        Args:
            inputs: A tensor, or a structure of tensors; floating-point ones are cast to the type of
                the network.
        """
        return pick_output(self.run(inputs), self.output, symbolic_rows(inputs))

    def run(self, inputs: Tree) -> Any:  # noqa: ANN401  (whatever the network returns)
        """Return all that the network returns."""
        if self.perturbation is None:
            return self._run(inputs)
        with self.perturbation.added_to(self.network, inputs):
            return self._run(self.perturbation.own_inputs(inputs))

    def _run(self, inputs: Tree) -> Any:  # noqa: ANN401
        cast = tree_map(self._cast, inputs)
        if self.by_keyword and isinstance(cast, Mapping):
            return self.network(**cast)
        if self.apart and isinstance(cast, tuple | list):
            return self.network(*cast)
        return self.network(cast)

    def _cast(self, leaf: Any) -> Any:  # noqa: ANN401
        if isinstance(leaf, Tensor) and leaf.is_floating_point() and self.dtype is not None:
            return leaf.to(self.dtype)
        return leaf


def floating_type(network: nn.Module) -> torch.dtype | None:
    """Return the data type of the first floating-point parameter of a network; None without any.

    Example:
        >>> floating_type(nn.Linear(1, 1).half())
        torch.float16
    """
    tensors = (*network.parameters(), *network.buffers())
    return next((one.dtype for one in tensors if one.is_floating_point()), None)


def adapt(
    network: nn.Module,
    inputs: Tree,
    output: Output = None,
    perturbation: EmbeddingPerturbation | None = None,
) -> nn.Module:
    """Return a network as a module of one argument and one result.

    Args:
        network: Any network.
        inputs: A few of the study's inputs.
        output: Name, place, or function that picks the output to measure; None takes the logits, as
            ``pick_output`` finds them; ``"*"`` all of them.
        perturbation: How a perturbation of embeddings is added; the inputs need not have one.

    Returns:
        The network itself if it takes one tensor of its own data type and its output needs no
        choice; an ``AdaptedNetwork`` otherwise.

    Example:
        >>> adapt(nn.Linear(2, 2), torch.zeros(2, 2))
        Linear(in_features=2, out_features=2, bias=True)
        >>> type(adapt(nn.Bilinear(2, 2, 1), (torch.zeros(2, 2), torch.zeros(2, 2)))).__name__
        'AdaptedNetwork'
    """
    own = floating_type(network)
    if (
        isinstance(inputs, Tensor)
        and output is None
        and perturbation is None
        and (not inputs.is_floating_point() or own in (None, inputs.dtype))
    ):
        return network
    names, count, open_ended = _parameters(network)
    by_keyword = isinstance(inputs, Mapping) and (open_ended or {*inputs} <= {*names})
    apart = isinstance(inputs, tuple | list) and (count is None or count >= len(inputs))
    return AdaptedNetwork(
        network, output, by_keyword=by_keyword, apart=apart, perturbation=perturbation
    )


def _signature(network: nn.Module) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(network.forward).parameters.values())
    except (TypeError, ValueError):
        return []


def _parameters(network: nn.Module) -> tuple[list[str], int | None, bool]:
    """Return the names that ``forward`` knows, how many places, and whether it takes any name."""
    listed = _signature(network)
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [one.name for one in listed if one.kind is not inspect.Parameter.POSITIONAL_ONLY]
    any_place = any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in listed)
    any_name = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in listed)
    count = None if any_place else sum(one.kind in places for one in listed)
    return names, count, any_name


def pick_output(output: Any, which: Output, rows: Any) -> Tensor:  # noqa: ANN401
    """Return the tensor to measure of all that a network returned.

    Args:
        output: A tensor, a tuple, a mapping or an object with named outputs.
        which: Its name, its place, or a function of ``output``; ``"*"`` joins all of them, a row of
            numbers a sample; None takes the tensor itself, ``logits``, the only tensor of a
            structure, or the first of a tuple.
        rows: Number of samples, which an export makes a symbol.

    Raises:
        ModelError: If there is no such tensor, or its first axis is not the sample.

    Example:
        >>> both = (torch.zeros(2, 5), torch.ones(2, 3))
        >>> pick_output(both, 1, 2).shape
        torch.Size([2, 3])
    """
    if which == WHOLE:
        return flatten_outputs(output, rows)
    chosen = _choose(output, which)
    if not isinstance(chosen, Tensor):
        raise ModelError(
            "Expected the network to return logits: a tensor, an object or mapping with `logits`, "
            f"or a tuple that starts with them, got {type(output).__name__}{_names_of(output)}; "
            f"say with `output` which of them to measure{recipe('several-outputs')}."
        )
    if not chosen.is_floating_point() or chosen.ndim < 1 or chosen.shape[0] != rows:
        raise ModelError(
            f"Expected floating-point outputs with one row for each of the {rows} inputs, got "
            f"{str(chosen.dtype).removeprefix('torch.')} of shape {list(chosen.shape)}"
            f"{_names_of(output)}; say with `output` which of them to measure"
            f"{recipe('several-outputs')}."
        )
    return chosen


def outputs_of(network: nn.Module, inputs: Tree) -> Tensor:
    """Return the output of a network that is measured, one row a sample.

    Args:
        network: A network of one argument, such as ``adapt`` returns.
        inputs: A tensor, or a structure of tensors.

    Raises:
        ModelError: If the network cannot run on them; and see ``pick_output``.

    Example:
        >>> outputs_of(nn.Flatten(), torch.zeros(2, 3, 4)).shape
        torch.Size([2, 12])
    """
    try:
        output = network(inputs)
    except (HormesisError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # anything may come out of code that is not ours
        raise ModelError(forward_failure(inner_network(network), inputs, error)) from error
    return pick_output(output, None, symbolic_rows(inputs))


def unchecked(network: nn.Module, rows: Tree) -> Callable[[Tree], Tensor]:
    """Return the forward pass of a network of one argument without what looks at its results.

    What is traced for batches of any size must not ask for the size of this one.

    Args:
        network: A network of one argument, such as ``adapt`` returns.
        rows: A few of its inputs.
    """
    run, which = network.forward, None
    if isinstance(network, AdaptedNetwork):
        run, which = network.run, network.output
    if which != WHOLE:
        return lambda inputs: _choose(run(inputs), which)
    count = count_rows(rows)
    leaves = tree_leaves(run(rows))
    places = [place for place, leaf in enumerate(leaves) if _is_of_samples(leaf, count)]
    dtype = flatten_outputs(leaves, count).dtype

    def joined(inputs: Tree) -> Tensor:
        parts = tree_leaves(run(inputs))
        return torch.cat([flat_rows(parts[place]).to(dtype) for place in places], dim=1)

    return joined


def _choose(output: Any, which: Output) -> Any:  # noqa: ANN401
    if callable(which):
        try:
            return which(output)
        except Exception as error:  # anything may come out of code that is not ours
            raise ModelError(
                f"The function of `output` failed on {type(output).__name__}{_names_of(output)}: "
                f"{quoted(error)}"
            ) from error
    if isinstance(which, int):
        parts = list(output.values()) if isinstance(output, Mapping) else output
        if not isinstance(parts, tuple | list) or not -len(parts) <= which < len(parts):
            raise ModelError(
                f"Expected an output at place {which}, got {type(output).__name__}"
                f"{_names_of(output)}: choose one that there is."
            )
        return parts[which]
    if isinstance(which, str):
        found = output.get(which) if isinstance(output, Mapping) else getattr(output, which, None)
        if found is None:
            raise ModelError(
                f"Expected an output named {which!r}, got {type(output).__name__}"
                f"{_names_of(output)}: choose one that there is."
            )
        return found
    return _find_logits(output)


def _find_logits(output: Any) -> Any:  # noqa: ANN401
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        return output["logits"] if "logits" in output else _only(list(output.values()))
    if hasattr(output, "logits"):
        return output.logits
    if isinstance(output, tuple | list) and output:
        return output[0]
    return output


def _only(values: list[Any]) -> Any:  # noqa: ANN401
    """Return the only tensor among values, or None."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    return tensors[0] if len(tensors) == 1 else None


def _names_of(output: Any) -> str:  # noqa: ANN401
    """Return what a structure of outputs holds, as part of a sentence."""
    if isinstance(output, Mapping) and output:
        return f" with {', '.join(repr(str(name)) for name in list(output)[:8])}"
    if isinstance(output, tuple | list):
        return f" of {len(output)}"
    return ""


def flatten_outputs(output: Any, rows: Any) -> Tensor:  # noqa: ANN401
    """Return all tensors of samples in a structure as one row of numbers a sample.

    Raises:
        ModelError: If there are none.
    """
    parts = [leaf for leaf in tensors_in(output) if _is_of_samples(leaf, rows)]
    if not parts:
        raise ModelError(
            f"Expected outputs with one row for each of the {rows} inputs, got "
            f"{type(output).__name__}{_names_of(output)}."
        )
    dtype = next((part.dtype for part in parts if part.is_floating_point()), torch.float32)
    return torch.cat([flat_rows(part).to(dtype) for part in parts], dim=1)


def _is_of_samples(leaf: Any, rows: Any) -> bool:  # noqa: ANN401
    return isinstance(leaf, Tensor) and leaf.ndim > 0 and bool(leaf.shape[0] == rows)


def form_of(output: Any, rows: int) -> OutputForm:  # noqa: ANN401
    """Return the structure of all outputs of a network, which ``flatten_outputs`` takes apart."""
    leaves = tree_leaves(output)
    shapes = [tuple(leaf.shape[1:]) if _is_of_samples(leaf, rows) else None for leaf in leaves]
    others = [
        None if shape is not None else leaf for leaf, shape in zip(leaves, shapes, strict=True)
    ]
    return OutputForm(tree_structure(output), tuple(shapes), tuple(others))


def on_whole_output(
    function: Callable[[Any, Any], Tensor], form: OutputForm
) -> Callable[[Tensor, Any], Tensor]:
    """Return a function of flat outputs from one of all outputs of a network, as it returns them.

    Args:
        function: Takes all outputs, and labels.
        form: Their structure.
    """
    return partial(_restored, function, form)


def _restored(
    function: Callable[[Any, Any], Tensor],
    form: OutputForm,
    flat: Tensor,
    labels: Any,  # noqa: ANN401
) -> Tensor:
    return function(form.restore(flat), labels)


def inner_network(network: nn.Module) -> nn.Module:
    """Return the network inside an ``AdaptedNetwork``, or the network itself."""
    return network.network if isinstance(network, AdaptedNetwork) else network


def perturbation_of(network: nn.Module) -> EmbeddingPerturbation | None:
    """Return how the embeddings of a network are perturbed; None if they are not."""
    return network.perturbation if isinstance(network, AdaptedNetwork) else None


def described_output(network: nn.Module) -> dict[str, str | int]:
    """Return the choice of an output as a manifest holds it; empty if there is none."""
    output = network.output if isinstance(network, AdaptedNetwork) else None
    if callable(output):
        return {"output": getattr(output, "__qualname__", type(output).__name__)}
    return {} if output is None else {"output": output}
