"""Deletion of our own files and nothing else: by name, within the folder, never through a link.

A folder is opened once, without following links, and its entries are addressed relative to the open
folder. Even if somebody swaps folders meanwhile, nothing outside is touched. Before anything is
deleted, the folder is searched for files that we did not write.
"""

import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from hormesis.errors import HormesisError, StudyError
from hormesis.storage.atomic import TEMPORARY, leftovers, sync_folder, temporary_beside
from hormesis.storage.ownership import MARKER

_FIRST = "manifest.json"  # deleted first: without it, nobody considers the rest complete
_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_RELATIVE = os.unlink in os.supports_dir_fd and os.scandir in os.supports_fd  # not on Windows


@dataclass(frozen=True)
class Layout:
    """The names that we write into a folder.

    The marker and our temporary files are allowed in every folder and are not listed.

    Args:
        files: Pattern that the full names of our files match.
        folders: Layouts of our subfolders, by the pattern that their full names match.
    """

    files: str
    folders: Mapping[str, "Layout"] = field(default_factory=dict)

    def is_file(self, name: str) -> bool:
        """Return whether one of our files may have that name.

        Example:
            >>> Layout("[a-z]+[.]json").is_file("manifest.json.bak")
            False
        """
        always = name == MARKER or name.startswith(TEMPORARY)
        return always or re.fullmatch(self.files, name) is not None

    def subfolder(self, name: str) -> "Layout | None":
        """Return the layout of a subfolder, or None if we create no folder of that name."""
        matches = (one for names, one in self.folders.items() if re.fullmatch(names, name))
        return next(matches, None)


def first_foreign(folder: Path, layout: Layout) -> str | None:
    """Return the first entry of a folder, by name, that we did not write; None if there is none.

    Links are never ours, nor are entries on another mount.

    Args:
        folder: A folder; a link to one is not followed.
        layout: The names that we write there.

    Raises:
        OSError: If it is not a folder, or cannot be read.
    """
    with _open_folder(folder) as opened:
        return min(opened.foreign_names(layout), default=None)


def remove(
    folder: Path, layout: Layout, *, error: type[HormesisError] = StudyError, remedy: str = ""
) -> None:
    """Delete one of our folders with its content, or nothing if it holds any foreign file.

    The caller has proved that the folder is ours. The marker is deleted last, after the folder got
    a temporary name: the remains of an interrupted removal can still be recognised as ours.

    Args:
        folder: The folder; nothing happens if it does not exist.
        layout: The names that we write there.
        error: Class of the error to raise.
        remedy: What else the user can do, the end of the message.

    Raises:
        HormesisError: Of that class, naming a file that is not ours.
        OSError: If the folder cannot be read, or is a link.
    """
    try:
        with _open_folder(folder) as opened:
            _refuse_foreign(opened, layout, error, remedy)
            if not opened.delete(layout, kept=(MARKER,)):
                return  # a file was added at this moment, or cannot be deleted: the folder stays
        sync_folder(folder)  # else a power cut could restore files under the temporary name
        doomed = temporary_beside(folder)
        folder.rename(doomed)
    except FileNotFoundError:
        return  # another process removes it too
    sync_folder(folder.parent)
    _remove_emptied(doomed)
    sync_folder(folder.parent)


def remove_remains(parent: Path) -> None:
    """Delete folders that dead processes had emptied in ``remove`` but not yet deleted."""
    for folder in leftovers(parent):
        with suppress(OSError):  # it is a file, or is not empty
            _remove_emptied(folder)


def _remove_emptied(folder: Path) -> None:
    """Delete a folder that holds nothing but the marker."""
    with _open_folder(folder) as opened:
        if {entry.name for entry in opened.entries()} <= {MARKER}:
            opened.unlink(MARKER)
    folder.rmdir()


def check_ours(
    folder: Path, layout: Layout, *, error: type[HormesisError] = StudyError, remedy: str = ""
) -> None:
    """Refuse to replace or delete a folder that holds a file that we did not write.

    Args:
        folder: The folder.
        layout: The names that we write there.
        error: Class of the error to raise.
        remedy: What else the user can do, the end of the message.

    Raises:
        HormesisError: Of that class, naming the file.
        OSError: If it is not a folder, is a link, or cannot be read.
    """
    with _open_folder(folder) as opened:
        _refuse_foreign(opened, layout, error, remedy)


