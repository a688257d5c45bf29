"""The layers of a network as a row: where each stands, and which belong together."""

from collections.abc import Sequence
from dataclasses import dataclass

_FEW = 6  # members of a group that is not split any further
_LARGE = 0.4  # share of all layers from which a group is split


@dataclass(frozen=True)
class Group:
    """Neighbouring layers with the same beginning of their names.

    Args:
        name: That beginning.
        first: Place of the first of them.
        last: Place of the last.
    """

    name: str
    first: int
    last: int


def layer_groups(names: Sequence[str]) -> list[Group]:
    """Return the stages of a network, as far as the names of its layers tell.

    Args:
        names: Of the targets, in the order in which data reach them.

    Example:
        >>> for group in layer_groups(["conv1", "layer1.0.conv1", "layer1.0.conv2", "fc"]):
        ...     print(group.name, group.first, group.last)
        conv1 0 0
        layer1 1 2
        fc 3 3
    """
    parts = [name.removesuffix(".weight").split(".") for name in names]
    return _split(parts, range(len(parts)), 1)


def _split(parts: list[list[str]], places: range, depth: int) -> list[Group]:
    groups: list[Group] = []
    for place in places:
        name = ".".join(parts[place][:depth])
        if groups and groups[-1].name == name:
            groups[-1] = Group(name, groups[-1].first, place)
        else:
            groups.append(Group(name, place, place))
    found = []
    for group in groups:
        members = range(group.first, group.last + 1)
        deeper = any(len(parts[place]) > depth for place in members)
        if deeper and len(members) > max(_FEW, _LARGE * len(parts)):
            found.extend(_split(parts, members, depth + 1))
        else:
            found.append(group)
    return found
