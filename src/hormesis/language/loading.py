"""Language models from folders that transformers wrote: safetensors only, and no code of theirs."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hormesis.errors import HormesisError, ModelError, quoted
from hormesis.language.folders import CONFIG, checked_class, count_values
from hormesis.language.models import CLASSIFIER, LanguageModel
from hormesis.language.quiet import import_transformers, quiet
from hormesis.models.checkpoint_choice import first_names
from hormesis.settings.factory import HUGGING_FACE

_MOST_MISSING = 10_000_000  # values that a network may have beyond twice those of its weights
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
    kind = checked_class(folder, shown)
    with quiet() as transformers, _refusing("network", shown):
        _check_size(getattr(transformers, kind), folder, shown)
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
        config = try_to_load_from_cache(name, CONFIG)
    except ValueError:  # no name that the hub could have
        config = None
    if not isinstance(config, str):
        raise ModelError(
            f"There is no folder {name!r}, and no model of this name in the local cache of Hugging "
            "Face: download it first, or name its folder."
        )
    return Path(config).parent


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


def _check_size(kind: Any, folder: Path, shown: str) -> None:  # noqa: ANN401  (a class of theirs)
    """Refuse a network much larger than its weights, which would fill the memory by itself."""
    with torch.device("meta"):
        network = kind(kind.config_class.from_pretrained(folder, local_files_only=True))
    described = sum(one.numel() for one in network.parameters())
    held = count_values(folder)
    if described > 2 * held + _MOST_MISSING:
        raise ModelError(
            f"The {CONFIG} of {shown} describes a network of {described:,} values, and its weights "
            f"hold {held:,}: save both with `save_pretrained`."
        )


def _left_out(entries: list[str]) -> tuple[str, ...]:
    if not entries:
        return ()
    return (
        f"{len(entries)} entries of the weights belong to no part of the network and were left out "
        f"({first_names(entries)}).",
    )
