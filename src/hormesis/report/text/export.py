"""Tables of a study as files for other programs."""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors.numpy
import yaml
from jaxtyping import Bool

from hormesis.errors import StudyError
from hormesis.report.text.console import printable
from hormesis.storage.user_files import replacing_user_file

# A text that a spreadsheet would run as a formula, also where it takes another letter to separate
# cells. https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = re.compile(r"(^|[,;|\n])(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")


def export_table(table: pd.DataFrame, form: str, to: str | None, flag: str = "--to") -> None:
    """Write a table as ``csv``, ``json`` or ``yaml`` (one object a row), ``parquet`` or ``latex``.

    All but LaTeX, which is for reading, keep every digit. In CSV, an apostrophe goes before a text
    that a spreadsheet would take for a formula, such as a target's name that begins with ``=``.

    Args:
        table: The table; its index is not written.
        form: The format.
        to: The file, or None for standard output. An existing file is replaced when the new one
            is complete.
        flag: The option that names the file, for messages.

    Raises:
        StudyError: If the file cannot be written, or Parquet would go to a terminal.
    """
    if to is None:
        if form == "parquet":
            raise StudyError("Parquet is no text: name a file for it with --to.")
        sys.stdout.write(_text(table, form))
        return
    path = Path(to).expanduser()
    with replacing_user_file(path, "table", flag) as partial:
        _write(table, form, partial)


def export_masks(masks: Mapping[str, Bool[np.ndarray, "..."]], to: str, flag: str = "--to") -> None:
    """Write masks as safetensors, one bool a value: True where it is kept.

    Args:
        masks: By name of the parameter.
        to: The file. An existing one is replaced when the new one is complete.
        flag: The option that names the file, for messages.

    Raises:
        StudyError: If it cannot be written.
    """
    whole = {name: np.ascontiguousarray(mask) for name, mask in masks.items()}
    with replacing_user_file(Path(to).expanduser(), "file of masks", flag) as partial:
        partial.write_bytes(safetensors.numpy.save(whole))


def _write(table: pd.DataFrame, form: str, path: Path) -> None:
    if form == "parquet":  # given a name, Arrow deletes what has it when it cannot write: a device
        path.write_bytes(table.to_parquet(None, index=False))
    else:
        path.write_text(_text(table, form), encoding="utf-8", errors="replace")


def _text(table: pd.DataFrame, form: str) -> str:
    if form == "csv":
        return table.map(as_text).to_csv(index=False)
    if form == "latex":
        return table.to_latex(index=False, escape=True, float_format="%.3f", na_rep="")
    plain = table.astype(object).where(table.notna(), None)
    text = json.dumps(plain.to_dict("records"), indent=2) + "\n"
    if form == "yaml":
        return yaml.safe_dump(json.loads(text), sort_keys=False, allow_unicode=True)
    return text


def as_text(value: object) -> object:
    """Return a text of one cell that is no formula to a spreadsheet; anything else as it is.

    Example:
        >>> as_text("=1+1"), as_text("conv1.weight"), as_text(-0.3)
        ("'=1+1", 'conv1.weight', -0.3)
    """
    return _FORMULA.sub(r"\1'", printable(value)) if isinstance(value, str) else value
