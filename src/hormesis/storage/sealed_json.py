"""JSON files that end with a checksum of their content."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from hormesis.storage.safe_read import parse_json, read_bytes

_SEAL = "sha256"
_MOST_REENCODED = 1 << 20  # bytes of a file whose values are encoded again to verify its checksum


def dump_sealed(values: Mapping[str, Any]) -> bytes:
    """Encode plain values as JSON that ends with a checksum.

    Args:
        values: The values; an entry ``sha256`` is replaced.

    Raises:
        ValueError: If a number is infinite or NaN.

    Example:
        >>> parse_sealed(dump_sealed({"epoch": 3}))
        {'epoch': 3}
    """
    bare = {key: value for key, value in values.items() if key != _SEAL}
    text = _dump({**bare, _SEAL: sha256(_dump(bare).encode()).hexdigest()})
    return (text + "\n").encode()


def parse_sealed(content: bytes) -> dict[str, Any]:
    """Return the values of a file without its checksum; a file without a checksum is accepted.

    Args:
        content: The file, see ``dump_sealed``.

    Raises:
        ValueError: If it is not a JSON table within the limits of ``parse_json``, or its checksum
            does not match.

    Example:
        >>> parse_sealed(dump_sealed({"epoch": 3}).replace(b"3", b"4"))
        Traceback (most recent call last):
        ValueError: its checksum does not fit
    """
    values = parse_table(content)
    check_seal(values, content)
    return values


def has_entry(path: Path, key: str, most: int) -> bool:
    """Return whether a file is a JSON table with an entry, whether its checksum fits or not.

    Args:
        path: The file.
        key: Name of the entry.
        most: Largest size of the file, in bytes.
    """
    try:
        return key in parse_table(read_bytes(path, most))
    except (OSError, ValueError):
        return False


def parse_table(content: bytes) -> dict[str, Any]:
    """Return the values of a file with its checksum, which is not verified.

    Raises:
        ValueError: If it is not a JSON table within the limits of ``parse_json``.
    """
    try:
        values = parse_json(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(values, dict):
        raise ValueError("it is not a table of names and values")
    return values


def check_seal(values: dict[str, Any], content: bytes) -> None:
    """Verify the checksum of a file, and remove it from the values.

    A large file, which would take long to encode again, must have exactly the bytes that we write.

    Args:
        values: What ``parse_table`` returned; its checksum is removed.
        content: The file.

    Raises:
        ValueError: If the checksum does not match.
    """
    seal = values.pop(_SEAL, None)
    if seal is None:
        return
    ending = b',\n  "%s": "%s"\n}\n' % (_SEAL.encode(), str(seal).encode("ascii", "replace"))
    if content.endswith(ending):
        encoded = content.removesuffix(ending) + b"\n}"
    else:
        encoded = _dump(values).encode() if len(content) <= _MOST_REENCODED else b""
    if seal != sha256(encoded).hexdigest():
        raise ValueError("its checksum does not fit")


def read_sealed(path: Path, most: int) -> dict[str, Any]:
    """Read a file that ``dump_sealed`` made.

    Args:
        path: The file.
        most: Its largest size, in bytes.

    Raises:
        OSError: If it cannot be read, is not a regular file or is larger.
        ValueError: See ``parse_sealed``.
    """
    return parse_sealed(read_bytes(path, most))


def _dump(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=2, allow_nan=False)
