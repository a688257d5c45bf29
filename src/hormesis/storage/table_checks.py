"""Checks of tables from untrusted files, made before any value is used."""

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute
import pyarrow.parquet

from hormesis.engine.controls import control_columns
from hormesis.settings.choices import COMBINED, MOST_DRAWS, UNFILTERED
from hormesis.storage.schema import Manifest

MOST_ROWS = 20_000_000  # of a table
MOST_COLUMNS = 64 + MOST_DRAWS
MOST_CELLS = 64 * MOST_ROWS
MOST_FOOTER = 1 << 20  # bytes of the metadata at the end of a Parquet file
MOST_PARTS = 4096  # column chunks
# A table in memory takes at most `MOST_GROWTH` times the bytes of its file, or `FREE_ROOM` bytes.
MOST_GROWTH, FREE_ROOM = 40, 1 << 25
_COMPRESSIONS = (
    "SNAPPY",
    "UNCOMPRESSED",
)  # those of our files; others expand a few bytes to gigabytes
_ENCODINGS = {"PLAIN", "RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY", "BIT_PACKED"}
# What pyarrow and pandas raise for damaged or malicious tables.
TABLE_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    pyarrow.ArrowException,
)
# The allowed NumPy dtype kinds of a column; "t" stands for texts.
KINDS = {
    **dict.fromkeys(("target", "filter", "kind", "shape", "reason", "score"), "t"),
    **dict.fromkeys(("stress", "attack"), "t"),
    **dict.fromkeys(("value", "low", "high", "unmasked", "zero_gradient", "unmoved", "base"), "f"),
    **dict.fromkeys(
        ("step", "zeroed", "outcome", "control", "size", "depth", "place", "label", "samples"), "iu"
    ),
    **dict.fromkeys(("alpha", "density", "progress", "lower", "upper"), "f"),
    **dict.fromkeys(("clean", "adversarial", "minimum", "maximum"), "f"),
    **dict.fromkeys(("changed", "tested"), "b"),
}
# The ranges of the values of a column; other columns are not limited.
_BETWEEN = {
    **dict.fromkeys(("density", "progress"), (0.0, 1.0)),
    **dict.fromkeys(("zeroed", "size"), (0, 1 << 40)),
    **dict.fromkeys(("place", "label", "step"), (0, 1 << 53)),
    **dict.fromkeys(("depth", "outcome", "control"), (-1, 1 << 53)),
    "alpha": (-np.finfo(np.float64).max, np.finfo(np.float64).max),
}
_CLEAN_MEANS = ("clean", "random_clean")
_MEANS = (*_CLEAN_MEANS, "adversarial", "random_adversarial")


def parse_parquet(content: bytes) -> pd.DataFrame:
    """Return the table of a Parquet file, after checking that it fits into memory.

    Raises:
        ValueError: If it is larger than any of our tables, or uses another compression.
    """
    if content[:4] != b"PAR1" or content[-4:] != b"PAR1":
        raise ValueError("it is not a Parquet file")
    if int.from_bytes(content[-8:-4], "little") > MOST_FOOTER:
        raise ValueError("its metadata are too large")
    parquet = _open_parquet(content)
    _check_metadata(parquet.metadata, len(content))
    rows, columns = parquet.metadata.num_rows, parquet.metadata.num_columns
    plain = (pyarrow.types.is_boolean, pyarrow.types.is_integer, pyarrow.types.is_floating)
    texts = list[str]()
    for field in parquet.schema_arrow:
        if pyarrow.types.is_string(field.type) or pyarrow.types.is_large_string(field.type):
            texts.append(field.name)
        elif not any(kind(field.type) for kind in plain) and (rows or field.type != "null"):
            raise ValueError(f"its column {field.name} is of another type, {field.type}")
    room = max(FREE_ROOM, MOST_GROWTH * len(content)) - 8 * rows * columns
    if room < 0:
        raise ValueError(f"it claims {rows:,} rows of {columns:,} columns")
    if texts:  # a long text that is repeated takes few bytes in the file
        encoded = _open_parquet(content, texts).read(texts, use_threads=False)
        encoded.validate(full=True)  # pandas accepts invalid UTF-8
        size = sum(_decoded_size(column) for column in encoded.columns)
        if size > room:
            raise ValueError(f"its texts take {size:,} bytes")
    return parquet.read(use_threads=False).to_pandas(ignore_metadata=True, use_threads=False)


