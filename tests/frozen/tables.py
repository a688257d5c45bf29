"""Writing tables compactly, and comparing them with what is there."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

# Estimates and intervals pass through SciPy's quantiles and NumPy's sums, which other versions and
# processors may round another way; a change of what is computed moves them by far more.
CLOSE = 1e-12


def write(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write tables as Parquet, one file each."""
    folder.mkdir(parents=True)
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet", index=False, compression="zstd")


def read(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the tables that ``write`` has written."""
    return {path.stem: pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}


def check_all(found: Mapping[str, pd.DataFrame], wanted: Mapping[str, pd.DataFrame]) -> None:
    """Fail unless the tables are the same ones, and equal."""
    assert sorted(found) == sorted(wanted)
    for name, table in wanted.items():
        check(found[name], table, name)


def check(found: pd.DataFrame, wanted: pd.DataFrame, name: str, close: float = CLOSE) -> None:
    """Fail unless columns, order, texts and counts are equal, and real numbers close."""
    assert list(found.columns) == list(wanted.columns), name
    assert len(found) == len(wanted), name
    for column in wanted:
        one, other = found[column].to_numpy(), wanted[column].to_numpy()
        if other.dtype.kind == "f":
            pair = one.astype(np.float64), other.astype(np.float64)
            np.testing.assert_allclose(*pair, rtol=close, atol=close, err_msg=f"{name}, {column}")
        else:
            assert _plain(one) == _plain(other), f"{name}, {column}"


def _plain(column: Iterable[Any]) -> list[Any]:
    """Return values as lists, texts and numbers; whatever stands for nothing as None."""
    plain = [list(value) if isinstance(value, np.ndarray | tuple) else value for value in column]
    return [None if not isinstance(value, list) and pd.isna(value) else value for value in plain]
