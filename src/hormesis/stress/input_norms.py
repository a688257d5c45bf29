"""The norms of what goes into layers, which Wanda's score needs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from hormesis.data.samples import Samples
from hormesis.data.trees import in_batches
from hormesis.models.adapter import outputs_of
from hormesis.models.eval_mode import evaluation_mode

_BATCH = 128


def input_norms(
    network: nn.Module, samples: Samples, parameters: Sequence[str], device: torch.device
) -> dict[str, Tensor]:
    """Return the L2 norm, over samples and positions, of the input behind each weight.

    Args:
        network: The network, which runs on the samples.
        samples: The samples.
        parameters: Names of weights.
        device: Where the network is.

    Returns:
        By name, a tensor that fits the weight when broadcast; weights of other layers than
        ``Linear`` and convolutions, and of those that did not run, are left out.
    """
    owners = {name: _owner(network, name) for name in parameters}
    known = {name: owner for name, owner in owners.items() if owner is not None}
    squares: dict[str, Tensor] = {}
    with _watching(known, squares), evaluation_mode(network), torch.no_grad():
        for _, inputs in in_batches(samples.inputs, _BATCH, device):
            outputs_of(network, inputs)
    return {name: _fit(known[name], total.sqrt()) for name, total in squares.items()}


def _owner(network: nn.Module, parameter: str) -> nn.Module | None:
    path, _, leaf = parameter.rpartition(".")
    owner = network.get_submodule(path)
    fits = isinstance(owner, nn.Linear | _ConvNd) and not isinstance(owner, _ConvTransposeNd)
    return owner if fits and leaf == "weight" else None


@contextmanager
def _watching(owners: dict[str, nn.Module], squares: dict[str, Tensor]) -> Iterator[None]:
    """Add up the squares of what goes into some layers, by the names of their weights."""

    def add(name: str, module: nn.Module, given: tuple[Any, ...]) -> None:
        inputs = given[0].detach().double()
        axis = inputs.ndim - 1 if isinstance(module, nn.Linear) else 1
        others = [other for other in range(inputs.ndim) if other != axis]
        total = inputs.square().sum(dim=others).cpu()
        squares[name] = squares[name] + total if name in squares else total

    hooks = [owner.register_forward_pre_hook(partial(add, name)) for name, owner in owners.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _fit(owner: nn.Module, norms: Tensor) -> Tensor:
    """Return norms in the axes of a weight, of which a convolution in groups sees some only."""
    if isinstance(owner, _ConvNd):
        weight, groups = owner.weight, owner.groups
        apart = norms.view(groups, 1, -1).expand(-1, len(weight) // groups, -1)
        return apart.reshape(len(weight), -1, *[1] * (weight.ndim - 2))
    return norms[None]
