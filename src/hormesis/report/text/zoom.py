"""Prints what a zoom found."""

import math
from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from hormesis.report.text.console import console as terminal
from hormesis.results.zoom import Zoom

_MOST_ROWS = 25
_KINDS = {"clean": "clean", "adversarial": "under attack"}


def print_zoom(found: Zoom, file: str | None = None) -> None:
    """Print the sets that matter most, single weights first, and the verdict.

    Args:
        found: What a zoom found.
        file: Where its table was written, if it was.
    """
    console = terminal()
    bases = ", ".join(
        f"{_performance(found, value)} {_KINDS[kind]}" for kind, value in found.base.items()
    )
    console.print()
    console.print(Text(f"unfiltered {found.metric}: {bases}; {found.samples} samples"))
    console.print()
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    table.add_column("without", overflow="fold", min_width=12)
    table.add_column("values", justify="right", no_wrap=True)
    for kind in found.base:
        table.add_column(_KINDS[kind], justify="right", no_wrap=True)
    table.add_column("matters", no_wrap=True)
    for row in found.ranked.head(_MOST_ROWS).to_dict("records"):
        cells = [_difference(found, row, kind) for kind in found.base]
        table.add_row(
            Text(row["set"]), f"{row['values']}", *cells, "certainly" if row["certain"] else "?"
        )
    console.print(table)
    more = len(found.table) - _MOST_ROWS
    unit = " in percentage points" if found.binary else ""
    footer = (
        f"{f'{more} more removals were measured; ' if more > 0 else ''}differences from the "
        f"unfiltered network{unit}, ± {100 * found.level:g}% for all sets together"
    )
    console.print(Text(footer, style="dim"))
    for note in found.notes:
        console.print(Text(note))
    console.print()
    console.print(Text(found.verdict))
    if file is not None:
        console.print(Text(f"table:   {file}"), soft_wrap=True)


def _performance(found: Zoom, value: float) -> str:
    return f"{value:.1%}" if found.binary else f"{value:.4g}"


def _difference(found: Zoom, row: Mapping[Any, Any], kind: str) -> str:
    value = row[f"{kind}_difference"]
    if math.isinf(value):
        return "no number"
    half = (row[f"{kind}_high"] - row[f"{kind}_low"]) / 2
    if found.binary:
        return f"{100 * value:+.1f} ±{100 * half:.1f}"
    return f"{value:+.3g} ±{half:.2g}"
