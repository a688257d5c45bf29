"""The layers of a network side by side: their groups, and the shortcuts past them."""

from collections.abc import Sequence
from dataclasses import dataclass

from hormesis.report.views.network import NetworkRow, parameter_of
from hormesis.results.study import Study

_FEW = 6  # members of a group that is not split any further
_LARGE = 0.4  # share of all layers from which a group is split


@dataclass(frozen=True)
class LayerGroup:
    """Neighbouring layers with the same beginning of their names.

    Args:
        name: That beginning.
        first: Index of the first of them.
        last: Index of the last.
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


def _split(parts: list[list[str]], indices: range, depth: int) -> list[LayerGroup]:
    groups: list[LayerGroup] = []
    for index in indices:
        name = ".".join(parts[index][:depth])
        if groups and groups[-1].name == name:
            groups[-1] = LayerGroup(name, groups[-1].first, index)
        else:
            groups.append(LayerGroup(name, index, index))
    result = []
    for group in groups:
        members = range(group.first, group.last + 1)
        deeper = any(len(parts[index]) > depth for index in members)
        if deeper and len(members) > max(_FEW, _LARGE * len(parts)):
            result.extend(_split(parts, members, depth + 1))
        else:
            result.append(group)
    return result


def target_groups(study: Study, names: Sequence[str]) -> list[LayerGroup]:
    """Return the groups in which targets are shown: the channels of a layer, or a stage.

    Args:
        study: Their study.
        names: Of targets, in the order in which data reach them.
    """
    if study.metadata.question.targets.per != "channel":
        return layer_groups(names)
    groups: list[LayerGroup] = []
    for index, name in enumerate(names):
        parameter = parameter_of(name, study).removesuffix(".weight")
        if groups and groups[-1].name == parameter:
            groups[-1] = LayerGroup(parameter, groups[-1].first, index)
        else:
            groups.append(LayerGroup(parameter, index, index))
    return groups


@dataclass(frozen=True)
class Shortcut:
    """A path of the data that skips layers.

    Args:
        first: Index of the layer that it starts from; a half more if it starts where paths meet.
        last: Index that it leads to.
        level: How far out it is drawn, from 0, so that no two shortcuts cross.
    """

    first: float
    last: float
    level: int


def shortcuts(rows: Sequence[NetworkRow]) -> list[Shortcut]:
    """Return the shortcuts past layers that stand side by side in order.

    Args:
        rows: Layers and the points where paths meet, from the input to the output.

    Example:
        >>> names, after = ["a", "b", "c", ""], [(), (0,), (1,), (0, 2)]
        >>> rows = [NetworkRow(name, (), 0, way) for name, way in zip(names, after, strict=True)]
        >>> shortcuts(rows)
        [Shortcut(first=0.0, last=2.5, level=0)]
    """
    positions: list[float] = []
    layers = 0
    for row in rows:
        positions.append(float(layers) if row.name else layers - 0.5)
        layers += bool(row.name)
    jumps = {
        (positions[source], positions[index])
        for index, row in enumerate(rows)
        for source in row.after
        if any(positions[source] < layer < positions[index] for layer in range(layers))
    }
    result: list[Shortcut] = []
    for first, last in sorted(jumps, key=lambda jump: (jump[1] - jump[0], jump)):
        used = {
            shortcut.level for shortcut in result if first < shortcut.last and shortcut.first < last
        }
        free = next(level for level in range(len(jumps)) if level not in used)
        result.append(Shortcut(first, last, free))
    return result
