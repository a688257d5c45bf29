"""Which entries of a checkpoint are a network's weights, and what is left out."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor, nn

from hormesis.errors import ModelError
from hormesis.models.checkpoint_layouts import (
    Entries,
    View,
    clean_name,
    is_equal,
    is_harmless,
    is_same,
    merge_pruned,
    normalizer_of,
)
from hormesis.models.normalization import Normalized


def prepare_entries(
    found: Mapping[str, Entries], own: Entries, ignore: Sequence[str], path: str | Path
) -> tuple[dict[str, Entries], list[str]]:
    """Return state dictionaries without what is to be ignored, pruned weights masked; and notes."""
    prepared, masked, left = dict[str, Entries](), list[str](), dict[str, str]()
    for place, entries in found.items():
        cleaned, names = merge_pruned(_clean(entries, path), own)
        masked += names
        matches = {
            name: pattern
            for name in cleaned
            for pattern in ignore
            if fnmatchcase(name, pattern) or fnmatchcase(f"{place}.{name}", pattern)
        }
        left |= matches
        prepared[place] = {name: cleaned[name] for name in cleaned if name not in matches}
    for pattern in ignore:
        if pattern not in left.values():
            raise ModelError(
                f"Checkpoint {str(path)!r} holds no entry {pattern!r} to ignore; it has "
                f"{first_names([name for entries in found.values() for name in entries])}."
            )
    file, notes = Path(path).name, list[str]()
    if masked:
        notes.append(
            f"Pruned weights of {file} were multiplied by their masks ({first_names(masked)})."
        )
    if left:
        notes.append(f"Entries of {file} were left out, as requested ({first_names(list(left))}).")
    return prepared, notes


def _clean(entries: Entries, path: str | Path) -> Entries:
    """Return entries without the parts that torch.compile adds to names."""
    cleaned: Entries = {}
    for name, value in entries.items():
        short = clean_name(name)
        if short in cleaned and not is_equal(cleaned[short], value):
            raise ModelError(
                f"Checkpoint {str(path)!r} holds several networks, with and without '_orig_mod.': "
                "save the one that is meant on its own."
            )
        cleaned[short] = value
    return cleaned


def named_views(views: list[View], key: str | None, path: str | Path) -> list[View]:
    """Return the views that a user's key means; all of them for None."""
    if key is None:
        return views
    exact = [view for view in views if view.key == key]
    named = exact or [view for view in views if view.is_named(key)]
    if not named:
        keys = [view.key for view in views if view.key]
        raise ModelError(
            f"Checkpoint {str(path)!r} holds nothing under {key!r}, the `weights_key`"
            + (f": choose among {', '.join(map(repr, keys[:8]))}." if keys else ": leave it out.")
        )
    return named


def choose_view(
    fitting: list[View], own: Entries, key: str | None, path: str | Path
) -> tuple[View, str]:
    """Return the view to take of those that fit, and a note on the choice, if there was one.

    Raises:
        ModelError: If they hold different values.
    """
    first, others = fitting[0], fitting[1:]
    if any(not is_same(first, other, own) for other in others):
        places = [repr(view.key) if view.key else "no prefix" for view in fitting]
        named = next(view.key for view in reversed(fitting) if view.key)
        raise ModelError(
            f"Checkpoint {str(path)!r} holds several networks of different values, under "
            f"{' and '.join(places)}: name the one that is meant as `weights_key`, such as "
            f"{named!r}."
        )
    taken = f"The weights of {Path(path).name} are those under {first.key!r}"
    if key is not None:
        return first, f"{taken}, as requested."
    if others and first.key:
        equal = " and ".join(repr(view.key) for view in others)
        return first, f"{taken}; those under {equal} are equal."
    return first, ""


def unused_entries(
    view: View, copies: list[View], found: Mapping[str, Entries], own: Entries, key: str | None
) -> Entries:
    """Return the entries that have no place in the network and may matter to it.

    Args:
        view: What is taken.
        copies: All views that fit the network.
        found: All state dictionaries.
        own: The network's tensors.
        key: The user's key; other state dictionaries than the one that it names are left out.
    """
    used = {(each.container, each.prefix + name) for each in copies for name in own}
    alone = key in (view.key, view.container)
    unused: Entries = {}
    for place, entries in found.items():
        inside = place == view.container
        for name, value in entries.items():
            full = f"{place}.{name}" if place else name
            shown = name.removeprefix(view.prefix) if inside else full
            if (
                (inside or not alone)
                and (place, name) not in used
                and not is_harmless(shown, value)
            ):
                unused[shown] = value
    return unused


def without_normalizer(unused: Entries, network: nn.Module, path: str | Path) -> Entries:
    """Return unused entries without a normalisation that is in front of the network already.

    Raises:
        ModelError: If the checkpoint holds another one.
    """
    means, stds = normalizer_of(unused)
    if not means or not stds:
        return unused
    if isinstance(network, Normalized):
        front = ((means, network.mean.cpu()), (stds, network.std.cpu()))
        if all(_is_close(value, own) for values, own in front for value in values.values()):
            return {name: unused[name] for name in unused.keys() - means.keys() - stds.keys()}
    mean, std = (
        " ".join(f"{number:.6g}" for number in next(iter(each.values())).tolist())
        for each in (means, stds)
    )
    lacking = "another than it has" if isinstance(network, Normalized) else "which it has not"
    raise ModelError(
        f"Checkpoint {str(path)!r} holds a normalisation for the network, {lacking} "
        f"({first_names([*means, *stds])}): put it in front with `mean` {mean} and `std` {std}, or "
        f"leave it out with `weights_ignore`, such as {pattern_beside(next(iter(means)))!r}."
    )


def _is_close(value: Tensor, own: Tensor) -> bool:
    if value.numel() not in (1, own.numel()):
        return False
    return bool(torch.isclose(value.to(own.dtype), own, rtol=1e-4, atol=1e-5).all())


def pattern_beside(name: str) -> str:
    """Return a pattern for an entry and what lies beside it."""
    module, point, _ = name.rpartition(".")
    return f"{module}.*" if point else name


def first_names(names: list[str]) -> str:
    """Return the first three names, for a message."""
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
