"""What of every parameter is trained, from the targets that are. Nothing here needs torch."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from hormesis.training.selection import Selection

_CHANNEL = re.compile(r"(?P<parameter>.+)\[(?P<index>\d+)\]")
_FOLLOWERS = ("bias", "norm")


@dataclass(frozen=True)
class Share:
    """What of one parameter is trained, and why.

    Args:
        parameter: Its name, without the prefix of ``hormesis.normalized``.
        kind: One of ``settings.KINDS``.
        size: Number of its values.
        channels: For each of its output channels, whether it is trained; a single entry for the
            whole parameter.
        why: What decided, in a few words.
        layer: Whether the whole layer that it belongs to is trained.

    Example:
        >>> Share("conv.weight", "convolution", 36, (True, False), "fragile, robust").trained
        18
    """

    parameter: str
    kind: str
    size: int
    channels: tuple[bool, ...]
    why: str
    layer: bool = True

    @property
    def trained(self) -> int:
        """Number of values that are trained."""
        return self.size * sum(self.channels) // len(self.channels)

    @property
    def partly(self) -> bool:
        """Whether some channels are trained and others are frozen."""
        return any(self.channels) and not all(self.channels)


def shares_of(
    targets: pd.DataFrame, classes: pd.DataFrame, trained: Iterable[str], selection: Selection
) -> tuple[Share, ...]:
    """Return the share of every parameter, in order of use.

    Args:
        targets: A study's table of targets, which lists every parameter of its network.
        classes: What ``target_classes`` returned.
        trained: Names of the targets that are trained.
        selection: What becomes of all others.

    Example:
        >>> columns = ["target", "kind", "size", "depth", "tested"]
        >>> rows = [("a.weight", "linear", 4, 0, True), ("a.bias", "bias", 2, 1, False),
        ...         ("b.weight", "linear", 4, 2, True), ("b.bias", "bias", 2, 3, False)]
        >>> table = pd.DataFrame(rows, columns=columns)
        >>> classes = pd.DataFrame({"target": ["a.weight", "b.weight"], "class": ["robust"] * 2})
        >>> for share in shares_of(table, classes, ["b.weight"], Selection()):
        ...     print(share.parameter, share.trained, share.why)
        a.weight 0 robust
        a.bias 0 follows a.weight
        b.weight 4 robust
        b.bias 2 follows b.weight
    """
    names = frozenset(trained)
    known = dict(zip(classes["target"], classes["class"], strict=True))
    found: dict[str, Share] = {}
    for parameter, rows in _by_parameter(targets).items():
        kind, size = str(rows[0]["kind"]), _size(rows)
        labels = [known.get(row["target"]) for row in rows]
        if any(label is not None for label in labels):
            channels = tuple(_is_trained(row, known, names, selection) for row in rows)
            why = ", ".join(dict.fromkeys(label or "not measured" for label in labels))
            found[parameter] = Share(parameter, kind, size, channels, why, all(channels))
        elif kind in _FOLLOWERS:
            leader = _leader(parameter, tuple(found.values()))
            alone = Share(parameter, kind, size, (False,), "")
            found[parameter] = _follower(alone, leader, selection)
        else:
            train = selection.undecided == "train"
            found[parameter] = Share(parameter, kind, size, (train,), "not measured", train)
    return tuple(found.values())


def everything(targets: pd.DataFrame) -> tuple[Share, ...]:
    """Return the shares of a regular training."""
    return tuple(
        Share(parameter, str(rows[0]["kind"]), _size(rows), (True,), "all")
        for parameter, rows in _by_parameter(targets).items()
    )


def _by_parameter(targets: pd.DataFrame) -> dict[str, list[dict[Any, Any]]]:
    """Return the rows of every parameter, which are several for one that was swept by channels."""
    found: dict[str, list[dict[Any, Any]]] = {}
    ordered = targets.sort_values("depth", kind="stable")
    for row in ordered.to_dict("records"):
        channel = _CHANNEL.fullmatch(str(row["target"]))
        found.setdefault(channel["parameter"] if channel else str(row["target"]), []).append(row)
    return found


def _size(rows: Sequence[Mapping[Any, Any]]) -> int:
    return sum(int(row["size"]) for row in rows)


def _is_trained(
    row: Mapping[Any, Any], known: Mapping[str, str], names: frozenset[str], selection: Selection
) -> bool:
    if row["target"] in known:
        return row["target"] in names
    return selection.undecided == "train"


def _follower(share: Share, leader: Share | None, selection: Selection) -> Share:
    """Return what of a bias, or of a norm's scale or shift, is trained, and why."""
    layer = leader is not None and all(leader.channels)
    if selection.others != "follow":
        train = selection.others == "train"
        return replace(share, channels=(train,), why=f"others: {selection.others}", layer=layer)
    if leader is None:
        return replace(share, why="behind no layer", layer=False)
    channels = leader.channels
    if len(channels) not in (1, share.size):  # of another layout: trained with the whole layer only
        channels = (layer,)
    return replace(share, channels=channels, why=f"follows {leader.parameter}", layer=layer)


def _leader(parameter: str, before: Sequence[Share]) -> Share | None:
    """Return the weight that a bias belongs to, or that a norm stands behind."""
    owner = parameter.rpartition(".")[0]
    weights = [share for share in before if share.kind not in _FOLLOWERS]
    own = [share for share in weights if share.parameter.rpartition(".")[0] == owner]
    return (own or weights or [None])[-1]
