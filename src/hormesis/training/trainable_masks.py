"""Which channels of every parameter are trained. Nothing here needs torch."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from hormesis.training.selection import Selection

_CHANNEL = re.compile(r"(?P<parameter>.+)\[(?P<index>\d+)\]")
_FOLLOWERS = ("bias", "norm")


@dataclass(frozen=True)
class TrainableMask:
    """Which channels of one parameter are trained, and why.

    Args:
        parameter: Its name, without the prefix of ``hormesis.normalized``.
        kind: One of ``settings.KINDS``.
        size: Number of its values.
        channels: Whether each of its output channels is trained; a single entry for the whole
            parameter.
        why: The reason, in a few words.
        layer: Whether the whole layer of the parameter is trained.
        axis: Axis of the channels; None where the module tells.

    Example:
        >>> TrainableMask("conv.weight", "convolution", 36, (True, False), "robust").trained
        18
    """

    parameter: str
    kind: str
    size: int
    channels: tuple[bool, ...]
    why: str
    layer: bool = True
    axis: int | None = None

    @property
    def trained(self) -> int:
        """Number of values that are trained."""
        return self.size * sum(self.channels) // len(self.channels)

    @property
    def is_partial(self) -> bool:
        """Whether some channels are trained and others are frozen."""
        return any(self.channels) and not all(self.channels)


def make_masks(
    targets: pd.DataFrame, classes: pd.DataFrame, trained: Iterable[str], selection: Selection
) -> tuple[TrainableMask, ...]:
    """Return the mask of every parameter, in order of use.

    Args:
        targets: A study's table of targets, which lists every parameter of its network.
        classes: From ``target_classes``.
        trained: Names of the targets that are trained.
        selection: Whether all other parameters are trained.

    Example:
        >>> columns = ["target", "kind", "size", "depth", "tested"]
        >>> rows = [("a.weight", "linear", 4, 0, True), ("a.bias", "bias", 2, 1, False),
        ...         ("b.weight", "linear", 4, 2, True), ("b.bias", "bias", 2, 3, False)]
        >>> table = pd.DataFrame(rows, columns=columns)
        >>> classes = pd.DataFrame({"target": ["a.weight", "b.weight"], "class": ["robust"] * 2})
        >>> for mask in make_masks(table, classes, ["b.weight"], Selection()):
        ...     print(mask.parameter, mask.trained, mask.why)
        a.weight 0 robust
        a.bias 0 follows a.weight
        b.weight 4 robust
        b.bias 2 follows b.weight
    """
    names = frozenset(trained)
    class_of = dict(zip(classes["target"], classes["class"], strict=True))
    masks: dict[str, TrainableMask] = {}
    for parameter, rows in _by_parameter(targets).items():
        kind, size = str(rows[0]["kind"]), _size(rows)
        labels = [class_of.get(row["target"]) for row in rows]
        if any(label is not None for label in labels):
            channels = tuple(_is_trained(row, class_of, names, selection) for row in rows)
            why = ", ".join(dict.fromkeys(label or "not measured" for label in labels))
            axis = int(rows[0].get("axis", -1))
            masks[parameter] = TrainableMask(
                parameter, kind, size, channels, why, all(channels), None if axis < 0 else axis
            )
        elif kind in _FOLLOWERS:
            leader = _leader(parameter, tuple(masks.values()))
            frozen = TrainableMask(parameter, kind, size, (False,), "")
            masks[parameter] = _follower(frozen, leader, selection)
        else:
            train = selection.undecided == "train"
            masks[parameter] = TrainableMask(parameter, kind, size, (train,), "not measured", train)
    return tuple(masks.values())


def make_full_masks(targets: pd.DataFrame) -> tuple[TrainableMask, ...]:
    """Return the masks of a regular training, which trains everything."""
    return tuple(
        TrainableMask(parameter, str(rows[0]["kind"]), _size(rows), (True,), "all")
        for parameter, rows in _by_parameter(targets).items()
    )


def _by_parameter(targets: pd.DataFrame) -> dict[str, list[dict[Any, Any]]]:
    """Return the rows of every parameter: several if its channels were swept."""
    rows_of: dict[str, list[dict[Any, Any]]] = {}
    ordered = targets.sort_values("depth", kind="stable")
    for row in ordered.to_dict("records"):
        channel = _CHANNEL.fullmatch(str(row["target"]))
        rows_of.setdefault(channel["parameter"] if channel else str(row["target"]), []).append(row)
    return rows_of


def _size(rows: Sequence[Mapping[Any, Any]]) -> int:
    return sum(int(row["size"]) for row in rows)


def _is_trained(
    row: Mapping[Any, Any], class_of: Mapping[str, str], names: frozenset[str], selection: Selection
) -> bool:
    if row["target"] in class_of:
        return row["target"] in names
    return selection.undecided == "train"


def _follower(
    mask: TrainableMask, leader: TrainableMask | None, selection: Selection
) -> TrainableMask:
    """Return the mask of a bias, or of a norm's scale or shift."""
    layer = leader is not None and all(leader.channels)
    if selection.others != "follow":
        train = selection.others == "train"
        return replace(mask, channels=(train,), why=f"others: {selection.others}", layer=layer)
    if leader is None:
        return replace(mask, why="behind no layer", layer=False)
    channels = leader.channels
    if len(channels) not in (1, mask.size):  # of another layout: trained with the whole layer only
        channels = (layer,)
    return replace(mask, channels=channels, why=f"follows {leader.parameter}", layer=layer)


def _leader(parameter: str, before: Sequence[TrainableMask]) -> TrainableMask | None:
    """Return the weight that a bias belongs to, or that a norm follows."""
    owner = parameter.rpartition(".")[0]
    weights = [mask for mask in before if mask.kind not in _FOLLOWERS]
    own = [mask for mask in weights if mask.parameter.rpartition(".")[0] == owner]
    return (own or weights or [None])[-1]
