"""Responses are means over all samples, however the samples come in blocks."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hormesis.analysis.responses import COLUMNS, Means, response_table
from hormesis.settings.choices import UNFILTERED
from hormesis.storage.outcomes import StoredOutcomes

NAMES = ("base_clean", "base_adversarial", "clean", "adversarial")


def outcomes(removals: int, samples: int, seed: int, *, binary: bool = True) -> StoredOutcomes:
    generator = np.random.default_rng(seed)

    def drawn(*shape: int) -> np.ndarray:
        values = generator.normal(size=shape)
        return (values > 0 if binary else values).astype(np.float32)

    return StoredOutcomes(
        drawn(samples),
        drawn(samples),
        drawn(removals, samples),
        drawn(removals, samples),
        generator.random(removals) > 0.5,
    )


def part(whole: StoredOutcomes, first: int, end: int, changed: np.ndarray) -> StoredOutcomes:
    return StoredOutcomes(*(getattr(whole, n)[..., first:end] for n in NAMES), changed=changed)


def means_of(*blocks: StoredOutcomes) -> Means:
    means = Means()
    for block in blocks:
        means.add(block)
    return means


@st.composite
def splits(draw: st.DrawFn) -> tuple[StoredOutcomes, list[int]]:
    """Draw outcomes and the edges of blocks."""
    samples = draw(st.integers(1, 40))
    whole = outcomes(draw(st.integers(0, 5)), samples, draw(st.integers(0, 99)))
    inner = draw(st.sets(st.integers(1, samples)))
    return whole, [0, *sorted(inner - {samples}), samples]


@given(splits())
def test_any_split_into_blocks_gives_the_same_means(drawn):
    whole, edges = drawn
    ends = pairwise(edges)
    means = means_of(*(part(whole, first, end, whole.changed) for first, end in ends))
    assert means.samples == len(whole.base_clean)
    for name in NAMES:
        values = getattr(whole, name)
        counts = values.sum(axis=-1, dtype=np.int64)
        assert np.array_equal(means.of(name), counts / means.samples)


def test_counts_beyond_single_precision_stay_exact():
    ones = np.ones(2**24 + 1, dtype=np.float32)
    block = StoredOutcomes(ones, ones, ones[None], ones[None], np.array([True]))
    single = part(block, 0, 1, np.array([True]))
    zero = StoredOutcomes(*(0 * getattr(single, n) for n in NAMES), changed=np.array([True]))
    means = means_of(block, zero)
    assert means.of("clean")[0] == (2**24 + 1) / (2**24 + 2)


@given(arrays.arrays(bool, st.tuples(st.integers(1, 4), st.just(3))))
def test_a_removal_changed_a_logit_if_it_did_so_in_any_block(flags):
    blocks = [part(outcomes(3, 2, 0), 0, 2, flag) for flag in flags]
    assert means_of(*blocks).changed.tolist() == flags.any(axis=0).tolist()


def cells(**more: list[int]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "target": ["w"] * 3,
            "filter": ["high_pass"] * 3,
            "step": [0, 1, 2],
            "alpha": [-1.0, 0.0, 1.0],
            "zeroed": [0, 2, 4],
            "density": [1.0, 0.5, 0.0],
            "progress": [0.0, 0.5, 1.0],
            "lower": [-1.5, -0.5, 0.5],
            "upper": [-0.5, 0.5, 1.5],
            **more,
        }
    )


def measured() -> Means:
    return means_of(
        StoredOutcomes(
            base_clean=np.array([1.0, 1.0], dtype=np.float32),
            base_adversarial=np.array([1.0, 0.0], dtype=np.float32),
            clean=np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 1.0]], dtype=np.float32),
            adversarial=np.array([[0.0, 0.0], [0.0, 0.25], [1.0, 1.0]], dtype=np.float32),
            changed=np.array([True, False, True]),
        )
    )


def test_each_cell_reads_its_own_row_or_the_unfiltered_network():
    table = response_table(cells(outcome=[UNFILTERED, 1, 0]), measured())
    assert table["clean"].tolist() == [1.0, 0.5, 0.0]
    assert table["adversarial"].tolist() == [0.5, 0.125, 0.0]
    assert table["changed"].tolist() == [False, False, True]
    assert table["changed"].dtype == bool


def test_the_control_is_read_beside_it():
    table = response_table(
        cells(outcome=[UNFILTERED, 1, 0], control=[UNFILTERED, 2, 1]), measured()
    )
    assert table["random_clean"].tolist() == [1.0, 2.0, 0.5]
    assert table["random_adversarial"].tolist() == [0.5, 1.0, 0.125]
    assert table["clean"].tolist() == [1.0, 0.5, 0.0]


@pytest.mark.parametrize("control", [False, True])
def test_columns_in_the_order_that_users_are_promised(control):
    more = {"control": [0, 0, 0]} if control else {}
    given_cells = cells(outcome=[0, 1, 2], **more)
    table = response_table(given_cells, measured())
    names = ["target", "filter", "step", "alpha", "zeroed", "density", "clean", "adversarial"]
    assert list(COLUMNS) == names
    between = ["random_clean", "random_adversarial"] if control else []
    assert table.columns.tolist() == [
        *names,
        *between,
        "progress",
        "lower",
        "upper",
        "outcome",
        *more,
        "changed",
    ]
    assert "clean" not in given_cells


def test_without_any_removal_every_cell_is_the_unfiltered_network():
    ones = np.ones(2, dtype=np.float32)
    none = np.zeros((0, 2), dtype=np.float32)
    means = means_of(StoredOutcomes(ones, 0 * ones, none, none, np.zeros(0, dtype=bool)))
    table = response_table(cells(outcome=[UNFILTERED] * 3), means)
    assert table["clean"].tolist() == [1.0] * 3
    assert table["adversarial"].tolist() == [0.0] * 3
    assert table["changed"].tolist() == [False] * 3
