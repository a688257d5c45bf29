"""A comparison in the terminal."""

from pathlib import Path

import pandas as pd
from rich.table import Table
from rich.text import Text

from hormesis.analysis.classes import CLASSES, UNDEFINED
from hormesis.report.text.console import console as terminal
from hormesis.report.views.comparison_text import (
    KAPPA,
    POOLED,
    RHO,
    agreement_lines,
    beside_line,
    invariants,
    legend_line,
)
from hormesis.results.comparison import Comparison

_HEADS = {"epsilon": "ε"}
_MOST_ROWS = 60
_MOST_CHANGES = 8
_MOST_STUDIES = 12


def print_comparison(comparison: Comparison, score: str, files: list[Path]) -> None:
    """Print a comparison: the studies, what stays, what changes, and how far they agree.

    Args:
        comparison: Any comparison.
        score: Score whose paths of classes are shown.
        files: Its tables and pictures.
    """
    console = terminal()
    console.print()
    console.print(_studies(comparison))
    for line in [beside_line(comparison), *comparison.notes]:
        console.print(Text(line, style="dim"))
    matching = comparison.matching
    if matching["match"].tolist() != matching["target"].tolist():
        console.print()
        console.print(_matching(comparison))
    console.print()
    console.print(_paths(comparison, score))
    console.print(Text(legend_line(comparison), style="dim"))
    console.print()
    for line in [*invariants(comparison), *agreement_lines(comparison)]:
        console.print(Text(line))
    for line in (KAPPA, RHO):
        console.print(Text(line, style="dim"))
    console.print()
    console.print(_changes(comparison, score))
    if len(comparison.pooled):
        console.print()
        console.print(_pooled(comparison, score))
        console.print(Text(POOLED, style="dim"))
    if files:
        console.print()
        console.print(Text(f"in {files[0].parent}: {', '.join(path.name for path in files)}"))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    for index, name in enumerate(columns):
        table.add_column(name, overflow="fold", no_wrap=index > 0)
    return table


def _studies(comparison: Comparison) -> Table:
    figures = comparison.figures
    table = _table("study", "samples", *(_HEADS.get(name, name) for name in figures), "")
    for row in comparison.studies.head(_MOST_STUDIES).to_dict("records"):
        table.add_row(
            Text(str(row["study"])),
            f"{row['samples']}",
            *("-" if pd.isna(row[name]) else f"{row[name]:.4g}" for name in figures),
            Text(str(row["mark"])),
        )
    if len(comparison.studies) > _MOST_STUDIES:
        table.add_row(f"... {len(comparison.studies) - _MOST_STUDIES} more")
    return table


def _matching(comparison: Comparison) -> Table:
    """Return which targets go together, one line a match."""
    studies = list(comparison.studies["study"])
    table = _table("match", *studies[:3])
    for match, part in comparison.matching.groupby("match", sort=False):
        cells = []
        for study in studies[:3]:
            targets = part.loc[part["study"] == study, "target"].str.removesuffix(".weight")
            more = f" +{len(targets) - 1}" if len(targets) > 1 else ""
            cells.append(Text(f"{targets.iloc[0]}{more}"))
        table.add_row(Text(str(match)), *cells)
    return table


def _paths(comparison: Comparison, score: str) -> Table:
    chosen = comparison.paths.loc[comparison.paths["score"] == score]
    table = _table(f"{score} score", "invariant")
    table.add_column("path", overflow="fold")
    for row in chosen.head(_MOST_ROWS).to_dict("records"):
        invariant = "" if row["invariant"] == "no" else row["invariant"]
        table.add_row(Text(str(row["match"]).removesuffix(".weight")), invariant, row["path"])
    if len(chosen) > _MOST_ROWS:
        table.add_row(f"... {len(chosen) - _MOST_ROWS} more")
    return table


def _changes(comparison: Comparison, score: str) -> Table:
    chosen = comparison.changes.loc[comparison.changes["score"] == score]
    certain = int(chosen["certain"].sum())
    table = _table("largest changes", "from", "to", "difference", f"{certain} certain")
    for row in chosen.head(_MOST_CHANGES).to_dict("records"):
        half = f" ±{row['high'] - row['difference']:.2f}" if pd.notna(row["high"]) else ""
        table.add_row(
            Text(str(row["match"]).removesuffix(".weight")),
            Text(f"{row['from']} {_letter(row['from_class'])}"),
            Text(f"{row['to']} {_letter(row['to_class'])}"),
            f"{row['difference']:+.2f}{half}",
            "certain" if row["certain"] else "",
        )
    return table


def _letter(label: str) -> str:
    return "-" if label == UNDEFINED else CLASSES[label].letter


def _pooled(comparison: Comparison, score: str) -> Table:
    chosen = comparison.pooled.loc[comparison.pooled["score"] == score]
    table = _table("pooled", "runs", "mean", "class", "between runs", "sampling", "both")
    for row in chosen.head(_MOST_ROWS).to_dict("records"):
        table.add_row(
            Text(str(row["match"]).removesuffix(".weight")),
            str(row["runs"]),
            f"{row['mean']:+.2f}",
            Text(str(row["class"])),
            *(f"±{row[f'{kind}high'] - row['mean']:.2f}" for kind in ("", "sampling_", "total_")),
        )
    return table
