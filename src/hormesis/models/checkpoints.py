"""Weights from checkpoints, given to a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from hormesis.errors import ModelError
from hormesis.models.checkpoint_choice import (
    choose_view,
    first_names,
    named_views,
    pattern_beside,
    prepare_entries,
    unused_entries,
    without_normalizer,
)
from hormesis.models.checkpoint_files import read_checkpoint
from hormesis.models.checkpoint_layouts import (
    Entries,
    View,
    clean_name,
    is_harmless,
    state_dicts,
    views_of,
)
from hormesis.models.normalization import Normalized


def load_checkpoint(path: str | Path) -> Entries:
    """Return the tensors of a checkpoint by name, on the CPU.

    Reads ``.safetensors``, also in shards, state dictionaries of PyTorch (``.pt``, ``.pth``,
    ``.bin``, ``.pth.tar``) and Lightning's ``.ckpt``. A state dictionary may lie in others, as
    under ``state_dict`` or ``model``; of several, the first is returned, the usual names before
    others. Nothing but plain values and tensors is ever unpickled (``weights_only=True``).

    Args:
        path: The file, the index of shards, or the folder of one of them; ``~`` is understood.

    Raises:
        ModelError: When the file is missing, empty, damaged, of another kind, wants to run code, or
            holds no tensors.

    Example:
        >>> load_checkpoint("nowhere.pt")
        Traceback (most recent call last):
        hormesis.errors.ModelError: Checkpoint 'nowhere.pt' does not exist.
    """
    return next(iter(_read(path).values()))


def load_weights(
    network: nn.Module, path: str | Path, *, key: str | None = None, ignore: Sequence[str] = ()
) -> tuple[str, ...]:
    """Copy the weights of a checkpoint into a network with the same names.

    The entries of the network may lie in any state dictionary of the checkpoint and under any
    prefix, such as ``module.`` or ``backbone.``. Where they lie in several places, these have to be
    equal, unless ``key`` names one. Weights pruned with ``torch.nn.utils.prune`` are multiplied by
    their masks. Values are cast to the network's precision. On failure, the network is unchanged.

    Args:
        network: The network; the weights of a :class:`Normalized` go to the network inside it.
        path: A file that :func:`load_checkpoint` reads.
        key: The state dictionary, the prefix, or both with a point between them, that holds the
            weights; None where there is no choice.
        ignore: Names of entries to leave out, with * and ?. Other entries without a place in the
            network are refused, unless they belong to the training only, as those of a loss do.

    Returns:
        What was chosen, multiplied or left out, in sentences.

    Raises:
        ModelError: When the file cannot be read, its entries are missing, unexpected or of another
            shape, several of different values fit, or their values are not finite.

    Example:
        >>> import tempfile
        >>> network = nn.Linear(2, 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "w.pt")
        ...     torch.save({"state_dict": {"model.weight": torch.ones(1, 2)}}, file)
        ...     load_weights(network, file)
        Traceback (most recent call last):
        hormesis.errors.ModelError: Checkpoint '...w.pt' does not fit the network: 1 missing (bias).
    """
    inner = network.network if isinstance(network, Normalized) else network
    own = _own_tensors(inner)
    found, notes = prepare_entries(_read(path), own, ignore, path)
    every = [view for name, entries in found.items() for view in views_of(name, entries, own)]
    copies = [view for view in every if not _misfits(view.entries, own)]
    named = named_views(every, key, path)
    fitting = [view for view in named if not _misfits(view.entries, own)]
    if not fitting:
        raise ModelError(_mismatch(_nearest(named, own), own, inner, path))
    view, note = choose_view(fitting, own, key, path)
    unused = unused_entries(view, copies, found, own, key)
    unused = without_normalizer(unused, network, path)
    if unused:
        raise ModelError(
            f"Checkpoint {str(path)!r} does not fit the network: {len(unused)} unexpected "
            f"({first_names(list(unused))}). Build the network that they belong to, or leave them "
            f"out with `weights_ignore`, such as {pattern_beside(next(iter(unused)))!r}."
        )
    _copy(view.entries, own, inner, path)
    return tuple(sentence for sentence in (note, *notes) if sentence)


def fits(network: nn.Module, path: str | Path, *, key: str | None = None) -> bool:
    """Return whether a checkpoint holds all tensors of a network, in their shapes.

    Args:
        network: The network.
        path: A file that :func:`load_checkpoint` reads.
        key: As :func:`load_weights` takes it.

    Raises:
        ModelError: When the file cannot be read, or holds nothing under the key.
    """
    own = _own_tensors(network)
    found, _ = prepare_entries(_read(path), own, (), path)
    views = [view for name, entries in found.items() for view in views_of(name, entries, own)]
    return any(not _misfits(view.entries, own) for view in named_views(views, key, path))


def _read(path: str | Path) -> dict[str, Entries]:
    """Return all state dictionaries of a checkpoint, of which there is at least one."""
    content = read_checkpoint(path)
    found = state_dicts(content)
    if not found:
        raise ModelError(
            f"Checkpoint {str(path)!r} holds no state dictionary but {_describe_content(content)}: "
            "save `model.state_dict()`."
        )
    for entries in found.values():
        for name, value in entries.items():
            if value.is_meta or value.is_quantized or value.layout != torch.strided:
                raise ModelError(
                    f"Checkpoint {str(path)!r} holds no plain values for {name!r}: save a dense "
                    "tensor that is neither quantized nor on the meta device."
                )
    return found


def _nearest(views: list[View], own: Entries) -> View:
    """Return the view with most of the network's names, the first of equal ones."""
    return max(views, key=lambda view: len(view.entries.keys() & own.keys()))


