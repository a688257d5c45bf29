"""The kind of a parameter and its output channels, from the module that owns it."""

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from hormesis.models.adapter import AdaptedNetwork
from hormesis.models.normalization import Normalized

OTHER = "other"
_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm)


def public_name(network: nn.Module, parameter: str) -> str:
    """Return a parameter's name without the prefixes of the wrappers of this package."""
    while isinstance(network, AdaptedNetwork | Normalized):
        network, parameter = network.network, parameter.removeprefix("network.")
    return parameter


def own_network(network: nn.Module) -> nn.Module:
    """Return the user's network without the wrappers of this package."""
    while isinstance(network, AdaptedNetwork | Normalized):
        network = network.network
    return network


def channel_axis(network: nn.Module, parameter: str) -> int:
    """Return the axis of a parameter along which its output channels lie, as its module has them.

    Example:
        >>> channel_axis(nn.ConvTranspose2d(2, 3, 1), "weight")
        1
    """
    owner = network.get_submodule(parameter.rpartition(".")[0])
    # A transposed convolution keeps its input channels first, an embedding its vocabulary.
    return int(isinstance(owner, (_ConvTransposeNd, nn.Embedding, nn.EmbeddingBag)))


def kind_by_module(network: nn.Module, name: str) -> str:
    """Return the kind of a parameter, from its owner and its own name (METHOD, "Targets").

    Example:
        >>> kind_by_module(nn.Conv2d(1, 2, 3), "weight"), kind_by_module(nn.Conv2d(1, 2, 3), "bias")
        ('convolution', 'bias')
    """
    path, _, leaf = name.rpartition(".")
    if "parametrizations." in name:
        path, _, original = name.partition("parametrizations.")
        path, leaf = path.removesuffix("."), original
    owner = network.get_submodule(path)
    if leaf.startswith("bias") or leaf.endswith("bias"):
        return "bias"
    if leaf.endswith(("_g", ".original0")):  # the gain of a weight normalisation
        return "norm"
    kinds: tuple[tuple[Any, str], ...] = (
        (_ConvNd, "convolution"),
        ((nn.Linear, nn.Bilinear), "linear"),
        (nn.MultiheadAttention, "attention"),
        ((nn.RNNBase, nn.RNNCellBase), "recurrent"),
        ((nn.Embedding, nn.EmbeddingBag), "embedding"),
        (_NORMS, "norm"),
    )
    for owners, kind in kinds:
        if isinstance(owner, owners):
            return kind
    # Networks bring their own LayerNorm2d, RMSNorm and the like.
    return "norm" if "norm" in type(owner).__name__.lower() else OTHER
