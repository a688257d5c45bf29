"""How the thresholds sweep over the weights, and what is measured at each."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from hormesis.errors import SettingError
from hormesis.settings.choices import (
    ADVERSARIES,
    CERTAIN,
    COMPARED,
    DEFAULT_FILTERS,
    FILTERS,
    MOST_DRAWS,
    MOST_SEED,
    MOST_THRESHOLDS,
    PRECISIONS,
    USUAL_DRAWS,
    check_several,
)
from hormesis.settings.option import check_choices, option


@dataclass(frozen=True)
class Sweep:
    """How the thresholds sweep over the weights, and what is measured at each.

    Args:
        filters: Filters that are swept.
        thresholds: Number of thresholds, evenly spaced over the target's range, at least 2.
        by: Compare the weights themselves, or their absolute values, with the threshold. The paper
            takes ``"signed"``.
        span: Range of the thresholds of a global analysis, in units of the weights. ``None`` takes
            the network's own range. The authors use -1 to 1.
        adversary: ``"fixed"`` attacks the unfiltered network once, ``"adaptive"`` every filtered
            network anew.
        precision: ``"bf16"`` computes logits in bfloat16, which is inexact and faster on some
            devices. ``"exact"`` gives the outcomes of the plain loop.
        control: Also measure the removal of as many values at random, in so many draws; five
            without a number. Intervals know nothing of the variance between draws from one.
        seed: Seed of everything that is drawn at random, at least 0.
        until: Stop early: when every class is ``"certain"``, or when no interval extends further
            than a number such as 0.01 to either side; by default all samples are measured. Samples
            are then measured in a random order.

    Raises:
        SettingError: For a value outside these bounds.

    Example:
        >>> Sweep(until="±0.01").until
        0.01
        >>> Sweep(thresholds=1)
        Traceback (most recent call last):
        hormesis.errors.SettingError: Expected `thresholds` to be at least 2, got 1.
    """

    filters: tuple[str, ...] = field(
        default=DEFAULT_FILTERS, metadata=option(choices=FILTERS, noun="filter")
    )
    thresholds: int = 25
    by: str = field(default="signed", metadata=option(choices=COMPARED, noun="choice of `by`"))
    span: tuple[float, float] | None = (-1.0, 1.0)
    adversary: str = field(default="fixed", metadata=option(choices=ADVERSARIES))
    precision: str = field(default="exact", metadata=option(choices=PRECISIONS))
    control: bool | int = field(default=False, metadata=option(metavar="DRAWS"))
    seed: int = 0
    until: str | float | None = field(default=None, metadata=option(metavar="AIM"))

    def __post_init__(self) -> None:
        """Check every field."""
        check_several("filters", self.filters, "pulse_wave")
        if not self.filters:
            raise SettingError("Expected `filters` to name at least one filter, got none.")
        check_choices(self)
        if len(set(self.filters)) < len(self.filters):
            raise SettingError(f"Expected `filters` to differ, got {', '.join(self.filters)}.")
        if self.thresholds < 2:
            raise SettingError(f"Expected `thresholds` to be at least 2, got {self.thresholds}.")
        if self.thresholds > MOST_THRESHOLDS:
            raise SettingError(
                f"Expected `thresholds` to be at most {MOST_THRESHOLDS}, got {self.thresholds}."
            )
        if self.span is not None and not -math.inf < self.span[0] < self.span[1] < math.inf:
            raise SettingError(
                f"Expected `span` to run from low to high and to be finite, got {self.span}."
            )
        object.__setattr__(self, "control", _draws(self.control))
        if self.seed < 0:
            raise SettingError(f"Expected `seed` to be at least 0, got {self.seed}.")
        if self.seed > MOST_SEED:
            raise SettingError(f"Expected `seed` to be at most {MOST_SEED}, got {self.seed}.")
        if self.until not in (None, CERTAIN):
            object.__setattr__(self, "until", _half_width(self.until))

    def described(self) -> dict[str, Any]:
        """Return the fields as plain values, by the names that studies have always used."""
        fields = asdict(self)
        return {"compare" if name == "by" else name: value for name, value in fields.items()}


def _draws(control: bool | int) -> bool | int:
    """Return how many draws of the random control, False for none, as studies have it."""
    if isinstance(control, bool):
        return USUAL_DRAWS if control else False
    if not 0 <= control <= MOST_DRAWS:
        raise SettingError(f"Expected `control` to be from 0 to {MOST_DRAWS} draws, got {control}.")
    return control or False


def _half_width(until: str | float) -> float:
    try:
        width = float(until.removeprefix("±") if isinstance(until, str) else until)
    except ValueError:
        width = math.nan
    if not 0 < width < math.inf:
        raise SettingError(
            f"Expected `until` to be 'certain' or a number above 0 such as 0.01, got {until!r}."
        )
    return width
