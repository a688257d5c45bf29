"""The plan: every cell's counts are those of its mask, and equal masks are measured once."""

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from hormesis.engine.plan import Cell, Plan, Removal, make_plan
from hormesis.errors import SettingError
from hormesis.settings.choices import DEFAULT_FILTERS, UNFILTERED
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.stress.filters import Threshold, keep
from hormesis.stress.targets import find_targets

numbers = st.floats(-4, 4, width=16, allow_subnormal=False)
differing = st.lists(
    st.one_of(numbers, st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0])), min_size=2, max_size=14
).filter(lambda values: min(values) < max(values))
counts = st.integers(2, 7)


class Bag(nn.Module):
    """Parameters by name, all of them used."""

    w: Tensor

    def __init__(self, **tensors: Tensor) -> None:
        super().__init__()
        for name, values in tensors.items():
            self.register_parameter(name, nn.Parameter(values))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs + sum(parameter.float().sum() for parameter in self.parameters())


def planned(network: nn.Module, sweep: Sweep, *, scope: str = "local") -> Plan:
    targets = find_targets(network.eval(), torch.zeros(1, 1), Targets(("*",), scope=scope))
    return make_plan(network, targets, sweep)


def weights(**tensors: list[float]) -> Bag:
    return Bag(**{name: torch.tensor(values) for name, values in tensors.items()})


def mask(cell: Cell, values: Tensor, compare: str = "signed") -> tuple[bool, ...]:
    """Return directly what a cell's filter keeps."""
    values = values.detach().double()
    compared = values.abs() if compare == "magnitude" else values
    return tuple(keep(compared, cell.threshold).flatten().tolist())


@given(differing, counts, st.sampled_from(["signed", "magnitude"]))
def test_counts_are_those_of_the_mask(values, count, compare):
    if compare == "magnitude" and len({abs(value) for value in values}) < 2:
        return
    network = weights(w=values)
    plan = planned(network, Sweep(thresholds=count, by=compare))
    assert len(plan.cells) == 3 * count
    for cell in plan.cells:
        kept = sum(mask(cell, network.w, compare))
        assert cell.zeroed == len(values) - kept
        assert cell.density == kept / len(values)


@given(differing, counts)
def test_cells_share_a_removal_exactly_when_their_masks_agree(values, count):
    network = weights(w=values)
    plan = planned(network, Sweep(thresholds=count))
    for one, other in combinations(plan.cells, 2):
        same = mask(one, network.w) == mask(other, network.w)
        assert (one.removal == other.removal) == same


@given(differing, counts)
def test_a_cell_points_at_its_own_removal(values, count):
    network = weights(w=values)
    plan = planned(network, Sweep(thresholds=count))
    assert {c.removal for c in plan.cells} - {UNFILTERED} == set(range(len(plan.removals)))
    for cell in plan.cells:
        kept = torch.tensor(mask(cell, network.w))
        assert (cell.removal == UNFILTERED) == (cell.zeroed == 0)
        if cell.removal != UNFILTERED:
            removal = plan.removals[cell.removal]
            assert removal.count == cell.zeroed
            filtered = removal.apply(dict(network.named_parameters()))["w"]
            assert torch.equal(filtered, network.w.detach().masked_fill(~kept, 0.0))


def test_a_pulse_that_meets_no_value_needs_no_removal():
    plan = planned(weights(w=[0.0, 1.0]), Sweep(filters=("pulse_wave",), thresholds=3))
    assert [cell.removal for cell in plan.cells] == [0, UNFILTERED, 1]
    assert [cell.density for cell in plan.cells] == [0.5, 1.0, 0.5]
    assert len(plan.removals) == 2


def test_masks_of_equal_counts_are_told_apart():
    # High-pass removes {-1}, then {-1, 0}; low-pass {1}, then {0, 1}: equal counts.
    network = weights(w=[-1.0, 0.0, 1.0])
    plan = planned(network, Sweep(filters=("high_pass", "low_pass"), thresholds=3))
    assert [cell.zeroed for cell in plan.cells] == [1, 2, 3, 1, 2, 3]
    assert [cell.removal for cell in plan.cells] == [0, 1, 2, 3, 4, 2]


def test_targets_do_not_share_removals():
    plan = planned(weights(a=[0.0, 1.0], b=[0.0, 1.0]), Sweep(("high_pass",), thresholds=2))
    assert [(cell.target, cell.removal) for cell in plan.cells] == [
        ("a", 0),
        ("a", 1),
        ("b", 2),
        ("b", 3),
    ]


def test_cells_come_by_target_filter_and_step():
    plan = planned(weights(a=[0.0, 1.0], b=[0.0, 2.0]), Sweep(thresholds=4))
    places = [(cell.target, cell.threshold.filter, cell.threshold.step) for cell in plan.cells]
    assert places == [
        (t, f, step) for t in ("a", "b") for f in DEFAULT_FILTERS for step in range(4)
    ]


