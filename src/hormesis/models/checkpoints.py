"""Weights from files, read without running code from them."""

import errno
import os
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import psutil
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from hormesis.errors import ModelError
from hormesis.models.normalization import Normalized

TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".tar")
SUFFIXES = (".safetensors", *TORCH_SUFFIXES)
WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net")
PREFIXES = ("module", "model", "net", "network")
# Heads of GoogLeNet and Inception that only training uses; `build_model` leaves them out.
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
# Errors that torch.load raises for files that are damaged, or crafted to look like a checkpoint.
READ_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
)
# System errors that do not mean that a file is damaged.
_NOT_ITS_FAULT = (errno.EACCES, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE)
# A system error in messages of PyTorch and Rust.
_SYSTEM = re.compile(r"(?:unable to open file .*\(|\(os error )(\d+)\)", re.DOTALL)
# The refusal of anything but plain values and tensors, in messages of torch.load.
CODE = re.compile(r"GLOBAL (?P<name>\S+)|unrecognized function|Can only (build|create)|new object")


def load_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name, on the CPU.

    Reads ``.safetensors``, state dictionaries that PyTorch saved (``.pt``, ``.pth``, ``.bin``,
    ``.pth.tar``) and Lightning's ``.ckpt``. A state dictionary may lie under ``state_dict``,
    ``model_state_dict``, ``model``, ``network`` or ``net``. Nothing but plain values and tensors is
    ever unpickled (``weights_only=True``).

    Args:
        path: The file; ``~`` is understood.

    Raises:
        ModelError: When the file is missing, empty, damaged, of another kind, wants to run code, or
            holds no tensors.

    Example:
        >>> load_checkpoint("nowhere.pt")
        Traceback (most recent call last):
        hormesis.errors.ModelError: Checkpoint 'nowhere.pt' does not exist.
    """
    file = _check_file(path)
    if file.suffix.lower() == ".safetensors":
        content = _safetensors_load(file, path)
    else:
        content = _unwrap(_torch_load(file, path))
    entries = {
        name: value.detach()
        for name, value in (content.items() if isinstance(content, Mapping) else ())
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    if not entries:
        raise ModelError(
            f"Checkpoint {str(path)!r} holds no state dictionary but {_describe_content(content)}: "
            "save `model.state_dict()`."
        )
    for name, value in entries.items():
        if value.is_meta or value.is_quantized or value.layout != torch.strided:
            raise ModelError(
                f"Checkpoint {str(path)!r} holds no plain values for {name!r}: save a dense tensor "
                "that is neither quantized nor on the meta device."
            )
    return entries


def load_weights(network: nn.Module, path: str | Path) -> None:
    """Copy the weights of a checkpoint into a network with the same names.

    Prefixes of wrappers (``module.``, ``model.``, ``net.``, ``network.``, ``_orig_mod.``, also
    nested) are stripped if that makes the names fit; entries without the prefix, such as those of a
    metric or a loss, are then ignored. Values are cast to the network's precision. On failure, the
    network is unchanged.

    Args:
        network: The network; the weights of a :class:`Normalized` go to the network inside it.
        path: A file that :func:`load_checkpoint` reads.

    Raises:
        ModelError: When the file cannot be read, its entries are missing, unexpected or of another
            shape, or their values are not finite.

    Example:
        >>> import tempfile
        >>> network = nn.Linear(2, 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "w.pt")
        ...     torch.save({"state_dict": {"model.weight": torch.ones(1, 2)}}, file)
        ...     load_weights(network, file)
        Traceback (most recent call last):
        hormesis.errors.ModelError: Checkpoint '...w.pt' does not fit the network: 1 missing (bias).
    """
    if isinstance(network, Normalized):
        network = network.network
    own = _own_tensors(network)
    entries = _strip_prefix(load_checkpoint(path), own, path)
    problems = _problems(entries, own)
    if problems:
        raise ModelError(
            f"Checkpoint {str(path)!r} does not fit the network: {'; '.join(problems)}."
            + _hint(entries, own, network)
        )
    parameters = {_clean(name) for name, _ in network.named_parameters(remove_duplicate=False)}
    cast = {name: value.to(own[name].dtype) for name, value in entries.items() if name in own}
    for name, value in cast.items():
        # A buffer may hold -inf on purpose, as attention masks do; NaN is never meant.
        broken = ~value.isfinite() if name in parameters else value.isnan()
        if bool(broken.any()):
            raise ModelError(f"Checkpoint {str(path)!r} holds NaN or infinite values in {name!r}.")
    with torch.no_grad():
        for name, value in cast.items():
            own[name].copy_(value)


def _check_file(path: str | Path) -> Path:
    """Return the file at ``path``, or refuse anything else."""
    try:
        file = Path(path).expanduser()
        kind = "folder" if file.is_dir() else "file" if file.is_file() else "nothing"
        kind = "pipe" if kind == "nothing" and file.exists() else kind
        size = file.stat().st_size if kind == "file" else 0
    except (OSError, RuntimeError) as error:
        raise ModelError(f"Checkpoint {str(path)!r} cannot be read: {error}.") from error
    if kind == "folder":
        raise ModelError(f"Expected a checkpoint file, got the folder {str(path)!r}.")
    if kind == "pipe":
        raise ModelError(f"Expected a checkpoint file, got {str(path)!r}, a pipe or a device.")
    if kind == "nothing":
        raise ModelError(f"Checkpoint {str(path)!r} does not exist.")
    if file.suffix.lower() not in SUFFIXES:
        raise ModelError(
            f"Expected the name of checkpoint {str(path)!r} to end with one of "
            f"{', '.join(SUFFIXES)}."
        )
    free = psutil.virtual_memory().available
    if size > free:
        raise ModelError(
            f"Checkpoint {str(path)!r} takes {size / 2**30:.1f} GiB, but {free / 2**30:.1f} GiB of "
            "memory are free."
        )
    if size == 0:
        raise ModelError(f"Checkpoint {str(path)!r} is empty: save or download it again.")
    return file


def _safetensors_load(file: Path, path: str | Path) -> dict[str, Tensor]:
    try:
        return load_file(file, device="cpu")
    except (SafetensorError, *READ_ERRORS) as error:
        raise ModelError(_damage_message(path, error)) from error


def _torch_load(file: Path, path: str | Path) -> object:
    """Load a file of PyTorch, with plain values and tensors only."""
    _check_archive(file, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old formats; the error below says more
            return torch.load(file, map_location="cpu", weights_only=True)
    except READ_ERRORS as error:
        if "TorchScript" in str(error):
            raise ModelError(
                f"Checkpoint {str(path)!r} is a TorchScript program, not a state dictionary: save "
                "`model.state_dict()`."
            ) from error
        raise ModelError(
            _code_refusal(file, path, error) or _damage_message(path, error)
        ) from error


def _code_refusal(file: Path, path: str | Path, error: BaseException) -> str | None:
    """Return the refusal of a file that would run code, or None."""
    if not isinstance(error, pickle.UnpicklingError):
        return None
    remedy = "save `model.state_dict()`, or a .safetensors file."
    code = CODE.search(str(error))
    if code:
        what = code["name"] or "code"
        return f"Checkpoint {str(path)!r} was refused, as reading it would run {what!r}: {remedy}"
    with file.open("rb") as opened:
        start = opened.read(1)
    # An archive or binary pickle that uses more than the few safe operations.
    if "Unsupported operand" in str(error) and start in (b"P", b"\x80"):
        return (
            f"Checkpoint {str(path)!r} was refused, as it is damaged or a pickle that may run "
            f"code: {remedy}"
        )
    return None


def _check_archive(file: Path, path: str | Path) -> None:
    """Refuse a compressed archive, which PyTorch never writes."""
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, *READ_ERRORS) as error:
        with file.open("rb") as opened:
            if opened.read(4) != b"PK\x03\x04":
                return  # the older format, or damaged, which torch.load will find out
        raise ModelError(_damage_message(path, error)) from error
    if unpacked > file.stat().st_size:
        raise ModelError(
            f"Checkpoint {str(path)!r} was refused, as it unpacks to {unpacked:,} bytes, more than "
            "its own size: save it with torch.save."
        )


def _damage_message(path: str | Path, error: BaseException) -> str:
    match = _SYSTEM.search(str(error))
    number = getattr(error, "errno", None) or (int(match[1]) if match else 0)
    if isinstance(error, PermissionError) or number in _NOT_ITS_FAULT:
        reason = os.strerror(number or errno.EACCES).lower()
        return f"Checkpoint {str(path)!r} cannot be read: {reason}."
    if isinstance(error, FileNotFoundError):  # safetensors raises it for any failure to open
        return f"Checkpoint {str(path)!r} cannot be opened: run the same command again."
    return (
        f"Checkpoint {str(path)!r} is damaged, cut short, or no checkpoint: save or download it "
        "again."
    )


def _unwrap(saved: object) -> object:
    """Return the state dictionary inside a saved object, unwrapped up to four times."""
    for _ in range(4):
        if not isinstance(saved, Mapping):
            break
        inner = [saved[key] for key in WRAPPERS if isinstance(saved.get(key), Mapping)]
        if not inner:
            break
        saved = inner[0]
    return saved


def _describe_content(content: object) -> str:
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    keys = [str(key)[:40] for key in list(content)[:5]]
    return f"the entries {', '.join(keys)}" if keys else "an empty dictionary"


def _clean(name: str) -> str:
    """Return a name without the parts that torch.compile adds."""
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def _own_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a network by name, sharing its memory."""
    own = {
        _clean(name): value
        for name, value in network.state_dict().items()
        if isinstance(value, Tensor)
    }
    for name, value in own.items():
        if is_lazy(value) or value.is_meta:
            raise ModelError(
                f"Parameter {name!r} of the network has no memory yet: run a lazy network once, or "
                "move it off the meta device, before weights are loaded."
            )
    return own


