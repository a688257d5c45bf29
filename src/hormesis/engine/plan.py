"""What is to be measured: every cell, and the distinct removals behind the cells."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import reduce

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from hormesis.errors import SettingError
from hormesis.settings.choices import UNFILTERED
from hormesis.settings.replacement import Replacement
from hormesis.settings.sweep import Sweep
from hormesis.stress.filters import Threshold, keep
from hormesis.stress.parts import Target
from hormesis.stress.replacements import with_replacements
from hormesis.stress.replacing import (
    AppliedReplacement,
    Surroundings,
    apply_at,
    changes_of,
)
from hormesis.stress.thresholds import (
    listed_thresholds,
    log_thresholds,
    quantile_thresholds,
    thresholds,
)


@dataclass(frozen=True)
class Removal:
    """One way to zero some values of a target, or to replace them: what an engine measures.

    Args:
        target: What is filtered.
        threshold: Position of the filter.
        count: Number of values zeroed or changed, at least 1.
        compare: ``"signed"``, or ``"magnitude"`` to compare absolute values with the threshold.
        start: How many of the target's values are below those zeroed, in the order of what is
            compared; with ``count`` it tells which values go.
        scattered: Tells which values go where they are no neighbours in that order.
        replacement: What replaces the values, instead of a filter that zeroes them.
        draw: Seed of a random removal of ``count`` values, the control; None for the filter itself.
        noise: With a ``draw``, remove nothing, and add Gaussian noise of the same norm as the
            values that the filter zeroes.
    """

    target: Target
    threshold: Threshold
    count: int
    compare: str = "signed"
    start: int = 0
    draw: int | None = None
    noise: bool = False
    scattered: str = ""
    replacement: AppliedReplacement | None = None

    @property
    def wild(self) -> bool:
        """Whether new values are so large, or no numbers, that only the network itself is exact."""
        return self.replacement is not None and self.replacement.wild and not self.noise

    def key(self) -> str:
        """Return what tells the removal from all others of the same network and the same seed.

        Removals of different sweeps that zero the same values of a target have the same key.
        """
        parts = ";".join(part.key() for part in self.target.parts)
        control = f"{self.draw}|noise" if self.noise else f"{self.draw}"
        if self.replacement is not None:
            return f"{parts}|replaced|{self.replacement.digest}|{control}"
        which = f"{self.start}|{self.start + self.count}{self.scattered}"
        return f"{parts}|{self.compare}|{which}|{control}"

    def apply(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return copies of the target's tensors with the values zeroed or replaced.

        Args:
            parameters: The network's parameters by name.

        Returns:
            The filtered tensors by name; the originals are not changed.
        """
        if self.noise:
            return self._with_noise(parameters)
        if self.replacement is not None:
            return self.replacement.apply(self.target, parameters)
        names = dict.fromkeys(part.parameter for part in self.target.parts)
        filtered = {name: parameters[name].detach().clone() for name in names}
        dtype = _common(filtered.values())
        remaining = self._draw_values() if self.draw is not None else None
        for part in self.target.parts:
            view = part.of(filtered[part.parameter])
            if remaining is None:
                compared = _compared(view.to(dtype), self.compare)
                view.masked_fill_(~keep(compared, self.threshold), 0.0)
            else:
                chosen, remaining = remaining[: view.numel()], remaining[view.numel() :]
                view.masked_fill_(chosen.view(view.shape).to(view.device), 0.0)
        return filtered

    def _with_noise(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return copies of the target's tensors with noise of the norm of what the filter takes."""
        filtered = replace(self, draw=None, noise=False).apply(parameters)
        noisy = {name: parameters[name].detach().clone() for name in filtered}
        squares = [(noisy[name] - filtered[name]).double().square().sum() for name in filtered]
        norm = float(torch.stack([square.cpu() for square in squares]).sum().sqrt())
        generator = torch.Generator().manual_seed(self.draw or 0)
        noise = torch.randn(self.target.size, generator=generator, dtype=torch.float64)
        noise *= norm / float(noise.norm())
        for part in self.target.parts:
            view = part.of(noisy[part.parameter])
            own, noise = noise[: view.numel()], noise[view.numel() :]
            view += own.view(view.shape).to(view)
        return noisy

    def _draw_values(self) -> Tensor:
        """Return which of the target's values are removed at random: bool, one a value."""
        generator = torch.Generator().manual_seed(self.draw or 0)
        chosen = torch.zeros(self.target.size, dtype=torch.bool)
        chosen[torch.randperm(self.target.size, generator=generator)[: self.count]] = True
        return chosen


@dataclass(frozen=True)
class Cell:
    """One measurement: target × filter × threshold.

    Args:
        target: Name of the target.
        threshold: Position of the filter.
        zeroed: Number of values that are removed, or changed by a replacement.
        density: Share of values that stay as they are, 0 to 1.
        removal: Row of the outcomes that this cell reads, or ``UNFILTERED``.
        controls: The same for its random controls, one a draw; none if they are not measured.
        progress: Where it stands in its sweep, from 0 at the first threshold to 1 at the last.
    """

    target: str
    threshold: Threshold
    zeroed: int
    density: float
    removal: int
    controls: tuple[int, ...] = ()
    progress: float = 0.0

    @property
    def control(self) -> int | None:
        """The first draw of the control, or None."""
        return self.controls[0] if self.controls else None


@dataclass(frozen=True)
class Plan:
    """All cells of a study and the removals to measure; equal masks are measured once.

    Args:
        targets: Tested targets and those left out.
        cells: Every target × filter × threshold, in this order.
        removals: What has to be measured; cells refer to it by number.
    """

    targets: tuple[Target, ...]
    cells: tuple[Cell, ...]
    removals: tuple[Removal, ...] = field(repr=False)


def make_plan(
    network: nn.Module,
    targets: tuple[Target, ...],
    sweep: Sweep,
    around: Surroundings | None = None,
) -> Plan:
    """Lay out the cells of a study.

    Args:
        network: The network whose parameters are filtered.
        targets: What ``find_targets`` returned.
        sweep: Filters, number of thresholds, and the control.
        around: What replacements may look at; by default the network alone.

    Returns:
        Cells in the order of targets, filters and steps. Cells whose masks are equal share a
        removal; one that removes nothing needs none.

    Raises:
        SettingError: If magnitudes are compared, and those of every target are equal.

    Example:
        >>> from hormesis.settings.targets import Targets
        >>> from hormesis.stress.targets import find_targets
        >>> network = nn.Linear(2, 2, bias=False)
        >>> targets = find_targets(network, torch.zeros(1, 2), Targets())
        >>> plan = make_plan(network, targets, Sweep(filters=("high_pass",), thresholds=2))
        >>> [(cell.zeroed, cell.density) for cell in plan.cells]
        [(1, 0.75), (4, 0.0)]
    """
    sweep = with_replacements(sweep)
    planner = _Planner(network, sweep, around or Surroundings(network))
    targets = tuple(_distinct(target, planner.parameters, sweep) for target in targets)
    for target in targets:
        if target.tested and sweep.replaces:
            planner.add_replacements(target)
        elif target.tested:
            planner.add_filters(target)
    if not planner.cells:
        raise SettingError(
            "Expected a target whose magnitudes differ, but there is none: compare signed values "
            "with `compare`."
        )
    return Plan(targets, tuple(planner.cells), tuple(planner.removals))


class _Planner:
    """The cells and removals of a plan, as target after target is added."""

    def __init__(self, network: nn.Module, sweep: Sweep, around: Surroundings) -> None:
        self.parameters = dict(network.named_parameters())
        self._network, self._sweep, self._around = network, sweep, around
        self.cells: list[Cell] = []
        self.removals: list[Removal] = []

    def add_filters(self, target: Target) -> None:
        """Add the cells of a target whose values are removed."""
        sweep, removals = self._sweep, self.removals
        ordered = _ordered(target, self.parameters, sweep)
        dtype = _common(self.parameters[part.parameter] for part in target.parts)
        row_of: dict[tuple[int, int, str], int] = {}
        for name in sweep.filters:
            positions = list(_positions(name, target, ordered, sweep, dtype))
            for threshold, progress in zip(positions, _progress(positions, sweep), strict=True):
                start, count, scattered = _find_removed(ordered, threshold)
                row, controls = UNFILTERED, [UNFILTERED] * int(sweep.control)
                if count:
                    removal = Removal(
                        target, threshold, count, sweep.by, start, scattered=scattered
                    )
                    row = row_of.setdefault((start, count, scattered), len(removals))
                    if row == len(removals):
                        removals.append(removal)
                    # Where all values go, chance has no choice: one draw stands for all.
                    draws = len(controls) if count < target.size else min(len(controls), 1)
                    first, seeds = len(removals), range(draws)
                    removals.extend(
                        replace(removal, draw=_draw(sweep, target.name, threshold, draw))
                        for draw in seeds
                    )
                    controls = [first + min(draw, draws - 1) for draw in range(len(controls))]
                density = (target.size - count) / target.size
                self.cells.append(
                    Cell(target.name, threshold, count, density, row, tuple(controls), progress)
                )

    def add_replacements(self, target: Target) -> None:
        """Add the cells of a target whose values are replaced; equal new values share a row."""
        row_of: dict[str, int] = {}
        for replacement in self._sweep.replacements:
            last = max(len(replacement.levels) - 1, 1)
            for draw, name in enumerate(replacement.sweep_names):
                for step, level in enumerate(replacement.levels):
                    threshold = Threshold(name, step, level, level, level)
                    removal = self._replaced(target, threshold, replacement, draw)
                    row = UNFILTERED
                    if removal.count:
                        row = row_of.setdefault(removal.key(), len(self.removals))
                        if row == len(self.removals):
                            self.removals.append(removal)
                    density = (target.size - removal.count) / target.size
                    count, progress = removal.count, step / last
                    cell = Cell(target.name, threshold, count, density, row, (), progress)
                    self.cells.append(cell)

    def _replaced(
        self, target: Target, threshold: Threshold, replacement: Replacement, draw: int
    ) -> Removal:
        seed = self._sweep.seed
        applied = apply_at(replacement, target, threshold.alpha, draw, seed, self._around)
        count, digest, wild = changes_of(applied, target, self.parameters)
        applied = replace(applied, digest=digest, wild=wild)
        return Removal(target, threshold, count, replacement=applied)


def _positions(
    name: str,
    target: Target,
    ordered: Float[np.ndarray, " size"],
    sweep: Sweep,
    dtype: torch.dtype,
) -> Iterable[Threshold]:
    """Return the thresholds of one filter, in the order of its sweep."""
    if isinstance(sweep.thresholds, tuple):
        return listed_thresholds(name, sweep.thresholds, dtype)
    if sweep.spacing == "quantile":
        return quantile_thresholds(name, ordered, sweep.thresholds, dtype)
    if sweep.spacing == "log":
        return log_thresholds(name, ordered, sweep.thresholds, dtype)
    low, high = _range(target, ordered, sweep)
    return thresholds(name, low, high, sweep.thresholds, dtype)


def _progress(positions: list[Threshold], sweep: Sweep) -> list[float]:
    """Return where each threshold stands: even, or as given thresholds lie to each other."""
    last = len(positions) - 1
    if isinstance(sweep.thresholds, tuple):
        first, end = positions[0].alpha, positions[-1].alpha
        return [(at.alpha - first) / (end - first) for at in positions]
    return [at.step / last for at in positions]


def _ordered(
    target: Target, parameters: Mapping[str, Tensor], sweep: Sweep
) -> Float[np.ndarray, " size"]:
    """Return what is compared with the thresholds, in ascending order."""
    values = [part.of(parameters[part.parameter].detach()).flatten() for part in target.parts]
    # NumPy sorts several times as fast, and knows no bfloat16; single precision holds it exactly.
    exact = torch.promote_types(_common(values), torch.float32)
    compared = _compared(torch.cat([value.to("cpu", exact) for value in values]), sweep.by)
    return np.sort(compared.numpy())


def _distinct(target: Target, parameters: Mapping[str, Tensor], sweep: Sweep) -> Target:
    """Return the target, not tested if its magnitudes are compared and all equal."""
    if not target.tested or sweep.by == "signed":
        return target
    low, high = _range(target, _ordered(target, parameters, sweep), sweep)
    reason = "" if low < high else "its magnitudes are equal, so that its thresholds coincide"
    return replace(target, reason=reason)


def _common(tensors: Iterable[Tensor]) -> torch.dtype:
    """Return the data type that holds all values exactly, in which thresholds are compared."""
    return reduce(torch.promote_types, (tensor.dtype for tensor in tensors))


def _compared(values: Float[Tensor, "*shape"], how: str) -> Float[Tensor, "*shape"]:
    return values.abs() if how == "magnitude" else values


def _range(
    target: Target, ordered: Float[np.ndarray, " size"], sweep: Sweep
) -> tuple[float, float]:
    if target.kind == "global" and sweep.span is not None:
        return sweep.span
    return float(ordered[0]), float(ordered[-1])


def _find_removed(
    ordered: Float[np.ndarray, " size"], threshold: Threshold
) -> tuple[int, int, str]:
    """Return where the values that a filter removes begin, how many they are, and which.

    Neighbours in ascending order, as all filters of the package remove, need no word on which.
    """
    gone = ~keep(ordered, threshold)  # the values' data type can hold the threshold: it is exact
    start, count = int(gone.argmax()), int(np.count_nonzero(gone))
    if gone[start : start + count].all():
        return start, count, ""
    return start, count, "|" + hashlib.sha256(np.packbits(gone).tobytes()).hexdigest()


def _draw(sweep: Sweep, target: str, threshold: Threshold, draw: int) -> int:
    """Return the seed of one control: it depends on the cell, not on the order of measurement.

    A finer sweep draws the same at the thresholds that it shares with a coarser one, and more draws
    begin with the same ones.

    Args:
        sweep: With its own seed.
        target: Name of the target.
        threshold: The cell's.
        draw: Number of the draw, from 0.
    """
    even = isinstance(sweep.thresholds, int) and sweep.spacing == "even"
    progress = Fraction(threshold.step, sweep.steps - 1) if even else threshold.alpha
    key = f"{sweep.seed}/{target}/{threshold.filter}/{progress}" + (f"#{draw}" if draw else "")
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:7])
