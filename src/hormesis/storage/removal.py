"""Deleting what is ours and nothing else: by name, within the folder, and never through a link.

A folder is opened once, without following a link, and everything in it is named relative to what
was opened: whatever is exchanged meanwhile, nothing outside is touched. What we did not write is
looked for before anything is deleted.
"""

import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from hormesis.errors import HormesisError, StudyError
from hormesis.storage.atomic import TEMPORARY, left_behind, sync_folder, temporary_beside
from hormesis.storage.ownership import MARKER

_FIRST = "manifest.json"  # without it, nobody takes the rest for whole
_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_RELATIVE = os.unlink in os.supports_dir_fd and os.scandir in os.supports_fd  # not on Windows


@dataclass(frozen=True)
class Layout:
    """The names that we write into a folder.

    The marker and temporary files of ours belong to every folder, and need not be named.

    Args:
        files: What the whole name of a file of ours matches.
        folders: What is in a folder of ours, by what its whole name matches.
    """

    files: str
    folders: Mapping[str, "Layout"] = field(default_factory=dict)

    def is_file(self, name: str) -> bool:
        """Return whether a file of ours may have that name.

        Example:
            >>> Layout("[a-z]+[.]json").is_file("manifest.json.bak")
            False
        """
        always = name == MARKER or name.startswith(TEMPORARY)
        return always or re.fullmatch(self.files, name) is not None

    def within(self, name: str) -> "Layout | None":
        """Return what is in a folder of that name, or None if it is none of ours."""
        found = (one for names, one in self.folders.items() if re.fullmatch(names, name))
        return next(found, None)


def first_foreign(folder: Path, layout: Layout) -> str | None:
    """Return what lies in a folder that we did not write, the first by name; None for nothing.

    A link is never ours, whatever its name, nor what lies beyond a mount point.

    Args:
        folder: A folder; a link to one is not followed.
        layout: What we write there.

    Raises:
        OSError: If it is no folder, or cannot be read.
    """
    with _opened(folder) as here:
        return min(here.strangers(layout), default=None)


def remove(
    folder: Path, layout: Layout, *, error: type[HormesisError] = StudyError, remedy: str = ""
) -> None:
    """Delete a folder of ours and everything in it; nothing of it if it holds anything else.

    The caller has proved that the folder is ours. The marker goes last, and not before the folder
    has a temporary name: whenever a removal is interrupted, what is left can be told to be ours.

    Args:
        folder: Nothing happens if it is not there.
        layout: What we write there.
        error: What to raise.
        remedy: What else to do about it, the end of the sentence.

    Raises:
        HormesisError: Of that class, if something else lies there; it is named.
        OSError: If the folder cannot be read, or is a link.
    """
    try:
        with _opened(folder) as here:
            _refuse_strangers(here, layout, error, remedy)
            if not here.delete(layout, kept=(MARKER,)):
                return  # something was put into it this very moment, or cannot be deleted: it stays
        sync_folder(folder)  # else a power cut could bring files back, under the temporary name
        doomed = temporary_beside(folder)
        folder.rename(doomed)
    except FileNotFoundError:
        return  # somebody else removes it as well
    sync_folder(folder.parent)
    _remove_emptied(doomed)
    sync_folder(folder.parent)


def remove_remains(parent: Path) -> None:
    """Delete the folders that dead processes have left whose ``remove`` was all but done."""
    for folder in left_behind(parent):
        with suppress(OSError):  # a file, or something lies in it
            _remove_emptied(folder)


def _remove_emptied(folder: Path) -> None:
    """Delete a folder in which nothing is but the marker."""
    with _opened(folder) as here:
        if {entry.name for entry in here.entries()} <= {MARKER}:
            here.unlink(MARKER)
    folder.rmdir()


def check_ours(
    folder: Path, layout: Layout, *, error: type[HormesisError] = StudyError, remedy: str = ""
) -> None:
    """Refuse a folder to be replaced or deleted that holds anything that we did not write.

    Args:
        folder: The folder.
        layout: What we write there.
        error: What to raise.
        remedy: What else to do about it, the end of the sentence.

    Raises:
        HormesisError: Of that class, naming what lies there.
        OSError: If it is no folder, is a link, or cannot be read.
    """
    with _opened(folder) as here:
        _refuse_strangers(here, layout, error, remedy)


