"""Texts as data: from files of one text a line, of JSON, or with a table."""

import csv
import json
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hormesis.data.conversion import LABELS
from hormesis.data.sampling import draw_balanced, draw_random
from hormesis.data.text_corruptions import TextCorruption
from hormesis.errors import DataError, quoted

SUFFIXES = (".jsonl", ".csv", ".txt")
TEXT_COLUMNS = ("text", "prompt", "context")
LABEL_COLUMNS = (*LABELS, "answer")
PAIR, CHOICES = "text_pair", "choices"
_MOST_BYTES = 1 << 30  # of a file of texts
_PAIRS = 1  # added to the seed of a corruption, for the second of two texts
Rows = Iterator[tuple[int, Mapping[str, Any]]]


@dataclass(frozen=True)
class Texts:
    """Texts with whatever they have: a second text, a label, choices to continue with.

    Args:
        texts: The texts, none of them empty.
        pairs: The second of two texts of each, such as a hypothesis; none by default.
        labels: A label each: the name or the number of a class, a number, or, with choices, the
            place of the right one or the right one itself; none by default.
        choices: At least two continuations of each text, to choose from; none by default.
        name: What tables and manifests call them.
        lines: The line of each in its file, for messages.
        places: The index of each in the data set, for texts in random order.

    Raises:
        DataError: For parts of different lengths, an empty text, or anything but texts.

    Example:
        >>> texts = Texts(("good film", "bad film"), labels=("positive", "negative"))
        >>> len(texts), texts.where(1)
        (2, 'text 1')
    """

    texts: Sequence[Any]
    pairs: Sequence[Any] = ()
    labels: Sequence[Any] = ()
    choices: Sequence[Any] = ()
    name: str = "texts"
    lines: Sequence[int] = ()
    places: Sequence[int] = ()

    def __post_init__(self) -> None:
        """Check every field."""
        for part in ("texts", "pairs", "labels", "choices", "lines", "places"):
            values = getattr(self, part)
            if isinstance(values, str) or not hasattr(values, "__len__"):
                raise DataError(
                    f"Expected `{part}` to be a list, one entry a sample, got "
                    f"{type(values).__name__}."
                )
            values = tuple(values.tolist() if hasattr(values, "tolist") else values)
            if part != "texts" and values and len(values) != len(self.texts):
                raise DataError(
                    f"Expected as many `{part}` as `texts`, {len(self.texts)}, got {len(values)}."
                )
            object.__setattr__(self, part, values)
        for number in range(len(self.texts)):
            self._check(number)

    def _check(self, number: int) -> None:
        """Refuse a text that is none, or empty, and fewer than two choices."""
        choices = self.choices[number] if self.choices else ("", "")
        if isinstance(choices, str) or not isinstance(choices, Sequence) or len(choices) < 2:
            raise DataError(
                f"Expected at least two `choices` in a list, got {choices!r:.40} in "
                f"{self.where(number)}."
            )
        own = (self.texts[number], *self.pairs[number : number + 1])
        for text in (*own, *(choices if self.choices else ())):
            if not isinstance(text, str):
                raise DataError(
                    f"Expected a text, got {type(text).__name__} in {self.where(number)}."
                )
            if not text.strip():
                raise DataError(
                    f"Expected a text that is not empty, got an empty one in {self.where(number)}: "
                    "leave it out."
                )
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise DataError(
                    f"Expected a text of whole letters, got half of one in {self.where(number)}."
                ) from error

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.texts)

    def where(self, number: int) -> str:
        """Return where a text stands, for a sentence."""
        return f"line {self.lines[number]} of {self.name}" if self.lines else f"text {number}"

    def take(self, places: Sequence[int]) -> "Texts":
        """Return the texts at these places, which know where they were."""
        parts = {
            part: tuple(values[place] for place in places) if values else ()
            for part in ("texts", "pairs", "labels", "choices", "lines")
            for values in (getattr(self, part),)
        }
        return replace(self, **parts, places=tuple(places))

    def draw(self, count: int, seed: int = 0) -> "Texts":
        """Return so many texts in random order, stratified by label where these name classes.

        A smaller draw is the beginning of a larger one.

        Args:
            count: From 2 to the number of texts.
            seed: Seed of the draw, at least 0.
        """
        if self.labels and not self.choices and not any(isinstance(x, float) for x in self.labels):
            _, classes = np.unique([str(label) for label in self.labels], return_inverse=True)
            return self.take(draw_balanced(torch.from_numpy(classes), count, seed).tolist())
        return self.take(draw_random(len(self), count, seed).tolist())

    def corrupted(self, corruption: TextCorruption) -> "Texts":
        """Return corrupted texts; choices stay, and so does a text of which nothing would.

        What is drawn depends on the seed and on the index of a text in its data set alone.
        """
        places = self.places or range(len(self))
        again = replace(corruption, seed=corruption.seed + _PAIRS)
        texts = corruption.apply(self.texts, places)
        pairs = again.apply(self.pairs, places) if self.pairs else ()
        return replace(self, texts=texts, pairs=pairs, name=corruption.name)


