"""How the thresholds sweep over the weights, and what is measured at each."""

import math
from dataclasses import dataclass, field, fields
from numbers import Real
from types import FunctionType
from typing import Any

from hormesis.errors import SettingError
from hormesis.settings.choices import (
    ADVERSARIES,
    CERTAIN,
    COMPARED,
    DEFAULT_FILTERS,
    MOST_DRAWS,
    MOST_SEED,
    MOST_THRESHOLDS,
    PRECISIONS,
    REPLACEMENTS,
    SPACINGS,
    STRESSES,
    USUAL_DRAWS,
    USUAL_THRESHOLDS,
    check_several,
)
from hormesis.settings.option import check_choices, option
from hormesis.settings.replacement import Replacement, check_levels


@dataclass(frozen=True)
class Sweep:
    """How the thresholds sweep over the weights, and what is measured at each.

    Args:
        filters: Filters that are swept, or replacements instead. Each is a name or an object: a
            ``Filter``, or what ``hormesis.replacements`` makes.
        thresholds: Number of thresholds, at least 2, over the target's range; or the thresholds
            themselves, in units of the weights.
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
        spacing: Thresholds are even over the range, even in the share of values up to them
            (``"quantile"``), or on a log scale from the smallest magnitude that is not zero.
        levels: Levels of the replacements, from mild to strong, in place of their own.

    Raises:
        SettingError: For a value outside these bounds.

    Example:
        >>> Sweep(until="±0.01").until
        0.01
        >>> Sweep(thresholds=1)
        Traceback (most recent call last):
        hormesis.errors.SettingError: Expected `thresholds` to be at least 2, got 1.
        >>> Sweep(filters=("quantization",), levels=(8, 4, 2)).replaces
        True
    """

    filters: tuple[Any, ...] = field(
        default=DEFAULT_FILTERS, metadata=option(choices=STRESSES, noun="filter")
    )
    thresholds: int | tuple[float | int, ...] = field(
        default=USUAL_THRESHOLDS,
        metadata=option(metavar="N", expected="a whole number, or several finite numbers"),
    )
    by: str = field(default="signed", metadata=option(choices=COMPARED, noun="choice of `by`"))
    span: tuple[float, float] | None = (-1.0, 1.0)
    adversary: str = field(default="fixed", metadata=option(choices=ADVERSARIES))
    precision: str = field(default="exact", metadata=option(choices=PRECISIONS))
    control: bool | int = field(default=False, metadata=option(metavar="DRAWS"))
    seed: int = 0
    until: str | float | None = field(default=None, metadata=option(metavar="AIM"))
    spacing: str = field(default="even", metadata=option(choices=SPACINGS))
    levels: tuple[float | int, ...] | None = field(
        default=None, metadata=option(metavar="X", expected="finite numbers")
    )

    def __post_init__(self) -> None:
        """Check every field."""
        object.__setattr__(self, "filters", _as_filters(self.filters))
        if not self.filters:
            raise SettingError("Expected `filters` to name at least one filter, got none.")
        check_choices(self)
        names = [getattr(one, "name", one) for one in self.filters]
        if len(set(names)) < len(names):
            raise SettingError(f"Expected `filters` to differ, got {', '.join(names)}.")
        if self.replaces:
            self._check_replacements()
        else:
            self._check_thresholds()
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

    def _check_thresholds(self) -> None:
        if self.levels is not None:
            raise SettingError(
                "Expected no `levels` for filters, which have `thresholds`: leave them out, or "
                "name a replacement in `filters`."
            )
        if isinstance(self.thresholds, tuple | list):
            object.__setattr__(self, "thresholds", _as_list(self.thresholds))
        if self.steps < 2:
            raise SettingError(f"Expected `thresholds` to be at least 2, got {self.steps}.")
        if self.steps > MOST_THRESHOLDS:
            raise SettingError(
                f"Expected `thresholds` to be at most {MOST_THRESHOLDS}, got {self.steps}."
            )
        if self.spacing != "even" and isinstance(self.thresholds, tuple):
            raise SettingError(
                f"Expected the number of `thresholds` for the `spacing` {self.spacing!r}, got the "
                "thresholds themselves: leave out one of both."
            )
        if self.spacing == "log" and self.by != "magnitude":
            raise SettingError(
                "Expected `by` to be 'magnitude' for the `spacing` 'log', as negative weights have "
                "no logarithm."
            )

    def _check_replacements(self) -> None:
        """Check what holds for replacements, which have levels and no thresholds."""
        if not all(_replaces(one) for one in self.filters):
            raise SettingError(
                "Expected `filters` to be either filters or replacements, got both: measure them "
                "in two studies."
            )
        defaults = {entry.name: entry.default for entry in fields(self)}
        for name in ("thresholds", "by", "spacing"):
            if getattr(self, name) != defaults[name]:
                raise SettingError(
                    f"Expected no `{name}` for replacements, which have `levels`: leave it out."
                )
        if self.control:
            raise SettingError(
                "Expected no `control` for replacements: random removal is the control of filters."
            )
        if self.levels is not None:
            object.__setattr__(self, "levels", check_levels(self.levels))
        objects = [one for one in self.filters if isinstance(one, Replacement)]
        given = tuple(one.with_levels(self.levels) for one in objects)
        if len(given) < len(self.filters):
            return  # names become objects later, where torch is
        object.__setattr__(self, "filters", given)
        counts = {len(one.levels) for one in given}
        if len(counts) > 1:
            raise SettingError(
                "Expected all replacements of a sweep to have as many levels, got "
                f"{' and '.join(str(count) for count in sorted(counts))}: give them with `levels`, "
                "or measure two studies."
            )

    @property
    def replaces(self) -> bool:
        """Whether values are replaced, and not removed by filters."""
        return any(map(_replaces, self.filters))

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        """The replacements, once all names among them are objects; none for filters."""
        return tuple(one for one in self.filters if isinstance(one, Replacement))

    @property
    def steps(self) -> int:
        """Number of thresholds, or of levels."""
        if self.replacements:
            return len(self.replacements[0].levels)
        return len(self.thresholds) if isinstance(self.thresholds, tuple) else self.thresholds

    def described(self) -> dict[str, Any]:
        """Return the fields as plain values, by the names that studies have always used.

        Newer fields are left out at their defaults.
        """
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        del values["levels"]
        if self.spacing == "even":
            del values["spacing"]
        if self.replaces:
            names = tuple(name for one in self.replacements for name in one.sweep_names)
            values |= {"filters": names, "thresholds": self.steps}
            values["replacements"] = {one.name: one.described() for one in self.replacements}
        return {"compare" if name == "by" else name: value for name, value in values.items()}


