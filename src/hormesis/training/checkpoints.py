"""The weights of a network after an epoch, as a file that says what they are."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from hormesis.errors import ModelError, TrainingError
from hormesis.models.checkpoint_files import READ_ERRORS
from hormesis.models.checkpoints import load_weights
from hormesis.models.fingerprint import network_fingerprint
from hormesis.models.normalization import Normalized
from hormesis.results.training_records import Seal, seal_of
from hormesis.results.training_run import checkpoint_path
from hormesis.storage.atomic import make_folder
from hormesis.storage.training_files import write


def write_checkpoint(network: nn.Module, folder: Path, epoch: int) -> Seal:
    """Write the weights of a network, without the normalisation around it, and what they sum to.

    Args:
        network: The network.
        folder: The run's folder.
        epoch: Epochs that it was trained for.

    Returns:
        The seal of the file.

    Raises:
        OSError: If it cannot be written.
        TrainingError: If safetensors cannot hold the weights.
    """
    content = checkpoint_of(network)
    path = checkpoint_path(folder, epoch)
    make_folder(path.parent)
    write(path, content)
    return seal_of(content)


def checkpoint_of(network: nn.Module) -> bytes:
    """Return the content of the file that keeps the weights of a network.

    Raises:
        TrainingError: If safetensors cannot hold them.
    """
    inner = _contiguous(network.network if isinstance(network, Normalized) else network)
    entries = _apart(inner.state_dict())
    # One entry only: safetensors writes several in no fixed order.
    header = {"fingerprint": network_fingerprint(inner)}
    try:
        return safetensors.torch.save(entries, metadata=header)
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise TrainingError(f"The weights cannot be kept as safetensors: {error}.") from error


def _apart(entries: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors that share no memory: of tied ones the first by name, of parts a copy."""
    tensors, seen = dict[str, Tensor](), set[tuple[object, ...]]()
    for name in sorted(entries):
        value = entries[name].contiguous()
        key = (value.data_ptr(), value.dtype, value.shape)
        if value.numel() and key in seen:
            continue
        seen.add(key)
        shared = value.untyped_storage().nbytes() != value.nbytes
        tensors[name] = value.clone() if shared else value
    return tensors


def checkpoint_fault(network: nn.Module, path: Path) -> str:
    """Return what is wrong with a checkpoint, or nothing; the network takes its weights.

    Args:
        network: One that it is to fit.
        path: The checkpoint.
    """
    try:
        load_weights(network, path)
        with safetensors.safe_open(path, framework="pt") as opened:
            recorded = (opened.metadata() or {}).get("fingerprint")
    except ModelError as error:
        return str(error)
    except (SafetensorError, *READ_ERRORS) as error:
        return f"Checkpoint {str(path)!r} cannot be read: {error}."
    inner = network.network if isinstance(network, Normalized) else network
    if recorded is not None and recorded != network_fingerprint(inner):
        return f"Checkpoint {str(path)!r} is damaged: its values are not those that were written."
    return ""


def is_training_checkpoint(path: str | Path) -> bool:
    """Return whether a file is a checkpoint that ``write_checkpoint`` wrote."""
    try:
        with safetensors.safe_open(Path(path).expanduser(), framework="pt") as opened:
            return "fingerprint" in (opened.metadata() or {})
    except (SafetensorError, *READ_ERRORS):  # of another format
        return False


def _contiguous(network: nn.Module) -> nn.Module:
    """Return a copy on the CPU whose values lie in the order that files have."""
    with torch.no_grad():
        return deepcopy(network).cpu().to(memory_format=torch.contiguous_format)