def test_a_target_that_is_not_tested_has_no_cell():
    plan = planned(weights(a=[1.0, 1.0], b=[0.0, 2.0]), Sweep(thresholds=2))
    assert [target.name for target in plan.targets] == ["a", "b"]
    assert {cell.target for cell in plan.cells} == {"b"}


@settings(max_examples=10)
@given(differing)
def test_given_parameters_are_never_changed(values):
    network = weights(w=values, v=values)
    before = {name: tensor.detach().clone() for name, tensor in network.named_parameters()}
    for scope in ("local", "global"):
        plan = planned(network, Sweep(thresholds=3, control=True), scope=scope)
        for removal in plan.removals:
            filtered = removal.apply(dict(network.named_parameters()))
            assert not any(tensor.requires_grad for tensor in filtered.values())
    assert all(torch.equal(before[name], value) for name, value in network.named_parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())


def zeroed_places(removal: Removal, network: nn.Module) -> list[int]:
    """Return which values of ``w``, none of them zero, a removal takes."""
    filtered = removal.apply(dict(network.named_parameters()))["w"]
    return (filtered.flatten() == 0).nonzero().flatten().tolist()


UNLIKE = weights(w=[-3.0, -2.0, -1.0, 1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0])


def controls(plan: Plan, target: str = "w") -> dict[tuple[str, int], Removal]:
    found = {}
    for cell in plan.cells:
        if cell.target == target and cell.control is not None and cell.control >= 0:
            found[cell.threshold.filter, cell.threshold.step] = plan.removals[cell.control]
    return found


@settings(max_examples=15)
@given(differing.map(lambda values: [v + 10 for v in values]), counts, st.integers(0, 2**40))
def test_the_control_removes_exactly_as_many_values(values, count, seed):
    network = weights(w=values)
    plan = planned(network, Sweep(thresholds=count, control=True, seed=seed))
    for cell in plan.cells:
        assert cell.control is not None
        assert (cell.control == UNFILTERED) == (cell.zeroed == 0)
        if cell.control != UNFILTERED:
            assert len(zeroed_places(plan.removals[cell.control], network)) == cell.zeroed


def test_without_control_no_cell_has_one():
    assert {cell.control for cell in planned(UNLIKE, Sweep(thresholds=3)).cells} == {None}


def test_controls_are_the_same_in_any_order_and_company():
    sweep = Sweep(thresholds=5, control=True, seed=3)
    alone = controls(planned(UNLIKE, sweep))
    turned = Sweep(filters=DEFAULT_FILTERS[::-1], thresholds=5, control=True, seed=3)
    beside = Bag(a=torch.tensor([1.0, 2.0]), w=UNLIKE.w.detach().clone())
    for company in (controls(planned(UNLIKE, turned)), controls(planned(beside, sweep))):
        assert company.keys() == alone.keys()
        for cell, removal in alone.items():
            assert zeroed_places(company[cell], beside) == zeroed_places(removal, UNLIKE)


def test_controls_are_drawn_anew_for_each_seed_filter_step_and_target():
    sweep = Sweep(thresholds=5, control=True)
    plan = planned(Bag(v=UNLIKE.w.detach(), w=UNLIKE.w.detach()), sweep)
    draws = [plan.removals[cell.control or 0].draw for cell in plan.cells if cell.zeroed]
    assert len(set(draws)) == len(draws)
    first, other = (
        controls(plan),
        controls(planned(UNLIKE, Sweep(thresholds=5, control=True, seed=1))),
    )
    assert [zeroed_places(r, UNLIKE) for r in first.values()] != [
        zeroed_places(r, UNLIKE) for r in other.values()
    ]
    # Two steps that remove one value each do not remove the same one throughout.
    pulses = Sweep(filters=("pulse_wave",), thresholds=10, control=True)
    single = [r for r in controls(planned(UNLIKE, pulses)).values() if r.count == 1]
    assert len({tuple(zeroed_places(removal, UNLIKE)) for removal in single}) > 1


def test_the_control_reaches_every_value():
    threshold = Threshold("high_pass", 0, 0.0, 0.0, 0.0)
    plan = planned(UNLIKE, Sweep(thresholds=2))
    seen = set()
    for draw in range(200):
        seen.update(zeroed_places(Removal(plan.targets[0], threshold, 2, draw=draw), UNLIKE))
    assert seen == set(range(10))


def test_magnitudes_are_compared_without_their_sign():
    network = weights(w=[-4.0, -1.0, 2.0, 3.0])
    plan = planned(network, Sweep(("high_pass", "low_pass"), thresholds=4, by="magnitude"))
    assert [cell.threshold.alpha for cell in plan.cells[:4]] == [1.0, 2.0, 3.0, 4.0]
    filtered = [
        plan.removals[cell.removal].apply(dict(network.named_parameters()))["w"].tolist()
        for cell in plan.cells
    ]
    assert filtered[:3] == [[-4.0, 0.0, 2.0, 3.0], [-4.0, 0.0, 0.0, 3.0], [-4.0, 0.0, 0.0, 0.0]]
    assert filtered[4:6] == [[0.0, -1.0, 2.0, 3.0], [0.0, -1.0, 2.0, 0.0]]
    assert filtered[3] == filtered[7] == [0.0, 0.0, 0.0, 0.0]


