"""Where the weights of a network lie within a checkpoint: containers, prefixes, pruned weights."""

import re
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

# Usual names of state dictionaries in a checkpoint, in the order in which equal ones are taken.
CONTAINERS = ("state_dict", "model_state_dict", "model", "network", "net", "params", "weights")
# Usual names of the module that holds a network, such as a wrapper.
PREFIXES = ("module", "model", "net", "network", "backbone")
# Words of what belongs to a training, and not to its network.
_TRAINING = re.compile(
    r"(?:acc|accuracy|amp|args|auroc|callbacks?|cfg|config|criterion|history|hparams|loops|loss|"
    r"losses|metrics?|objective|optim|optimizers?|rng|sampler|schedulers?)"
)
_COUNTERS = ("num_batches_tracked", "n_averaged", "num_updates", "total_ops", "total_params")
# Heads of GoogLeNet and Inception that only training uses; `build_model` leaves them out.
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
_MEANS = re.compile(r"(\w+_)?means?|mu")
_STDS = re.compile(r"(\w+_)?(stds?|sds?|sigma)")
_MOST_CHANNELS = 64
_DEPTH = 5  # of containers within each other
_MOST_CONTAINERS = 10_000  # that are looked into; a small file may name one over and over
Entries = dict[str, Tensor]


@dataclass(frozen=True)
class View:
    """The entries of one state dictionary that lie under a prefix.

    Args:
        container: Where the state dictionary lies in the checkpoint, such as ``"model.ema"``; empty
            for the checkpoint itself.
        prefix: Beginning of the names, with its point; empty for none.
        entries: The tensors, without the prefix in their names.
    """

    container: str
    prefix: str
    entries: Entries

    @property
    def key(self) -> str:
        """What names the view: container and prefix."""
        return ".".join(part for part in (self.container, self.prefix.removesuffix(".")) if part)

    def is_named(self, key: str) -> bool:
        """Return whether a user's key means this view, or its container."""
        return key in (self.key, self.container, self.prefix.removesuffix("."))


def state_dicts(content: object) -> dict[str, Entries]:
    """Return all state dictionaries of a checkpoint by their place, the usual ones first.

    What belongs to the training, such as an optimizer's state, is left out.

    Example:
        >>> saved = {"epoch": 3, "model": {"w": torch.ones(1)}, "optimizer": {"w": torch.ones(1)}}
        >>> state_dicts(saved)
        {'model': {'w': tensor([1.])}}
    """
    found = dict(_walk(content))
    if len(found) > 1:  # numbers beside them, such as the best accuracy, are no state dictionary
        found = {
            place: entries
            for place, entries in found.items()
            if any(value.ndim for value in entries.values())
        } or found
    usual = {name: rank for rank, name in enumerate(CONTAINERS)}
    order = sorted(found, key=lambda place: usual.get(place.partition(".")[0], len(usual)))
    return {place: found[place] for place in order}


def _walk(content: object) -> Iterator[tuple[str, Entries]]:
    """Yield each mapping that holds tensors, with its place."""
    waiting = deque([("", content, 0)])
    for _ in range(_MOST_CONTAINERS):
        if not waiting:
            return
        place, mapping, depth = waiting.popleft()
        if not isinstance(mapping, Mapping):
            continue
        named = {name: value for name, value in mapping.items() if isinstance(name, str)}
        tensors = {n: value.detach() for n, value in named.items() if isinstance(value, Tensor)}
        if tensors:
            yield place, tensors
        waiting.extend(
            (f"{place}.{name}" if place else name, value, depth + 1)
            for name, value in named.items()
            if isinstance(value, Mapping) and depth < _DEPTH and not _of_training(name)
        )