def _refuse_strangers(
    here: "_Folder", layout: Layout, error: type[HormesisError], remedy: str
) -> None:
    there = min(here.strangers(layout), default=None)
    if there is not None:
        raise error(
            f"The folder {here.path} cannot be replaced or deleted, as it holds {there!r}, which "
            f"hormesis did not put there: move it away{remedy}."
        )


def is_mount(folder: Path) -> bool:
    """Return whether a folder is a mount point, also one of a folder of the same disk."""
    with _opened(folder) as here, _opened(folder.resolve().parent) as above:
        return here.mount() != above.mount() or os.path.ismount(folder)


def entry_names(folder: Path) -> frozenset[str]:
    """Return the names in a folder, none if it is not there; a link is not followed."""
    try:
        with _opened(folder) as here:
            return frozenset(entry.name for entry in here.entries())
    except FileNotFoundError:
        return frozenset()


def remove_new(folder: Path, layout: Layout, *, kept: Collection[str]) -> None:
    """Delete what is ours in a folder and was not there before; the folder itself stays.

    Args:
        folder: The folder.
        layout: What we write there.
        kept: The names that were there before.
    """
    with suppress(OSError), _opened(folder) as here:
        here.delete(layout, kept=kept)


@dataclass(frozen=True)
class _Folder:
    """A folder that is open: what it holds is named relative to it, where the system can."""

    path: Path
    handle: int | None

    def entries(self) -> list[os.DirEntry[str]]:
        """Return what it holds, the manifest first and the rest by name."""
        with os.scandir(self.path if self.handle is None else self.handle) as found:
            return sorted(found, key=lambda entry: (entry.name != _FIRST, entry.name))

    def at(self, name: str) -> str:
        """Return a name in it, as the functions of the system take it."""
        return str(self.path / name) if self.handle is None else name

    def unlink(self, name: str) -> None:
        """Delete a file, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(self.at(name), dir_fd=self.handle)

    def strangers(self, layout: Layout, where: str = "") -> Iterator[str]:
        """Yield what is not ours, relative to where the search began."""
        for entry in self.entries():
            place, inner = f"{where}{entry.name}", layout.within(entry.name)
            if inner is not None and entry.is_dir(follow_symlinks=False):
                with _opened(entry.name, self) as below:
                    if below.mount() != self.mount():
                        yield place
                    yield from below.strangers(inner, f"{place}/")
            elif not entry.is_file(follow_symlinks=False) or not layout.is_file(entry.name):
                yield place

    def delete(self, layout: Layout, kept: Collection[str]) -> bool:
        """Delete what is ours, and return whether nothing but what is kept is left."""
        left = 0
        for entry in self.entries():
            if entry.name in kept:
                continue
            inner = layout.within(entry.name)
            try:
                if inner is not None and entry.is_dir(follow_symlinks=False):
                    with _opened(entry.name, self) as below:
                        if below.mount() == self.mount():
                            below.delete(inner, ())
                    os.rmdir(self.at(entry.name), dir_fd=self.handle)
                elif entry.is_file(follow_symlinks=False) and layout.is_file(entry.name):
                    self.unlink(entry.name)
                else:
                    left += 1
            except FileNotFoundError:
                pass  # somebody else was faster
            except OSError:
                left += 1
        return not left

    def mount(self) -> str:
        """Return what folders of one mount have in common."""
        try:
            said = Path(f"/proc/self/fdinfo/{self.handle}").read_text(encoding="ascii")
            return re.findall(r"^mnt_id:\s*(\d+)$", said, re.MULTILINE)[0]
        except (OSError, IndexError):  # another system than Linux
            found = os.stat(self.path) if self.handle is None else os.fstat(self.handle)  # noqa: PTH116
            return f"device {found.st_dev}"


@contextmanager
def _opened(place: Path | str, within: _Folder | None = None) -> Iterator[_Folder]:
    """Open a folder, by its path or by its name in another one; never through a link.

    Raises:
        OSError: If it is a link, or no folder.
    """
    path = Path(place) if within is None else within.path / place
    if not _RELATIVE:
        if not stat.S_ISDIR(path.lstat().st_mode):  # nor a link to one
            raise NotADirectoryError(f"{path} is no folder")
        yield _Folder(path, None)
        return
    handle = os.open(place, _FLAGS, dir_fd=None if within is None else within.handle)
    try:
        yield _Folder(path, handle)
    finally:
        os.close(handle)
