"""What a manifest and a table from elsewhere claim, checked before anything believes them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet

from hormesis.settings import CERTAIN, FILTERS, UNFILTERED, Scoring

MOST_BYTES = 1 << 26  # of a manifest
MOST_ROWS = 20_000_000  # of a table
MOST_TEXT = 1 << 30  # bytes of the texts of a table, written out
MOST_COLUMNS = 64
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
_NUMBER = (int, float)
_CHOSEN = ("epsilon", "clean", "adversarial", "evaluations")  # of how a magnitude was chosen
# What readers take for granted: the kinds of values, by their place in the manifest.
_WANTED: dict[tuple[str, ...], type | tuple[type, ...]] = {
    ("question", "network", "name"): str,
    ("question", "network", "fingerprint"): str,
    ("question", "data", "name"): str,
    ("question", "data", "samples"): int,
    ("question", "data", "classes"): int,
    ("question", "data", "fingerprint"): str,
    ("question", "attack", "name"): str,
    ("question", "targets", "scope"): str,
    ("question", "targets", "per"): str,
    ("question", "sweep", "adversary"): str,
    ("question", "sweep", "seed"): int,
    ("question", "sweep", "thresholds"): int,
    ("question", "sweep", "filters"): list,
    ("question", "performance", "name"): str,
    ("question", "performance", "higher_is_better"): bool,
    ("attack", "name"): str,
    ("attack", "epsilon"): _NUMBER,
    ("scoring",): dict,
    ("notes",): list,
}
_OPTIONAL: dict[tuple[str, ...], type | tuple[type, ...]] = {
    ("question", "network", "normalization"): dict,
    ("attack", "chosen"): dict,
    ("attack", "chosen", "unharmed"): bool,
    ("base", "clean"): _NUMBER,
    ("base", "adversarial"): _NUMBER,
    ("base", "samples"): int,
    ("base", "higher_is_better"): bool,
    ("base", "clean_error"): _NUMBER,
    ("base", "adversarial_error"): _NUMBER,
    ("base", "zero_gradient"): _NUMBER,
    ("base", "unmoved"): _NUMBER,
    ("confirmation",): dict,
    ("confirmation", "key"): str,
    ("confirmation", "level"): _NUMBER,
    ("confirmation", "seconds"): _NUMBER,
    ("confirmation", "targets"): list,
    **{("confirmation", name): int for name in ("samples", "steps", "restarts", "draws")},
    ("attack", "chosen", "chance"): (*_NUMBER, type(None)),
    ("chance",): _NUMBER,
    **{("scoring", name): str for name in ("base", "reference", "interval", "multiplicity")},
    ("scoring", "tolerance"): _NUMBER,
    ("scoring", "level"): _NUMBER,
    ("shards",): dict,
    ("shards", "edges"): list,
    ("settled",): list,
    ("origin",): dict,
    ("origin", "epoch"): int,
    ("origin", "training"): dict,
    ("origin", "training", "question"): dict,
    ("run",): dict,
    ("run", "versions"): dict,
    ("flow",): list,
    ("state",): str,
}


def faults(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a manifest lacks, or holds another kind of value for, as parts of sentences.

    Example:
        >>> next(faults({"question": {"network": {"name": 3}}}))
        'it lacks a proper `question.network.name`'
    """
    for wanted, needed in ((_WANTED, True), (_OPTIONAL, False)):
        for path, kind in wanted.items():
            there, value = _found(manifest, path)
            if (there or needed) and not _is(value, kind):
                yield f"it lacks a proper `{'.'.join(path)}`"
    finished = "shards" in manifest and manifest.get("state") != "unfinished"
    samples = _found(manifest, ("base", "samples"))[1]
    if finished and (not _is(samples, int) or samples < 1):
        yield "it lacks a proper `base.samples`"
    until = _found(manifest, ("question", "sweep", "until"))[1]
    if until not in (None, CERTAIN) and not _is(until, float):
        yield "it lacks a proper `question.sweep.until`"
    unknown = set(_found(manifest, ("scoring",))[1] or ()) - {one.name for one in fields(Scoring)}
    if unknown:
        yield f"its `scoring` has a setting {min(unknown)!r} too many"
    yield from _faults_of_base(manifest)
    yield from _faults_of_lists(manifest)


