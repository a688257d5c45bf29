"""Files of weights, read without running code from them."""

import errno
import json
import os
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

import psutil
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from hormesis.errors import ModelError

TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".tar")
SUFFIXES = (".safetensors", *TORCH_SUFFIXES)
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
INDEX = ".index.json"  # of the end of a file that says which shard holds which tensor
_MOST_INDEX_BYTES = 1 << 26
_WHOLE = ("model.safetensors", "pytorch_model.bin")  # in a folder of Hugging Face
# Plain values that torch.load refuses, and that many training scripts save beside the weights.
_METADATA = re.compile(
    r"argparse\.Namespace|types\.SimpleNamespace|collections\.\w+|datetime\.\w+|pathlib\..*Path"
    r"|numpy\.(_?core\.(multiarray\.(scalar|_reconstruct)|numeric\._frombuffer)|dtype|ndarray)"
    r"|numpy\.dtypes\.\w+|omegaconf\..*|typing\.Any|enum\.\w+"
    r"|(builtins|__builtin__)\.(set|slice|range|complex|list|dict|int|tuple)"
)
_CONVERSION = (
    "import torch; keep = lambda x: {{k: keep(v) if isinstance(v, dict) else v for k, v in "
    "x.items() if isinstance(v, (dict, torch.Tensor))}}; torch.save(keep(torch.load({source!r}, "
    "map_location='cpu', weights_only=False)), {target!r})"
)


def read_checkpoint(path: str | Path) -> object:
    """Return what a checkpoint holds, on the CPU: tensors and plain values, in dictionaries.

    Args:
        path: A file of safetensors or PyTorch, an index of shards (``*.index.json``), or a folder
            that holds one of these; ``~`` is understood.

    Raises:
        ModelError: When it is missing, empty, damaged, of another kind, or wants to run code.

    Example:
        >>> read_checkpoint("nowhere.pt")
        Traceback (most recent call last):
        hormesis.errors.ModelError: Checkpoint 'nowhere.pt' does not exist.
    """
    file = _locate(path)
    if file.name.endswith(INDEX):
        return _read_shards(file, path)
    _check_room(_check_file(file, path), path)
    return _read_file(file, path)


def _read_file(file: Path, path: str | Path) -> object:
    return _safetensors_load(file, path) if _is_safe(file) else _torch_load(file, path)


def _is_safe(file: Path) -> bool:
    return file.suffix.lower() == ".safetensors"


def _locate(path: str | Path) -> Path:
    """Return the file, or the index, that a path names; a folder may hold one of them."""
    try:
        file = Path(path).expanduser()
        if not file.is_dir():
            return file
        usual = [name for name in (_WHOLE[0] + INDEX, *_WHOLE) if (file / name).is_file()]
        inside = usual or sorted(entry.name for entry in file.glob("*" + INDEX))
    except (OSError, RuntimeError) as error:
        raise ModelError(f"Checkpoint {str(path)!r} cannot be read: {error}.") from error
    if not inside:
        raise ModelError(
            f"Expected a checkpoint file, got the folder {str(path)!r}, which holds no "
            f"{' and no '.join((_WHOLE[0] + INDEX, *_WHOLE))}: name the file."
        )
    if not usual and len(inside) > 1:
        raise ModelError(
            f"The folder {str(path)!r} holds several checkpoints: name one of {', '.join(inside)}."
        )
    return file / inside[0]


def _check_file(file: Path, path: str | Path) -> int:
    """Return the size of a file in bytes, or refuse anything else."""
    try:
        regular, exists = file.is_file(), file.exists()
        size = file.stat().st_size if regular else 0
    except (OSError, RuntimeError) as error:
        raise ModelError(f"Checkpoint {str(path)!r} cannot be read: {error}.") from error
    if not regular and exists:
        raise ModelError(f"Expected a checkpoint file, got {str(file)!r}, a pipe or a device.")
    if not regular:
        raise ModelError(f"Checkpoint {str(file)!r} does not exist.")
    if file.suffix.lower() not in SUFFIXES and not file.name.endswith(INDEX):
        raise ModelError(
            f"Expected the name of checkpoint {str(path)!r} to end with one of "
            f"{', '.join((*SUFFIXES, INDEX))}."
        )
    if size == 0:
        raise ModelError(f"Checkpoint {str(file)!r} is empty: save or download it again.")
    return size


def _check_room(size: int, path: str | Path) -> None:
    """Refuse a checkpoint of more bytes than memory is free."""
    free = psutil.virtual_memory().available
    if size > free:
        raise ModelError(
            f"Checkpoint {str(path)!r} takes {size / 2**30:.1f} GiB, but {free / 2**30:.1f} GiB of "
            "memory are free."
        )


def _read_shards(index: Path, path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of all shards that an index names, which lie beside it."""
    places = _read_index(index, path)
    shards = {name: index.parent / name for name in dict.fromkeys(places.values())}
    _check_room(sum(_check_file(shard, shard) for shard in shards.values()), path)
    entries: dict[str, Tensor] = {}
    for name, shard in shards.items():
        content = _read_file(shard, shard)
        listed = {tensor for tensor, place in places.items() if place == name}
        stored = set(content) if isinstance(content, Mapping) else set()
        if listed != stored:
            odd = min(map(str, listed ^ stored))
            raise ModelError(
                f"The index {str(index)!r} and its shard {name!r} disagree on {odd!r}: download "
                "both again."
            )
        entries |= content  # pyright: ignore[reportOperatorIssue]
    return entries


def _read_index(index: Path, path: str | Path) -> dict[str, str]:
    """Return the shard of each tensor; no shard lies outside of the folder of the index."""
    if _check_file(index, path) > _MOST_INDEX_BYTES:
        raise ModelError(f"The index {str(index)!r} is larger than {_MOST_INDEX_BYTES:,} bytes.")
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(_damage_message(index, error)) from error
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict) or not places:
        raise ModelError(f"The index {str(index)!r} has no `weight_map`: download it again.")
    for name in dict.fromkeys(map(str, places.values())):
        if name in (".", "..") or PurePosixPath(name).name != name != "" or _leaves(name):
            raise ModelError(
                f"The index {str(index)!r} is refused, as its shard {name!r} is no file beside it."
            )
    return {name: str(shard) for name, shard in places.items()}


def _leaves(name: str) -> bool:
    """Return whether a name leads elsewhere on some system, or to no weights."""
    windows = PureWindowsPath(name)
    return windows.name != name or bool(windows.drive) or not name.lower().endswith(SUFFIXES)


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
    kinds = _metadata_in(file) if code else []
    if kinds:
        target = str(Path(path).with_name(f"{file.stem}-tensors.pt"))
        line = _CONVERSION.format(source=str(path), target=target)
        return (
            f"Checkpoint {str(path)!r} holds {', '.join(kinds)} beside its weights, which is not "
            f"read. If you trust the file, this line of Python, which runs whatever the file says, "
            f"keeps its tensors only: {line}"
        )
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


def _metadata_in(file: Path) -> list[str]:
    """Return what a file holds besides tensors and plain values, if that is harmless metadata."""
    try:
        kinds = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(file)))
    except READ_ERRORS:  # of the older format, or damaged
        return []
    return kinds if all(_METADATA.fullmatch(kind) for kind in kinds) else []


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
