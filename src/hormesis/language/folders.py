"""The folder of a language model, examined before anything in it is loaded."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open

from hormesis.errors import HormesisError, ModelError, quoted
from hormesis.language.models import head_of, unknown_head

CONFIG, _TOKENIZER = "config.json", "tokenizer_config.json"
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_TOKENIZER_FILES = ("*.json", "*.model", "*.jinja", "vocab.txt", "merges.txt")
_MOST_BYTES = 1 << 24  # of a configuration
_MOST_OF_A_TOKENIZER = 1 << 28  # bytes of one of its files
_DEPTHS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "num_hidden_groups")
_MOST_LAYERS = 10_000


def checked_class(folder: Path, shown: str) -> str:
    """Return the name of the class of the network in a folder.

    Args:
        folder: The folder.
        shown: What messages call it.

    Raises:
        ModelError: If it does not hold all that is needed, wants to run code, or holds something
            that would hang or fill the memory.
    """
    config = _read_json(folder / CONFIG, shown)
    files = folder / _TOKENIZER
    own_tokenizer = _read_json(files, shown) if files.exists() else {}
    if "auto_map" in config or "auto_map" in own_tokenizer:
        raise ModelError(
            f"The model {shown} wants to run code of its own (auto_map), which is never run here: "
            "load it in Python if you trust it, and pass the network to `hormesis.analyze`."
        )
    listed = config.get("architectures")
    kind = listed[0] if isinstance(listed, list) and listed else None
    if not isinstance(kind, str):
        raise ModelError(
            f"The {CONFIG} of {shown} does not say what network it is of, under `architectures`: "
            "save the network, with its head, with `save_pretrained`."
        )
    if head_of(kind) is None:
        raise ModelError(unknown_head(kind[:80], shown))
    deep = {name: config[name] for name in _DEPTHS if name in config}
    for name, depth in deep.items():
        if isinstance(depth, int) and depth > _MOST_LAYERS:
            raise ModelError(
                f"Expected `{name}` of at most {_MOST_LAYERS:,} in the {CONFIG} of {shown}, got "
                f"{depth:,.0f}."
            )
    _check_files(folder, shown)
    return kind


def _check_files(folder: Path, shown: str) -> None:
    """Refuse a folder without weights in safetensors, or without a tokenizer."""
    if not any((folder / file).is_file() for file in (_WEIGHTS, _INDEX)):
        if any((folder / file).exists() for file in _PICKLES):
            raise ModelError(
                f"The weights of {shown} are pickled (pytorch_model.bin), which can run code and "
                "is never read here: save them with `save_pretrained(safe_serialization=True)`."
            )
        raise ModelError(
            f"The folder {shown} holds no weights, {_WEIGHTS}: save the network with "
            "`save_pretrained`."
        )
    for path in _shards(folder, shown):
        if not path.is_file():
            raise ModelError(f"The folder {shown} lacks a part of its weights, {path.name:.80}.")
    others = {CONFIG, _TOKENIZER, "generation_config.json", _WEIGHTS, _INDEX}
    found = [path for pattern in _TOKENIZER_FILES for path in folder.glob(pattern)]
    for path in found:
        _check_file(path, shown, _MOST_OF_A_TOKENIZER)
    if not {path.name for path in found} - others:
        raise ModelError(
            f"The folder {shown} holds no tokenizer: save it there too, with "
            "`tokenizer.save_pretrained`."
        )


def _read_json(file: Path, shown: str) -> dict[str, Any]:
    try:
        _check_file(file, shown, _MOST_BYTES)
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"The folder {shown} is no model: it has no {file.name}, as `save_pretrained` writes "
            "it."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, HormesisError):
            raise
        raise ModelError(f"The {file.name} of {shown} cannot be read: {quoted(error)}") from error
    if not isinstance(content, dict):
        raise ModelError(f"Expected {file.name} of {shown} to hold a JSON object, got another.")
    return content


def _check_file(file: Path, shown: str, most: int) -> None:
    """Refuse a pipe or a device, which may never end, and a file that is too large."""
    if file.exists() and (not file.is_file() or file.stat().st_size > most):
        raise ModelError(f"Expected {file.name} of {shown} to be a file of at most {most:,} bytes.")


def _shards(folder: Path, shown: str) -> Sequence[Path]:
    """Return the files of the weights, all of which lie in the folder."""
    if (folder / _WEIGHTS).is_file():
        return [folder / _WEIGHTS]
    entries = _read_json(folder / _INDEX, shown).get("weight_map")
    names: list[Any] = list(entries.values()) if isinstance(entries, dict) else [None]
    for name in names:
        if not isinstance(name, str) or name != Path(name).name or not name:
            raise ModelError(
                f"The {_INDEX} of {shown} names a file that is not in the folder: {name!r:.80}."
            )
    return [folder / name for name in sorted(set(names))]


def count_values(folder: Path) -> int:
    """Return how many values the weights in a folder hold.

    Args:
        folder: One that ``checked_class`` accepts.
    """
    total = 0
    for file in _shards(folder, folder.name):
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118  (it is no mapping)
                size = 1
                for length in opened.get_slice(name).get_shape():
                    size *= length
                total += size
    return total
