"""Networks of other people's making, measured by both engines: ``python -m benchmarks.networks``.

Writes the table of docs/networks.md. With ``--only LIBRARY`` the rows of one library are measured
and all others stay.
"""

import argparse
import importlib.metadata

import torch

from benchmarks.zoo.all import ENTRIES
from benchmarks.zoo.comparison import Compared, compare_engines
from benchmarks.zoo.entry import SAMPLES, Entry
from benchmarks.zoo.table import PAGE, rows_of

HEAD = """\
# Networks of other people's making

`python -m benchmarks.networks`

Every network below is measured twice, by the engine that Hormesis chooses and by the plain loop,
which filters and runs the whole network for every removal: a few removals of a few parameters from
the first to the last, on {samples} samples, where inputs are continuous under attack, too. All
outcomes are compared; numbers other than 0 and 1 may differ by 0.1 %. The configurations are small,
their weights random. `suffix` is the fast engine. Networks of ring 1 take one tensor of numbers and
return logits; those of ring 2 take or return anything else made of tensors; ring 3 is measured by a
function of the user's (`hormesis.Evaluation`), where there is no fast engine.

A network gets the plain loop if `torch.export` does not understand its forward pass, as where the
number of values that it computes with depends on the inputs (Longformer's global attention).

{summary}

Versions: {versions}.

| network | library | ring | metric | engine | outcomes | different |
| --- | --- | ---: | --- | --- | ---: | ---: |
"""


def main() -> None:
    """Measure the networks asked for, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="library whose networks are measured")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for entry in ENTRIES:
        if asked.only in ("", entry.library):
            compared = compare_engines(entry)
            row = row_of(compared)
            print(row, f"{compared.seconds:.0f} s", *compared.notes[:1], flush=True)  # noqa: T201
            _write({**rows_of(PAGE), key_of(entry): row})


def key_of(entry: Entry) -> tuple[str, str]:
    """Return what tells a network's row from all others: its name and library."""
    return entry.name, entry.library


def row_of(compared: Compared) -> str:
    """Return the row of a network.

    Raises:
        AssertionError: If the network is not the same afterwards.
    """
    entry = compared.entry
    assert compared.kept, f"{entry.name} has changed"
    metric = "evaluation" if entry.ring == 3 else getattr(entry.metric, "__name__", entry.metric)
    return (
        f"| `{entry.name}` | {entry.library} | {entry.ring} | {metric} | {compared.engine} "
        f"| {compared.outcomes} | {compared.different} |"
    )


def _write(rows: dict[tuple[str, str], str]) -> None:
    ordered = [rows[key_of(entry)] for entry in ENTRIES if key_of(entry) in rows]
    cells = [row.strip("| ").split(" | ") for row in ordered]
    different = sum(int(row[6]) for row in cells)
    second = [row for row in cells if row[2] == "2"]
    fast = sum(row[4] == "suffix" for row in second)
    summary = (
        f"**{len(cells)} networks, {different} of {sum(int(row[5]) for row in cells):,} outcomes "
        f"different; {fast} of {len(second)} networks of ring 2 on the fast engine.**"
    )
    libraries = sorted({entry.library for entry in ENTRIES})
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in libraries)
    head = HEAD.format(samples=SAMPLES, summary=summary, versions=versions)
    PAGE.write_text(head + "\n".join(ordered) + "\n")


if __name__ == "__main__":
    main()
