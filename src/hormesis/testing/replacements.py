"""The laws of a replacement."""

import copy
import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass, replace
from functools import cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hormesis.data.samples import Samples
from hormesis.engine import plain, suffix
from hormesis.engine.graph import Program
from hormesis.engine.outcomes import Block, MeasurementSpec
from hormesis.engine.plan import Plan, Removal, make_plan
from hormesis.errors import SettingError
from hormesis.models.adapter import adapt
from hormesis.settings.attacks import FGSM
from hormesis.settings.replacement import Replacement
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.stress.class_metrics import accuracy
from hormesis.stress.losses import cross_entropy
from hormesis.stress.replacing import Surroundings
from hormesis.stress.targets import find_targets

_TYPES = (torch.float32, torch.float64, torch.bfloat16)


def _network(dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return a network with a convolution, a norm that has been trained, and a linear layer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4)
        )
        network(torch.randn(16, 1, 6, 6))
    return network.to(dtype).eval()


def _samples() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    inputs = torch.rand(12, 1, 6, 6, generator=generator)
    return inputs, torch.randint(0, 4, (12,), generator=generator)


class ReplacementTests:
    """What holds for every replacement.

    Attributes:
        replacement: The replacement, of at least two levels.
        network: Returns the network that is changed, the same one at each call, for a replacement
            that needs one of its own; its inputs are images 1x6x6, its outputs four logits.
    """

    replacement: ClassVar[Replacement]
    network: ClassVar[Any] = staticmethod(_network)

    def _plan(
        self,
        network: nn.Module,
        *,
        seed: int = 0,
        selection: Targets = Targets(),
        changes: Mapping[str, Any] = MappingProxyType({}),
    ) -> Plan:
        inputs, labels = _samples()
        samples = Samples(inputs, labels, None, 4, "random")
        targets = find_targets(network, samples.inputs[:2], selection)
        sweep = Sweep(filters=(replace(self.replacement, **changes),), seed=seed)
        around = Surroundings(network, samples, cross_entropy)
        return make_plan(network, targets, sweep, around)

    @staticmethod
    def _changed(plan: Plan, network: nn.Module) -> list[dict[str, Tensor]]:
        parameters = dict(network.named_parameters())
        return [removal.apply(parameters) for removal in plan.removals]

    def test_it_is_a_frozen_value(self) -> None:
        assert is_dataclass(self.replacement)
        assert replace(self.replacement) == self.replacement
        assert hash(replace(self.replacement)) == hash(self.replacement)
        described = self.replacement.described()
        assert json.loads(json.dumps(described)) == described

    def test_it_has_levels_of_its_own(self) -> None:
        sweep = Sweep(filters=(self.replacement,))
        assert sweep.replaces
        assert sweep.steps == len(self.replacement.levels) >= 2
        for levels in ((), (float("nan"),), (0.5, 0.5)):
            with pytest.raises(SettingError, match="levels"):
                replace(self.replacement, levels=levels)

    def test_cells_stand_at_its_levels(self) -> None:
        plan = self._plan(self.network())
        for name in self.replacement.sweep_names:
            cells = [cell for cell in plan.cells if cell.threshold.filter == name]
            for target in {cell.target for cell in cells}:
                own = [cell for cell in cells if cell.target == target]
                assert tuple(cell.threshold.alpha for cell in own) == self.replacement.levels
                assert (own[0].progress, own[-1].progress) == (0.0, 1.0)

    @pytest.mark.parametrize("dtype", _TYPES, ids=str)
    def test_values_keep_shape_and_type_and_the_cell_counts_those_that_change(
        self, dtype: torch.dtype
    ) -> None:
        network = adapt(self.network().to(dtype), _samples()[0][:2])
        plan, parameters = self._plan(network), dict(network.named_parameters())
        sizes = {target.name: target.size for target in plan.targets}
        for cell in plan.cells:
            if cell.removal < 0:
                assert cell.zeroed == 0
                continue
            changed = plan.removals[cell.removal].apply(parameters)
            count = 0
            for name, values in changed.items():
                own = parameters[name].detach()
                assert (values.shape, values.dtype) == (own.shape, own.dtype)
                count += int((values != own).sum())
            assert cell.zeroed == count
            assert cell.density == (sizes[cell.target] - count) / sizes[cell.target]

    def test_the_network_and_the_random_state_stay_as_they_are(self) -> None:
        network = self.network()
        before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
        self._changed(self._plan(network), network)
        for name, values in network.state_dict().items():
            assert torch.equal(values, before[name])
        assert all(parameter.grad is None for parameter in network.parameters())
        assert torch.equal(torch.get_rng_state(), state)

    def test_a_seed_gives_the_same_again_whatever_came_before(self) -> None:
        network = self.network()
        plan = self._plan(network, seed=3)
        turned = self._plan(network, seed=3, changes={"levels": self.replacement.levels[::-1]})
        values = dict(zip(_keys(plan), self._changed(plan, network), strict=True))
        again = dict(zip(_keys(turned), self._changed(turned, network), strict=True))
        assert values.keys() == again.keys()
        for key, tensors in values.items():
            for name, tensor in tensors.items():
                assert _equal(tensor, again[key][name])

    def test_draws_and_seeds_differ_where_there_are_any(self) -> None:
        network = self.network()
        first, second = self._plan(network, seed=0), self._plan(network, seed=1)
        assert (_keys(first) != _keys(second)) == (self.replacement.draws > 0)
        if self.replacement.draws:
            more = self._plan(network, changes={"draws": 2})
            assert len(more.cells) == 2 * len(self._plan(network, changes={"draws": 1}).cells)
            assert set(_keys(self._plan(network, changes={"draws": 1}))) < set(_keys(more))

    def test_keys_differ_where_values_do(self) -> None:
        network = self.network()
        plan = self._plan(network)
        seen = list(zip(plan.removals, self._changed(plan, network), strict=True))
        for (one, values), (other, others) in pairwise(seen):
            same = values.keys() == others.keys() and all(
                _equal(values[name], others[name]) for name in values
            )
            assert (one.key() == other.key()) == same

    def test_it_goes_along_to_other_processes(self) -> None:
        network = self.network()
        plan, parameters = self._plan(network), dict(network.named_parameters())
        for removal in plan.removals:
            there: Removal = pickle.loads(pickle.dumps(removal))  # noqa: S301  (written here)
            assert there.key() == removal.key()
            own = removal.apply(parameters)
            assert all(
                _equal(own[name], tensor) for name, tensor in there.apply(parameters).items()
            )

    def test_the_fast_engine_gives_the_outcomes_of_the_plain_loop(self) -> None:
        network, program = _compiled(self.network)
        (inputs, labels), group = _samples(), Targets(groups={"both": ("0.*", "4.weight")})
        removals = [
            removal
            for selection in (Targets(), group)
            for removal in self._plan(network, selection=selection).removals
        ]
        block = Block(inputs, labels)
        spec = MeasurementSpec(accuracy, FGSM(0.05), adaptive=False, bounds=(0.0, 1.0), seed=0)
        fast = suffix.measure(program, network, removals, block, spec)
        slow = plain.measure(network, removals, block, spec)
        for name in ("clean", "adversarial", "changed"):
            own, other = (getattr(outcomes, name).numpy() for outcomes in (fast, slow))
            assert np.array_equal(own, other)


@cache
def _compiled(make: Callable[[], nn.Module]) -> tuple[nn.Module, Program]:
    """Return a network and its program, which all suites of the same network share."""
    network = make()
    return network, suffix.compile_network(network, _samples()[0][:2])


def _keys(plan: Plan) -> list[str]:
    """Return the keys of a plan, in its order."""
    return [removal.key() for removal in plan.removals]


def _equal(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are the same bit for bit, NaN included."""
    return torch.equal(one.flatten().view(torch.uint8), other.flatten().view(torch.uint8))
