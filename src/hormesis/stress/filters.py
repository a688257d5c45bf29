"""Synaptic filters: which values of a parameter are kept at a threshold.

A filter is one ``Filter`` here, in ``NAMED_FILTERS``, and one line in ``settings.choices.FILTERS``.
All else follows from the object: plans, masks, help texts, and how reports name and draw it.
Nothing here needs torch, so that reports can import it.
"""

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from functools import partial
from typing import Any

from jaxtyping import Bool, Float

from hormesis.errors import SettingError, unknown
from hormesis.settings.choices import FILTERS, REPLACEMENTS, check_new_name

BELOW, ABOVE, WINDOW, OTHERS = "below", "above", "window", "others"
"""What a filter removes: values up to the threshold, values from it on, a window, or others."""


@dataclass(frozen=True)
class Threshold:
    """One position of a filter's sweep.

    Args:
        filter: Name of the filter.
        step: Position in the sweep, from 0.
        alpha: The threshold, in units of the weights.
        lower: Low end of the window around it; filters without a window ignore it.
        upper: High end of that window.
        low: Lowest threshold of the sweep.
        high: Highest threshold of the sweep.
    """

    filter: str
    step: int
    alpha: float
    lower: float
    upper: float
    low: float = 0.0
    high: float = 1.0

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the user's own filter with the threshold, as other processes do not have it."""
        registered = None if self.filter in _BUILT_IN else NAMED_FILTERS.get(self.filter)
        return _unpickle, (registered, astuple(self))


def _unpickle(registered: "Filter | None", values: tuple[Any, ...]) -> Threshold:
    if registered is not None and registered.name not in NAMED_FILTERS:
        register_filter(registered)
    return Threshold(*values)


@dataclass(frozen=True)
class Filter:
    """A synaptic filter: what it keeps, how its sweep runs, and how reports show it.

    Args:
        name: What tables, flags and the manifest call it; letters, digits and ``_``.
        help: What it does, in a line.
        keep: Takes values and a threshold, and returns where a value is kept. It is given tensors
            as well as NumPy arrays, so that it should do no more than compare.
        removes: ``BELOW``, ``ABOVE``, ``WINDOW`` or ``OTHERS``, for histograms of what is removed.
        descending: Whether its sweep runs from the highest threshold to the lowest.
        color: Colour of its line, as Matplotlib takes it; grey by default. The package's own
            filters have theirs in ``hormesis.report.views.palette``.
        dashes: Lengths of the dashes and gaps of its line, in line widths; empty for none.

    Example:
        >>> NAMED_FILTERS["low_pass"].label, NAMED_FILTERS["low_pass"].sweep_text
        ('low-pass', 'removes from the threshold on, swept ←')
    """

    name: str
    help: str
    keep: Callable[[Any, Threshold], Any]
    removes: str = OTHERS
    descending: bool = False
    color: str = ""
    dashes: tuple[float | int, ...] = (1, 1.2)

    def __post_init__(self) -> None:
        """Check the name, which has to fit into tables, files and flags."""
        if not self.name.isidentifier() or self.name == "combined":
            raise SettingError(
                f"Expected the `name` of a filter to be letters, digits and _, got {self.name!r}."
            )

    def registered(self) -> str:
        """Register the filter, unless it is registered, and return its name."""
        return (self if NAMED_FILTERS.get(self.name) == self else register_filter(self)).name

    @property
    def label(self) -> str:
        """Its name as it is written in sentences."""
        return self.name.replace("_pass", "-pass").replace("_", " ")

    @property
    def sweep_text(self) -> str:
        """What it removes along its sweep, in a few words."""
        removals = {BELOW: "removes up to the threshold", ABOVE: "removes from the threshold on"}
        if self.removes == WINDOW:
            return "a window that moves"
        return f"{removals.get(self.removes, self.help)}, swept {'←' if self.descending else '→'}"


def keep_above(values: Float[Any, "*shape"], alpha: float) -> Bool[Any, "*shape"]:
    """Keep the values that lie above ``alpha``: the ideal high-pass filter ``h1`` (METHOD, 2).

    Args:
        values: Values of a parameter, in units of the weights.
        alpha: Threshold, in the same units.

    Returns:
        True where a value is kept, False where it is to be zeroed.

    Example:
        >>> import torch
        >>> keep_above(torch.tensor([-1.0, 0.0, 2.0]), alpha=0.0)
        tensor([False, False,  True])
    """
    return values > alpha


def keep_below(values: Float[Any, "*shape"], alpha: float) -> Bool[Any, "*shape"]:
    """Keep the values that lie below ``alpha``: the ideal low-pass filter ``h2`` (METHOD, 2).

    Args:
        values: Values of a parameter, in units of the weights.
        alpha: Threshold, in the same units.

    Returns:
        True where a value is kept, False where it is to be zeroed.

    Example:
        >>> import torch
        >>> keep_below(torch.tensor([-1.0, 0.0, 2.0]), alpha=0.0)
        tensor([ True, False, False])
    """
    return values < alpha


def keep_outside(values: Float[Any, "*shape"], lower: float, upper: float) -> Bool[Any, "*shape"]:
    """Keep the values outside ``[lower, upper)``: the pulse wave filter ``h3`` (METHOD, 2).

    Args:
        values: Values of a parameter, in units of the weights.
        lower: Lowest value removed, in the same units.
        upper: Lowest value above ``lower`` that is kept again.

    Returns:
        True where a value is kept, False where it is to be zeroed.

    Example:
        >>> import torch
        >>> keep_outside(torch.tensor([-1.0, 0.0, 2.0]), lower=0.0, upper=2.0)
        tensor([ True, False,  True])
    """
    return (values < lower) | (values >= upper)