def _refuse_foreign(
    opened: "_Folder", layout: Layout, error: type[HormesisError], remedy: str
) -> None:
    foreign = min(opened.foreign_names(layout), default=None)
    if foreign is not None:
        raise error(
            f"The folder {opened.path} cannot be replaced or deleted, as it holds {foreign!r}, "
            f"which hormesis did not put there: move it away{remedy}."
        )


def is_mount(folder: Path) -> bool:
    """Return whether a folder is a mount point, including a bind mount of the same disk."""
    with _open_folder(folder) as opened, _open_folder(folder.resolve().parent) as above:
        return opened.mount() != above.mount() or os.path.ismount(folder)


def entry_names(folder: Path) -> frozenset[str]:
    """Return the names in a folder, none if it does not exist; links are not followed."""
    try:
        with _open_folder(folder) as opened:
            return frozenset(entry.name for entry in opened.entries())
    except FileNotFoundError:
        return frozenset()


def remove_new(folder: Path, layout: Layout, *, kept: Collection[str]) -> None:
    """Delete our files in a folder, except those that existed before; the folder itself stays.

    Args:
        folder: The folder.
        layout: The names that we write there.
        kept: The names that existed before.
    """
    with suppress(OSError), _open_folder(folder) as opened:
        opened.delete(layout, kept=kept)


@dataclass(frozen=True)
class _Folder:
    """An open folder, whose entries are addressed relative to it where the system allows."""

    path: Path
    handle: int | None

    def entries(self) -> list[os.DirEntry[str]]:
        """Return its entries, the manifest first and the rest by name."""
        with os.scandir(self.path if self.handle is None else self.handle) as entries:
            return sorted(entries, key=lambda entry: (entry.name != _FIRST, entry.name))

    def at(self, name: str) -> str:
        """Return an entry's path, as system calls expect it."""
        return str(self.path / name) if self.handle is None else name

    def unlink(self, name: str) -> None:
        """Delete a file, if it exists."""
        with suppress(FileNotFoundError):
            os.unlink(self.at(name), dir_fd=self.handle)

    def foreign_names(self, layout: Layout, where: str = "") -> Iterator[str]:
        """Yield the paths of entries that are not ours, relative to where the search began."""
        for entry in self.entries():
            path, inner = f"{where}{entry.name}", layout.subfolder(entry.name)
            if inner is not None and entry.is_dir(follow_symlinks=False):
                with _open_folder(entry.name, self) as below:
                    if below.mount() != self.mount():
                        yield path
                    yield from below.foreign_names(inner, f"{path}/")
            elif not entry.is_file(follow_symlinks=False) or not layout.is_file(entry.name):
                yield path

    def delete(self, layout: Layout, kept: Collection[str]) -> bool:
        """Delete our files, and return whether only the kept ones are left."""
        left = 0
        for entry in self.entries():
            if entry.name in kept:
                continue
            inner = layout.subfolder(entry.name)
            try:
                if inner is not None and entry.is_dir(follow_symlinks=False):
                    with _open_folder(entry.name, self) as below:
                        if below.mount() == self.mount():
                            below.delete(inner, ())
                    os.rmdir(self.at(entry.name), dir_fd=self.handle)
                elif entry.is_file(follow_symlinks=False) and layout.is_file(entry.name):
                    self.unlink(entry.name)
                else:
                    left += 1
            except FileNotFoundError:
                pass  # another process was faster
            except OSError:
                left += 1
        return not left

    def mount(self) -> str:
        """Return an identifier of the mount that the folder is on."""
        try:
            text = Path(f"/proc/self/fdinfo/{self.handle}").read_text(encoding="ascii")
            return re.findall(r"^mnt_id:\s*(\d+)$", text, re.MULTILINE)[0]
        except (OSError, IndexError):  # not Linux
            status = os.stat(self.path) if self.handle is None else os.fstat(self.handle)  # noqa: PTH116
            return f"device {status.st_dev}"


@contextmanager
def _open_folder(name: Path | str, parent: _Folder | None = None) -> Iterator[_Folder]:
    """Open a folder by its path, or by its name in another one; never through a link.

    Raises:
        OSError: If it is a link, or not a folder.
    """
    path = Path(name) if parent is None else parent.path / name
    if not _RELATIVE:
        if not stat.S_ISDIR(path.lstat().st_mode):  # nor a link to one
            raise NotADirectoryError(f"{path} is not a folder")
        yield _Folder(path, None)
        return
    handle = os.open(name, _FLAGS, dir_fd=None if parent is None else parent.handle)
    try:
        yield _Folder(path, handle)
    finally:
        os.close(handle)
