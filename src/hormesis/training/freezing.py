"""Freezing that freezes: nothing that is not to be trained changes by a single bit."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.hooks import RemovableHandle

from hormesis.errors import ModelError, TrainingError
from hormesis.models.normalization import Normalized
from hormesis.stress.targets import channel_axis
from hormesis.training.trainable_masks import Share


class Freezing:
    """Keeps the frozen part of a network as it is while the rest is trained.

    Whole tensors stop asking for a gradient, so that no optimiser takes them up. Where some
    channels of a tensor are trained and others are not, the gradient of the frozen ones is set to
    zero, and they are put back after every step, so that neither weight decay nor momentum moves
    them. Batch norms of frozen layers stay in evaluation mode.

    Args:
        network: The network; ``start`` changes it, ``stop`` gives its ``requires_grad`` back.
        shares: What of every parameter is trained, by names as ``hormesis.analyze`` gives them.
        batchnorm: ``"frozen"`` or ``"follow"``, see ``Selection``.

    Raises:
        ModelError: If the network has other parameters than the shares name.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        >>> shares = [Share(f"{n}.{leaf}", "linear", size, (n == 1,), "")
        ...           for n in (0, 1) for leaf, size in (("weight", 4), ("bias", 2))]
        >>> freezing = Freezing(network, shares, batchnorm="frozen")
        >>> freezing.start()
        >>> optimizer = torch.optim.AdamW(freezing.parameters, weight_decay=0.1)
        >>> freezing.follow(optimizer)
        >>> _ = network(torch.ones(1, 2)).sum().backward()
        >>> _ = optimizer.step()
        >>> freezing.check()
        6
    """

    def __init__(self, network: nn.Module, shares: Iterable[Share], *, batchnorm: str) -> None:
        """Find the tensors that belong to the shares."""
        self.network = network
        self.shares = tuple(shares)
        prefix = "network." if isinstance(network, Normalized) else ""
        parameters = dict(network.named_parameters())
        self._by_name = {f"{prefix}{share.parameter}": share for share in self.shares}
        _check_names(self._by_name, parameters)
        self._trained = {
            name: _mask(network, name, parameters[name], share)
            for name, share in self._by_name.items()
        }
        self._held = self._still_norms() if batchnorm == "frozen" else {}
        self._kept: dict[str, Tensor] = {}
        self._asked: dict[str, bool] = {}
        self._hooks: list[RemovableHandle] = []

    @property
    def values(self) -> int:
        """Number of values that are kept: parameters, and statistics of batch norms."""
        return sum(value.numel() for _, value in self._frozen())

    @property
    def statistics(self) -> tuple[str, ...]:
        """Names of the batch norms whose running statistics are kept."""
        return tuple(self._held)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters that an optimiser is to be given: those trained as a whole or in part."""
        return [value for name, value in self._named() if self._by_name[name].trained]

    def start(self) -> None:
        """Freeze, and remember every frozen value; once started, only ``stop`` has an effect."""
        if self._asked:
            return
        for name, parameter in self._named():
            self._asked[name] = parameter.requires_grad
            share = self._by_name[name]
            parameter.requires_grad_(parameter.requires_grad and share.trained > 0)
            if share.partly and parameter.requires_grad:
                hook = parameter.register_post_accumulate_grad_hook(self._masking(name))
                self._hooks.append(hook)
        self._kept = {name: value.detach().clone() for name, value in self._frozen()}
        # Before every pass, as train() ends the evaluation mode of batch norms too.
        self._hooks.append(self.network.register_forward_pre_hook(lambda *_: self.hold()))

    def hold(self) -> None:
        """While the network trains, keep batch norms of frozen layers in evaluation mode."""
        if self.network.training and self._kept:
            for module in self._held.values():
                module.training = False
            self._put_back(statistics=True)

    def follow(self, optimizer: torch.optim.Optimizer) -> None:
        """Put frozen channels back after every step of this optimiser."""
        hook = optimizer.register_step_post_hook(lambda *_: self._put_back(statistics=False))
        self._hooks.append(hook)

    def moved(self) -> list[str]:
        """Return the names of parameters and buffers whose frozen values are no longer the same."""
        there = dict(self._frozen())
        return [name for name, kept in self._kept.items() if not _same_bits(kept, there[name])]

    def check(self) -> int:
        """Return how many frozen values there are, all of them equal to those at the start.

        Raises:
            TrainingError: If one of them is not, bit for bit.
        """
        moved = self.moved()
        if moved:
            more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
            raise TrainingError(
                f"Frozen values have changed in {', '.join(moved[:3])}{more}: something besides "
                "the optimiser writes to the network, such as averaging of weights."
            )
        return sum(kept.numel() for kept in self._kept.values())

    def stop(self) -> None:
        """Remove all hooks, and let every parameter ask for a gradient as it did before."""
        for hook in self._hooks:
            hook.remove()
        for name, parameter in self._named():
            parameter.requires_grad_(self._asked.get(name, parameter.requires_grad))
        self._hooks, self._asked, self._kept = [], {}, {}

    def _named(self) -> Iterator[tuple[str, nn.Parameter]]:
        yield from self.network.named_parameters()

    def _still_norms(self) -> dict[str, nn.Module]:
        """Return the batch norms, by name, whose running statistics are kept."""
        if all(all(share.channels) for share in self.shares):
            return {}
        found = {}
        for name, module in self.network.named_modules():
            if not isinstance(module, _BatchNorm) or module.running_mean is None:
                continue
            own = [self._by_name[f"{name}.{leaf}"] for leaf, _ in module.named_parameters()]
            if not own or not all(share.layer for share in own):
                found[name] = module
        return found

    def _frozen(self) -> Iterator[tuple[str, Tensor]]:
        """Yield every frozen value: whole tensors, channels, and statistics of batch norms."""
        for name, parameter in self._named():
            if not self._by_name[name].trained:
                yield name, parameter.detach()
            elif self._by_name[name].partly:
                yield name, parameter.detach()[~self._on(name, parameter)]
        for name, module in self._held.items():
            for leaf, buffer in module.named_buffers(recurse=False):
                yield f"{name}.{leaf}", buffer

    def _on(self, name: str, parameter: Tensor) -> Tensor:
        return self._trained[name].to(parameter.device).expand(parameter.shape)

    def _masking(self, name: str) -> Callable[[Tensor], None]:
        """Return what sets the gradient of frozen channels to zero."""

        def mask(parameter: Tensor) -> None:
            if parameter.grad is not None:
                parameter.grad.masked_fill_(~self._on(name, parameter), 0)

        return mask

    @torch.no_grad()
    def _put_back(self, *, statistics: bool) -> None:
        """Put frozen channels back and, on request, the statistics of batch norms."""
        for name, parameter in self._named():
            if name in self._kept and self._by_name[name].partly:
                kept = self._kept[name].to(parameter)
                parameter.masked_scatter_(~self._on(name, parameter), kept)
        for name, module in self._held.items() if statistics else ():
            for leaf, buffer in module.named_buffers(recurse=False):
                kept = self._kept.get(f"{name}.{leaf}")
                if kept is not None:
                    buffer.copy_(kept)