def keep_between_waves(
    values: Float[Any, "*shape"], at: Threshold, *, frequency: float | int, duty: float
) -> Bool[Any, "*shape"]:
    """Keep the values between the waves of a periodic square wave (METHOD, 2).

    A value is removed where ``((value − low)/(high − low) · frequency − progress) mod 1 < duty``.
    ``progress`` is that of the threshold, from 0 to 1: over a sweep the wave moves on by one
    period, so that each value is removed for the share ``duty`` of the sweep.

    Args:
        values: Values of a parameter, in units of the weights.
        at: One position of a sweep.
        frequency: Number of periods between the lowest threshold and the highest.
        duty: Share of a period that is removed.

    Returns:
        True where a value is kept, False where it is to be zeroed.

    Example:
        >>> import torch
        >>> start = Threshold("square_wave", 0, 0.0, 0.0, 0.0, low=0.0, high=1.0)
        >>> keep_between_waves(torch.tensor([0.1, 0.3, 0.6, 0.8]), start, frequency=2, duty=0.5)
        tensor([False,  True, False,  True])
    """
    # In double precision whatever the type of the weights, so that masks are the same in all.
    exact = values.double() if hasattr(values, "double") else values.astype("float64")
    width = at.high - at.low
    phase = (exact - at.low) * (frequency / width) - (at.alpha - at.low) / width
    whole = phase.floor() if hasattr(phase, "floor") else phase // 1
    return phase - whole >= duty


def square_wave(frequency: float | int = 4.0, duty: float = 0.5, *, name: str = "") -> "Filter":
    """Return a periodic square wave as a filter, see ``keep_between_waves``.

    Args:
        frequency: Number of periods between the lowest threshold and the highest, above 0.
        duty: Share of a period that is removed, between 0 and 1.
        name: Its name; by default ``square_wave`` with frequency and duty behind it.

    Raises:
        SettingError: For a frequency or a duty outside these bounds.

    Example:
        >>> square_wave(8, 0.25).name
        'square_wave_8_0_25'
    """
    if not 0 < frequency < math.inf:
        raise SettingError(f"Expected `frequency` to be above 0, got {frequency}.")
    if not 0 < duty < 1:
        raise SettingError(f"Expected `duty` between 0 and 1, got {duty}.")
    return Filter(
        name or f"square_wave_{frequency:g}_{duty:g}".replace(".", "_"),
        f"keeps the values between {frequency:g} waves, each {duty:g} of its period wide",
        partial(keep_between_waves, frequency=frequency, duty=duty),
    )


HIGH_PASS = Filter(
    "high_pass",
    FILTERS["high_pass"],
    lambda values, at: keep_above(values, at.alpha),
    removes=BELOW,
)
LOW_PASS = Filter(
    "low_pass",
    FILTERS["low_pass"],
    lambda values, at: keep_below(values, at.alpha),
    removes=ABOVE,
    descending=True,
)
PULSE_WAVE = Filter(
    "pulse_wave",
    FILTERS["pulse_wave"],
    lambda values, at: keep_outside(values, at.lower, at.upper),
    removes=WINDOW,
)
SQUARE_WAVE = replace(square_wave(name="square_wave"), help=FILTERS["square_wave"])
NAMED_FILTERS = {item.name: item for item in (HIGH_PASS, LOW_PASS, PULSE_WAVE, SQUARE_WAVE)}
"""Every known filter by its name."""


def register_filter(new: Filter) -> Filter:
    """Register a filter by its name, for ``Sweep``, the command line and reports.

    Args:
        new: The filter. It replaces one of the same name, unless that is one of the package's own.

    Returns:
        The filter itself.

    Raises:
        SettingError: If the package has a filter of this name.

    Example:
        >>> register_filter(HIGH_PASS)
        Traceback (most recent call last):
        hormesis.errors.SettingError: Expected another `name` than 'high_pass', which is taken.
    """
    check_new_name(new.name, {*_BUILT_IN, *REPLACEMENTS})
    NAMED_FILTERS[new.name], FILTERS[new.name] = new, new.help
    return new


_BUILT_IN = frozenset(NAMED_FILTERS)


def filter_named(name: str) -> Filter:
    """Return the filter of a name.

    Raises:
        SettingError: If there is none, with the nearest names.
    """
    if name not in NAMED_FILTERS:
        raise SettingError(unknown("filter", name, NAMED_FILTERS))
    return NAMED_FILTERS[name]


def display_filter(name: str) -> Filter:
    """Return a filter as reports show it, or a stand-in for what is no filter known here.

    Example:
        >>> display_filter("from_elsewhere").label
        'from elsewhere'
    """
    return NAMED_FILTERS.get(name) or Filter(name, "not known here", lambda values, at: values > at)


def keep(values: Float[Any, "*shape"], threshold: Threshold) -> Bool[Any, "*shape"]:
    """Apply the filter that ``threshold`` names.

    Args:
        values: Values of a parameter, in units of the weights.
        threshold: One position of a sweep.

    Returns:
        True where a value is kept, False where it is to be zeroed.

    Raises:
        SettingError: If the filter is not known.

    Example:
        >>> import torch
        >>> end = Threshold("low_pass", step=0, alpha=2.0, lower=1.5, upper=2.5)
        >>> keep(torch.tensor([-1.0, 2.0]), end)
        tensor([ True, False])
    """
    return filter_named(threshold.filter).keep(values, threshold)
