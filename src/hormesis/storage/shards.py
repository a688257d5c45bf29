"""The file of a shard: a safetensors file with a checksum, its bytes determined by its content.

The checksum covers the header and the data, so that every change is noticed. The header also names
the study and the samples of the shard.
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
MOST_SAMPLES = 1 << 10  # of a shard; we write at most 256
MOST_REMOVALS = 1 << 16  # of a shard, where no table says how many it has
_SEAL = "sha256"
_NAME = re.compile(r"(\d{8}|[1-9]\d{8,14})\.safetensors", re.ASCII)
# What damaged or malicious files raise.
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
        first: Index of its first sample, in the order of measurement.
        outcomes: The measurements.
        study: Identity of its study.
        inputs: Fingerprint of its samples.
        stressed: Fingerprint of its samples of a second data set; empty without one.
    """

    first: int
    outcomes: StoredOutcomes
    study: str = ""
    inputs: str = ""
    stressed: str = ""

    @property
    def samples(self) -> int:
        """The number of its samples."""
        return len(self.outcomes.base_clean)


def file_of(folder: Path, first: int) -> Path:
    """Return the file of a shard.

    Args:
        folder: The folder of the shards.
        first: Index of its first sample.
    """
    return folder / f"{first:08d}.safetensors"


def firsts_in(folder: Path) -> list[int]:
    """Return the index of the first sample of each shard in a folder, in order.

    Raises:
        OSError: If the folder cannot be read, or holds too many names.
    """
    matches = (_NAME.fullmatch(name) for name in names_in(folder))
    return sorted(int(match[1]) for match in matches if match)


def read_shard(folder: Path, first: int, most: int) -> bytes | None:
    """Return the bytes of a shard's file, or None if it does not exist.

    Args:
        folder: The folder of the shards.
        first: Index of its first sample.
        most: Its largest size, in bytes; see ``most_bytes``.

    Raises:
        OSError: If it cannot be read, is not a regular file, or is larger.
    """
    try:
        return read_bytes(file_of(folder, first), most)
    except FileNotFoundError:
        return None


def most_bytes(removals: int) -> int:
    """Return the largest size in bytes of a shard with so many removals.

    Example:
        >>> most_bytes(1000) // 1000
        8333
    """
    return 2 * MOST_HEADER + MOST_SAMPLES * 8 * (removals + 1) + 2 * removals


def pack(shard: Shard) -> bytes:
    """Return the bytes of a shard's file; outcomes that are all 0 or 1 are stored as bits."""
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
        **({"stressed": shard.stressed} if shard.stressed else {}),
        "first": str(shard.first),
        "samples": str(shard.samples),
        "binary": str(binary).lower(),
    }
    # safetensors writes metadata in an order that differs between calls.
    header, body = _split(safetensors.numpy.save(arrays))
    sealed = {**metadata, _SEAL: _checksum({"__metadata__": metadata, **header}, body)}
    text = _dump_header({"__metadata__": sealed, **header})
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + body


def unpack(name: str, content: bytes) -> Shard:
    """Return the shard in a file.

    Args:
        name: Name of the file in messages.
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
        names = (metadata.get(key, "") for key in ("study", "inputs", "stressed"))
        return Shard(int(metadata["first"]), outcomes, *names)
    except READ_ERRORS as error:
        raise StudyError(f"The outcomes in {name} are damaged: {error}.") from error


def _check_arrays(arrays: Mapping[str, np.ndarray], samples: int, *, bits: bool) -> None:
    """Refuse arrays whose shape or dtype contradicts the header, before they are unpacked.

    Raises:
        KeyError: If an array is missing.
        ValueError: If an array has another shape or dtype.
    """
    width, kind = (-(-samples // 8), np.uint8) if bits else (samples, np.float32)
    removals = arrays["changed"].shape[:1]
    packed = -(-samples // 8)
    idle = {"base_idle": (np.uint8, (2, packed)), "idle": (np.uint8, (*removals, 2, packed))}
    expected = {
        **dict.fromkeys(NAMES[:2], (kind, (width,))),
        **dict.fromkeys(NAMES[2:], (kind, (*removals, width))),
        **{name: (np.bool_, removals) for name in ("changed", "measured") if name in arrays},
        **{name: shape for name, shape in idle.items() if name in arrays},
    }
    for name, (dtype, shape) in expected.items():
        array = arrays[name]
        if samples < 1 or array.dtype != dtype or array.shape != shape:
            raise ValueError(
                f"it holds `{name}` of shape {list(array.shape)}, not what it claims for {samples} "
                "samples"
            )


def check(content: bytes) -> dict[str, str]:
    """Return the metadata of a shard, after verifying its checksum.

    Raises:
        KeyError: If the header lacks an entry.
        TypeError: If the header is not a table.
        ValueError: If the checksum does not match, or there is no header.
    """
    header, body = _split(content)
    metadata = dict(header["__metadata__"])
    seal = metadata.pop(_SEAL)
    if metadata["format"] == "1":
        header_text = " ".join(metadata[name] for name in ("format", "first", "samples", "binary"))
        checksum = hashlib.sha256(header_text.encode() + body).hexdigest()
    else:
        checksum = _checksum({**header, "__metadata__": metadata}, body)
    if seal != checksum:
        raise ValueError("its checksum does not fit")
    return metadata


def _split(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header of a safetensors file, and the data after it."""
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
    return hashlib.sha256(_dump_header(header) + body).hexdigest()


def _dump_header(header: Mapping[str, Any]) -> bytes:
    return json.dumps(header, separators=(",", ":")).encode()
