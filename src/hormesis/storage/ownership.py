"""The marker that proves that a folder is ours: a file that is written before anything else.

Only folders with this marker are ever replaced, emptied or deleted, and in them only files with our
own names, see ``removal``.
"""

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hormesis.errors import HormesisError, StudyError
from hormesis.storage.atomic import make_folder, remove_leftovers, sync_folder, write_file
from hormesis.storage.safe_read import parse_json, read_bytes

MARKER = ".hormesis.json"
FORMAT = 1
STUDY, SERIES, TRAINING = "study", "series", "training"
COMPARISON, RETRAINING = "comparison", "retraining"
APPLIED_NETWORK = "applied"
NEXT, OLD = "next", "old"
"""Part of a study in a replacement: the new study, or the old one."""
_DESCRIPTIONS = {
    STUDY: "a study",
    SERIES: "the studies of several epochs",
    TRAINING: "a training",
    COMPARISON: "a comparison",
    RETRAINING: "a retraining",
    APPLIED_NETWORK: "an applied network",
}
_MOST_BYTES = 4096
_IDENTITY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Owner:
    """What the marker of a folder says.

    Args:
        kind: What the folder holds: ``study``, ``series`` (the studies of several epochs),
            ``training``, ``comparison``, ``retraining`` or ``applied``.
        identity: 32 random hexadecimal digits, chosen when the folder was made.
        part: ``old`` for a study that is being replaced, ``next`` for its replacement.
    """

    kind: str
    identity: str
    part: str = ""


def owner(folder: Path) -> Owner | None:
    """Return what the marker of a folder says, or None without a readable marker.

    Args:
        folder: Any folder; a link has no owner.

    Example:
        >>> owner(Path("/"))
    """
    try:
        if folder.is_symlink():
            return None
        marker = parse_json(read_bytes(folder / MARKER, _MOST_BYTES))
    except (OSError, ValueError):
        return None
    if not isinstance(marker, dict) or marker.get("format") != FORMAT:
        return None
    kind, identity, part = (marker.get(name, "") for name in ("kind", "identity", "part"))
    valid = isinstance(kind, str) and kind in _DESCRIPTIONS and part in ("", NEXT, OLD)
    if not valid or not isinstance(identity, str) or not _IDENTITY.fullmatch(identity):
        return None
    return Owner(kind, identity, part)


def claim(
    folder: Path, kind: str, *, part: str = "", error: type[HormesisError] = StudyError
) -> Owner:
    """Mark a folder as ours, and return its marker, which is on the disk by then.

    An existing marker keeps its identity. The caller makes sure that the folder is empty or ours.

    Args:
        folder: An existing folder, not a link.
        kind: What it holds, see ``Owner``.
        part: See ``Owner``.
        error: Class of the error to raise.

    Raises:
        HormesisError: Of that class, if the folder is marked as something else.
        OSError: If it is a link, or cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     claim(Path(folder), STUDY) == owner(Path(folder)) == claim(Path(folder), STUDY)
        True
    """
    if folder.is_symlink():
        raise NotADirectoryError(f"{folder} is a link")
    existing = owner(folder)
    if existing is not None and existing.kind != kind:
        raise error(
            f"The folder {folder} holds {_DESCRIPTIONS[existing.kind]}, not {_DESCRIPTIONS[kind]}: "
            "choose another one with `out`."
        )
    marker = Owner(kind, secrets.token_hex(16) if existing is None else existing.identity, part)
    if marker != existing:
        content = {"format": FORMAT, "kind": kind, "identity": marker.identity}
        text = json.dumps({**content, "part": part} if part else content)
        write_file(folder / MARKER, f"{text}\n".encode())
    return marker


def describe_kind(kind: str) -> str:
    """Describe what a folder of a kind holds.

    Example:
        >>> describe_kind("series")
        'the studies of several epochs'
    """
    return _DESCRIPTIONS[kind]


@contextmanager
def claiming(
    folder: Path, kind: str, *, part: str = "", error: type[HormesisError] = StudyError
) -> Iterator[Owner]:
    """Make and mark a folder; after an error, remove it again if it is still empty.

    Temporary files of dead processes are deleted.

    Args:
        folder: The folder to make.
        kind: What it holds, see ``Owner``.
        part: See ``Owner``.
        error: Class of the error to raise.

    Raises:
        HormesisError: As ``claim`` says.
        OSError: If the folder cannot be made or written.
    """
    new_folders = make_folder(folder)
    fresh = owner(folder) is None
    try:
        marker = claim(folder, kind, part=part, error=error)
        remove_leftovers(folder)
        yield marker
    except BaseException:
        with suppress(OSError):
            if fresh and [path.name for path in folder.iterdir()] == [MARKER]:
                (folder / MARKER).unlink()
                sync_folder(folder)
            for new_folder in new_folders:
                new_folder.rmdir()
        raise