def test_equal_magnitudes_are_not_tested():
    network = weights(binary=[-1.0, 1.0, 1.0], other=[1.0, 2.0])
    plan = planned(network, Sweep(thresholds=3, by="magnitude"))
    assert [(target.name, target.tested) for target in plan.targets] == [
        ("binary", False),
        ("other", True),
    ]
    assert plan.targets[0].reason == ("its magnitudes are equal, so that its thresholds coincide")
    assert {cell.target for cell in plan.cells} == {"other"}
    with pytest.raises(SettingError, match="Expected a target whose magnitudes differ"):
        planned(weights(binary=[-1.0, 1.0]), Sweep(thresholds=3, by="magnitude"))


@pytest.mark.parametrize("control", [False, True])
def test_a_channel_is_filtered_and_the_others_stay(control):
    network = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[1.0, 2.0, 3.0], [1.0, 5.0, 9.0]]))
    targets = find_targets(network, torch.zeros(1, 3), Targets(per="channel"))
    sweep = Sweep(("high_pass",), thresholds=3, control=control)
    plan = make_plan(network, targets, sweep)
    for cell in plan.cells:
        channel = int(cell.target.removesuffix("]").rpartition("[")[2])
        row = cell.control if control else cell.removal
        assert row is not None
        filtered = plan.removals[row].apply(dict(network.named_parameters()))["weight"]
        assert torch.equal(filtered[1 - channel], network.weight[1 - channel])
        assert int((filtered[channel] == 0).sum()) == cell.zeroed
    assert [cell.density for cell in plan.cells] == [2 / 3, 1 / 3, 0.0] * 2


def test_a_global_threshold_is_the_same_for_all_tensors():
    network = weights(a=[-0.5, 0.25], b=[0.5, 2.0, -2.0])
    plan = planned(network, Sweep(("high_pass",), thresholds=3), scope="global")
    assert [cell.threshold.alpha for cell in plan.cells] == [-1.0, 0.0, 1.0]
    assert [cell.zeroed for cell in plan.cells] == [1, 2, 4]
    filtered = plan.removals[plan.cells[1].removal].apply(dict(network.named_parameters()))
    assert filtered["a"].tolist() == [0.0, 0.25]
    assert filtered["b"].tolist() == [0.5, 2.0, 0.0]


def test_a_global_range_may_be_the_networks_own():
    network = weights(a=[-0.5, 0.25], b=[0.5, 2.0, -2.0])
    plan = planned(network, Sweep(("low_pass",), thresholds=2, span=None), scope="global")
    assert [(cell.threshold.alpha, cell.zeroed) for cell in plan.cells] == [(2.0, 1), (-2.0, 5)]


def test_a_global_control_draws_from_all_tensors_together():
    network = weights(a=[-0.5, 0.25], b=[0.5, 2.0, -2.0])
    sweep = Sweep(("high_pass",), thresholds=3, control=True, span=None)
    seen = set()
    for seed in range(20):
        chosen = Sweep(("high_pass",), thresholds=3, control=True, span=None, seed=seed)
        plan = planned(network, chosen, scope="global")
        cell = plan.cells[0]
        assert cell.control is not None
        filtered = plan.removals[cell.control].apply(dict(network.named_parameters()))
        gone = [(n, i) for n, t in filtered.items() for i in (t == 0).nonzero().flatten().tolist()]
        assert len(gone) == cell.zeroed == 1
        seen.update(gone)
    assert sweep.control
    assert {name for name, _ in seen} == {"a", "b"}


@settings(max_examples=20)
@given(
    st.lists(differing, min_size=4, max_size=4),
    st.permutations([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
    counts,
)
def test_tensors_of_mixed_precision_are_counted_as_they_are_filtered(lists, dtypes, count):
    network = Bag(
        **{
            name: (torch.tensor(values).double() / 3 + 10).to(dtype)  # none of them is zero
            for name, values, dtype in zip("abcd", lists, dtypes, strict=True)
        }
    )
    plan = planned(network, Sweep(thresholds=count, span=None), scope="global")
    for cell in plan.cells:
        if cell.removal != UNFILTERED:
            filtered = plan.removals[cell.removal].apply(dict(network.named_parameters()))
            assert sum(int((tensor == 0).sum()) for tensor in filtered.values()) == cell.zeroed
            for name, tensor in filtered.items():
                assert tensor.dtype == network.get_parameter(name).dtype


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@settings(max_examples=20)
@given(differing, counts)
def test_counts_hold_in_every_precision(dtype, values, count):
    tensor = torch.tensor(values).to(dtype) + 0.1
    if tensor.unique().numel() < 2 or (tensor == 0).any():
        return
    network = Bag(w=tensor)
    plan = planned(network, Sweep(thresholds=count))
    for cell in plan.cells:
        if cell.removal != UNFILTERED:
            assert len(zeroed_places(plan.removals[cell.removal], network)) == cell.zeroed
