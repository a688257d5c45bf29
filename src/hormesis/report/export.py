"""Tables of a study as files for other programs."""

import sys
from pathlib import Path

import pandas as pd

from hormesis.errors import StudyError


def write_table(table: pd.DataFrame, form: str, to: str | None) -> None:
    """Write a table as ``csv``, ``json`` (one object a row) or ``parquet``.

    Args:
        table: What is written, without its index.
        form: The format.
        to: The file, or None for standard output.

    Raises:
        StudyError: If the file cannot be written, or Parquet would go to a terminal.
    """
    if to is None and form == "parquet":
        raise StudyError("Parquet is no text: name a file for it with --to.")
    try:
        if form == "parquet":
            table.to_parquet(to, index=False)
            return
        text = (
            table.to_csv(index=False)
            if form == "csv"
            else table.to_json(orient="records", indent=2, double_precision=15) + "\n"
        )
        if to is None:
            sys.stdout.write(text)
        else:
            Path(to).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StudyError(f"The table cannot be written to {to}: {error.strerror}.") from error
