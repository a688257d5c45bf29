"""Which parameter feeds which: the way of the data through a network, read from its graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind


@dataclass(frozen=True)
class Node:
    """An operation that uses parameters, or one where ways of different origin meet.

    Args:
        parameters: Names of the parameters that it uses, as the graph has them; none where ways
            meet, as at the sum of a shortcut.
        after: Places of the nodes whose results reach it unchanged by any other parameter.
    """

    parameters: tuple[str, ...]
    after: tuple[int, ...]


Flow = tuple[Node, ...]
"""Nodes in the order in which they are computed: each comes behind those that feed it."""


def flow_of(exported: ExportedProgram) -> Flow:
    """Return the way of the data through an exported network.

    Args:
        exported: What ``tracing.export`` returned, before it is rewritten.

    Example:
        >>> import torch
        >>> from hormesis.engine.tracing import export
        >>> network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 2))
        >>> [node.parameters for node in flow_of(export(network, torch.zeros(1, 2)))]
        [('0.weight', '0.bias'), ('1.weight', '1.bias')]
    """
    signature = {spec.arg.name: spec for spec in exported.graph_signature.input_specs}
    nodes: list[Node] = []
    sources: dict[fx.Node, frozenset[int]] = {}  # of what depends on the input: nodes before it
    made_of: dict[fx.Node, tuple[str, ...]] = {}  # of all else: the parameters it is made of
    for each in exported.graph.nodes:
        if each.op == "placeholder":
            spec = signature[each.name]
            if spec.kind == InputKind.USER_INPUT:
                sources[each] = frozenset()
            elif spec.kind == InputKind.PARAMETER:
                made_of[each] = (str(spec.target),)
        elif each.op == "call_function":
            read = each.all_input_nodes
            names = dict.fromkeys(name for node in read for name in made_of.get(node, ()))
            ways = [sources[node] for node in read if node in sources]
            if not ways:
                made_of[each] = tuple(names)
                continue
            sources[each] = frozenset().union(*ways)
            if names or len({way for way in ways if way}) > 1:
                nodes.append(Node(tuple(names), tuple(sorted(sources[each]))))
                sources[each] = frozenset({len(nodes) - 1})
    return tuple(nodes)


def flow_between_targets(flow: Flow, targets: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return a flow between targets alone, as plain values that a manifest can hold.

    Args:
        flow: Of the whole network.
        targets: Names of targets by those of their parameters; all other parameters are passed by.

    Returns:
        Nodes as ``{"targets": [...], "after": [...]}``; ``targets`` is empty where ways meet.

    Example:
        >>> nodes = Node(("a",), ()), Node(("norm",), (0,)), Node((), (0, 1)), Node(("b",), (2,))
        >>> flow_between_targets(nodes, {"a": "A", "b": "B"})
        [{'targets': ['A'], 'after': []}, {'targets': ['B'], 'after': [0]}]
    """
    kept: list[dict[str, Any]] = []
    stands_for: list[frozenset[int]] = []  # for each node of the flow, those kept in its index
    for node in flow:
        after = frozenset().union(*(stands_for[index] for index in node.after))
        names = [targets[name] for name in node.parameters if name in targets]
        if names or len(after) > 1:
            kept.append({"targets": names, "after": sorted(after)})
            after = frozenset({len(kept) - 1})
        stands_for.append(after)
    return _without_ends(kept)


def _without_ends(nodes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the nodes without those where ways meet and no target follows."""
    needed = {index for index, node in enumerate(nodes) if node["targets"]}
    for index in reversed(range(len(nodes))):
        if index in needed:
            needed.update(nodes[index]["after"])
    order = {index: number for number, index in enumerate(sorted(needed))}
    return [
        {"targets": nodes[index]["targets"], "after": [order[p] for p in nodes[index]["after"]]}
        for index in order
    ]
