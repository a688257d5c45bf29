"""Shards: every one measured once, whoever measures; errors surface and stop the others."""

import threading
import time
from collections.abc import Callable, Iterator
from itertools import accumulate, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hormesis.engine.shards import ShardTask, even_edges, shard_edges
from hormesis.engine.sweep import sweep

REMOVALS = 3
SHARD = 256
Tick = Callable[[int], None]


def tasks(count: int, size: int = SHARD) -> Iterator[ShardTask]:
    wanted = np.ones(REMOVALS, dtype=bool)
    for first, end in pairwise([*range(0, count, size), count]):
        yield ShardTask(first, end, wanted)


def place(task: ShardTask, tick: Tick) -> list[int]:
    """Measure, of every sample, its place in the data set."""
    for _ in range(REMOVALS):
        tick(task.end - task.first)
    return list(range(task.first, task.end))


@settings(max_examples=20)
@given(st.integers(2, 700), st.integers(1, 3), st.integers(1, 300))
def test_every_sample_is_measured_once(count, workers, size):
    found = [
        (task.first, places) for task, places in sweep(place, tasks(count, size), workers=workers)
    ]
    assert [number for _, places in sorted(found) for number in places] == list(range(count))


def test_what_is_measured_first_is_yielded_first():
    others = threading.Event()

    def slow_first(task: ShardTask, tick: Tick) -> list[int]:
        if task.first == 0:
            assert others.wait(timeout=60)
        return place(task, tick)

    found = list[int]()
    for task, _ in sweep(slow_first, tasks(9, 3), workers=3):
        found.append(task.first)
        if len(found) == 2:
            others.set()
    assert sorted(found[:2]) == [3, 6]
    assert found[2] == 0


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("before", [0, 100])
def test_progress_rises_to_its_total(workers, before):
    reports = []
    count = 600
    total = REMOVALS * count + before
    list(
        sweep(
            place,
            tasks(count),
            workers=workers,
            progress=(before, total),
            report=lambda done, total: reports.append((done, total)),
        )
    )
    done = [report[0] for report in reports]
    assert {report[1] for report in reports} == {total}
    assert done == sorted(set(done))
    assert done[-1] == total


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_reaches_its_end_whatever_a_shard_leaves_out(workers):
    reports = []

    def lazy(task: ShardTask, tick: Tick) -> int:
        for _ in range(REMOVALS if task.first == 0 else task.first % 2):
            tick(task.end - task.first)
        return task.first

    shards = sweep(
        lazy,
        tasks(900),
        workers=workers,
        progress=(0, REMOVALS * 900),
        report=lambda done, total: reports.append((done, total)),
    )
    assert all(task.first == found for task, found in shards)
    done = [report[0] for report in reports]
    assert done == sorted(set(done))
    assert reports[-1] == (REMOVALS * 900, REMOVALS * 900)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_without_shards_ahead_none_begins_before_its_turn(workers):
    # Whoever takes a shard decides what the next ones measure.
    begun = []

    def noted(task: ShardTask, tick: Tick) -> list[int]:
        begun.append(task.first)
        return place(task, tick)

    taken = 0
    for _ in sweep(noted, tasks(8 * SHARD), workers=workers, ahead=0):
        taken += 1
        time.sleep(0.01)  # a shard that begins too early has the time to
        assert len(begun) < taken + workers
    assert taken == 8


# Where shards end


SHAPES = st.sampled_from([(4,), (3, 32, 32), (3, 64, 64), (3, 224, 224)])


@given(st.integers(2, 5000), SHAPES)
def test_shards_are_no_larger_than_their_inputs_allow(count, shape):
    edges = shard_edges(count, shape)
    sizes = [end - first for first, end in pairwise(edges)]
    assert (edges[0], edges[-1]) == (0, count)
    assert 0 < min(sizes) <= max(sizes) <= 256
    assert len(set(sizes[:-1])) <= 1
    assert max(sizes) == 16 or max(sizes) * np.prod(shape) <= 256 * 3 * 32 * 32


@given(st.integers(2, 5000), st.integers(2, 5000), SHAPES)
def test_shards_of_a_smaller_study_lie_within_those_of_a_larger(some, more, shape):
    some, more = sorted((some, more))
    small, large = shard_edges(some, shape), shard_edges(more, shape)
    for first, end in pairwise(large):
        if first < some:
            assert {first, min(end, some)} <= {*small}


@settings(max_examples=40)
@given(st.data(), st.integers(4, 1500))
def test_shards_end_where_scores_are_looked_at(data, count):
    gaps = data.draw(st.lists(st.integers(2, 300), max_size=6))
    looks = [look for look in accumulate(gaps) if look <= count - 2]
    edges = shard_edges(count, (3, 32, 32), looks)
    assert {*looks, 0, count} <= {*edges}
    assert edges == sorted(set(edges))
    assert max(end - first for first, end in pairwise(edges)) <= (64 if looks else 256)


@given(st.integers(0, 99), st.integers(1, 400), st.integers(2, 256))
def test_parts_are_of_nearly_equal_sizes_and_never_of_a_single_sample(first, count, most):
    # Many networks squeeze their output, and so treat a batch of one differently.
    parts = even_edges(first, first + count, most)
    sizes = [end - first for first, end in pairwise(parts)]
    assert (parts[0], parts[-1]) == (first, first + count)
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 2 or count == 1
    assert max(sizes) <= max(most, 3)  # three samples cannot be two parts


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_an_error_surfaces_and_ends_the_other_workers(workers):
    started, ended = [], []

    def failing(task: ShardTask, tick: Tick) -> list[int]:
        started.append(task.first)
        if task.first == 0:
            raise ValueError("shard 0 is broken")
        try:
            for _ in range(2000):  # ends by itself after 20 seconds at the latest
                time.sleep(0.01)
                tick(1)
        finally:
            ended.append(task.first)
        return place(task, tick)

    began = time.monotonic()
    with pytest.raises(ValueError, match="shard 0 is broken"):
        list(sweep(failing, tasks(8 * SHARD), workers=workers))
    assert time.monotonic() - began < 10
    assert sorted(ended) == sorted(started)[1:]
    assert len(started) <= workers + 1  # shards that wait for a worker never start


def test_whoever_stops_listening_ends_the_workers():
    running = threading.Event()

    def endless(task: ShardTask, tick: Tick) -> list[int]:
        if task.first:
            running.set()
            for _ in range(2000):
                time.sleep(0.01)
                tick(1)
        return place(task, tick)

    began = time.monotonic()
    shards = sweep(endless, tasks(4 * SHARD), workers=2)
    assert next(shards)[0].first == 0
    assert running.wait(timeout=20)
    shards.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("fails", [False, True])
def test_several_workers_compute_with_one_thread_each_and_give_the_threads_back(fails):
    before = torch.get_num_threads()
    seen = []

    def counting(task: ShardTask, tick: Tick) -> list[int]:
        seen.append(torch.get_num_threads())
        if fails:
            raise RuntimeError("no measurement")
        return place(task, tick)

    torch.set_num_threads(2)
    try:
        if fails:
            with pytest.raises(RuntimeError, match="no measurement"):
                list(sweep(counting, tasks(6, 3), workers=2))
        else:
            list(sweep(counting, tasks(6, 3), workers=2))
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2
        seen.clear()
        if not fails:
            list(sweep(counting, tasks(6, 3), workers=1))
            assert set(seen) == {2}
    finally:
        torch.set_num_threads(before)
