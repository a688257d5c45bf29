"""The greedy path, on networks whose performance is a formula."""

import numpy as np
import pandas as pd
import pytest

from hormesis.analysis.candidates import Candidate, find_candidates
from hormesis.analysis.greedy import GreedyPath, Performance, Reading
from hormesis.analysis.paired import PairedDifference
from hormesis.analysis.scores import Base
from hormesis.settings.apply import Robust, Sparse

NOISE = 0.001


class World:
    """Each cell changes clean and stressed performance by as much, and zeroes so many values."""

    def __init__(self, cells, together=()):
        self.cells, self.together, self.measured = cells, dict(together), []

    def performance(self, names):
        clean = 0.9 + sum(self.cells[name][0] for name in names)
        stressed = 0.5 + sum(self.cells[name][1] for name in names)
        for pair, change in self.together.items():
            stressed += change * (set(pair) <= set(names))
        return Performance(clean, stressed)

    def measure(self, taken, batch, number):
        before = [one.target for one in taken]
        self.measured.extend(one.target for one in batch)
        found = []
        for one in batch:
            after = self.performance([*before, one.target])
            gain = after.adversarial - self.performance(before).adversarial
            interval = PairedDifference(gain, gain - 0.01, gain + 0.01)
            removed = self.cells[one.target][2]
            found.append(Reading(one, number, removed, after, interval))
        return found

    def path(self, aim, *, budget=100):
        search = GreedyPath(aim, self.performance([]), NOISE, higher_is_better=True, budget=budget)
        candidates = [
            Candidate(name, "high_pass", 0, 0.0, row, self.promise(aim, name))
            for row, name in enumerate(self.cells)
        ]
        candidates.sort(key=lambda one: -one.promise)
        steps = search.search(candidates, self.measure)
        taken = sorted((step for step in steps if not step.reason), key=lambda step: step.number)
        return [step.reading.candidate.target for step in taken], steps

    def promise(self, aim, name):
        clean, stressed, removed = self.cells[name]
        return (
            stressed if isinstance(aim, Robust) else removed / (max(-clean, -stressed, 0) + NOISE)
        )


def test_the_best_come_first_and_noise_is_left_out():
    world = World({"a": (0, 0.05, 9), "b": (0, 0.2, 9), "c": (0, 0.005, 9), "d": (0, 0.1, 9)})
    taken, steps = world.path(Robust(1))
    assert taken == ["b", "d", "a"]
    assert {step.reason for step in steps if step.reading.candidate.target == "c"} == {
        "its gain is no more than noise"
    }


def test_the_clean_loss_of_all_steps_stays_within_the_limit():
    world = World({"a": (-0.006, 0.2, 9), "b": (-0.006, 0.1, 9), "c": (-0.003, 0.05, 9)})
    taken, steps = world.path(Robust(1))
    assert taken == ["a", "c"]
    reasons = {step.reason for step in steps if step.reading.candidate.target == "b"}
    assert "the clean loss is too large" in reasons


def test_what_two_do_together_is_measured():
    """Each of both mends the same thing, so that the second adds nothing."""
    world = World({"a": (0, 0.2, 9), "b": (0, 0.19, 9)}, {("a", "b"): -0.19})
    assert world.path(Robust(1))[0] == ["a"]


def test_sparse_takes_most_values_for_what_they_cost():
    world = World({"a": (-0.004, 0, 100), "b": (-0.002, 0, 300), "c": (0, -0.02, 5000)})
    taken, steps = world.path(Sparse(0.5))
    assert taken == ["b"]  # with `a` the loss would be 0.6 points
    assert "the loss under stress is too large" in {step.reason for step in steps}


def test_masked_gains_and_empty_steps_are_refused():
    class Masked(World):
        def measure(self, taken, batch, number):
            found = super().measure(taken, batch, number)
            return [
                Reading(one.candidate, one.round, one.removed, one.performance, one.gain, True)
                for one in found
            ]

    assert Masked({"a": (0, 0.2, 9)}).path(Robust(1))[0] == []
    assert World({"a": (0, 0.2, 0)}).path(Robust(1))[0] == []


def test_the_budget_bounds_what_is_measured():
    cells = {f"t{number}": (0, 0.02 + number / 1000, 9) for number in range(60)}
    for budget in (5, 20):
        world = World(cells)
        world.path(Robust(1), budget=budget)
        assert 0 < len(world.measured) < budget


@pytest.mark.parametrize("higher", [True, False])
def test_candidates_are_the_cells_that_promise_most(higher):
    sign = 1 if higher else -1
    rows = [
        ("a", 0, 3, 0.9, 0.6),
        ("a", 1, 5, 0.9, 0.7),
        ("b", 2, 5, 0.7, 0.9),  # costs too much
        ("b", 3, 5, 0.9, 0.4),  # no gain
        ("b", -1, 0, 0.9, 0.5),  # removes nothing
    ]
    table = pd.DataFrame(rows, columns=["target", "outcome", "zeroed", "clean", "adversarial"])
    table[["clean", "adversarial"]] *= sign
    table = table.assign(filter="high_pass", step=np.arange(5), alpha=0.0)
    base = Base(sign * 0.9, sign * 0.5, higher)
    found = find_candidates(table, base, Robust(1), NOISE)
    assert [one.key for one in found] == [("a", "high_pass", 1), ("a", "high_pass", 0)]
    assert [one.promise for one in found] == pytest.approx([0.2, 0.1])
