"""Conversion of plain values from a file into typed ones, with limits on size and length."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta

LONGEST = 4096  # characters of a name, a path or a version
LARGEST = 1e30  # of a number; fits into float32 with room for sums and products
MOST = 1 << 53  # of a count; every JSON parser represents it exactly
_CONTROL = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff"  # allows tabs and newlines
_PLAIN = rf"\A[^{_CONTROL}]*\Z"
_NOT_PLAIN = re.compile(f"[{_CONTROL}]")

Text = Annotated[str, Meta(max_length=LONGEST, pattern=_PLAIN)]
"""A text without control characters, except tabs and newlines."""
Word = Annotated[str, Meta(max_length=64, pattern=_PLAIN)]
Hash = Annotated[str, Meta(max_length=128, pattern=_PLAIN)]
Sentence = Annotated[str, Meta(max_length=20_000, pattern=_PLAIN)]
Texts = Annotated[list[Text], Meta(max_length=1_000_000)]
Sentences = Annotated[list[Sentence], Meta(max_length=10_000)]
Count = Annotated[int, Meta(ge=0, le=MOST)]
Positive = Annotated[int, Meta(ge=1, le=MOST)]
Number = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
"""A finite number, integer or not; booleans are refused."""
AtLeast0 = Annotated[float, Meta(ge=0, le=LARGEST)]
Above0 = Annotated[float, Meta(gt=0, lt=LARGEST)]
Share = Annotated[float, Meta(ge=0, le=1)]
Shape = Annotated[list[Count], Meta(max_length=64)]
Range = tuple[Number, Number]
Kind = TypeVar("Kind")


class Entry(msgspec.Struct, frozen=True):
    """A table of known keys in a file; unknown keys are ignored, as later versions write more.

    A field with a default may be missing, as in files of earlier versions.
    """


def among(names: Collection[str]) -> Meta:
    """Return the constraint that a text is one of several.

    Example:
        >>> msgspec.convert("b", Annotated[str, among(("a", "b"))])
        'b'
    """
    return Meta(pattern=rf"\A(?:{'|'.join(map(re.escape, names))})\Z")


def convert(values: object, kind: type[Kind]) -> Kind:
    """Convert plain values to a typed class.

    Args:
        values: The values, parsed from JSON.
        kind: The type, such as a class of ``schema``.

    Raises:
        ValueError: If a value is missing or has the wrong type; its text names the entry.

    Example:
        >>> convert({"name": 3}, type("Network", (Entry,), {"__annotations__": {"name": Text}}))
        Traceback (most recent call last):
        ValueError: it lacks a proper `name`
    """
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"it lacks a proper `{wrong_entry(values, kind)}`") from error


def wrong_entry(values: object, kind: Any, path: str = "") -> str | None:  # noqa: ANN401
    """Return the path of the first entry of the wrong type; None if all are right.

    Args:
        values: The values, parsed from JSON.
        kind: The expected type.
        path: Path of the values themselves, such as ``question.data``.
    """
    try:
        msgspec.convert(values, kind)
    except msgspec.ValidationError:
        wrong = (
            wrong_entry(value, part, f"{path}.{name}".removeprefix("."))
            for name, value, part in _parts(values, kind)
        )
        return next((entry for entry in wrong if entry is not None), path)
    return None


def _parts(values: object, kind: Any) -> Iterator[tuple[str, object, Any]]:  # noqa: ANN401
    """Yield the name, value and expected type of each entry of a table."""
    if not isinstance(values, dict):
        return
    kinds = [kind, *get_args(kind)]
    for table in (each for each in kinds if isinstance(each, type) and issubclass(each, Entry)):
        for field in msgspec.structs.fields(table):
            if field.encode_name in values or field.required:
                yield field.encode_name, values.get(field.encode_name, _Missing), field.type
    for table in (each for each in kinds if get_origin(each) is dict):
        for name, value in values.items():
            fits = wrong_entry(name, get_args(table)[0]) is None
            yield plain(str(name), 64), value if fits else _Missing, get_args(table)[1]


class _Missing:
    """Stands for a missing value, which matches no type."""


def is_plain(text: str) -> bool:
    """Return whether a text is valid Unicode with no control characters but tabs and newlines."""
    return _NOT_PLAIN.search(text) is None


def plain(text: str, longest: int = LONGEST) -> str:
    r"""Return a text that ``Text`` accepts: other characters are escaped, long texts are cut.

    Example:
        >>> plain("a\x1b[2Jb\udcff"), plain("a" * 5000)[-3:]
        ('a\\x1b[2Jb\\udcff', '...')
    """
    text = _NOT_PLAIN.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def plain_values(value: Any) -> Any:  # noqa: ANN401
    """Apply ``plain`` to every text in plain values."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, list | tuple):
        return [plain_values(item) for item in value]
    if isinstance(value, Mapping):
        return {plain_values(key): plain_values(item) for key, item in value.items()}
    return value