def _open_parquet(content: bytes, texts: Sequence[str] = ()) -> pyarrow.parquet.ParquetFile:
    """Open a Parquet file in memory, to be read in this thread alone.

    Threads of Arrow may hold the file for a while after it has been read. One that releases it when
    Python is about to end aborts the process, or keeps it from ending (apache/arrow, issues 33975
    and 50482).

    Args:
        content: The file.
        texts: Columns to read as codes and the texts that they stand for.
    """
    return pyarrow.parquet.ParquetFile(
        BytesIO(content),
        read_dictionary=list(texts),
        pre_buffer=False,
        thrift_string_size_limit=MOST_FOOTER,
        thrift_container_size_limit=MOST_FOOTER,
    )


def _check_metadata(metadata: Any, size: int) -> None:  # noqa: ANN401
    """Refuse more rows and columns than our tables have, and other compressions.

    Args:
        metadata: The metadata of the Parquet file.
        size: Bytes of the file.
    """
    rows, columns, groups = metadata.num_rows, metadata.num_columns, metadata.num_row_groups
    large = columns > MOST_COLUMNS or rows * columns > MOST_CELLS or groups * columns > MOST_PARTS
    if not 0 <= rows <= MOST_ROWS or large:
        raise ValueError(f"it claims {rows:,} rows of {columns:,} columns")
    parts = [
        metadata.row_group(group).column(column)
        for group in range(groups)
        for column in range(columns)
    ]
    if sum(part.total_compressed_size for part in parts) > size:
        raise ValueError("it claims more bytes than it has")
    for part in parts:
        if part.compression not in _COMPRESSIONS or not {*part.encodings} <= _ENCODINGS:
            raise ValueError(f"its column {part.path_in_schema} has an unknown compression")


def _decoded_size(column: pyarrow.ChunkedArray) -> int:
    longest = 0
    for chunk in column.chunks:
        values = chunk.dictionary if hasattr(chunk, "dictionary") else chunk
        lengths = pyarrow.compute.call_function("binary_length", [values])
        longest = max(longest, pyarrow.compute.call_function("max", [lengths]).as_py() or 0)
    return longest * len(column)


def column_fault(
    table: pd.DataFrame, columns: tuple[str, ...], kinds_of: Mapping[str, str] = KINDS
) -> str:
    """Return what is wrong with one of the columns, as a part of a sentence, or an empty string.

    Args:
        table: Any table.
        columns: The columns that it must have.
        kinds_of: The allowed dtype kinds of each column.
    """
    for name in columns:
        if name not in table.columns:
            return f"lacks the column {name}"
        column, kinds = table[name], kinds_of.get(name)
        if not isinstance(column, pd.Series):
            return f"has the column {name} twice"
        if kinds == "t":
            fits = pd.api.types.infer_dtype(column, skipna=False) in ("string", "empty")
        else:
            fits = kinds is None or getattr(column.dtype, "kind", "") in kinds
        if not fits:
            return f"has a column {name} of another type"
    for name, (least, most) in _BETWEEN.items():
        column = table.get(name)
        if not isinstance(column, pd.Series) or column.dtype.kind not in "iuf":
            continue
        if not column.between(least, most).all():
            return f"has impossible values in its column {name}"
    return ""


# The allowed dtype kinds of the columns of a retraining's tables.
_RETRAINING_KINDS = {
    **dict.fromkeys(("arm", "attack", "verdict"), "t"),
    **dict.fromkeys(("seed", "sample", "samples"), "iu"),
    **dict.fromkeys(("epsilon", "accuracy", "difference", "low", "high"), "f"),
    "right": "biuf",
}


