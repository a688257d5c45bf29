"""One shard as a file: a safetensors file whose bytes depend on its content alone, sealed.

The checksum covers the header and everything behind it, so that no bit that means something can
change unseen. The header also says which study the shard belongs to, and of which samples it is.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from hormesis.errors import StudyError
from hormesis.storage.outcomes import IDLE, NAMES, StoredOutcomes
from hormesis.storage.safe_read import names_in, parse_json, read_bytes

FORMAT = 2
MOST_HEADER = 1 << 16  # bytes
MOST_SAMPLES = 1 << 10  # of a shard; those that are written have 256 at most
MOST_REMOVALS = 1 << 16  # of a shard, where no table says how many there are
_SEAL = "sha256"
_NAME = re.compile(r"(\d{8}|[1-9]\d{8,14})\.safetensors", re.ASCII)
# What is raised for files that are damaged, or crafted to look like a shard.
READ_ERRORS = (
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    safetensors.SafetensorError,
)


@dataclass(frozen=True)
class Shard:
    """The outcomes of a fixed block of samples.

    Args:
        first: Place of its first sample in the order of the study.
        outcomes: What was measured.
        study: Identity of the study that it belongs to.
        inputs: Fingerprint of its samples.
    """

    first: int
    outcomes: StoredOutcomes
    study: str = ""
    inputs: str = ""

    @property
    def samples(self) -> int:
        """The number of its samples."""
        return len(self.outcomes.base_clean)


def file_of(folder: Path, first: int) -> Path:
    """Return the file of a shard.

    Args:
        folder: The folder of the shards.
        first: Place of its first sample.
    """
    return folder / f"{first:08d}.safetensors"


def firsts_in(folder: Path) -> list[int]:
    """Return the places of the first samples of all shards in a folder, in order.

    Raises:
        OSError: If the folder cannot be read, or holds too many names.
    """
    found = (_NAME.fullmatch(name) for name in names_in(folder))
    return sorted(int(match[1]) for match in found if match)


def read_shard(folder: Path, first: int, most: int) -> bytes | None:
    """Return the file of a shard, or None if it is not there.

    Args:
        folder: The folder of the shards.
        first: Place of its first sample.
        most: Its largest size, in bytes; see ``most_bytes``.

    Raises:
        OSError: If it cannot be read, is no regular file, or larger.
    """
    try:
        return read_bytes(file_of(folder, first), most)
    except FileNotFoundError:
        return None


def most_bytes(removals: int) -> int:
    """Return how large a shard with so many removals may be.

    Example:
        >>> most_bytes(1000) // 1000
        8333
    """
    return 2 * MOST_HEADER + MOST_SAMPLES * 8 * (removals + 1) + 2 * removals


def pack(shard: Shard) -> bytes:
    """Return a shard as a file holds it; outcomes of 0 and 1 alone as bits."""
    outcomes = shard.outcomes
    arrays: dict[str, np.ndarray] = {"changed": outcomes.changed}
    if outcomes.measured is not None:
        arrays["measured"] = outcomes.measured
    for name in IDLE:
        if getattr(outcomes, name) is not None:
            arrays[name] = np.packbits(getattr(outcomes, name), axis=-1)
    values_of = {name: getattr(outcomes, name) for name in NAMES}
    binary = all(((values == 0) | (values == 1)).all() for values in values_of.values())
    for name, values in values_of.items():
        packed = np.packbits(values.astype(bool), axis=-1) if binary else values.astype(np.float32)
        arrays[name] = np.ascontiguousarray(packed)
    metadata = {
        "format": str(FORMAT),
        "study": shard.study,
        "inputs": shard.inputs,
        "first": str(shard.first),
        "samples": str(shard.samples),
        "binary": str(binary).lower(),
    }
    # The library writes metadata in an order that differs from call to call.
    header, body = _opened(safetensors.numpy.save(arrays))
    sealed = {**metadata, _SEAL: _checksum({"__metadata__": metadata, **header}, body)}
    text = _spelled({"__metadata__": sealed, **header})
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + body


def unpack(name: str, content: bytes) -> Shard:
    """Return the shard that a file holds.

    Args:
        name: What to call the file.
        content: Its bytes.

    Raises:
        StudyError: If it is damaged.
    """
    try:
        metadata = check(content)
        arrays = safetensors.numpy.load(content)
        samples = int(metadata["samples"])
        _check_arrays(arrays, samples, bits=metadata["binary"] == "true")
        if metadata["binary"] == "true":
            for key in NAMES:
                arrays[key] = np.unpackbits(arrays[key], axis=-1, count=samples)
        changed, measured = arrays["changed"], arrays.get("measured")
        values = (arrays[key].astype(np.float32, copy=False) for key in NAMES)
        idle = {
            key: np.unpackbits(arrays[key], axis=-1, count=samples).astype(bool)
            for key in IDLE
            if key in arrays
        }
        outcomes = StoredOutcomes(*values, changed=changed, measured=measured, **idle)
        said = (metadata.get(key, "") for key in ("study", "inputs"))
        return Shard(int(metadata["first"]), outcomes, *said)
    except READ_ERRORS as error:
        raise StudyError(f"The outcomes in {name} are damaged: {error}.") from error


def _check_arrays(arrays: Mapping[str, np.ndarray], samples: int, *, bits: bool) -> None:
    """Refuse arrays of other shapes or types than their shard claims, before they are unpacked.

    Raises:
        KeyError: If one is missing.
        ValueError: For all else.
    """
    width, kind = (-(-samples // 8), np.uint8) if bits else (samples, np.float32)
    removals = arrays["changed"].shape[:1]
    bytes_of = -(-samples // 8)
    idle = {"base_idle": (np.uint8, (2, bytes_of)), "idle": (np.uint8, (*removals, 2, bytes_of))}
    wanted = {
        **dict.fromkeys(NAMES[:2], (kind, (width,))),
        **dict.fromkeys(NAMES[2:], (kind, (*removals, width))),
        **{name: (np.bool_, removals) for name in ("changed", "measured") if name in arrays},
        **{name: shape for name, shape in idle.items() if name in arrays},
    }
    for name, (dtype, shape) in wanted.items():
        found = arrays[name]
        if samples < 1 or found.dtype != dtype or found.shape != shape:
            raise ValueError(
                f"it holds `{name}` of shape {list(found.shape)}, not what it claims for {samples} "
                "samples"
            )


def check(content: bytes) -> dict[str, str]:
    """Return what a shard's header says, once its checksum fits.

    Raises:
        KeyError: If the header lacks something.
        TypeError: If the header is of another form.
        ValueError: If the checksum does not fit, or there is no header.
    """
    header, body = _opened(content)
    metadata = dict(header["__metadata__"])
    seal = metadata.pop(_SEAL)
    if metadata["format"] == "1":
        said = " ".join(metadata[name] for name in ("format", "first", "samples", "binary"))
        found = hashlib.sha256(said.encode() + body).hexdigest()
    else:
        found = _checksum({**header, "__metadata__": metadata}, body)
    if seal != found:
        raise ValueError("its checksum does not fit")
    return metadata


def _opened(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header of a safetensors file, and the data behind it."""
    end = 8 + int.from_bytes(content[:8], "little")
    if end > 8 + MOST_HEADER:
        raise ValueError("its header is too long")
    try:
        header = parse_json(content[8:end])
    except (ValueError, RecursionError) as error:
        raise ValueError("its header cannot be read") from error
    if not isinstance(header, dict):
        raise TypeError("its header is no table")
    return header, content[end:]


def _checksum(header: Mapping[str, Any], body: bytes) -> str:
    return hashlib.sha256(_spelled(header) + body).hexdigest()


def _spelled(header: Mapping[str, Any]) -> bytes:
    return json.dumps(header, separators=(",", ":")).encode()
