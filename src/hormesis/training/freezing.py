"""Freezing parameters so that not a single bit of them changes."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.hooks import RemovableHandle

from hormesis.errors import ModelError, TrainingError
from hormesis.models.normalization import Normalized
from hormesis.stress.kinds import channel_axis
from hormesis.training.trainable_masks import TrainableMask


class Freezing:
    """Keeps the frozen part of a network unchanged while the rest is trained.

    Frozen tensors get ``requires_grad=False``, so that no optimiser updates them. Where only some
    channels of a tensor are trained, the gradient of the frozen channels is set to zero and their
    values are restored after every step, so that neither weight decay nor momentum changes them.
    Batch norms of frozen layers stay in evaluation mode.

    Args:
        network: The network; ``start`` changes it, ``stop`` restores its ``requires_grad``.
        masks: Which channels of every parameter are trained.
        batchnorm: ``"frozen"`` or ``"follow"``, see ``Selection``.
        kept: By name of the parameter in ``network``, True for each value that may be trained; all
            values of the others may.

    Raises:
        ModelError: If the parameters of the network are not those of the masks.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        >>> masks = [TrainableMask(f"{n}.{leaf}", "linear", size, (n == 1,), "")
        ...           for n in (0, 1) for leaf, size in (("weight", 4), ("bias", 2))]
        >>> freezing = Freezing(network, masks, batchnorm="frozen")
        >>> freezing.start()
        >>> optimizer = torch.optim.AdamW(freezing.parameters, weight_decay=0.1)
        >>> freezing.follow(optimizer)
        >>> _ = network(torch.ones(1, 2)).sum().backward()
        >>> _ = optimizer.step()
        >>> freezing.check()
        6
    """

    def __init__(
        self,
        network: nn.Module,
        masks: Iterable[TrainableMask],
        *,
        batchnorm: str,
        kept: Mapping[str, Bool[Tensor, "..."]] | None = None,
    ) -> None:
        """Find the tensors that belong to the masks."""
        self.network = network
        self.masks = tuple(masks)
        prefix = "network." if isinstance(network, Normalized) else ""
        parameters = dict(network.named_parameters())
        self._by_name = {f"{prefix}{mask.parameter}": mask for mask in self.masks}
        _check_names(self._by_name, parameters)
        self._masks = {
            name: _mask(network, name, parameters[name], mask)
            for name, mask in self._by_name.items()
        }
        for name, values in (kept or {}).items():
            self._masks[name] = self._masks[name] & values
        self._frozen_norms = self._find_frozen_norms() if batchnorm == "frozen" else {}
        self._frozen_copies: dict[str, Tensor] = {}
        self._requires_grad: dict[str, bool] = {}
        self._hooks: list[RemovableHandle] = []

    @property
    def frozen_values(self) -> int:
        """Number of frozen values: parameters, and statistics of batch norms."""
        return sum(value.numel() for _, value in self._named_frozen_values())

    @property
    def statistics(self) -> tuple[str, ...]:
        """Names of the batch norms whose running statistics are frozen."""
        return tuple(self._frozen_norms)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters for the optimiser: those that are trained as a whole or in part."""
        return [value for name, value in self.network.named_parameters() if self._is_trained(name)]

    def start(self) -> None:
        """Freeze, and remember every frozen value; does nothing if already started."""
        if self._requires_grad:
            return
        for name, parameter in self.network.named_parameters():
            self._requires_grad[name] = parameter.requires_grad
            parameter.requires_grad_(parameter.requires_grad and self._is_trained(name))
            if self._is_partial(name) and parameter.requires_grad:
                hook = parameter.register_post_accumulate_grad_hook(self._mask_gradient(name))
                self._hooks.append(hook)
        self._frozen_copies = {
            name: value.detach().clone() for name, value in self._named_frozen_values()
        }
        # Before every pass, as train() ends the evaluation mode of batch norms too.
        self._hooks.append(self.network.register_forward_pre_hook(lambda *_: self.hold()))

    def hold(self) -> None:
        """Keep batch norms of frozen layers in evaluation mode while the network trains."""
        if self.network.training and self._frozen_copies:
            for module in self._frozen_norms.values():
                module.training = False
            self._restore(statistics=True)

    def follow(self, optimizer: torch.optim.Optimizer) -> None:
        """Restore frozen channels after every step of this optimiser."""
        hook = optimizer.register_step_post_hook(lambda *_: self._restore(statistics=False))
        self._hooks.append(hook)

    def changed_tensors(self) -> list[str]:
        """Return the names of parameters and buffers whose frozen values have changed."""
        current = dict(self._named_frozen_values())
        return [
            name
            for name, before in self._frozen_copies.items()
            if not _same_bits(before, current[name])
        ]

    def check(self) -> int:
        """Check that no frozen value has changed, and return their number.

        Raises:
            TrainingError: If one has changed by a single bit.
        """
        changed = self.changed_tensors()
        if changed:
            more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
            raise TrainingError(
                f"Frozen values have changed in {', '.join(changed[:3])}{more}: something besides "
                "the optimiser writes to the network, such as averaging of weights."
            )
        return sum(value.numel() for value in self._frozen_copies.values())

    def stop(self) -> None:
        """Remove all hooks, and restore ``requires_grad`` of every parameter."""
        for hook in self._hooks:
            hook.remove()
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(self._requires_grad.get(name, parameter.requires_grad))
        self._hooks, self._requires_grad, self._frozen_copies = [], {}, {}

    def _find_frozen_norms(self) -> dict[str, nn.Module]:
        """Return the batch norms, by name, whose running statistics are frozen."""
        if all(all(mask.channels) for mask in self.masks):
            return {}
        norms = {}
        for name, module in self.network.named_modules():
            if not isinstance(module, _BatchNorm) or module.running_mean is None:
                continue
            own = [self._by_name[f"{name}.{leaf}"] for leaf, _ in module.named_parameters()]
            if not own or not all(mask.layer for mask in own):
                norms[name] = module
        return norms

    def _named_frozen_values(self) -> Iterator[tuple[str, Tensor]]:
        """Yield every frozen value: whole tensors, channels, and statistics of batch norms."""
        for name, parameter in self.network.named_parameters():
            if not self._is_trained(name):
                yield name, parameter.detach()
            elif self._is_partial(name):
                yield name, parameter.detach()[~self._expand_mask(name, parameter)]
        for name, module in self._frozen_norms.items():
            for leaf, buffer in module.named_buffers(recurse=False):
                yield f"{name}.{leaf}", buffer

    def _is_trained(self, name: str) -> bool:
        """Return whether any value of a parameter is trained."""
        return bool(self._masks[name].any())

    def _is_partial(self, name: str) -> bool:
        """Return whether some values of a parameter are trained and others are frozen."""
        return self._is_trained(name) and not bool(self._masks[name].all())

    def _expand_mask(self, name: str, parameter: Tensor) -> Tensor:
        return self._masks[name].to(parameter.device).expand(parameter.shape)

    def _mask_gradient(self, name: str) -> Callable[[Tensor], None]:
        """Return a hook that sets the gradient of frozen channels to zero."""

        def mask(parameter: Tensor) -> None:
            if parameter.grad is not None:
                parameter.grad.masked_fill_(~self._expand_mask(name, parameter), 0)

        return mask

    @torch.no_grad()
    def _restore(self, *, statistics: bool) -> None:
        """Restore frozen channels and, if asked, the statistics of batch norms."""
        for name, parameter in self.network.named_parameters():
            if name in self._frozen_copies and self._is_partial(name):
                frozen = self._frozen_copies[name].to(parameter)
                parameter.masked_scatter_(~self._expand_mask(name, parameter), frozen)
        for name, module in self._frozen_norms.items() if statistics else ():
            for leaf, buffer in module.named_buffers(recurse=False):
                frozen = self._frozen_copies.get(f"{name}.{leaf}")
                if frozen is not None:
                    buffer.copy_(frozen)


