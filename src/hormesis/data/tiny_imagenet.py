"""Tiny ImageNet in its original folder layout, and its download.

The folder ``tiny-imagenet-200`` holds ``wnids.txt`` (one class a line), ``train/<wnid>/images/``,
and ``val/images/`` with ``val/val_annotations.txt`` (file, class and box of every image). The
number of a class is its index among the *sorted* lines of ``wnids.txt``, as in torchvision's
``ImageFolder`` over ``train/``. The file itself is not sorted.
"""

import os
import stat
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from hormesis.data.download import Archive, download
from hormesis.data.image_cache import DecodedImages, decode_images
from hormesis.data.readers import Progress
from hormesis.errors import DataError

ARCHIVE = Archive(
    url="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    md5="90528d7ca1a48142e341f4ef8d21d0de",
    size=248_100_043,
    folder="tiny-imagenet-200",
    unpacked=1_000_000_000,
)
_MOST_BYTES = 1 << 26  # of a list
REMEDY = "fetch it anew with `--download`, into an empty folder"


def find_tiny_imagenet(
    root: Path, *, fetch: bool = False, progress: Progress | None = None
) -> Path:
    """Return the folder of the data set: ``root`` itself, or ``tiny-imagenet-200`` in it.

    Args:
        root: Where data sets are kept.
        fetch: Download the data set where it is missing.
        progress: Called with bytes downloaded, then unpacked, and in all.

    Raises:
        DataError: If it is in neither place and not to be fetched, or if the download fails.
    """
    for folder in (root / ARCHIVE.folder, root):
        if folder.is_dir() and (folder.name == ARCHIVE.folder or (folder / "wnids.txt").is_file()):
            return folder
    if fetch:
        return download(ARCHIVE, root, progress=progress)
    raise DataError(
        f"Found no data set 'tiny-imagenet' in '{root}'. Fetch it with `--download`, or name its "
        "folder with `--data-root`."
    )


def validation_files(folder: Path) -> tuple[list[Path], Int[Tensor, " images"], int]:
    """Return the images of the validation set, their classes and the number of classes.

    The test images of the data set have no labels, so its validation set is what networks are
    compared on.

    Args:
        folder: The folder ``tiny-imagenet-200``.

    Raises:
        DataError: If a list or an image is missing, or a line does not fit; the message names it.
    """
    index = _class_numbers(folder)
    annotations = folder / "val" / "val_annotations.txt"
    files: list[Path] = []
    labels: list[int] = []
    for number, line in enumerate(_lines(annotations), start=1):
        fields = line.split("\t")
        if len(fields) < 2 or fields[1] not in index or not _is_name(fields[0]):
            raise DataError(
                f"Expected a file and a class of wnids.txt in line {number} of '{annotations}', "
                f"got {line!r}; {REMEDY}."
            )
        files.append(folder / "val" / "images" / fields[0])
        labels.append(index[fields[1]])
    _compare(files, folder / "val" / "images", annotations)
    return files, torch.tensor(labels), len(index)


def training_files(folder: Path) -> tuple[list[Path], Int[Tensor, " images"], int]:
    """Return the images of the training set, their classes and the number of classes.

    Args:
        folder: The folder ``tiny-imagenet-200``.

    Raises:
        DataError: If a list, or the images of a class, are missing; the message names them.
    """
    index = _class_numbers(folder)
    files: list[Path] = []
    labels: list[int] = []
    for name, number in index.items():
        images = folder / "train" / name / "images"
        try:
            names = sorted(entry.name for entry in os.scandir(images))
        except OSError as error:
            raise DataError(f"There is no folder '{images}'; {REMEDY}.") from error
        image_files = [images / file for file in names if file.endswith(".JPEG")]
        if not image_files:
            raise DataError(f"The folder '{images}' holds no images; {REMEDY}.")
        boxes = images.with_name(f"{name}_boxes.txt")
        listed = [line.partition("\t")[0] for line in _lines(boxes)] if boxes.exists() else []
        lost = sorted({*listed} - {*names})
        if lost:
            raise DataError(
                f"Expected the images that '{boxes}' lists, but '{images / lost[0]}' is missing "
                f"({len(lost)} such images); {REMEDY}."
            )
        files += image_files
        labels += [number] * len(image_files)
    return files, torch.tensor(labels), len(index)


def pooled_images(
    folder: Path, progress: Progress | None = None
) -> tuple[DecodedImages, Int[Tensor, " images"], int, int]:
    """Return all labelled images, decoded once, their classes, and the number of classes.

    Args:
        folder: The folder ``tiny-imagenet-200``.
        progress: Called with images decoded and in all.

    Returns:
        The images, those of the training set first; their classes; the number of classes; and how
        many belong to the training set.
    """
    train, labels, classes = training_files(folder)
    validation, others, _ = validation_files(folder)
    report = progress or (lambda done, total: None)
    decoded = decode_images([*train, *validation], "labelled", beside=folder, progress=report)
    return decoded, torch.cat([labels, others]), classes, len(train)


def _class_numbers(folder: Path) -> dict[str, int]:
    path = folder / "wnids.txt"
    names = sorted({line.strip() for line in _lines(path)})
    escaping = [name for name in names if not _is_name(name)]
    if escaping:
        raise DataError(f"Expected names of classes in '{path}', got {escaping[0]!r}; {REMEDY}.")
    return {name: number for number, name in enumerate(names)}


def _is_name(text: str) -> bool:
    """Return whether a text from a list is a plain file name, which cannot leave its folder."""
    return text not in ("", ".", "..") and not any(letter in text for letter in "/\\\0")


def _lines(path: Path) -> list[str]:
    """Return the non-empty lines of a text file."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
            raise OSError(f"it is no file, or larger than {_MOST_BYTES:,} bytes")
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Tiny ImageNet's list '{path}' cannot be read; {REMEDY}.") from error
    if not lines:
        raise DataError(f"Tiny ImageNet's list '{path}' is empty; {REMEDY}.")
    return lines


def _compare(files: list[Path], images: Path, annotations: Path) -> None:
    """Refuse images that are listed but missing, or present but not listed."""
    try:
        present = {path.name for path in images.iterdir() if path.suffix == ".JPEG"}
    except OSError as error:
        raise DataError(f"There is no folder '{images}'; {REMEDY}.") from error
    listed = {path.name for path in files}
    for names, what in ((listed - present, "missing"), (present - listed, "not listed")):
        if names:
            raise DataError(
                f"Expected the images that '{annotations}' lists, but '{images / min(names)}' is "
                f"{what} ({len(names)} such images); {REMEDY}."
            )