def clean_name(name: str) -> str:
    """Return a name without the parts that torch.compile adds.

    Example:
        >>> clean_name("_orig_mod.fc.weight")
        'fc.weight'
    """
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def merge_pruned(entries: Entries, own: Mapping[str, Tensor]) -> tuple[Entries, list[str]]:
    """Return entries with pruned weights multiplied by their masks, and the names of these.

    Args:
        entries: A state dictionary, with ``weight_orig`` and ``weight_mask`` where
            ``torch.nn.utils.prune`` was used.
        own: The tensors of the network; one that is pruned itself takes both as they are.

    Example:
        >>> pruned = {"w_orig": torch.tensor([3.0, 4.0]), "w_mask": torch.tensor([0.0, 1.0])}
        >>> merge_pruned(pruned, {"w": torch.zeros(2)})
        ({'w': tensor([0., 4.])}, ['w'])
    """
    merged, names = dict(entries), list[str]()
    for original in [name for name in entries if name.endswith("_orig")]:
        name = original.removesuffix("_orig")
        mask = entries.get(f"{name}_mask")
        shape = entries[original].shape
        if mask is None or mask.shape != shape or name in entries:
            continue
        fits = any(ending in own and own[ending].shape == shape for ending in _endings(name))
        if not fits or any(ending in own for ending in _endings(original)):
            continue
        merged[name] = entries[original] * mask.to(entries[original].dtype)
        del merged[original], merged[f"{name}_mask"]
        names.append(name)
    return merged, names


def _endings(name: str) -> Iterator[str]:
    """Yield a name, and what is left of it after each of its points."""
    yield name
    while "." in name:
        name = name.partition(".")[2]
        yield name


def views_of(container: str, entries: Entries, own: Mapping[str, Tensor]) -> list[View]:
    """Return the entries under each prefix under which the network may lie, no prefix first.

    A prefix is one of ``PREFIXES``, also nested, or one under which at least half of the network's
    tensors lie, in their shapes.
    """
    prefixes, fitting = {""}, Counter[str]()
    for name, value in entries.items():
        parts = name.split(".")
        for count, part in enumerate(parts[:-1], start=1):
            if part not in PREFIXES:
                break
            prefixes.add(".".join(parts[:count]) + ".")
        for ending in _endings(name):
            if ending in own and own[ending].shape == value.shape:
                fitting[name.removesuffix(ending)] += 1
    prefixes |= {prefix for prefix, count in fitting.items() if 2 * count >= len(own)}
    return [
        View(
            container,
            prefix,
            {
                name.removeprefix(prefix): value
                for name, value in entries.items()
                if name.startswith(prefix)
            },
        )
        for prefix in sorted(prefixes, key=lambda prefix: (prefix.count("."), prefix))
    ]


def is_harmless(name: str, value: Tensor) -> bool:
    """Return whether a network computes the same without an entry that it has no place for.

    Example:
        >>> is_harmless("loss.weight", torch.ones(3)), is_harmless("head.weight", torch.ones(3))
        (True, False)
    """
    leaf = name.rpartition(".")[2]
    counter = leaf in _COUNTERS or (value.ndim == 0 and not value.is_floating_point())
    return counter or name.startswith(_AUXILIARY) or any(map(_of_training, name.split(".")))


def _of_training(part: str) -> bool:
    return any(map(_TRAINING.fullmatch, re.split(r"[\W\d_]+", part.lower())))


def normalizer_of(entries: Mapping[str, Tensor]) -> tuple[Entries, Entries]:
    """Return the entries that are means, and those that are standard deviations, of channels.

    Example:
        >>> means, stds = normalizer_of({"normalizer.new_mean": torch.zeros(3, 1, 1)})
        >>> list(means), list(stds)
        (['normalizer.new_mean'], [])
    """
    channels = {
        name: value.flatten()
        for name, value in entries.items()
        if value.is_floating_point() and value.numel() <= _MOST_CHANNELS
        if value.numel() == max(value.shape, default=1)
    }
    means, stds = (
        {n: v for n, v in channels.items() if kind.fullmatch(n.rpartition(".")[2].lower())}
        for kind in (_MEANS, _STDS)
    )
    return {n: v for n, v in means.items() if "running" not in n}, stds


def is_same(one: View, other: View, own: Mapping[str, Tensor]) -> bool:
    """Return whether two views hold the same values for all tensors of a network."""
    return all(
        is_equal(one.entries[name], other.entries[name])
        for name in own
        if name in one.entries and name in other.entries
    )


def is_equal(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors of a file hold the same values."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    # A file may spread one value over a tensor that is too large for any memory.
    stored = all(value.nbytes <= value.untyped_storage().nbytes() for value in (one, other))
    return stored and torch.equal(one, other)
