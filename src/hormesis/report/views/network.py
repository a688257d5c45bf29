"""The network as a picture: its layers in the order in which data flow, branches side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from hormesis.results.study import Study
from hormesis.storage.schema import TapeNode


@dataclass(frozen=True)
class NetworkRow:
    """One layer, or a point where branches meet.

    Args:
        name: Name of the parameter; empty where branches meet.
        targets: Its targets: itself, or the channels of it that were swept.
        lane: Number of its parallel line, from 0.
        after: Rows that feed it.
    """

    name: str
    targets: tuple[str, ...]
    lane: int
    after: tuple[int, ...]


@dataclass(frozen=True)
class NetworkPicture:
    """The rows of the picture, from the input to the output.

    Args:
        rows: In the order in which they are computed.
        known: Whether the study says which layer feeds which; otherwise the rows are one chain, in
            the order in which the network first uses them.
    """

    rows: tuple[NetworkRow, ...]
    known: bool


def network_picture(study: Study) -> NetworkPicture:
    """Return a study's network as rows and lanes.

    Args:
        study: Any study.
    """
    members: dict[str, list[str]] = {}
    for target in study.responses["target"].unique().tolist():
        members.setdefault(parameter_of(target, study), []).append(target)
    nodes = study.metadata.flow
    named = {name for node in nodes for name in node.targets}
    known = bool(named) and set(members) <= named
    if known:
        names, after = _rows_of_nodes(nodes, members)
    else:
        names = list(members)
        after = [(index - 1,) if index else () for index in range(len(names))]
    rows = zip(names, lanes(after), after, strict=True)
    return NetworkPicture(
        tuple(
            NetworkRow(name, tuple(members.get(name, ())), lane, sources)
            for name, lane, sources in rows
        ),
        known,
    )


def parameter_of(target: str, study: Study) -> str:
    """Return the parameter that a target is a channel of, or the target itself."""
    per_channel = study.metadata.question.targets.per == "channel"
    return target.rpartition("[")[0] or target if per_channel else target


def _rows_of_nodes(
    nodes: Sequence[TapeNode], members: dict[str, list[str]]
) -> tuple[list[str], list[tuple[int, ...]]]:
    """Return one row a name: of an operation that uses two targets, one follows the other."""
    names: list[str] = []
    after: list[tuple[int, ...]] = []
    last: list[int] = []  # for each node, its last row
    for node in nodes:
        sources = tuple(last[source] for source in node.after)
        for name in [name for name in node.targets if name in members] or [""]:
            names.append(name)
            after.append(sources)
            sources = (len(names) - 1,)
        last.append(len(names) - 1)
    return names, after


def lanes(after: Sequence[Sequence[int]]) -> list[int]:
    """Return the line on which each row lies, such that no line runs through a row of another.

    A row's result runs down its own line until the last row that reads it. That one may take the
    line over; any other reader branches off to the leftmost free one.

    Args:
        after: For each row, those that it reads, all before it.

    Example:
        >>> lanes([(), (0,), (1,), (0, 2), (3,)])  # a shortcut around two layers
        [0, 1, 1, 0, 0]
    """
    last = {source: row for row, sources in enumerate(after) for source in sources}
    result: list[int] = []
    free = list[int]()  # a heap of lines on which nothing runs; nothing does from `lines` on
    lines = 0
    for row, sources in enumerate(after):
        ending = sorted({result[source] for source in sources if last[source] == row})
        if not ending and not free:
            ending, lines = [lines], lines + 1
        line = ending.pop(0) if ending else heappop(free)
        for freed in ending if row in last else [*ending, line]:
            heappush(free, freed)
        result.append(line)
    return result
