"""A cache of decoded image files: one array that is mapped into memory.

The array is stored with the data, is safe to delete, and is made again when a file has changed: its
name contains a digest of the names, sizes and times of all files.
"""

import errno
import hashlib
import math
import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from tokenize import TokenError

import numpy as np
import psutil
from jaxtyping import UInt8

from hormesis.data.images import check_room, read_pixels
from hormesis.data.readers import Progress
from hormesis.errors import DataError

FOLDER = ".hormesis"
_CHUNK = 2048  # images between two reports
_ZEROS = 2**20  # bytes written at a time where the system reserves no room
# Errors of a folder that cannot hold the array, as opposed to damaged data.
UNUSABLE = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
)
# Errors that NumPy raises for an array that is missing, cut short, or crafted to look like one.
HEADER_ERRORS = (
    ArithmeticError,
    EOFError,
    MemoryError,
    OSError,
    RecursionError,
    SyntaxError,
    ValueError,
    TokenError,
)
Images = UInt8[np.ndarray, "images 3 height width"]


@dataclass(frozen=True)
class DecodedImages:
    """The pixels of image files, and a note for the user.

    Args:
        pixels: Red, green and blue of every image; mapped from a file if it could be written.
        note: A sentence on where they are stored; empty if with the data.
    """

    pixels: Images
    note: str = ""


def decode_images(
    files: Sequence[Path], name: str, *, beside: Path, progress: Progress | None = None
) -> DecodedImages:
    """Return the pixels of image files of one size, decoded at most once.

    Args:
        files: The images, at least one.
        name: Name of the array, such as ``labelled``.
        beside: The data's folder. If it cannot be written, the array is stored in the user's cache
            folder, or else in memory.
        progress: Called with images decoded and in all; not called if the cache is used.

    Raises:
        DataError: If a file is missing or damaged, or two differ in size; the message names them.
    """
    key = _key(files, beside)
    homes = (beside / FOLDER, cache_folder() / "decoded")
    for home in homes:
        pixels = _map_array(home / f"{name}-{key}.npy", len(files))
        if pixels is not None:
            return DecodedImages(pixels, _note(home, homes[0]))
    for home in homes:
        path = home / f"{name}-{key}.npy"
        try:
            _write(files, path, progress)
        except OSError as error:
            if error.errno not in UNUSABLE:
                raise
            continue
        _delete_stale(home, name, path)
        pixels = _map_array(path, len(files))
        if pixels is not None:
            return DecodedImages(pixels, _note(home, homes[0]))
    shape = (len(files), *_shape(files[0]))
    check_room(math.prod(shape), f"images of {name}")
    pixels = np.empty(shape, np.uint8)
    _decode(files, pixels, progress)
    return DecodedImages(
        pixels,
        f"Neither '{beside}' nor '{cache_folder()}' can be written: the images of {name} were "
        "decoded into memory, and will be again.",
    )


def cache_folder() -> Path:
    """Return the folder of files that can be made again: ``hormesis`` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hormesis"


def _note(home: Path, preferred: Path) -> str:
    if home == preferred:
        return ""
    return (
        f"The folder '{preferred.parent}' cannot be written: decoded images are kept in '{home}'."
    )


def _key(files: Sequence[Path], beside: Path) -> str:
    """Return a digest of the names, sizes and times of all files."""
    digest = hashlib.sha256(b"v1")
    for folder, names in _by_folder(files):
        try:
            stats = {entry.name: entry.stat() for entry in os.scandir(folder)}
        except OSError as error:
            raise DataError(f"The folder '{folder}' cannot be read: {error.strerror}.") from error
        for name in names:
            if name not in stats:
                raise DataError(f"There is no image '{folder / name}'.")
            entry = f"{os.path.relpath(folder, beside)}/{name} {stats[name].st_size} "
            digest.update(f"{entry}{stats[name].st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _by_folder(files: Sequence[Path]) -> Iterator[tuple[Path, list[str]]]:
    """Yield each folder with its file names; files of a folder come one after the other."""
    names: list[str] = []
    for number, file in enumerate(files):
        if number and file.parent != files[number - 1].parent:
            yield files[number - 1].parent, names
            names = []
        names.append(file.name)
    yield files[-1].parent, names


def _map_array(path: Path, count: int) -> Images | None:
    """Return the array of a file, or None if it is missing, cut short or of other images."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):  # a pipe or a link that came with the data
            return None
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, _, kind = np.lib.format.read_array_header_1_0(file)
            start = file.tell()
    except HEADER_ERRORS:
        return None
    if kind != np.uint8 or len(shape) != 4 or shape[:2] != (count, 3):
        return None
    complete = path.stat().st_size == start + math.prod(shape)
    return np.memmap(path, np.uint8, "r", start, shape) if complete else None


def _write(files: Sequence[Path], path: Path, progress: Progress | None) -> None:
    """Decode all files into an array that appears whole or not at all."""
    shape = (len(files), *_shape(files[0]))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.unlink(missing_ok=True)
        with partial.open("xb") as file:  # never through a link that came with the data
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            start = file.tell()
            size = start + math.prod(shape)
            _reserve(file, size)  # a full disk shows here, not in the map
        array = np.memmap(partial, np.uint8, "r+", start, shape)
        _decode(files, array, progress)
        array.flush()
        del array
        partial.replace(path)
    finally:
        with _ignore_os_errors():
            partial.unlink(missing_ok=True)


def _reserve(file: BufferedWriter, size: int) -> None:
    """Take room on the disk for so many bytes, of which the first are written already."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    zeros = bytes(_ZEROS)
    for start in range(file.tell(), size, _ZEROS):
        file.write(zeros[: size - start])


def _decode(files: Sequence[Path], into: np.ndarray, progress: Progress | None) -> None:
    shape = into.shape[1:]

    def decode(row: int) -> None:
        pixels = read_pixels(files[row]).transpose(2, 0, 1)
        if pixels.shape != shape:
            raise DataError(
                f"Expected images of one size, got {shape[2]}x{shape[1]} in '{files[0]}' and "
                f"{pixels.shape[2]}x{pixels.shape[1]} in '{files[row]}'; resize them first."
            )
        into[row] = pixels

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(files), _CHUNK):
            rows = range(start, min(start + _CHUNK, len(files)))
            list(pool.map(decode, rows))
            if progress:
                progress(rows.stop, len(files))


def _shape(file: Path) -> tuple[int, int, int]:
    height, width, channels = read_pixels(file).shape
    return channels, height, width


def _delete_stale(home: Path, name: str, keep: Path) -> None:
    """Delete stale arrays of the same name, and partial files of killed processes."""
    with _ignore_os_errors():
        for old in [*home.glob(f"{name}-*.npy"), *home.glob(f".{name}-*.partial")]:
            if old != keep and not _in_use(old):
                old.unlink(missing_ok=True)


def _in_use(path: Path) -> bool:
    """Return whether the process that writes this partial file is alive."""
    number = path.name.rpartition(".partial")[0].rpartition(".")[2]
    return number.isdecimal() and len(number) < 10 and psutil.pid_exists(int(number))


@contextmanager
def _ignore_os_errors() -> Iterator[None]:
    """Go on after an error of the file system, which takes away no result."""
    try:
        yield
    except OSError:
        return
