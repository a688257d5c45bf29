"""The files of an applied network while it is made: each written whole, and sealed in the manifest.

applied.json           the question, the result, the checksums of all other files
path.parquet           every candidate that was measured, see ``results.applied_tables``
network.safetensors    the state dictionary, values zeroed
masks.safetensors      one bool tensor a filtered parameter, True where a value is kept
outcomes.parquet       the proof, sample by sample
proof.parquet          the proof, network by network
path.svg               a picture of the path
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from hormesis.errors import StudyError
from hormesis.storage.atomic import make_folder, remove_leftovers, write_file
from hormesis.storage.files import MOST_MANIFEST
from hormesis.storage.lock import LOCK, lock_folder
from hormesis.storage.ownership import APPLIED_NETWORK, claim, describe_kind, owner
from hormesis.storage.removal import Layout, first_foreign, remove_new
from hormesis.storage.safe_read import read_bytes
from hormesis.storage.sealed_json import dump_sealed, read_sealed
from hormesis.storage.training_files import reason_of, remedy_of

FORMAT = 1
KEY = "applied"
MANIFEST = "applied.json"
PATH, PROOF, OUTCOMES = "path.parquet", "proof.parquet", "outcomes.parquet"
NETWORK, MASKS, PICTURE = "network.safetensors", "masks.safetensors", "path.svg"
MOST_BYTES = 1 << 36  # of a network
_NAMES = (MANIFEST, PATH, PROOF, OUTCOMES, NETWORK, MASKS, PICTURE, LOCK)
LAYOUT = Layout("|".join(name.replace(".", "[.]") for name in _NAMES))
"""The names that we write into the folder of an applied network."""


@dataclass
class AppliedFiles:
    """The files that are there, and the manifest that vouches for them.

    Args:
        folder: The folder, held by this process; None keeps nothing.
        manifest: Its manifest so far.
    """

    folder: Path | None
    manifest: dict[str, Any] = field(default_factory=dict)

    def put(self, name: str, content: bytes, **entries: Any) -> None:  # noqa: ANN401
        """Write a file.

        The manifest comes first and names the checksum before, too: whenever the process dies, the
        file is one of the two.

        Args:
            name: Its name.
            content: Its bytes.
            entries: Entries of the manifest that go with it.
        """
        if self.folder is None:
            self.manifest.update(entries)
            return
        seals = self.manifest.get("tables", {})
        before = {name: seals[name]} if name in seals else {}
        tables = {**seals, name: sha256(content).hexdigest()}
        self.write({**entries, "tables": tables, "before": before})
        with explained_writing(self.folder):
            write_file(self.folder / name, content)

    def get(self, name: str) -> bytes | None:
        """Return the content of a file; None if it is missing, or not as the manifest has it."""
        seal = self.manifest.get("tables", {}).get(name)
        if self.folder is None or seal is None:
            return None
        try:
            content = read_bytes(self.folder / name, MOST_BYTES)
        except OSError:
            return None
        known = (seal, self.manifest.get("before", {}).get(name))
        return content if sha256(content).hexdigest() in known else None

    def write(self, entries: Mapping[str, Any]) -> None:
        """Write the manifest with further entries."""
        self.manifest.update(entries)
        if self.folder is not None:
            with explained_writing(self.folder):
                content = dump_sealed({**self.manifest, KEY: FORMAT})
                write_file(self.folder / MANIFEST, content)

    def finish(self, entries: Mapping[str, Any]) -> None:
        """Write the manifest of an applied network that is whole."""
        self.manifest.pop("before", None)
        self.write(entries)


def stored_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest in a folder, which may be of an interrupted process; empty without one.

    Raises:
        StudyError: If it is damaged.
    """
    try:
        return read_sealed(folder / MANIFEST, MOST_MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise StudyError(
            f"The manifest {folder / MANIFEST} is damaged ({error}): choose another folder with "
            "`out`."
        ) from error


def check_folder_of_applied(folder: Path) -> None:
    """Refuse a folder that holds anything but an applied network.

    Raises:
        StudyError: It names the folder, and what lies there.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        kind = "link" if folder.is_symlink() else "file"
        raise StudyError(f"Expected `out` to be a folder, but {folder} is a {kind}.")
    if not folder.is_dir():
        return
    marked = owner(folder)
    if marked is not None and marked.kind != APPLIED_NETWORK:
        raise StudyError(
            f"The folder {folder} holds {describe_kind(marked.kind)}: choose another one with "
            "`out`."
        )
    with explained_writing(folder):
        foreign = first_foreign(folder, LAYOUT)
    if foreign is not None or (marked is None and os.path.lexists(folder / MANIFEST)):
        raise StudyError(
            f"The folder {folder} holds something else, such as {foreign or MANIFEST!r}: choose an "
            "empty or a new one with `out`."
        )


@contextmanager
def explained_writing(folder: Path) -> Iterator[None]:
    """Say in a sentence what the system refuses while a folder is written.

    Raises:
        StudyError: In the place of an error of the system.
    """
    try:
        yield
    except OSError as error:
        raise StudyError(
            f"The folder {folder} cannot be written ({reason_of(error)}): {remedy_of(error)}, or "
            "choose another one with `out`, and run the same command again, which goes on from "
            "there."
        ) from error


@contextmanager
def held_files(folder: Path | None) -> Iterator[AppliedFiles]:
    """Hold the folder of an applied network while the block runs, and mark it as ours.

    After the block, a new folder without a manifest is taken away again.

    Args:
        folder: The folder; None for an applied network in memory.

    Raises:
        StudyError: If another process holds it, or it cannot be written.
    """
    if folder is None:
        yield AppliedFiles(None)
        return
    made: list[Path] = []
    try:
        with ExitStack() as stack:
            with explained_writing(folder):
                made = make_folder(folder)
                stack.enter_context(lock_folder(folder, StudyError))
                claim(folder, APPLIED_NETWORK)
                remove_leftovers(folder, alone=True)
            yield AppliedFiles(folder, stored_manifest(folder))
    finally:
        if not (folder / MANIFEST).exists():
            discard_empty(folder, made)


def discard_empty(folder: Path, made: list[Path]) -> None:
    """Take away folders that were made and hold nothing.

    Args:
        folder: The innermost one.
        made: Those that were made, the innermost first.
    """
    remove_new(folder, LAYOUT, kept=())
    for each in made:
        try:
            each.rmdir()
        except OSError:
            return


def forget(files: AppliedFiles) -> None:
    """Delete the manifest of an applied network, of which nothing is kept."""
    if files.folder is not None:
        (files.folder / MANIFEST).unlink(missing_ok=True)
