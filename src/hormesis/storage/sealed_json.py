"""JSON files that end with a checksum of themselves."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from hormesis.storage.safe_read import parse_json, read_bytes

SEAL = "sha256"
MOST_NESTED = 200_000  # lists and tables in a file: their number is what takes time


def sealed(said: Mapping[str, Any]) -> bytes:
    """Return plain values as JSON that ends with a checksum of itself.

    Args:
        said: What the file shall say; an entry ``sha256`` is replaced.

    Raises:
        ValueError: If it holds a number that JSON does not know.

    Example:
        >>> unsealed(sealed({"epoch": 3}))
        {'epoch': 3}
    """
    bare = {key: value for key, value in said.items() if key != SEAL}
    text = _spelled({**bare, SEAL: sha256(_spelled(bare).encode()).hexdigest()})
    return (text + "\n").encode()


def unsealed(content: bytes) -> dict[str, Any]:
    """Return what a file says, without its checksum; one without any is taken as it is.

    Args:
        content: As ``sealed`` returns it.

    Raises:
        ValueError: If it is no JSON table as ``parse_json`` takes it, or its checksum does not fit.

    Example:
        >>> unsealed(sealed({"epoch": 3}).replace(b"3", b"4"))
        Traceback (most recent call last):
        ValueError: its checksum does not fit
    """
    if content.count(b"[") + content.count(b"{") > MOST_NESTED:
        raise ValueError(f"it holds more than {MOST_NESTED:,} lists and tables")
    said = parse_json(content)
    if not isinstance(said, dict):
        raise ValueError("it is no table of names and values")
    if SEAL in said and said.pop(SEAL) != sha256(_spelled(said).encode()).hexdigest():
        raise ValueError("its checksum does not fit")
    return said


def read_sealed(path: Path, most: int) -> dict[str, Any]:
    """Return what a file says that ``sealed`` has made.

    Args:
        path: The file.
        most: Its largest size, in bytes.

    Raises:
        OSError: If it cannot be read, is no regular file or is larger.
        ValueError: As ``unsealed`` says.
    """
    return unsealed(read_bytes(path, most))


def _spelled(said: Mapping[str, Any]) -> str:
    return json.dumps(said, indent=2, allow_nan=False)
