"""Data of the user's own: a folder of images, or what a function of theirs returns."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchvision.datasets.folder import (
    IMG_EXTENSIONS,
    has_file_allowed_extension,
    make_dataset,
)

from hormesis.data.class_index import ClassIndex
from hormesis.data.images import read_images
from hormesis.data.preprocessing import Preprocessing
from hormesis.data.readers import Progress
from hormesis.data.samples import Samples, samples_from
from hormesis.data.sampling import draw_balanced
from hormesis.errors import DataError, unknown
from hormesis.settings.factory import call_factory, is_factory, users_code

_MOST_FOLDERS = 100_000  # within a folder of images, those behind links included


@dataclass(frozen=True)
class ImageSource:
    """Labels that are known at once, and inputs that are read when they are asked for.

    Args:
        labels: Class of each sample, from 0.
        read: Takes indices of samples, and returns their inputs.
        classes: Number of classes.
    """

    labels: Int[Tensor, " samples"]
    read: Callable[[Tensor], Tensor]
    classes: int

    def draw(self, count: int | None, seed: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return inputs, labels and indices of a draw, stratified by class; None draws all."""
        places = None if count is None else draw_balanced(self.labels, count, seed)
        chosen = torch.arange(len(self.labels)) if places is None else places
        return self.read(chosen), self.labels[chosen], places


@dataclass(frozen=True)
class FolderReading:
    """How the pictures in a folder become inputs and labels.

    Args:
        preprocessing: Brings the pictures to one size.
        order: Of the folders, whose numbers in it are their classes: ``"alphabetical"``, or
            ``"natural"``, in which 2 comes before 10.
        class_index: Names of a network's outputs, which take the place of the order.
        mean: Per-channel mean that networks for these pictures expect, or empty.
        std: Per-channel standard deviation that networks for these pictures expect, or empty.
    """

    preprocessing: Preprocessing = Preprocessing()
    order: str = "alphabetical"
    class_index: ClassIndex | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


def load_folder(
    folder: Path,
    reading: FolderReading = FolderReading(),
    *,
    samples: int | None = None,
    seed: int = 0,
    bounds: tuple[float, float] | None = None,
    progress: Progress | None = None,
) -> Samples:
    """Return the images of a directory with one folder a class, or a draw from them.

    Args:
        folder: The directory.
        reading: Size of the images, and which folder is which class.
        samples: How many samples to draw; by default all are taken. Only those are decoded.
        seed: Seed of that draw, at least 0.
        bounds: Lowest and highest value that an input may take; by default 0 and 1.
        progress: Called with images read and in all.

    Raises:
        DataError: If an image or a class cannot be read, or ``samples`` is out of range.
    """
    source = folder_source(folder, progress, reading)
    inputs, labels, places = source.draw(samples, seed)
    limits, name = bounds or (0.0, 1.0), folder.resolve().name
    mean, std = reading.mean, reading.std
    return Samples(inputs, labels, limits, source.classes, name, mean, std, places)


def folder_source(
    folder: Path, progress: Progress | None, reading: FolderReading = FolderReading()
) -> ImageSource:
    """Return the images of a directory with one folder a class; hidden ones are left out.

    Raises:
        DataError: If there are no folders, one has no image, or is of no class of the index.
    """
    try:
        _refuse_circles(folder)
        classes = classes_of(folder, reading)
        files = make_dataset(folder, classes, is_valid_file=partial(_is_image, folder))
    except OSError as error:
        raise DataError(
            f"Expected '{folder}' to hold one folder of images for each class: "
            f"{str(error).rstrip('.')}."
        ) from error
    count = len(classes) if reading.class_index is None else len(reading.class_index)
    labels = torch.tensor([label for _, label in files])
    paths = [Path(path) for path, _ in files]
    return source_of_files(paths, labels, count, progress, reading.preprocessing)


