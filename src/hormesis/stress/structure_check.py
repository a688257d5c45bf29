"""A check, by a few runs, that the heads of an attention are where its layout says."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from hormesis.errors import ModelError
from hormesis.models.eval_mode import evaluation_mode
from hormesis.settings.targets import PartPattern, Targets
from hormesis.stress.parts import Part
from hormesis.stress.structure_attention import AttentionParts, find_attentions
from hormesis.stress.structure_tree import ModuleTree, read_tree

_BY_HEADS = ("heads", "projections")
# Whose attentions of a known layout are proved by the tests of this package.
_PROVED = ("transformers", "timm", "torchvision", "torch")
_ROUNDING = 1e-3  # of the largest value that an attention hands on


def check_layouts(network: nn.Module, targets: Targets, run: Callable[[], object]) -> None:
    """Refuse groups of heads that a run of the network contradicts.

    Without the queries of a head, or the keys and values that it shares, only what these heads hand
    to the output projection may change. Attentions of the libraries in ``_PROVED`` are not run, nor
    are those that use the weights of their output projection without a call.

    Args:
        network: The network; the same afterwards, bit for bit.
        targets: A selection as the user made it: nothing is checked if no word stands for heads.
        run: Runs the network on some inputs.

    Raises:
        ModelError: Naming the attention, and the remedy.
    """
    if isinstance(targets.groups, Mapping) or not {*targets.groups} & {*_BY_HEADS}:
        return
    tree = read_tree(network)
    for one in find_attentions(tree):
        home = type(tree.modules[one.path]).__module__.partition(".")[0]
        if isinstance(one, AttentionParts) and home not in _PROVED:
            with evaluation_mode(network), torch.no_grad():
                _check(tree, one, run)


def _check(tree: ModuleTree, one: AttentionParts, run: Callable[[], object]) -> None:
    count, groups = len(one.queries), len(one.keys)
    before = _handed_on(tree, one, run)
    if before is None:
        return
    each = count // groups
    for head in sorted({0, count - 1}):
        group = head // each
        shared = range(group * each, (group + 1) * each)
        removals = (
            ([one.queries[head]], [head]),
            ([one.keys[group], one.values[group]], shared),
        )
        for parts, heads in removals:
            with _without(tree, parts):
                after = _handed_on(tree, one, run)
            if after is None or not _only_there(before, after, heads, count):
                raise ModelError(
                    f"The attention {one.path or type(tree.root).__name__} is not understood: a "
                    "run shows that the channels of a head are no neighbours in its matrices; "
                    "spell out `groups`, such as {'head 0': [hormesis.part('qkv.weight', 0, 12, "
                    "0)]}."
                )


def _handed_on(tree: ModuleTree, one: AttentionParts, run: Callable[[], object]) -> Tensor | None:
    """Return what an attention hands to its output projection; None if that is not called."""
    owner = next(
        module
        for module in tree.modules.values()
        if any(
            tree.parameters.get(id(own)) == one.outputs[0].pattern
            for own in module.parameters(recurse=False)
        )
    )
    seen: list[Tensor] = []

    def note(_: nn.Module, given: tuple[Any, ...]) -> None:
        if given and isinstance(given[0], Tensor):
            seen.append(given[0].detach().clone())

    handle = owner.register_forward_pre_hook(note)
    try:
        run()
    finally:
        handle.remove()
    return seen[0] if seen else None


def _only_there(before: Tensor, after: Tensor, heads: Sequence[int], count: int) -> bool:
    """Return whether two results differ in the channels of some heads at most."""
    if before.shape != after.shape or before.shape[-1] % count:
        return False
    moved = (after - before).abs().unflatten(-1, (count, -1)).flatten(0, -3).amax((0, 2))
    scale = before.abs().amax().clamp_min(torch.finfo(before.dtype).tiny)
    others = [head for head in range(count) if head not in heads]
    return not others or bool((moved[others] <= _ROUNDING * scale).all())


@contextmanager
def _without(tree: ModuleTree, parts: Sequence[PartPattern]) -> Iterator[None]:
    """Zero some parts of matrices, in place, and put them back at the end."""
    values = {tree.parameters[id(own)]: own for own in tree.root.parameters()}
    views = [
        Part(part.pattern, part.axis, part.index, part.of).of(values[part.pattern])
        for part in parts
    ]
    saved = [view.clone() for view in views]
    try:
        for view in views:
            view.zero_()
        yield
    finally:
        for view, own in zip(views, saved, strict=True):
            view.copy_(own)