def _strip_prefix(
    entries: dict[str, Tensor], own: dict[str, Tensor], path: str | Path
) -> dict[str, Tensor]:
    """Return the entries under the prefix that makes most of their names fit the network's."""
    cleaned = {_clean(name): value for name, value in entries.items()}
    if len(cleaned) < len(entries):
        raise ModelError(
            f"Checkpoint {str(path)!r} holds several networks, with and without '_orig_mod.': save "
            "the one that is meant on its own."
        )
    prefixes = {""}
    for name in cleaned:
        parts = name.split(".")
        for count, part in enumerate(parts[:-1], start=1):
            if part not in PREFIXES:
                break
            prefixes.add(".".join(parts[:count]) + ".")
    views = {
        start: {
            name.removeprefix(start): value
            for name, value in cleaned.items()
            if name.startswith(start)
        }
        for start in sorted(prefixes)
    }
    matches = {start: len(view.keys() & own.keys()) for start, view in views.items()}
    most = max(matches.values())
    best = [start for start, count in matches.items() if count == most]
    if most and len(best) > 1 and best[0]:
        raise ModelError(
            f"Checkpoint {str(path)!r} holds several networks, under "
            f"{' and '.join(map(repr, best))}: save the one that is meant on its own."
        )
    return views[best[0]]