def _copy(entries: Entries, own: Entries, network: nn.Module, path: str | Path) -> None:
    """Copy values into the network's tensors, unless some are not finite."""
    parameters = {clean_name(name) for name, _ in network.named_parameters(remove_duplicate=False)}
    cast = {name: value.to(own[name].dtype) for name, value in entries.items() if name in own}
    for name, value in cast.items():
        # A buffer may hold -inf on purpose, as attention masks do; NaN is never meant.
        broken = ~value.isfinite() if name in parameters else value.isnan()
        if bool(broken.any()):
            raise ModelError(f"Checkpoint {str(path)!r} holds NaN or infinite values in {name!r}.")
    with torch.no_grad():
        for name, value in cast.items():
            own[name].copy_(value)


def _describe_content(content: object) -> str:
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    keys = [str(key)[:40] for key in list(content)[:5]]
    return f"the entries {', '.join(keys)}" if keys else "an empty dictionary"


def _own_tensors(network: nn.Module) -> Entries:
    """Return the tensors of a network by name, sharing its memory."""
    own = {
        clean_name(name): value
        for name, value in network.state_dict().items()
        if isinstance(value, Tensor)
    }
    for name, value in own.items():
        if is_lazy(value) or value.is_meta:
            raise ModelError(
                f"Parameter {name!r} of the network has no memory yet: run a lazy network once, or "
                "move it off the meta device, before weights are loaded."
            )
    return own


def _misfits(entries: Entries, own: Entries) -> list[str]:
    """Return what a network lacks or cannot take of some entries, as phrases."""
    loaded = {own[name].data_ptr() for name in entries.keys() & own.keys()}
    missing = [
        name
        for name, value in own.items()
        if name not in entries
        and not name.endswith("num_batches_tracked")
        and value.data_ptr() not in loaded  # tied weights are often saved under one name only
    ]
    reshaped = [
        f"{name} is {list(entries[name].shape)} in the file and {list(value.shape)} in the network"
        for name, value in own.items()
        if name in entries and entries[name].shape != value.shape
    ]
    retyped = [
        f"{name} is {entries[name].dtype} in the file and {value.dtype} in the network"
        for name, value in own.items()
        if name in entries and _kind(entries[name]) != _kind(value)
    ]
    return [
        *_phrase("missing", missing),
        *_phrase("of another shape", reshaped),
        *_phrase("of another kind of number", retyped),
    ]


def _mismatch(view: View, own: Entries, network: nn.Module, path: str | Path) -> str:
    """Return why the entries of a view do not fit a network."""
    unexpected = [
        name
        for name, value in view.entries.items()
        if name not in own and not is_harmless(name, value)
    ]
    problems = [*_misfits(view.entries, own), *_phrase("unexpected", unexpected)]
    return f"Checkpoint {str(path)!r} does not fit the network: {'; '.join(problems)}." + _hint(
        view.entries, own, network
    )


def _phrase(what: str, names: list[str]) -> list[str]:
    return [f"{len(names)} {what} ({first_names(names)})"] if names else []


def _kind(value: Tensor) -> tuple[bool, bool]:
    return value.is_floating_point(), value.is_complex()


def _hint(entries: Entries, own: Entries, network: nn.Module) -> str:
    """Return a hint on the number of classes if only the last layer does not fit."""
    names = [clean_name(name) for name, _ in network.named_parameters()]
    if not names or names[-1] not in entries:
        return ""
    theirs, ours = entries[names[-1]].shape, own[names[-1]].shape
    if len(theirs) != len(ours) or theirs[1:] != ours[1:] or theirs == ours:
        return ""
    return (
        f" The last layer of the file has {theirs[0]} outputs, the network's {ours[0]}: is the "
        "number of classes the same?"
    )
