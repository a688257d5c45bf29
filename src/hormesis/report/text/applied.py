"""Prints an applied network: its steps, its proof, and what to make of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from hormesis.report.text.console import console as terminal
from hormesis.results.applied import Applied
from hormesis.results.applied_text import applied_sentences
from hormesis.settings.apply import POINTS, UNFILTERED_NETWORK
from hormesis.storage.applied_files import NETWORK

_MOST_STEPS = 40


def print_applied(applied: Applied, *, picture: Path | None = None) -> None:
    """Print the steps that were taken, the proof, and the sentences about both.

    Args:
        applied: An applied network.
        picture: File of its picture, if any.
    """
    console = terminal()
    about = applied.metadata
    console.print()
    if applied.helps:
        console.print(steps_table(applied))
        console.print()
        console.print(
            Text(f"proof on {about.proof.samples:,} samples, ± {100 * about.proof.level:g}%"),
            style="dim",
        )
        console.print(networks_table(applied))
        console.print()
    for sentence in applied_sentences(about, applied.steps, applied.proof):
        console.print(Text(sentence))
    for note in about.notes:
        console.print(Text(note))
    if applied.folder is None:
        return
    console.print()
    console.print(Text(f"applied: {applied.folder}"), soft_wrap=True)
    if picture is not None:
        console.print(Text(f"picture: {picture}"), soft_wrap=True)
    weights = applied.folder / NETWORK
    next_ = f"hormesis analyze --model {about.study.network} --weights {weights}"
    console.print(Text(f"next:    {next_}"), soft_wrap=True)


def steps_table(applied: Applied) -> Table:
    """Return the steps of the path, with the performances on the selection part."""
    stressed, binary = applied.metadata.metric.stressed, applied.metadata.metric.binary
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    table.add_column("step", justify="right", no_wrap=True)
    table.add_column("target", overflow="fold", min_width=12)
    table.add_column("filter", no_wrap=True)
    for name in ("α", "removed", "clean", *(["stressed"] if stressed else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for row in applied.steps.head(_MOST_STEPS).to_dict("records"):
        first = row["step"] == 0
        cells = [
            f"{row['step']}",
            "unfiltered" if first else row["target"].removesuffix(".weight"),
            row["filter"].replace("_pass", "-pass").replace("_", " "),
            "" if first else f"{row['alpha']:.3g}",
            f"{row['share_removed']:.1%}",
            _performance(row["clean"], binary=binary),
        ]
        cells += [_performance(row["adversarial"], binary=binary)] if stressed else []
        table.add_row(*map(Text, cells))
    return table


def networks_table(applied: Applied) -> Table:
    """Return the networks of the proof, and their differences from the unfiltered one."""
    binary = applied.metadata.metric.binary
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    table.add_column("attack", no_wrap=True)
    table.add_column("network", no_wrap=True)
    for name in ("performance", "difference"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    last = None
    for row in _by_attack(applied.proof).to_dict("records"):
        head = row["attack"] if row["attack"] != last else ""
        cells = (
            head,
            row["network"],
            _performance(row["accuracy"], binary=binary),
            "" if row["network"] == UNFILTERED_NETWORK else _difference(row, binary=binary),
            row["verdict"],
        )
        table.add_row(*map(Text, cells))
        last = row["attack"]
    return table


def _by_attack(proof: pd.DataFrame) -> pd.DataFrame:
    attacks = list(dict.fromkeys(proof["attack"]))
    return proof.assign(place=proof["attack"].map(attacks.index)).sort_values(
        "place", kind="stable"
    )


def _performance(value: float, *, binary: bool) -> str:
    return f"{value:.1%}" if binary else f"{value:.4g}"


def _difference(row: Mapping[Any, Any], *, binary: bool) -> str:
    factor = POINTS if binary else 1.0
    form = "+.1f" if binary else "+.3g"
    value, low, high = (factor * row[f"difference{end}"] for end in ("", "_low", "_high"))
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"
