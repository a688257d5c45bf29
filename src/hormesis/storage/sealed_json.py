"""JSON files that end with a checksum of themselves."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from hormesis.storage.safe_read import parse_json, read_bytes

_SEAL = "sha256"
_SPELLED_AGAIN = 1 << 20  # bytes of a file whose values are spelled anew for its checksum


def dump_sealed(values: Mapping[str, Any]) -> bytes:
    """Return plain values as JSON that ends with a checksum of itself.

    Args:
        values: What the file shall say; an entry ``sha256`` is replaced.

    Raises:
        ValueError: If it holds a number that JSON does not know.

    Example:
        >>> parse_sealed(dump_sealed({"epoch": 3}))
        {'epoch': 3}
    """
    bare = {key: value for key, value in values.items() if key != _SEAL}
    text = _spelled({**bare, _SEAL: sha256(_spelled(bare).encode()).hexdigest()})
    return (text + "\n").encode()


def parse_sealed(content: bytes) -> dict[str, Any]:
    """Return what a file says, without its checksum; one without any is taken as it is.

    Args:
        content: As ``dump_sealed`` returns it.

    Raises:
        ValueError: If it is no JSON table as ``parse_json`` takes it, or its checksum does not fit.

    Example:
        >>> parse_sealed(dump_sealed({"epoch": 3}).replace(b"3", b"4"))
        Traceback (most recent call last):
        ValueError: its checksum does not fit
    """
    values = parse_table(content)
    check_seal(values, content)
    return values


def parse_table(content: bytes) -> dict[str, Any]:
    """Return what a file says, with its checksum, which is not looked at.

    Raises:
        ValueError: If it is no JSON table as ``parse_json`` takes it.
    """
    try:
        values = parse_json(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(values, dict):
        raise ValueError("it is no table of names and values")
    return values


def check_seal(values: dict[str, Any], content: bytes) -> None:
    """Take the checksum out of what a file says.

    Of a large one, whose values take long to spell again, the bytes have to be those we write.

    Args:
        values: What ``parse_table`` returned; it is changed.
        content: The file.

    Raises:
        ValueError: If the checksum does not fit.
    """
    seal = values.pop(_SEAL, None)
    if seal is None:
        return
    ending = b',\n  "%s": "%s"\n}\n' % (_SEAL.encode(), str(seal).encode("ascii", "replace"))
    if content.endswith(ending):
        spelled = content.removesuffix(ending) + b"\n}"
    else:
        spelled = _spelled(values).encode() if len(content) <= _SPELLED_AGAIN else b""
    if seal != sha256(spelled).hexdigest():
        raise ValueError("its checksum does not fit")


def read_sealed(path: Path, most: int) -> dict[str, Any]:
    """Return what a file says that ``dump_sealed`` has made.

    Args:
        path: The file.
        most: Its largest size, in bytes.

    Raises:
        OSError: If it cannot be read, is no regular file or is larger.
        ValueError: As ``parse_sealed`` says.
    """
    return parse_sealed(read_bytes(path, most))


def _spelled(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=2, allow_nan=False)