def _problems(entries: dict[str, Tensor], own: dict[str, Tensor]) -> list[str]:
    """Return the mismatches, as phrases."""
    loaded = {own[name].data_ptr() for name in entries.keys() & own.keys()}
    missing = [
        name
        for name, value in own.items()
        if name not in entries
        and not name.endswith("num_batches_tracked")
        and value.data_ptr() not in loaded  # tied weights are often saved under one name only
    ]
    unexpected = [name for name in entries if name not in own and not name.startswith(AUXILIARY)]
    reshaped = [
        f"{name} is {list(entries[name].shape)} in the file and {list(value.shape)} in the network"
        for name, value in own.items()
        if name in entries and entries[name].shape != value.shape
    ]
    retyped = [
        f"{name} is {entries[name].dtype} in the file and {value.dtype} in the network"
        for name, value in own.items()
        if name in entries and _kind(entries[name]) != _kind(value)
    ]
    problems = (
        ("missing", missing),
        ("unexpected", unexpected),
        ("of another shape", reshaped),
        ("of another kind of number", retyped),
    )
    return [f"{len(names)} {what} ({_first(names)})" for what, names in problems if names]


def _kind(value: Tensor) -> tuple[bool, bool]:
    return value.is_floating_point(), value.is_complex()


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _hint(entries: dict[str, Tensor], own: dict[str, Tensor], network: nn.Module) -> str:
    """Return a hint on the number of classes if only the last layer does not fit."""
    names = [_clean(name) for name, _ in network.named_parameters()]
    if not names or names[-1] not in entries:
        return ""
    theirs, ours = entries[names[-1]].shape, own[names[-1]].shape
    if len(theirs) != len(ours) or theirs[1:] != ours[1:] or theirs == ours:
        return ""
    return (
        f" The last layer of the file has {theirs[0]} outputs, the network's {ours[0]}: is the "
        "number of classes the same?"
    )