def classes_of(folder: Path, reading: FolderReading = FolderReading()) -> dict[str, int]:
    """Return the class of each folder in a directory, in the order of the classes.

    Raises:
        OSError: If there is none.
        DataError: If one is of no class of the index.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("10", "2", ".cache"):
        ...         Path(folder, name).mkdir()
        ...     classes_of(Path(folder)), classes_of(Path(folder), FolderReading(order="natural"))
        ({'10': 0, '2': 1}, {'2': 0, '10': 1})
    """
    with os.scandir(folder) as entries:
        names = sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    if not names:
        raise FileNotFoundError(f"Couldn't find any class folder in {folder}.")
    if reading.class_index is not None:
        found = reading.class_index.find(names)
        return dict(sorted(found.items(), key=lambda item: item[1]))
    if reading.order == "natural":
        names.sort(key=_natural)
    return {name: number for number, name in enumerate(names)}


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key by which names sort with their numbers as numbers."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part.casefold()) for part in parts]


def describe_classes(folder: Path, reading: FolderReading) -> str:
    """Return a sentence on which folder is which class."""
    classes = classes_of(folder, reading)
    first = list(classes.items())[:8]
    more = ", ..." if len(classes) > len(first) else ""
    if reading.class_index is not None:
        text = ", ".join(f"{name} is {number}" for name, number in first)
        return f"Classes are numbered by {reading.class_index.source}: {text}{more}."
    text = ", ".join(name for name, _ in first)
    numbers = all(name.isdecimal() for name in classes)
    other = sorted(classes, key=_natural) != list(classes)
    hint = "; --class-order natural takes them as numbers" if numbers and other else ""
    return f"Classes are the folders in {reading.order} order: {text}{more}{hint}."


def _is_image(folder: Path, path: str) -> bool:
    """Return whether a file is an image, and neither hidden nor within a hidden folder."""
    inner = Path(path).relative_to(folder).parts
    return has_file_allowed_extension(path, IMG_EXTENSIONS) and not any(
        part.startswith(".") for part in inner
    )


def _refuse_circles(folder: Path) -> None:
    """Refuse links that lead back to where they lie, which torchvision would follow for ever.

    Raises:
        DataError: Naming one.
    """
    waiting, count = [(str(folder), frozenset[str]())], 0
    while waiting:
        directory, above = waiting.pop()
        real, count = os.path.realpath(directory), count + 1
        if real in above or count > _MOST_FOLDERS:
            raise DataError(
                f"The links in '{folder}' lead in circles, as at '{directory}': remove it."
            )
        with os.scandir(directory) as entries:
            inner = [entry.path for entry in entries if entry.is_dir()]
        waiting += [(path, above | {real}) for path in inner]


def source_of_files(
    files: list[Path],
    labels: Tensor,
    classes: int,
    progress: Progress | None,
    preprocessing: Preprocessing = Preprocessing(),
) -> ImageSource:
    """Return a source that decodes image files."""

    def read(chosen: Int[Tensor, " chosen"]) -> Float[Tensor, "chosen 3 height width"]:
        """Return the images at these indices, from 0 to 1."""
        chosen_files = [files[index] for index in chosen.tolist()]
        return read_images(chosen_files, progress, preprocessing)

    return ImageSource(labels, read, classes)


def load_own(
    name: str,
    count: int | None,
    seed: int,
    bounds: tuple[float, float] | None,
    progress: Progress | None,
    named: tuple[str, ...],
) -> Samples:
    """Return what a user's own function gives, if ``name`` names one at all."""
    if not is_factory(name):
        if os.sep in name or name.startswith((".", "~")):
            raise DataError(f"There is no folder {name!r} to read images from.")
        raise DataError(
            f"{unknown('data set', name, named)} A directory with one folder of images a class, or "
            "`package.module:function`, will do as well."
        )
    data = call_factory(name, "data set")
    if isinstance(data, Samples) and bounds is not None:
        data = replace(data, bounds=bounds)
    declared = bounds or (0.0, 1.0)
    with users_code(name, "data set"):  # a dataset of the user's own decodes its items here
        return samples_from(
            data, bounds=declared, name=name, count=count, seed=seed, progress=progress
        )
