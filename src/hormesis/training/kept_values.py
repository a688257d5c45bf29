"""A network with the filters of an applied network put in, whose zeros stay zero."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from hormesis.errors import ModelError
from hormesis.models.fingerprint import network_fingerprint
from hormesis.results.applied import Applied
from hormesis.stress.kinds import own_network, public_name

Kept = Mapping[str, Bool[Tensor, "..."]]


def kept_values(network: nn.Module, applied: Applied | None) -> Kept:
    """Return what an applied network keeps, by the names that its parameters have in ``network``.

    Args:
        network: The user's network, or the same behind a normalisation.
        applied: The applied network; nothing is returned for None.

    Raises:
        ModelError: If the network has no such parameter, or one of another shape.
    """
    parameters = dict(network.named_parameters())
    names = {public_name(network, name): name for name in parameters}
    kept = {}
    for own_name, mask in ({} if applied is None else applied.masks).items():
        name = names.get(own_name, "")
        shape = tuple(parameters[name].shape) if name else None
        if shape != mask.shape:
            raise ModelError(
                f"The applied network has {own_name} of shape {list(mask.shape)}, the network "
                f"{'none' if shape is None else list(shape)}: it is another network."
            )
        kept[name] = torch.from_numpy(mask)
    return kept


@torch.no_grad()
def put_in(network: nn.Module, applied: Applied) -> None:
    """Zero in a network what an applied network lacks.

    Args:
        network: The network of the study; it is changed in place.
        applied: The applied network.

    Raises:
        ModelError: If the result is not the applied network, bit for bit.
    """
    parameters = dict(network.named_parameters())
    for name, mask in kept_values(network, applied).items():
        parameters[name].masked_fill_(~mask.to(parameters[name].device), 0.0)
    check_applied(network, applied)


def check_applied(network: nn.Module, applied: Applied) -> None:
    """Refuse a network that is not the applied one.

    Raises:
        ModelError: It names the folder.
    """
    if network_fingerprint(own_network(network)) != applied.metadata.result.fingerprint:
        raise ModelError(
            f"The network is not the applied one in {applied.folder}: its values are others."
        )
