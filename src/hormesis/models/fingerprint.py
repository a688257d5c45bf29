"""The identity of a network: its name, and a hash of all its values."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hormesis.models.adapter import inner_network
from hormesis.models.normalization import Normalized


def network_name(network: nn.Module) -> str:
    """Return the name of a network's class, without the normalisation around it.

    Example:
        >>> network_name(nn.Linear(1, 1))
        'Linear'
    """
    inner = inner_network(network)
    inner = inner.network if isinstance(inner, Normalized) else inner
    return type(inner).__name__


def network_fingerprint(network: nn.Module) -> str:
    """Return a SHA-256 over the names, types, shapes and bytes of all parameters and buffers."""
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    return tensors_fingerprint(tensors)


def tensors_fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """Return a SHA-256 over the names, types, shapes and bytes of tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)};".encode())
        digest.update(values.view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
