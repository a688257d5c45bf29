"""The table of metrics of a training, as CSV text with one row per epoch."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from hormesis.settings.choices import MOST_EPOCHS

MEASURED = (
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "adversarial_accuracy",
)
"""Columns of the metrics that are measured after each epoch."""
COLUMNS = (*MEASURED, "rate", "seconds")
MOST_TABLE = 1 << 22  # bytes


def parse_metrics(text: str) -> tuple[pd.DataFrame, str]:
    r"""Parse a table of metrics, and return it with what is wrong with it, or an empty string.

    Args:
        text: The table, see ``with_row``.

    Returns:
        The table, with one row per epoch from 1 on and columns ``epoch`` and some of ``COLUMNS``;
        and what is wrong with it, as a part of a sentence.

    Example:
        >>> parse_metrics("epoch,train_loss\n1,0.5\n")[0].to_dict("records")
        [{'epoch': 1, 'train_loss': 0.5}]
        >>> parse_metrics("epoch,train_loss\n1,0.5\n3")[1]
        'line 3 has 1 values instead of 2'
    """
    empty = pd.DataFrame({"epoch": []}, dtype=int)
    if len(text) > MOST_TABLE or text.count("\n") > MOST_EPOCHS + 1 or not text.isascii():
        return empty, "it is too large, or not ASCII text"
    head, *lines = text.removesuffix("\n").split("\n")
    names = head.split(",")
    fault = _wrong_names(names)
    columns: list[list[float]] = [[] for _ in names]
    for number, line in enumerate(lines, start=2):
        values = line.split(",")
        fault = fault or _wrong_values(values, names, number)
        if fault:
            return empty, fault
        for column, value in zip(columns, values, strict=True):
            column.append(float(value) if value else math.nan)
    table = pd.DataFrame(dict(zip(names, columns, strict=True)), dtype=float)
    return (empty, fault) if fault else (table.astype({"epoch": int}), "")


def _wrong_names(names: Sequence[str]) -> str:
    if names[:1] != ["epoch"] or len(set(names)) < len(names):
        return "its first line does not name its columns"
    unknown = [name for name in names[1:] if name not in COLUMNS]
    return f"its column {unknown[0][:40]!r} is unknown" if unknown else ""


def _wrong_values(values: Sequence[str], names: Sequence[str], number: int) -> str:
    if len(values) != len(names):
        return f"line {number} has {len(values)} values instead of {len(names)}"
    if values[0] != str(number - 1):
        return f"line {number} is not of epoch {number - 1}"
    for name, value in zip(names[1:], values[1:], strict=True):
        if value and _number(value) is None:
            return f"line {number} has no number for {name}"
    return ""


def _number(text: str) -> float | None:
    if len(text) > 40 or not text.isascii() or "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def with_row(text: str, row: Mapping[str, float | int]) -> str:
    r"""Append a row to a table of metrics.

    Args:
        text: The table so far; empty before the first epoch.
        row: The values by column, ``epoch`` first. The first row determines the columns.

    Example:
        >>> with_row("", {"epoch": 1, "train_loss": 0.5})
        'epoch,train_loss\n1,0.5\n'
    """
    names = text.partition("\n")[0].split(",") if text else list(row)
    values = (row.get(name, math.nan) for name in names)
    line = ",".join("" if value != value else repr(value) for value in values)
    return f"{text or ','.join(names) + chr(10)}{line}\n"


def first_rows(text: str, epochs: int) -> str:
    r"""Return the rows of a table of metrics up to an epoch.

    Example:
        >>> first_rows("epoch,rate\n1,0.1\n2,0.1\n", 1)
        'epoch,rate\n1,0.1\n'
    """
    return "".join(text.splitlines(keepends=True)[: epochs + 1])