def _mask(network: nn.Module, name: str, parameter: Tensor, share: Share) -> Tensor:
    """Return what of a parameter is trained, as a mask that is broadcast over it."""
    on = torch.tensor(share.channels)
    if len(on) == 1:
        return on.view([1] * parameter.ndim)
    axis = channel_axis(network, name) if parameter.ndim > 1 else 0
    if parameter.ndim <= axis or parameter.shape[axis] != len(on):
        raise ModelError(
            f"The study has {len(on)} channels of {share.parameter}, the network's parameter has "
            f"shape {list(parameter.shape)}: it is of another network."
        )
    return on.view([len(on) if place == axis else 1 for place in range(parameter.ndim)])


def _same_bits(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors hold the same bits, wherever they lie."""
    left, right = (value.detach().cpu().contiguous().view(-1) for value in (one, other))
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    return torch.equal(left.view(torch.uint8), right.view(torch.uint8))


def _check_names(wanted: dict[str, Share], there: dict[str, nn.Parameter]) -> None:
    for name, share in wanted.items():
        size = there[name].numel() if name in there else None
        if size != share.size:
            said = "no such parameter" if size is None else f"{size} values in it"
            raise ModelError(
                f"The study is of another network: it has {share.size} values in "
                f"{share.parameter}, and this network has {said}."
            )
    more = sorted(there.keys() - wanted.keys())
    if more:
        raise ModelError(
            f"The study is of another network: it does not know the parameter {more[0]}."
        )
