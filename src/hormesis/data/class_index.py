"""Which output of a network stands for which class of pictures."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hormesis.errors import DataError, did_you_mean

_MOST_BYTES = 1 << 26
_MOST_CLASSES = 1 << 20
_WORDNET = re.compile(r"(n\d{8})\s+(.+)")


@dataclass(frozen=True)
class ClassIndex:
    """Names of a network's outputs.

    Args:
        names: For each output its names, one of which a folder of pictures may have; none for an
            output without a name.
        source: Where they come from, for messages.

    Example:
        >>> index = ClassIndex((("tench", "n01440764"), ("goldfish",)), "made up")
        >>> index.find(["n01440764", "Goldfish"])
        {'n01440764': 0, 'Goldfish': 1}
    """

    names: tuple[tuple[str, ...], ...]
    source: str

    def __len__(self) -> int:
        """Return the number of outputs."""
        return len(self.names)

    def find(self, folders: Sequence[str]) -> dict[str, int]:
        """Return the output of each folder; capitals and underscores do not matter.

        Raises:
            DataError: If the name of a folder is that of no output, or of several.
        """
        outputs: dict[str, list[int]] = {}
        for output, names in enumerate(self.names):
            for name in dict.fromkeys(map(_plain, names)):
                outputs.setdefault(name, []).append(output)
        found: dict[str, int] = {}
        for folder in folders:
            candidates = outputs.get(_plain(folder), [])
            if len(candidates) != 1:
                several = " and ".join(map(str, candidates))
                why = f"stands for the outputs {several}" if several else "is no class"
                hint = "" if several else did_you_mean(_plain(folder), outputs)
                raise DataError(
                    f"By {self.source}, the folder {folder!r} {why}.{hint} Rename it, or name a "
                    "file with the names of all outputs, in their order, as `class_index`."
                )
            found[folder] = candidates[0]
        return found


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())


def read_class_index(path: str | Path) -> ClassIndex:
    """Return the names of outputs from a file.

    Args:
        path: A text with one name a line, in the order of the outputs; or JSON: a list of names, or
            an object from number to name, to ``["n01440764", "tench"]`` as Keras has it, or from
            name to number. A line may begin with a WordNet number, such as
            ``n01440764 tench, Tinca tinca``.

    Raises:
        DataError: If it cannot be read, or holds no names.
    """
    file = Path(path).expanduser()
    try:
        if file.exists() and (not file.is_file() or file.stat().st_size > _MOST_BYTES):
            raise DataError(
                f"Expected `class_index` to be a file of at most {_MOST_BYTES:,} bytes, got "
                f"'{file}'."
            )
        text = file.read_text(encoding="utf-8-sig").strip()
        names = _of_json(json.loads(text)) if text[:1] in ("{", "[") else _of_lines(text)
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"The class index '{file}' cannot be read: {reason}.") from error
    if not any(names):
        raise DataError(f"The class index '{file}' holds no names: write one a line.")
    return ClassIndex(tuple(names), f"the class index '{file}'")


def _of_lines(text: str) -> list[tuple[str, ...]]:
    return [aliases_of(line.strip()) for line in text.splitlines()]


def aliases_of(line: str) -> tuple[str, ...]:
    """Return all names in a line: itself, and WordNet's number and synonyms.

    Example:
        >>> aliases_of("n01440764 tench, Tinca tinca")
        ('n01440764 tench, Tinca tinca', 'n01440764', 'tench, Tinca tinca', 'tench', 'Tinca tinca')
    """
    match = _WORDNET.fullmatch(line)
    number, words = (match[1], match[2]) if match else ("", line)
    synonyms = [word.strip() for word in words.split(",")]
    return tuple(dict.fromkeys(name for name in (line, number, words, *synonyms) if name))


def _of_json(content: object) -> list[tuple[str, ...]]:
    """Return names by output.

    Raises:
        ValueError: If these are not names and numbers.
    """
    if isinstance(content, list):
        return [_names(item) for item in content]
    pairs = list(content.items()) if isinstance(content, dict) else []
    if pairs and all(type(value) is int for _, value in pairs):
        pairs = [(value, name) for name, value in pairs]
    if not all(str(key).isdecimal() for key, _ in pairs):
        raise ValueError("its keys are no numbers of outputs, and its values neither")
    outputs = {int(key): _names(value) for key, value in pairs}
    if len(outputs) < len(pairs) or max(outputs, default=0) >= _MOST_CLASSES:
        raise ValueError("a number of an output stands there twice, or is too large")
    return [outputs.get(number, ()) for number in range(max(outputs, default=-1) + 1)]


def _names(value: object) -> tuple[str, ...]:
    values: Iterable[object] = value if isinstance(value, list) else [value]
    names = [name for name in values if isinstance(name, str)]
    if not names:
        raise ValueError(f"{value!r} is no name")
    return tuple(alias for name in names for alias in aliases_of(name))
