"""A quick check that a network can be measured."""

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from hormesis.data.trees import Tree, count_rows, device_of_rows, join_rows, select_rows
from hormesis.errors import ModelError, recipe
from hormesis.models.adapter import outputs_of
from hormesis.models.eval_mode import evaluation_mode

_ROUNDING = 1e-3  # in units of the largest logit; batches of different size round differently


def check_measurable(network: nn.Module, example: Tree, metric: str = "") -> None:
    """Refuse a network whose output for a sample depends on anything but the sample.

    It runs four times on a few rows, in evaluation mode. Its buffers and modes and the global
    random state are restored.

    Args:
        network: A network of one argument.
        example: At least two different samples, on the network's device.
        metric: Name of the metric if it ranks the logits, by which a single output is always
            right.

    Raises:
        ModelError: If the network has a single output where accuracy is measured, changes a buffer
            or parameter of its own when it runs, gives two answers to one input, or mixes the
            samples of a batch.

    Example:
        >>> check_measurable(nn.Linear(3, 2), torch.rand(2, 3))
        >>> check_measurable(nn.BatchNorm1d(3, track_running_stats=False), torch.rand(4, 3))
        Traceback (most recent call last):
        hormesis.errors.ModelError: The network lets the samples of a batch change each other's \
logits in evaluation mode, the first suspect being the module itself (BatchNorm1d): use running \
statistics, or another normalisation.
    """
    state = [(name, tensor, tensor.detach().clone()) for name, tensor in _tensors(network)]
    device = device_of_rows(example)
    devices = [device] if device.type == "cuda" else []
    rows = example
    if count_rows(example) < 2:
        rows = join_rows([example, tree_map(_flipped, example)])
    with torch.random.fork_rng(devices=devices), evaluation_mode(network), torch.no_grad():
        try:
            first = outputs_of(network, rows)
            changed = [name for name, tensor, before in state if not _equal(tensor, before)]
            second = outputs_of(network, rows)
        finally:
            for _, tensor, before in state:
                tensor.copy_(before)
        if metric and first.ndim == 2 and first.shape[1] < 2:
            raise ModelError(
                f"The network has a single output, so that every answer is right by {metric}: "
                "measure 'binary_accuracy', or give it an output for each class, two for yes or no"
                f"{recipe('several-labels-or-one-logit')}."
            )
        if changed:
            raise ModelError(
                f"The network changes its own {changed[0]!r} when it runs in evaluation mode, so "
                "that results would depend on the order of the samples: freeze it."
            )
        if not _close(first, second):
            raise ModelError(
                "The network gives two answers to the same input in evaluation mode"
                f"{_suspect(network, _RANDOM)}: make it deterministic, or measure it with "
                "`hormesis.Evaluation`, whose function can seed every sample"
                f"{recipe('anything-else')}."
            )
        _refuse_coupling(network, rows, first)


def _refuse_coupling(network: nn.Module, rows: Tree, logits: Tensor) -> None:
    # The same first rows must have the same logits between other ones; what runs along the batch,
    # as a recurrent layer does that takes it for time, looks to one side only.
    total = count_rows(rows)
    count = max(1, total // 2)
    kept, rest = (select_rows(rows, part) for part in (slice(0, count), slice(count, None)))
    turned = select_rows(rest, torch.arange(total - count - 1, -1, -1))
    others = join_rows([turned, kept, tree_map(_halved, rest)])
    mixed_logits = outputs_of(network, others)
    if not _close(mixed_logits[total - count : total], logits[:count]):
        raise ModelError(
            "The network lets the samples of a batch change each other's logits in evaluation mode"
            f"{_suspect(network, _COUPLING)}: {_remedy(network)}."
        )


_RANDOM = (nn.modules.dropout._DropoutNd, nn.RReLU)
_COUPLING = (nn.modules.batchnorm._NormBase, nn.RNNBase, nn.MultiheadAttention)


def _flipped(leaf: object) -> object:
    return leaf.flip(-1) if isinstance(leaf, Tensor) and leaf.ndim > 1 else leaf


def _halved(leaf: object) -> object:
    return leaf * 0.5 if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf


def _suspect(network: nn.Module, kinds: tuple[type[nn.Module], ...]) -> str:
    """Return the first module that may be to blame, as part of a sentence."""
    for name, module in network.named_modules():
        if isinstance(module, kinds) and _may_couple(module):
            where = repr(name) if name else "the module itself"
            kind = type(module).__name__
            return f", the first suspect being {where} ({kind}{_time_first(module)})"
    return ""


def _may_couple(module: nn.Module) -> bool:
    """Return whether a module of a suspect kind is set so that it mixes samples, or draws."""
    return getattr(module, "running_mean", None) is None and not getattr(
        module, "batch_first", False
    )


def _time_first(module: nn.Module) -> str:
    return " with batch_first=False" if hasattr(module, "batch_first") else ""


def _remedy(network: nn.Module) -> str:
    first = next(
        (one for one in network.modules() if isinstance(one, _COUPLING) and _may_couple(one)), None
    )
    if first is not None and hasattr(first, "batch_first"):
        return "set `batch_first=True`, or swap the axes in the network, whose first is the sample"
    return "use running statistics, or another normalisation"


def _tensors(network: nn.Module) -> list[tuple[str, Tensor]]:
    return [*network.named_buffers(), *network.named_parameters()]


def _equal(first: Tensor, second: Tensor) -> bool:
    return torch.equal(first.nan_to_num(), second.nan_to_num())


def _close(first: Tensor, second: Tensor) -> bool:
    scale = max(first.nan_to_num().abs().max().item(), torch.finfo(first.dtype).tiny)
    return bool(((first - second).nan_to_num().abs() <= _ROUNDING * scale).all())
