"""The laws of a filter."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hormesis.engine.plan import Removal, make_plan
from hormesis.settings.choices import FILTERS
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.stress.filters import ABOVE, BELOW, NAMED_FILTERS, OTHERS, WINDOW, Filter, Threshold
from hormesis.stress.targets import find_targets
from hormesis.stress.thresholds import thresholds

_TYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_COUNT = 7


def _values(dtype: torch.dtype) -> Tensor:
    """Return values with duplicates, zeros of both signs, and ties with every threshold."""
    drawn = torch.randn(40, generator=torch.Generator().manual_seed(0))
    grid = torch.linspace(-2, 2, _COUNT)
    return torch.cat([drawn.clamp(-2, 2), grid, grid, torch.tensor([0.0, -0.0])]).to(dtype)


class FilterTests:
    """What holds for every filter.

    Attributes:
        filter: The filter, registered or one of the package's own.
    """

    filter: ClassVar[Filter]

    def _sweep(self, dtype: torch.dtype = torch.float32) -> Iterator[tuple[Tensor, Threshold]]:
        values = _values(dtype)
        ends = float(values.min()), float(values.max())
        for threshold in thresholds(self.filter.name, *ends, _COUNT, dtype):
            yield values, threshold

    def test_it_is_known_by_its_name(self) -> None:
        assert NAMED_FILTERS[self.filter.name] is self.filter
        assert FILTERS[self.filter.name] == self.filter.help
        assert Sweep(filters=(self.filter.name,)).filters == (self.filter.name,)

    def test_the_object_itself_can_be_swept(self) -> None:
        assert Sweep(filters=(self.filter,)) == Sweep(filters=(self.filter.name,))

    @pytest.mark.parametrize(
        "asked",
        [
            {"thresholds": (-0.1, 0.0, 0.05, 0.3)},
            {"thresholds": 5, "spacing": "quantile"},
            {"thresholds": 5, "spacing": "log", "by": "magnitude"},
        ],
        ids=["list", "quantile", "log"],
    )
    def test_thresholds_of_any_spacing_run_its_own_way(self, asked: dict[str, Any]) -> None:
        network = nn.Linear(8, 5, bias=False)
        targets = find_targets(network, torch.zeros(2, 8), Targets())
        sweep = Sweep((self.filter.name,), **asked)
        plan = make_plan(network, targets, sweep)
        weight = network.weight.detach()
        compared = weight.abs() if sweep.by == "magnitude" else weight
        alphas = [cell.threshold.alpha for cell in plan.cells]
        assert alphas == sorted(alphas, reverse=self.filter.descending)
        progress = [cell.progress for cell in plan.cells]
        assert progress[0] == 0
        assert progress[-1] == 1
        assert progress == sorted(progress)
        for cell in plan.cells:
            assert cell.zeroed == int((~self.filter.keep(compared, cell.threshold)).sum())

    @pytest.mark.parametrize("dtype", _TYPES, ids=str)
    def test_a_mask_has_the_shape_of_the_values(self, dtype: torch.dtype) -> None:
        for values, threshold in self._sweep(dtype):
            for shaped in (values, values.view(2, -1, 1), values[:0]):
                keep = self.filter.keep(shaped, threshold)
                assert (keep.shape, keep.dtype) == (shaped.shape, torch.bool)
                assert keep.device == shaped.device

    def test_the_same_values_are_kept_whatever_their_order_and_their_neighbours(self) -> None:
        order = torch.randperm(len(_values(torch.float32)))
        for values, threshold in self._sweep():
            keep, before = self.filter.keep(values, threshold), values.clone()
            assert torch.equal(self.filter.keep(values[order], threshold), keep[order])
            alone = torch.cat([self.filter.keep(value[None], threshold) for value in values])
            assert torch.equal(alone, keep)
            assert torch.equal(values, before)

    @pytest.mark.parametrize("dtype", _TYPES, ids=str)
    def test_a_tie_is_decided_alike_in_every_precision(self, dtype: torch.dtype) -> None:
        for values, threshold in self._sweep(dtype):
            keep = self.filter.keep(values, threshold)
            assert torch.equal(self.filter.keep(values.double(), threshold), keep)
            array = self.filter.keep(values.double().numpy(), threshold)
            assert np.array_equal(array, keep.numpy())

    def test_filtering_twice_changes_nothing(self) -> None:
        for values, threshold in self._sweep():
            once = values.masked_fill(~self.filter.keep(values, threshold), 0.0)
            twice = once.masked_fill(~self.filter.keep(once, threshold), 0.0)
            assert torch.equal(once, twice)

    def test_the_sweep_runs_its_own_way(self) -> None:
        alphas = [threshold.alpha for _, threshold in self._sweep()]
        assert alphas == sorted(alphas, reverse=self.filter.descending)

    def test_it_removes_what_it_says(self) -> None:
        assert self.filter.removes in (BELOW, ABOVE, WINDOW, OTHERS)
        expected = {
            BELOW: lambda values, at: values > at.alpha,
            ABOVE: lambda values, at: values < at.alpha,
            WINDOW: lambda values, at: (values < at.lower) | (values >= at.upper),
        }.get(self.filter.removes, self.filter.keep)
        for values, threshold in self._sweep():
            keep = self.filter.keep(values, threshold)
            assert torch.equal(keep, expected(values, threshold))

    def test_the_density_never_rises_where_ever_more_is_removed(self) -> None:
        counts = [int(self.filter.keep(*item).sum()) for item in self._sweep()]
        if self.filter.removes in (BELOW, ABOVE):
            assert counts == sorted(counts, reverse=True)
            assert counts[-1] == 0

    def test_a_plan_removes_what_the_filter_does_not_keep(self) -> None:
        network = nn.Linear(8, 5, bias=False)
        targets = find_targets(network, torch.zeros(2, 8), Targets())
        plan = make_plan(network, targets, Sweep((self.filter.name,), thresholds=_COUNT))
        weight = network.weight.detach()
        keys: dict[str, Tensor] = {}
        for cell in plan.cells:
            keep = self.filter.keep(weight, cell.threshold)
            assert cell.zeroed == int((~keep).sum())
            assert cell.density == float(keep.double().mean())
            if cell.removal < 0:  # nothing is removed: the network gives its own values
                assert bool(keep.all())
                continue
            removal = plan.removals[cell.removal]
            assert isinstance(removal, Removal)
            (filtered,) = removal.apply(dict(network.named_parameters())).values()
            assert torch.equal(filtered, weight.masked_fill(~keep, 0.0))
            assert torch.equal(keys.setdefault(removal.key(), filtered), filtered)
