"""Evaluation mode for measurements, with the network restored afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[nn.Module]:
    """Put the network into evaluation mode, without gradients, for a ``with`` block.

    Inside, every module is in evaluation mode and no parameter or buffer requires a gradient.
    Afterwards, also after an exception, the mode of every module and ``requires_grad`` and
    ``.grad`` of every parameter and buffer are restored. Blocks may be nested.

    Args:
        network: The network; its modules may be in different modes.

    Yields:
        The same network.

    Example:
        >>> network = nn.Dropout().train()
        >>> with evaluation_mode(network):
        ...     network.training
        False
        >>> network.training
        True
    """
    modes = [(module, module.training) for module in network.modules()]
    tensors = [tensor for tensor in (*network.parameters(), *network.buffers()) if tensor.is_leaf]
    gradients = [(tensor, tensor.requires_grad, tensor.grad) for tensor in tensors]
    try:
        for module, _ in modes:
            # Not network.eval(): an overridden train() may do more than set the flag, such as
            # merging weights, and what it does could not be taken back exactly.
            module.training = False
        for tensor, required_grad, _ in gradients:
            if required_grad:
                tensor.requires_grad_(False)
        yield network
    finally:
        for module, mode in modes:
            module.training = mode
        for tensor, required_grad, gradient in gradients:
            if tensor.requires_grad != required_grad:
                tensor.requires_grad_(required_grad)
            if tensor.grad is not gradient:
                tensor.grad = gradient
