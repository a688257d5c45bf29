"""Networks of other people's making: both engines agree, and the documentation has a row for each.

The list is in ``benchmarks/zoo``; ``python -m benchmarks.networks`` writes the table.
"""

from collections import Counter
from pathlib import Path

import pytest
import torch
from benchmarks.networks import key_of, rows_of
from benchmarks.zoo.all import ENTRIES
from benchmarks.zoo.comparison import compare_engines
from benchmarks.zoo.entry import Entry

ROOT = Path(__file__).parents[2]
PLAIN = {"LongformerForSequenceClassification"}  # the only ones of ring 1 and 2 without a program
_SHARE = 0.9  # of ring 2 that has to run on the fast engine


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # other people's code warns of many things
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.library}-{entry.name}")
def test_engines_agree(entry: Entry) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    compared = compare_engines(entry)
    torch.set_num_threads(threads)
    assert compared.outcomes > 0
    assert compared.different == 0
    assert compared.kept, "the network is not the same afterwards"
    usual = "evaluation" if entry.ring == 3 else "plain" if entry.name in PLAIN else "suffix"
    assert compared.engine == usual, compared.notes


def test_the_documentation_has_every_network() -> None:
    rows = rows_of(ROOT / "docs" / "networks.md")
    assert [*rows] == [key_of(entry) for entry in ENTRIES]
    cells = [row.strip("| ").split(" | ") for row in rows.values()]
    for entry, (_, _, ring, _, engine, outcomes, different) in zip(ENTRIES, cells, strict=True):
        assert (int(ring), int(different)) == (entry.ring, 0)
        assert int(outcomes) > 0
        assert (engine == "evaluation") == (entry.ring == 3)


def test_there_are_enough_networks_and_nine_of_ten_are_fast() -> None:
    assert len({entry.name for entry in ENTRIES}) >= 60
    assert set(Counter(entry.ring for entry in ENTRIES)) == {1, 2, 3}
    rows = rows_of(ROOT / "docs" / "networks.md")
    second = [rows[key_of(entry)] for entry in ENTRIES if entry.ring == 2]
    assert sum("| suffix |" in row for row in second) >= _SHARE * len(second)
