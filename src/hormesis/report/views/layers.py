"""The layers of a network side by side: which belong together, and what leads past others."""

from collections.abc import Sequence
from dataclasses import dataclass

from hormesis.report.views.network import NetworkRow

_FEW = 6  # members of a group that is not split any further
_LARGE = 0.4  # share of all layers from which a group is split


@dataclass(frozen=True)
class LayerGroup:
    """Neighbouring layers with the same beginning of their names.

    Args:
        name: That beginning.
        first: Place of the first of them.
        last: Place of the last.
    """

    name: str
    first: int
    last: int


def layer_groups(names: Sequence[str]) -> list[LayerGroup]:
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


def _split(parts: list[list[str]], places: range, depth: int) -> list[LayerGroup]:
    groups: list[LayerGroup] = []
    for place in places:
        name = ".".join(parts[place][:depth])
        if groups and groups[-1].name == name:
            groups[-1] = LayerGroup(name, groups[-1].first, place)
        else:
            groups.append(LayerGroup(name, place, place))
    found = []
    for group in groups:
        members = range(group.first, group.last + 1)
        deeper = any(len(parts[place]) > depth for place in members)
        if deeper and len(members) > max(_FEW, _LARGE * len(parts)):
            found.extend(_split(parts, members, depth + 1))
        else:
            found.append(group)
    return found


@dataclass(frozen=True)
class Shortcut:
    """A way of the data that leads past layers.

    Args:
        first: Place of the layer that it starts from; half a place more where ways have met.
        last: Place that it leads to.
        level: How far out it is drawn, from 0, so that no two ways run through each other.
    """

    first: float
    last: float
    level: int


def shortcuts(rows: Sequence[NetworkRow]) -> list[Shortcut]:
    """Return the ways of the data that lead past layers, if these stand side by side in order.

    Args:
        rows: Layers and the places where ways meet, from the input to the output.

    Example:
        >>> names, after = ["a", "b", "c", ""], [(), (0,), (1,), (0, 2)]
        >>> rows = [NetworkRow(name, (), 0, way) for name, way in zip(names, after, strict=True)]
        >>> shortcuts(rows)
        [Shortcut(first=0.0, last=2.5, level=0)]
    """
    places: list[float] = []
    layers = 0
    for row in rows:
        places.append(float(layers) if row.name else layers - 0.5)
        layers += bool(row.name)
    ways = {
        (places[source], places[here])
        for here, row in enumerate(rows)
        for source in row.after
        if any(places[source] < layer < places[here] for layer in range(layers))
    }
    found: list[Shortcut] = []
    for first, last in sorted(ways, key=lambda way: (way[1] - way[0], way)):
        taken = {each.level for each in found if first < each.last and each.first < last}
        free = next(level for level in range(len(ways)) if level not in taken)
        found.append(Shortcut(first, last, free))
    return found