def _mask(network: nn.Module, name: str, parameter: Tensor, mask: TrainableMask) -> Tensor:
    """Return the mask of a parameter, in a shape that broadcasts over it."""
    on = torch.tensor(mask.channels)
    if len(on) == 1:
        return on.view([1] * parameter.ndim)
    by_module = channel_axis(network, name) if parameter.ndim > 1 else 0
    axis = by_module if mask.axis is None else mask.axis
    if parameter.ndim <= axis or parameter.shape[axis] != len(on):
        raise ModelError(
            f"The study has {len(on)} channels of {mask.parameter}, the network's parameter has "
            f"shape {list(parameter.shape)}: it is of another network."
        )
    return on.view([len(on) if dim == axis else 1 for dim in range(parameter.ndim)])


def _same_bits(first: Tensor, second: Tensor) -> bool:
    """Return whether two tensors hold the same bits, on any devices."""
    left, right = (value.detach().cpu().contiguous().view(-1) for value in (first, second))
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    return torch.equal(left.view(torch.uint8), right.view(torch.uint8))


def _check_names(masks: dict[str, TrainableMask], parameters: dict[str, nn.Parameter]) -> None:
    for name, mask in masks.items():
        size = parameters[name].numel() if name in parameters else None
        if size != mask.size:
            actual = "no such parameter" if size is None else f"{size} values in it"
            raise ModelError(
                f"The study is of another network: it has {mask.size} values in "
                f"{mask.parameter}, and this network has {actual}."
            )
    more = sorted(parameters.keys() - masks.keys())
    if more:
        raise ModelError(
            f"The study is of another network: it does not know the parameter {more[0]}."
        )
