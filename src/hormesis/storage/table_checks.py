"""What a table from elsewhere claims, checked before anything believes it."""

from collections.abc import Iterator, Mapping
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
MOST_FOOTER = 1 << 20  # bytes of what a Parquet file says of itself at its end
MOST_PARTS = 4096  # columns of groups of rows
# A table in memory is as large as its file times `MOST_GROWTH`, or `FREE_ROOM` bytes, at most.
MOST_GROWTH, FREE_ROOM = 40, 1 << 25
_PACKED = ("SNAPPY", "UNCOMPRESSED")  # as ours are; others make gigabytes of a few bytes
_ENCODED = {"PLAIN", "RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY", "BIT_PACKED"}
# What pyarrow and pandas raise for a table that is damaged, or crafted to look like one.
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
# The kinds of NumPy's types that a column may have; "t" stands for texts.
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
# What the values of a column lie between; of all others nothing is taken for granted.
_BETWEEN = {
    **dict.fromkeys(("density", "progress"), (0.0, 1.0)),
    **dict.fromkeys(("zeroed", "size"), (0, 1 << 40)),
    **dict.fromkeys(("place", "label", "step"), (0, 1 << 53)),
    **dict.fromkeys(("depth", "outcome", "control"), (-1, 1 << 53)),
    "alpha": (-np.finfo(np.float64).max, np.finfo(np.float64).max),
}
_MEANS = ("clean", "adversarial", "random_clean", "random_adversarial")


def parse_parquet(content: bytes) -> pd.DataFrame:
    """Return the table of a Parquet file, whose few bytes may stand for more than memory holds.

    Raises:
        ValueError: If it is larger than any of ours, or packed in another way.
    """
    if content[:4] != b"PAR1" or content[-4:] != b"PAR1":
        raise ValueError("it is no Parquet file")
    if int.from_bytes(content[-8:-4], "little") > MOST_FOOTER:
        raise ValueError("it says too much of itself")
    opened = pyarrow.parquet.ParquetFile(
        BytesIO(content),
        thrift_string_size_limit=MOST_FOOTER,
        thrift_container_size_limit=MOST_FOOTER,
    )
    _check_parts(opened.metadata, len(content))
    rows, columns = opened.metadata.num_rows, opened.metadata.num_columns
    plain = (pyarrow.types.is_boolean, pyarrow.types.is_integer, pyarrow.types.is_floating)
    texts = list[str]()
    for field in opened.schema_arrow:
        if pyarrow.types.is_string(field.type) or pyarrow.types.is_large_string(field.type):
            texts.append(field.name)
        elif not any(kind(field.type) for kind in plain) and (rows or field.type != "null"):
            raise ValueError(f"its column {field.name} is of another type, {field.type}")
    room = max(FREE_ROOM, MOST_GROWTH * len(content)) - 8 * rows * columns
    if room < 0:
        raise ValueError(f"it claims {rows:,} rows of {columns:,} columns")
    if texts:  # one long text, repeated, takes next to nothing in the file
        known = pyarrow.parquet.read_table(BytesIO(content), columns=texts, read_dictionary=texts)
        known.validate(full=True)  # pandas takes other bytes for texts
        size = sum(_written_out(column) for column in known.columns)
        if size > room:
            raise ValueError(f"its texts take {size:,} bytes")
    return opened.read().to_pandas(ignore_metadata=True)


def _check_parts(said: Any, size: int) -> None:  # noqa: ANN401
    """Refuse more rows and columns than any of our tables has, and other ways to pack them.

    Args:
        said: What the file says of itself.
        size: Its bytes.
    """
    rows, columns, groups = said.num_rows, said.num_columns, said.num_row_groups
    large = columns > MOST_COLUMNS or rows * columns > MOST_CELLS or groups * columns > MOST_PARTS
    if not 0 <= rows <= MOST_ROWS or large:
        raise ValueError(f"it claims {rows:,} rows of {columns:,} columns")
    parts = [said.row_group(one).column(two) for one in range(groups) for two in range(columns)]
    if sum(part.total_compressed_size for part in parts) > size:
        raise ValueError("it claims more bytes than it has")
    for part in parts:
        if part.compression not in _PACKED or not {*part.encodings} <= _ENCODED:
            raise ValueError(f"its column {part.path_in_schema} is packed in another way than ours")


