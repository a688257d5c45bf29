"""Networks of other people's making: both engines agree, and the documentation has a row for each.

The list is in ``benchmarks/zoo``; ``python -m benchmarks.networks`` writes the table. The libraries
take half a minute to import: only slow tests do so, and take their names from the table.
"""

import warnings
from functools import cache
from importlib import import_module
from typing import Any

import pytest
import torch
from benchmarks.zoo.table import PAGE, rows_of

ROWS = rows_of(PAGE)
CELLS = [[cell.strip() for cell in row.strip("|").split("|")] for row in ROWS.values()]
PLAIN = {"LongformerForSequenceClassification"}  # the only one of ring 1 and 2 without a program
_SHARE = 0.9  # of ring 2 that has to run on the fast engine


@cache
def entries() -> dict[tuple[str, str], Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        listed = import_module("benchmarks.zoo.all").ENTRIES
    return {(entry.name, entry.library): entry for entry in listed}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # other people's code warns of many things
@pytest.mark.parametrize("key", ROWS, ids=lambda key: f"{key[1]}-{key[0]}")
def test_engines_agree(key: tuple[str, str]) -> None:
    entry = entries()[key]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        compared = import_module("benchmarks.zoo.comparison").compare_engines(entry)
    finally:
        torch.set_num_threads(threads)
    assert compared.outcomes > 0
    assert compared.different == 0
    assert compared.kept, "the network is not the same afterwards"
    usual = "evaluation" if entry.ring == 3 else "plain" if entry.name in PLAIN else "suffix"
    assert compared.engine == usual, compared.notes


@pytest.mark.slow
def test_the_documentation_has_every_network() -> None:
    assert [*ROWS] == [*entries()]
    rings = [entry.ring for entry in entries().values()]
    assert [int(ring) for _, _, ring, *_ in CELLS] == rings


def test_all_outcomes_agree_and_nine_of_ten_networks_are_fast() -> None:
    assert len({name for name, _ in ROWS}) >= 60
    assert {ring for _, _, ring, *_ in CELLS} == {"1", "2", "3"}
    for _, _, ring, _, engine, outcomes, different in CELLS:
        assert int(outcomes) > 0
        assert int(different) == 0
        assert (engine == "evaluation") == (ring == "3")
    second = [engine for _, _, ring, _, engine, *_ in CELLS if ring == "2"]
    assert second.count("suffix") >= _SHARE * len(second)
