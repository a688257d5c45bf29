"""A first layer for images of about 32×32 pixels, replacing one made for 224×224."""

from torch import nn

from hormesis.errors import ModelError


def with_small_stem(network: nn.Module) -> nn.Module:
    """Give a convolutional network a stem that keeps the resolution of small images.

    The first convolution becomes 3×3 with stride 1, and the pooling between it and the next
    convolution, if any, is removed: the variant for CIFAR10 of He et al. 2016 (arXiv:1512.03385,
    section 4.2). The network is changed in place, before it is trained.

    Args:
        network: Freshly built; the weights of its first convolution are drawn again.

    Raises:
        ModelError: If the network does not start with an ordinary two-dimensional convolution.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 7, stride=2), nn.MaxPool2d(2), nn.Flatten())
        >>> print(with_small_stem(network))
        Sequential(
          (0): Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
          (1): Identity()
          (2): Flatten(start_dim=1, end_dim=-1)
        )
    """
    layers = [
        (name, layer)
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.Linear)
    ]
    name, first = layers[0] if layers else ("", None)
    if not isinstance(first, nn.Conv2d) or not name or first.groups != 1:
        raise ModelError(
            "A small stem takes the place of a first convolution, which the network "
            f"{type(network).__name__} does not start with: leave `stem` at 'standard'."
        )
    bias = first.bias is not None
    small = nn.Conv2d(first.in_channels, first.out_channels, 3, padding=1, bias=bias)
    network.set_submodule(name, small)
    if len(layers) > 1 and isinstance(layers[1][1], nn.MaxPool2d):
        network.set_submodule(layers[1][0], nn.Identity())
    return network
