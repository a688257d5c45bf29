"""Normalisation inside the network, so that inputs, bounds and epsilon stay in pixel units."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from hormesis.errors import ModelError
from hormesis.settings.factory import is_factory


class Normalized(nn.Module):
    """A network behind ``(inputs - mean) / std``, taken channel by channel.

    Made by :func:`normalized`, which checks the numbers.

    Args:
        network: The network that expects normalised inputs; it is not copied.
        mean: Mean of each channel, in input units.
        std: Standard deviation of each channel, in input units, above 0.
    """

    mean: Float[Tensor, " channels"]
    std: Float[Tensor, " channels"]

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        """Put mean and standard deviation on the device of the first parameter."""
        super().__init__()
        first = next(network.parameters(), None)
        device = torch.device("cpu") if first is None else first.device
        self.network = network
        self.register_buffer("mean", torch.tensor(list(mean), device=device), persistent=False)
        self.register_buffer("std", torch.tensor(list(std), device=device), persistent=False)
        self.training = network.training

    def forward(self, inputs: Shaped[Tensor, "batch ..."]) -> Any:  # noqa: ANN401
        """Return the output of the network for the normalised inputs.

        Args:
            inputs: Floating-point, in input units, of shape ``[batch, channels, *spatial]`` with
                any number of spatial dimensions.

        Raises:
            ModelError: When the channels of the inputs are not those of ``mean`` and ``std``, or
                the inputs are integers.
        """
        channels = self.mean.numel()
        if inputs.ndim < 2 or inputs.shape[1] != channels:
            raise ModelError(
                f"Expected inputs of shape [batch, {channels}, ...], as `mean` and `std` have "
                f"{channels} channel(s), got {list(inputs.shape)}."
            )
        if not inputs.is_floating_point():
            raise ModelError(f"Expected floating-point inputs to normalise, got {inputs.dtype}.")
        shape = (1, channels) + (1,) * (inputs.ndim - 2)
        mean = self.mean.to(inputs.dtype).view(shape)
        std = self.std.to(inputs.dtype).view(shape)
        return self.network((inputs - mean) / std)

    def extra_repr(self) -> str:
        """Return mean and standard deviation for ``print``."""
        return f"mean={self.mean.tolist()}, std={self.std.tolist()}"


def normalized(model: nn.Module, mean: Sequence[float], std: Sequence[float]) -> Normalized:
    """Return the network that takes inputs in pixel units and normalises them itself.

    ``model`` is neither copied nor changed, and its training or evaluation mode stays. The numbers
    are not saved with the weights: ``state_dict`` holds ``network.*`` only.

    Args:
        model: The network that expects normalised inputs.
        mean: Mean of each channel, in input units.
        std: Standard deviation of each channel, in input units, above 0.

    Raises:
        ModelError: When a number is not finite, ``std`` holds a value that is not above 0, their
            lengths differ, or ``model`` normalises already.

    Example:
        >>> model = normalized(nn.Flatten(), mean=[0.5], std=[0.25])
        >>> model(torch.tensor([[[0.5, 1.0]]]))
        tensor([[0., 2.]])
    """
    if any(isinstance(module, Normalized) for module in model.modules()):
        raise ModelError(
            "The network normalises its inputs already: pass the network inside it "
            "(`model.network`) to change `mean` and `std`."
        )
    if not mean or len(mean) != len(std):
        raise ModelError(
            f"Expected one `mean` and one `std` for each channel, got {len(mean)} and {len(std)}."
        )
    if not all(math.isfinite(value) for value in mean):
        raise ModelError(f"Expected `mean` to be finite, got {list(mean)}.")
    if not all(math.isfinite(value) and value > 0 for value in std):
        raise ModelError(f"Expected `std` to be finite and above 0, got {list(std)}.")
    return Normalized(model, mean, std)


def normalizes_by_default(model: object) -> bool:
    """Return whether a network normalises its inputs by default.

    Networks built by name do; a user's own network is left unchanged.

    Example:
        >>> normalizes_by_default("resnet18"), normalizes_by_default("my.nets:build")
        (True, False)
    """
    return isinstance(model, str) and not is_factory(model)


def normalization_of(network: nn.Module) -> dict[str, dict[str, list[float]]]:
    """Return the normalisation of a network as a manifest holds it; empty if it has none.

    Example:
        >>> normalization_of(normalized(nn.Identity(), [0.5], [0.25]))
        {'normalization': {'mean': [0.5], 'std': [0.25]}}
    """
    for module in network.modules():
        if isinstance(module, Normalized):
            numbers = {
                name: [float(str(value)) for value in getattr(module, name).cpu().numpy()]
                for name in ("mean", "std")
            }
            return {"normalization": numbers}
    return {}


def restore_normalization(network: nn.Module, recorded: object) -> nn.Module:
    """Return a network with the normalisation recorded in a manifest, unless it has it already.

    Raises:
        ModelError: If the record is not a mean and a standard deviation.
    """
    if normalization_of(network).get("normalization") == recorded:
        return network
    parts = recorded if isinstance(recorded, Mapping) else {}
    mean, std = (parts.get(name) for name in ("mean", "std"))
    for numbers in (mean, std):
        if not isinstance(numbers, list) or any(
            type(value) not in (int, float) for value in numbers
        ):
            raise ModelError(
                f"Expected a `mean` and a `std` of numbers as the `normalization` of a manifest, "
                f"got {recorded!r}."
            )
    return normalized(network, list(mean or ()), list(std or ()))
