"""Blocks: every sample once and in order, whoever measures; errors surface and stop the others."""

import threading
import time
from collections.abc import Callable
from itertools import accumulate

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hormesis.engine.memory import MOST
from hormesis.engine.outcomes import Block, Outcomes
from hormesis.engine.sweep import sweep
from hormesis.inputs.samples import Samples

REMOVALS = 3
Tick = Callable[[], None]


def numbered(count: int) -> Samples:
    """Return samples whose only value tells their place."""
    places = torch.arange(count)
    return Samples(places.float()[:, None], places % 2, (0.0, float(count)), 2, "numbered")


def place(block: Block, tick: Tick) -> Outcomes:
    """Measure, of every sample, its place in the data set."""
    values = block.inputs[:, 0]
    rows = []
    for removal in range(REMOVALS):
        rows.append(values + removal)
        tick()
    return Outcomes(
        base_clean=values,
        base_adversarial=-values,
        clean=torch.stack(rows),
        adversarial=-torch.stack(rows),
        changed=torch.ones(REMOVALS, dtype=torch.bool),
    )


@settings(max_examples=20)
@given(st.integers(2, 700), st.integers(1, 3))
def test_every_sample_is_measured_once_and_in_order(count, workers):
    blocks = list(sweep(place, numbered(count), REMOVALS, workers=workers))
    joined = torch.cat([outcomes.clean for _, outcomes in blocks], dim=1)
    expected = torch.arange(count).float() + torch.arange(REMOVALS)[:, None]
    assert torch.equal(joined, expected)
    for first, outcomes in blocks:
        assert outcomes.base_clean[0] == first


@settings(max_examples=30)
@given(st.integers(2, 1500), st.integers(1, 8))
def test_no_block_is_larger_than_the_limit_or_a_single_sample(count, workers):
    # Many networks squeeze their output, and so treat a batch of one differently.
    blocks = list(sweep(place, numbered(count), REMOVALS, workers=workers))
    sizes = [len(outcomes.base_clean) for _, outcomes in blocks]
    assert sum(sizes) == count
    assert max(sizes) <= MOST
    assert min(sizes) >= 2
    assert max(sizes) - min(sizes) <= 1
    if count >= 2 * workers:
        assert len(sizes) >= workers


def test_labels_stay_with_their_inputs():
    seen = {}

    def labelled(block: Block, tick: Tick) -> Outcomes:
        seen.update(zip(block.inputs[:, 0].tolist(), block.labels.tolist(), strict=True))
        return place(block, tick)

    list(sweep(labelled, numbered(300), REMOVALS, workers=2))
    assert seen == {float(n): n % 2 for n in range(300)}


def test_the_first_blocks_result_is_yielded_first_even_if_it_is_last_to_finish():
    others = threading.Semaphore(0)

    def slow_first(block: Block, tick: Tick) -> Outcomes:
        if block.first == 0:
            assert others.acquire(timeout=20)
        else:
            others.release()
        return place(block, tick)

    blocks = [first for first, _ in sweep(slow_first, numbered(9), REMOVALS, workers=3)]
    assert blocks == [0, 3, 6]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_progress_rises_to_its_total(workers):
    reports = []
    count = 600
    list(
        sweep(
            place,
            numbered(count),
            REMOVALS,
            workers=workers,
            report=lambda done, total: reports.append((done, total)),
        )
    )
    done = [report[0] for report in reports]
    assert {report[1] for report in reports} == {REMOVALS * count}
    assert done == sorted(set(done))
    assert done[-1] == REMOVALS * count


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_reaches_its_end_whatever_a_block_leaves_out(workers):
    reports = []

    def lazy(block: Block, tick: Tick) -> int:
        for _ in range(REMOVALS if block.first == 0 else block.first % 2):
            tick()
        return block.first

    blocks = sweep(
        lazy,
        numbered(900),
        REMOVALS,
        workers=workers,
        report=lambda done, total: reports.append((done, total)),
    )
    assert all(first == found for first, found in blocks)
    done = [report[0] for report in reports]
    assert done == sorted(set(done))
    assert reports[-1] == (REMOVALS * 900, REMOVALS * 900)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_without_blocks_ahead_none_begins_before_its_turn(workers):
    # Whoever takes a block decides what the next ones measure.
    begun = []

    def noted(block: Block, tick: Tick) -> Outcomes:
        begun.append(block.first)
        return place(block, tick)

    taken = 0
    for _ in sweep(noted, numbered(8 * MOST), REMOVALS, workers=workers, ahead=0):
        taken += 1
        time.sleep(0.01)  # a block that begins too early has the time to
        assert len(begun) < taken + workers
    assert taken == 8


@settings(max_examples=40)
@given(st.data(), st.integers(4, 1500), st.integers(1, 8), st.integers(4, MOST))
def test_blocks_end_where_they_are_asked_to(data, count, workers, most):
    gaps = data.draw(st.lists(st.integers(2, 300), max_size=6))
    cuts = [cut for cut in accumulate(gaps) if cut <= count - 2]
    blocks = list(sweep(place, numbered(count), REMOVALS, workers=workers, most=most, cuts=cuts))
    ends = [first + len(outcomes.base_clean) for first, outcomes in blocks]
    sizes = [len(outcomes.base_clean) for _, outcomes in blocks]
    assert set(cuts) <= set(ends)
    assert ends == list(accumulate(sizes))
    assert ends[-1] == count
    assert max(sizes) <= most
    assert min(sizes) >= 2


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_an_error_surfaces_and_ends_the_other_workers(workers):
    started, ended = [], []

    def failing(block: Block, tick: Tick) -> Outcomes:
        started.append(block.first)
        if block.first == 0:
            raise ValueError("block 0 is broken")
        try:
            for _ in range(2000):  # ends by itself after 20 seconds at the latest
                time.sleep(0.01)
                tick()
        finally:
            ended.append(block.first)
        return place(block, tick)

    began = time.monotonic()
    with pytest.raises(ValueError, match="block 0 is broken"):
        list(sweep(failing, numbered(8 * MOST), REMOVALS, workers=workers))
    assert time.monotonic() - began < 10
    assert sorted(ended) == sorted(started)[1:]
    assert len(started) <= workers + 1  # blocks that wait for a worker never start


def test_whoever_stops_listening_ends_the_workers():
    running = threading.Event()

    def endless(block: Block, tick: Tick) -> Outcomes:
        if block.first:
            running.set()
            for _ in range(2000):
                time.sleep(0.01)
                tick()
        return place(block, tick)

    began = time.monotonic()
    blocks = sweep(endless, numbered(4 * MOST), REMOVALS, workers=2)
    assert next(blocks)[0] == 0
    assert running.wait(timeout=20)
    blocks.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("fails", [False, True])
def test_several_workers_compute_with_one_thread_each_and_give_the_threads_back(fails):
    before = torch.get_num_threads()
    seen = []

    def counting(block: Block, tick: Tick) -> Outcomes:
        seen.append(torch.get_num_threads())
        if fails:
            raise RuntimeError("no measurement")
        return place(block, tick)

    torch.set_num_threads(2)
    try:
        if fails:
            with pytest.raises(RuntimeError, match="no measurement"):
                list(sweep(counting, numbered(6), REMOVALS, workers=2))
        else:
            list(sweep(counting, numbered(6), REMOVALS, workers=2))
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2
        seen.clear()
        if not fails:
            list(sweep(counting, numbered(6), REMOVALS, workers=1))
            assert set(seen) == {2}
    finally:
        torch.set_num_threads(before)
