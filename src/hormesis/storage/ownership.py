"""What proves that a folder is ours: a file in it that says so, written before anything else.

Only a folder with such a marker is ever replaced, emptied or deleted; and of what lies in it only
the names that are ours, see ``removal``.
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
NEXT, OLD = "next", "old"
"""Parts that a study plays while it is replaced: it grows beside another, or it was one."""
_SPELLED = {
    STUDY: "a study",
    SERIES: "the studies of several epochs",
    TRAINING: "a training",
    COMPARISON: "a comparison",
    RETRAINING: "a retraining",
}
_MOST_BYTES = 4096
_IDENTITY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Owner:
    """What the marker of a folder says.

    Args:
        kind: What the folder holds: ``study``, ``series`` (the studies of several epochs),
            ``training``, ``comparison`` or ``retraining``.
        identity: 32 hexadecimal digits, drawn when the folder was made.
        part: Of a study that is replaced, ``old``; of one that grows in its place, ``next``.
    """

    kind: str
    identity: str
    part: str = ""


def owner(folder: Path) -> Owner | None:
    """Return what the marker of a folder says, or None if it has none that can be read.

    Args:
        folder: Any. If it is a link, it is nobody's.

    Example:
        >>> owner(Path("/"))
    """
    try:
        if folder.is_symlink():
            return None
        said = parse_json(read_bytes(folder / MARKER, _MOST_BYTES))
    except (OSError, ValueError):
        return None
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        return None
    kind, identity, part = (said.get(name, "") for name in ("kind", "identity", "part"))
    known = isinstance(kind, str) and kind in _SPELLED and part in ("", NEXT, OLD)
    if not known or not isinstance(identity, str) or not _IDENTITY.fullmatch(identity):
        return None
    return Owner(kind, identity, part)


def claim(
    folder: Path, kind: str, *, part: str = "", error: type[HormesisError] = StudyError
) -> Owner:
    """Mark a folder as ours, on the disk when this returns, and return its marker.

    A marker that is there keeps its identity. The caller makes sure that what the folder holds is
    ours, or nothing.

    Args:
        folder: It exists, and is no link.
        kind: What it holds, see ``Owner``.
        part: See ``Owner``.
        error: What to raise.

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
    there = owner(folder)
    if there is not None and there.kind != kind:
        raise error(
            f"The folder {folder} holds {_SPELLED[there.kind]}, not {_SPELLED[kind]}: choose "
            "another one with `out`."
        )
    made = Owner(kind, secrets.token_hex(16) if there is None else there.identity, part)
    if made != there:
        said = {"format": FORMAT, "kind": kind, "identity": made.identity}
        text = json.dumps({**said, "part": part} if part else said)
        write_file(folder / MARKER, f"{text}\n".encode())
    return made


def describe_kind(kind: str) -> str:
    """Return what a folder of a kind holds, in words.

    Example:
        >>> describe_kind("series")
        'the studies of several epochs'
    """
    return _SPELLED[kind]


@contextmanager
def claiming(
    folder: Path, kind: str, *, part: str = "", error: type[HormesisError] = StudyError
) -> Iterator[Owner]:
    """Make a folder and mark it; after an error take both away if nothing was put into it.

    Temporary files that dead processes have left there are deleted.

    Args:
        folder: Where.
        kind: What it holds, see ``Owner``.
        part: See ``Owner``.
        error: What to raise.

    Raises:
        HormesisError: As ``claim`` says.
        OSError: If the folder cannot be made or written.
    """
    made = make_folder(folder)
    fresh = owner(folder) is None
    try:
        marked = claim(folder, kind, part=part, error=error)
        remove_leftovers(folder)
        yield marked
    except BaseException:
        with suppress(OSError):
            if fresh and [one.name for one in folder.iterdir()] == [MARKER]:
                (folder / MARKER).unlink()
                sync_folder(folder)
            for one in made:
                one.rmdir()
        raise