def load_texts(path: str | Path, *, text: str | None = None, label: str | None = None) -> Texts:
    """Return the texts of a file.

    Args:
        path: A file of UTF-8. ``.txt`` holds one text a line, and empty lines are skipped;
            ``.jsonl`` an object a line; ``.csv`` a table whose first line names its columns.
        text: Key or column of the texts; by default ``text``, ``prompt`` or ``context``.
        label: Key or column of the labels; by default ``labels``, ``label``, ``targets``,
            ``target``, ``y`` or ``answer``, if there is one.

    Returns:
        The texts; a column ``text_pair`` holds the second of two texts, a column ``choices`` a list
        of continuations, in a CSV as JSON.

    Raises:
        DataError: If the file cannot be read, naming the line.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "reviews.jsonl")
        ...     _ = file.write_text('{"text": "good film", "label": "positive"}')
        ...     load_texts(file).labels
        ('positive',)
    """
    file = Path(path).expanduser()
    if file.suffix.lower() not in SUFFIXES:
        raise DataError(
            f"Expected texts in a file that ends in {', '.join(SUFFIXES)}, got '{file}'."
        )
    try:
        _check_file(file)
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(_rows(stream, file))
    except OSError as error:
        raise DataError(f"The texts '{file}' cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"The file '{file}' is no text in UTF-8: save it as such.") from error
    except csv.Error as error:
        raise DataError(f"The file '{file}' is no table: {quoted(error)}") from error
    if not rows:
        raise DataError(f"The file '{file}' holds no texts.")
    return _from_rows(rows, file, text, label)


def _check_file(file: Path) -> None:
    status = file.stat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
        raise DataError(f"Expected texts in a file of at most {_MOST_BYTES:,} bytes, got '{file}'.")


def _rows(stream: Any, file: Path) -> Rows:  # noqa: ANN401  (an open file)
    """Yield the number of each line with its columns."""
    kind = file.suffix.lower()
    if kind == ".csv":
        yield from _rows_of_table(stream, file)
        return
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        yield (
            number,
            {"text": line.strip("\r\n")} if kind == ".txt" else _object(line, number, file),
        )


def _object(line: str, number: int, file: Path) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", "it cannot be read")
        raise DataError(
            f"Expected one JSON object a line, got something else in line {number} of {file.name}: "
            f"{reason}."
        ) from error
    if not isinstance(row, dict):
        raise DataError(
            f"Expected one JSON object a line, got {type(row).__name__} in line {number} of "
            f"{file.name}."
        )
    return row


def _rows_of_table(stream: Any, file: Path) -> Rows:  # noqa: ANN401
    reader = csv.DictReader(stream, strict=True)
    for row in reader:
        number = reader.line_num
        if None in row or None in row.values():
            raise DataError(
                f"Expected {len(reader.fieldnames or ())} columns in every line of {file.name}, as "
                f"in its first, got another number in line {number}: put texts with commas in "
                "quotes."
            )
        if CHOICES in row:
            row = {**row, CHOICES: _list(row[CHOICES], number, file)}
        yield number, row


def _list(cell: str, number: int, file: Path) -> Any:  # noqa: ANN401
    try:
        return json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f'Expected `choices` as a list of JSON, such as ["yes", "no"], got {cell!r:.40} in '
            f"line {number} of {file.name}."
        ) from error


def _from_rows(
    rows: Sequence[tuple[int, Mapping[str, Any]]], file: Path, text: str | None, label: str | None
) -> Texts:
    """Return texts from the columns of rows; the first row says which there are."""
    first = rows[0][1]
    text_key = text or next((name for name in TEXT_COLUMNS if name in first), TEXT_COLUMNS[0])
    label_key = label or next((name for name in LABEL_COLUMNS if name in first), None)

    def column(key: str | None) -> tuple[Any, ...]:
        return () if key is None else tuple(_cell(row, key, at, file) for at, row in rows)

    return Texts(
        column(text_key),
        column(PAIR if PAIR in first else None),
        column(label_key),
        column(CHOICES if CHOICES in first else None),
        name=file.name,
        lines=tuple(number for number, _ in rows),
    )


def _cell(row: Mapping[str, Any], key: str, number: int, file: Path) -> Any:  # noqa: ANN401
    if key not in row:
        known = ", ".join(repr(str(name)) for name in list(row)[:8]) or "nothing"
        raise DataError(
            f"Expected {key!r} in line {number} of {file.name}, got {known:.120}: name the column "
            "of the texts with `text`, that of the labels with `label`."
        )
    return row[key]
