"""Boxes of values of a parameter: what a zoom removes, names and halves."""

import math
from dataclasses import dataclass, replace

from hormesis.engine.plan import Removal
from hormesis.stress.filters import Threshold
from hormesis.stress.parts import Part, Target

_EVERYTHING = Threshold("high_pass", 0, math.inf, math.inf, math.inf)


@dataclass(frozen=True)
class Region:
    """A box of values of a parameter.

    Args:
        target: The whole parameter.
        box: First place and the one behind the last along each axis.
        axis: Axis of the output channels.
        depth: How often the parameter was halved.

    Example:
        >>> whole = Target("w", "linear", (Part("w"),), (2, 5), 10, 0, 0.0, 1.0)
        >>> [half.name for half in Region(whole, ((0, 2), (0, 5)), 0).halves()]
        ['w[0, :]', 'w[1, :]']
        >>> [half.name for half in Region(whole, ((1, 2), (2, 5)), 0).halves()]
        ['w[1, 2]', 'w[1, 3:5]']
    """

    target: Target
    box: tuple[tuple[int, int], ...]
    axis: int
    depth: int = 0

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(end - first for first, end in self.box)

    @property
    def name(self) -> str:
        """Its parameter and its place in it, as Python spells it."""
        places = []
        for (first, end), length in zip(self.box, self.target.shape, strict=True):
            whole = (first, end) == (0, length) and self.size > 1
            places.append(":" if whole else str(first) if end == first + 1 else f"{first}:{end}")
        if all(place == ":" for place in places):
            return self.target.name
        return f"{self.target.name}[{', '.join(places)}]"

    def halves(self) -> list["Region"]:
        """Return the two halves: of the output channels, of the inputs behind them."""
        others = [axis for axis in range(len(self.box)) if axis != self.axis]
        order = [self.axis, *others]
        axis = next(axis for axis in order if self.box[axis][1] - self.box[axis][0] > 1)
        first, end = self.box[axis]
        middle = (first + end) // 2
        return [
            replace(self, box=(*self.box[:axis], cut, *self.box[axis + 1 :]), depth=self.depth + 1)
            for cut in ((first, middle), (middle, end))
        ]

    def removal(self) -> Removal:
        """Return the removal of all its values."""
        part = Part(self.target.parts[0].parameter, box=self.box)
        target = replace(self.target, name=self.name, parts=(part,), size=self.size)
        return Removal(target, _EVERYTHING, self.size)