def retrained_fault(table: pd.DataFrame, columns: tuple[str, ...]) -> str:
    """Return what is wrong with a table of a retraining, or an empty string.

    Args:
        table: Any table.
        columns: The columns that it must have.
    """
    return column_fault(table, columns, _RETRAINING_KINDS if len(table) else {})


def cells_fault(cells: pd.DataFrame, targets: pd.DataFrame) -> str:
    """Return what is wrong with a table of cells or responses, or an empty string.

    Args:
        cells: Columns ``target``, ``filter``, ``step``, ``outcome`` and perhaps ``control``.
        targets: Column ``target``.
    """
    if targets["target"].duplicated().any():
        return "a target is named twice"
    if not set(cells["target"]) <= set(targets["target"]):
        return "there are cells of unknown targets"
    if any(not name.isidentifier() or name == COMBINED for name in map(str, set(cells["filter"]))):
        return "there are cells of unknown filters"
    steps = cells["step"].to_numpy()
    sweep, sweeps = pd.MultiIndex.from_arrays([cells["target"], cells["filter"]]).factorize()
    size = len(cells) // max(len(sweeps), 1)
    order = np.lexsort((steps, sweep))
    whole = size >= 1 and len(cells) == size * len(sweeps)
    if not whole or (
        (steps[order].reshape(-1, size) != np.arange(size)).any()
        or (sweep[order].reshape(-1, size) != np.arange(len(sweeps))[:, None]).any()
    ):
        return "some sweeps have other thresholds than the rest, or none"
    draws = control_columns(cells)
    most = (1 + max(len(draws), 1)) * len(cells)
    for name in ("outcome", *draws):
        if name in cells and (
            cells[name].dtype.kind not in "iu" or not cells[name].between(UNFILTERED, most).all()
        ):
            return f"a cell names an impossible {name}"
    return ""


def study_fault(
    manifest: Manifest,
    targets: pd.DataFrame,
    cells: pd.DataFrame,
    samples: pd.DataFrame | None,
) -> str:
    """Return where the tables of a study contradict its manifest, or an empty string.

    Args:
        manifest: A valid manifest.
        targets: Columns ``target``, ``size`` and ``tested``.
        cells: Cells or responses.
        samples: Columns ``place`` and ``label``; None for a study of format 1.
    """
    return next(_disagreements(manifest, targets, cells, samples), "")


def _disagreements(
    manifest: Manifest,
    targets: pd.DataFrame,
    cells: pd.DataFrame,
    samples: pd.DataFrame | None,
) -> Iterator[str]:
    names, swept = set(targets["target"]), set(cells["target"])
    if targets["size"].to_numpy()[targets["target"].isin([*swept]).to_numpy()].min(initial=1) < 1:
        yield "there are cells of a target without values"
    if not {name for group in manifest.settled for name in group.targets} <= swept:
        yield "targets are `settled` that were not swept"
    flow_names = names | {name.rpartition("[")[0] for name in names}
    if not {name for node in manifest.flow for name in node.targets} <= flow_names:
        yield "its `flow` names unknown targets"
    if manifest.binary:
        for name in _MEANS if manifest.stressed else _CLEAN_MEANS:
            if name in cells and not cells[name].between(0, 1).all():
                yield f"the shares of samples in {name} are not all between 0 and 1"
    if samples is None:
        return
    data, sweep = manifest.question.data, manifest.question.sweep
    if len(samples) != data.samples or samples["label"].to_numpy().max(initial=0) >= max(
        data.classes, 1
    ):
        yield "it has other samples than it says"
    steps = int(cells["step"].to_numpy().max()) + 1 if len(cells) else sweep.steps
    if steps != sweep.steps or not set(cells["filter"]) <= set(sweep.filters):
        yield "it has other filters or thresholds than it says"


def count_removals(cells: pd.DataFrame) -> int:
    """Return the smallest number of removals that the cells of a study refer to."""
    names = [name for name in ("outcome", *control_columns(cells)) if name in cells]
    return int(cells[names].to_numpy().max(initial=UNFILTERED)) + 1