def _written_out(column: pyarrow.ChunkedArray) -> int:
    longest = 0
    for chunk in column.chunks:
        values = chunk.dictionary if hasattr(chunk, "dictionary") else chunk
        lengths = pyarrow.compute.call_function("binary_length", [values])
        longest = max(longest, pyarrow.compute.call_function("max", [lengths]).as_py() or 0)
    return longest * len(column)


def wrong_column(
    table: pd.DataFrame, columns: tuple[str, ...], of: Mapping[str, str] = KINDS
) -> str:
    """Return what is wrong with one of the columns, or nothing.

    Args:
        table: Any.
        columns: Those that it has to have.
        of: The kinds of types that columns may have.
    """
    for name in columns:
        if name not in table.columns:
            return f"lacks the column {name}"
        column, kinds = table[name], of.get(name)
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
            return f"has values in its column {name} that cannot be there"
    return ""


# Columns of the tables of a retraining, by the kinds of NumPy's types.
_RETRAINED = {
    **dict.fromkeys(("arm", "attack", "verdict"), "t"),
    **dict.fromkeys(("seed", "sample", "samples"), "iu"),
    **dict.fromkeys(("epsilon", "accuracy", "difference", "low", "high"), "f"),
    "right": "biuf",
}


def wrong_retrained(table: pd.DataFrame, columns: tuple[str, ...]) -> str:
    """Return what is wrong with a table of a retraining, as a part of a sentence, or nothing.

    Args:
        table: Any.
        columns: Those that it has to have.
    """
    if len(table):
        return wrong_column(table, columns, _RETRAINED)
    return wrong_column(table, columns, {})


def wrong_cells(cells: pd.DataFrame, targets: pd.DataFrame) -> str:
    """Return what is wrong with cells or responses as a whole, as a part of a sentence, or nothing.

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
    whole = size >= 2 and len(cells) == size * len(sweeps)
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
            return f"a cell names an {name} that cannot be there"
    return ""


def wrong_study(
    manifest: Manifest,
    targets: pd.DataFrame,
    cells: pd.DataFrame,
    samples: pd.DataFrame | None,
) -> str:
    """Return where the tables of a study say something else than its manifest, or nothing.

    Args:
        manifest: One without faults of its own.
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
    if not {name for one in manifest.settled for name in one.targets} <= swept:
        yield "targets are `settled` that were not swept"
    known = names | {name.rpartition("[")[0] for name in names}
    if not {name for node in manifest.flow for name in node.targets} <= known:
        yield "its `flow` names unknown targets"
    if manifest.binary:
        for name in _MEANS:
            if name in cells and not cells[name].between(0, 1).all():
                yield f"there are shares of samples in {name} that are none"
    if samples is None:
        return
    data, sweep = manifest.question.data, manifest.question.sweep
    if len(samples) != data.samples or samples["label"].to_numpy().max(initial=0) >= data.classes:
        yield "it has other samples than it says"
    steps = int(cells["step"].to_numpy().max()) + 1 if len(cells) else sweep.thresholds
    if steps != sweep.thresholds or not set(cells["filter"]) <= set(sweep.filters):
        yield "it has other filters or thresholds than it says"


def count_removals(cells: pd.DataFrame) -> int:
    """Return how many rows of outcomes the cells of a study name at least."""
    names = [name for name in ("outcome", *control_columns(cells)) if name in cells]
    named = [cells[name].to_numpy() for name in names]
    return int(max((rows.max(initial=UNFILTERED) for rows in named), default=UNFILTERED)) + 1