def _as_filters(filters: Any) -> Any:  # noqa: ANN401  (whatever was passed)
    """Return filters as a tuple; a filter of the user's own is known by its name from here on."""
    check_several("filters", filters, "pulse_wave")
    if not isinstance(filters, tuple | list):
        return filters  # which the check of types refuses
    return tuple(map(_as_filter, filters))


def _as_filter(one: Any) -> str | Replacement:  # noqa: ANN401  (whatever was passed)
    if isinstance(one, str | Replacement):
        return one
    if hasattr(one, "registered"):
        return one.registered()
    called = f": call it, as in `{one.__name__}()`" if isinstance(one, FunctionType) else ""
    raise SettingError(
        "Expected `filters` to hold names, filters or replacements, got "
        f"{type(one).__name__} {one!r:.80}{called}."
    )


def _replaces(one: object) -> bool:
    return isinstance(one, Replacement) or one in REPLACEMENTS


def _as_list(thresholds: tuple[Any, ...] | list[Any]) -> tuple[float, ...]:
    """Return thresholds in ascending order."""
    for value in thresholds:
        number = isinstance(value, Real) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            raise SettingError(f"Expected `thresholds` to be finite numbers, got {value!r:.80}.")
    if len(set(thresholds)) < len(thresholds):
        raise SettingError(
            f"Expected `thresholds` to differ, got {', '.join(map(str, thresholds))}."
        )
    return tuple(sorted(map(float, thresholds)))


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