def _faults_of_base(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield accuracies of the unfiltered network that are no share of its samples."""
    base, samples = manifest.get("base"), _found(manifest, ("base", "samples"))[1]
    binary = _found(manifest, ("question", "performance", "name"))[1] in ("accuracy", "top5")
    if not binary or not isinstance(base, dict) or not _is(samples, int) or samples < 1:
        return
    for name in ("clean", "adversarial"):
        value = base.get(name, 0)
        if _is(value, _NUMBER) and value != 0 and not 0.99 / samples <= value <= 1:
            yield f"it lacks a proper `base.{name}`"


def _faults_of_lists(manifest: Mapping[str, Any]) -> Iterator[str]:
    for path in (("notes",), ("question", "sweep", "filters")):
        if any(not isinstance(one, str) for one in _found(manifest, path)[1] or ()):
            yield f"it lacks a proper `{'.'.join(path)}`"
    said = _found(manifest, ("question", "network", "normalization"))[1]
    if isinstance(said, dict) and not (
        all(isinstance(said.get(name), list) for name in ("mean", "std"))
        and all(_is(value, _NUMBER) for name in ("mean", "std") for value in said[name])
    ):
        yield "it lacks a proper `question.network.normalization`"
    for one in manifest.get("settled", ()):
        numbers = isinstance(one, dict) and all(
            _is(one.get(name), _NUMBER) for name in ("samples", "clean", "adversarial")
        )
        texts = one.get("targets") if isinstance(one, dict) else None
        if not numbers or not _is(texts, list) or any(not _is(text, str) for text in texts or ()):
            yield "it lacks a proper `settled`"


def not_to_go_on_with(manifest: Mapping[str, Any]) -> str:
    """Return why nobody can go on with a study, as a part of a sentence, or nothing.

    Args:
        manifest: Its manifest, of the same question as is asked now.
    """
    fault = next(faults(manifest), "")
    if fault or "shards" not in manifest:
        return fault
    question, run = manifest["question"], manifest.get("run", {})
    if manifest["shards"]["edges"][-1] != question["data"]["samples"]:
        return "its shards end at another sample than its data"
    if not _is(run.get("batch"), int) or run["batch"] < 1:
        return "it lacks a proper `run.batch`"
    if manifest.get("state") == "finished" and not _is(manifest.get("base"), dict):
        return "it lacks `base`"
    chosen = manifest["attack"].get("chosen", {})
    whole = set(chosen) - {"chance"} == {*_CHOSEN, "unharmed"}
    whole = whole and all(_is(chosen[key], _NUMBER) for key in _CHOSEN)
    if question["attack"].get("epsilon") == "auto" and not whole:
        return "it lacks a proper `attack.chosen`"
    return ""


def _found(manifest: Mapping[str, Any], path: tuple[str, ...]) -> tuple[bool, Any]:
    """Return whether something lies at a place, and what."""
    value: Any = manifest
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return False, None
        value = value[key]
    return True, value


def _is(value: object, kind: type | tuple[type, ...]) -> bool:
    """Return whether a value is of a kind; a truth value is no number, and a number is finite."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if type(value) not in kinds:
        return False
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) < 1 << 63
    return not isinstance(value, float) or math.isfinite(value)


def table_of(content: bytes) -> pd.DataFrame:
    """Return the table of a Parquet file, whose few bytes may stand for more than memory holds.

    Raises:
        ValueError: If it is larger than any of ours.
    """
    opened = pyarrow.parquet.ParquetFile(BytesIO(content))
    rows, columns = opened.metadata.num_rows, opened.metadata.num_columns
    if rows > MOST_ROWS or columns > MOST_COLUMNS:
        raise ValueError(f"it claims {rows:,} rows of {columns:,} columns")
    plain = (pyarrow.types.is_boolean, pyarrow.types.is_integer, pyarrow.types.is_floating)
    texts = list[str]()
    for field in opened.schema_arrow:
        if pyarrow.types.is_string(field.type) or pyarrow.types.is_large_string(field.type):
            texts.append(field.name)
        elif not any(kind(field.type) for kind in plain):
            raise ValueError(f"its column {field.name} is of another type, {field.type}")
    if texts:  # one long text, repeated, takes next to nothing in the file
        known = pyarrow.parquet.read_table(BytesIO(content), columns=texts, read_dictionary=texts)
        size = sum(_written_out(column) for column in known.columns)
        if size > MOST_TEXT:
            raise ValueError(f"its texts take {size:,} bytes")
    return pd.read_parquet(BytesIO(content))


def _written_out(column: pyarrow.ChunkedArray) -> int:
    longest = 0
    for chunk in column.chunks:
        values = chunk.dictionary if hasattr(chunk, "dictionary") else chunk
        longest = max([longest, *(len(str(value)) for value in values)])
    return longest * len(column)


def wrong_column(table: pd.DataFrame, columns: tuple[str, ...]) -> str:
    """Return what is wrong with one of the columns, or nothing.

    Args:
        table: Any.
        columns: Those that it has to have.
    """
    for name in columns:
        if name not in table.columns:
            return f"lacks the column {name}"
        column, kinds = table[name], KINDS.get(name)
        if not isinstance(column, pd.Series):
            return f"has the column {name} twice"
        if kinds == "t":
            fits = all(isinstance(value, str) for value in column)
        else:
            fits = kinds is None or getattr(column.dtype, "kind", "") in kinds
        if not fits:
            return f"has a column {name} of another type"
    return ""


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
    if not set(cells["filter"]) <= set(FILTERS):
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
    for name in ("outcome", "control"):
        if name in cells and not cells[name].between(UNFILTERED, 2 * len(cells)).all():
            return f"a cell names an {name} that cannot be there"
    return ""


def removals_of(cells: pd.DataFrame) -> int:
    """Return how many rows of outcomes the cells of a study name at least."""
    named = [cells[name].to_numpy() for name in ("outcome", "control") if name in cells]
    return int(max((rows.max(initial=UNFILTERED) for rows in named), default=UNFILTERED)) + 1
