"""Language models from folders that transformers wrote: safetensors only, and no code of theirs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hormesis.errors import HormesisError, ModelError, quoted
from hormesis.language.models import CLASSIFIER, LanguageModel, head_of, unknown_head
from hormesis.language.quiet import import_transformers, quiet
from hormesis.models.checkpoint_choice import first_names
from hormesis.settings.factory import HUGGING_FACE

_CONFIG, _TOKENIZER_CONFIG = "config.json", "tokenizer_config.json"
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_TOKENIZERS = ("*.json", "*.model", "vocab.txt", "merges.txt")
_MOST_BYTES = 1 << 24  # of a configuration
_PANIC = "PanicException"  # of tokenizers' Rust, which is no Exception


def load_language_model(name: str | Path) -> LanguageModel:
    """Return the network and the tokenizer in a folder, in float32 and in evaluation mode.

    Weights are read from safetensors only, no code from the folder is run, and nothing is
    downloaded.

    Args:
        name: A folder that ``save_pretrained`` wrote, or the name of a model that is in the local
            cache of Hugging Face; ``hf:`` may stand before it.

    Raises:
        MissingExtraError: If transformers is not installed.
        ModelError: One sentence on what cannot be found, read or measured.

    Example:
        >>> load_language_model("nowhere")
        Traceback (most recent call last):
        hormesis.errors.ModelError: There is no folder 'nowhere', and no model of this name in \
the local cache of Hugging Face: download it first, or name its folder.
    """
    import_transformers()
    spelled = str(name).removeprefix(HUGGING_FACE)
    folder = _find_folder(spelled)
    shown = folder.resolve().name if folder == Path(spelled).expanduser() else spelled
    kind = _checked_class(folder, shown)
    with quiet() as transformers, _refusing("network", shown):
        network, info = getattr(transformers, kind).from_pretrained(
            folder,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    missing = sorted(map(str, info.get("missing_keys", ())))
    if missing:
        raise ModelError(
            f"The weights in {shown} lack {len(missing)} of the network's entries "
            f"({first_names(missing)}): save the trained network with `save_pretrained`."
        )
    notes = _left_out(sorted(map(str, info.get("unexpected_keys", ()))))
    with quiet() as transformers, _refusing("tokenizer", shown):
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    network = network.float().eval()
    network.config.use_cache = False  # keys and values of earlier tokens, which nobody reads here
    model = LanguageModel(network, tokenizer, shown, notes)
    if model.head == CLASSIFIER and network.config.pad_token_id is None:
        model = replace(model, notes=(*notes, *model.padding_notes))
        network.config.pad_token_id = model.padding  # by which decoders find a text's last token
    return model


def _find_folder(name: str) -> Path:
    """Return the folder of a model, which may lie in the cache of Hugging Face."""
    folder = Path(name).expanduser()
    with suppress(OSError):  # of a name that is too long
        if folder.is_dir():
            return folder
    from huggingface_hub import try_to_load_from_cache

    try:
        config = try_to_load_from_cache(name, _CONFIG)
    except ValueError:  # no name that the hub could have
        config = None
    if not isinstance(config, str):
        raise ModelError(
            f"There is no folder {name!r}, and no model of this name in the local cache of Hugging "
            "Face: download it first, or name its folder."
        )
    return Path(config).parent


def _checked_class(folder: Path, shown: str) -> str:
    """Return the class of the network in a folder, which holds all that is needed and no code."""
    config = _read_json(folder / _CONFIG, shown)
    files = folder / _TOKENIZER_CONFIG
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
            f"The {_CONFIG} of {shown} does not say what network it is of, under `architectures`: "
            "save the network, with its head, with `save_pretrained`."
        )
    if head_of(kind) is None:
        raise ModelError(unknown_head(kind[:80], shown))
    _check_files(folder, shown)
    return kind


def _check_files(folder: Path, shown: str) -> None:
    """Refuse a folder without weights in safetensors, or without a tokenizer."""
    if not any((folder / file).is_file() for file in _WEIGHTS):
        if any((folder / file).exists() for file in _PICKLES):
            raise ModelError(
                f"The weights of {shown} are pickled (pytorch_model.bin), which can run code and "
                "is never read here: save them with `save_pretrained(safe_serialization=True)`."
            )
        raise ModelError(
            f"The folder {shown} holds no weights, {_WEIGHTS[0]}: save the network with "
            "`save_pretrained`."
        )
    others = {_CONFIG, _TOKENIZER_CONFIG, "generation_config.json", *_WEIGHTS}
    names = {path.name for pattern in _TOKENIZERS for path in folder.glob(pattern)}
    if not names - others:
        raise ModelError(
            f"The folder {shown} holds no tokenizer: save it there too, with "
            "`tokenizer.save_pretrained`."
        )


def _read_json(file: Path, shown: str) -> dict[str, Any]:
    try:
        if file.exists() and (not file.is_file() or file.stat().st_size > _MOST_BYTES):
            raise ModelError(
                f"Expected {file.name} of {shown} to be a file of at most {_MOST_BYTES:,} bytes."
            )
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


@contextmanager
def _refusing(what: str, shown: str) -> Iterator[None]:
    """Turn whatever a damaged folder makes transformers raise into a sentence."""
    try:
        yield
    except (HormesisError, MemoryError):
        raise
    except BaseException as error:  # anything may come out of code that is not ours
        if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
            raise
        raise ModelError(f"The {what} of {shown} cannot be loaded: {quoted(error)}") from error


def _left_out(entries: list[str]) -> tuple[str, ...]:
    if not entries:
        return ()
    return (
        f"{len(entries)} entries of the weights belong to no part of the network and were left out "
        f"({first_names(entries)}).",
    )
