"""Data of the user's own: a folder of images, or what a function of theirs returns."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchvision import datasets

from hormesis.data.images import read_images
from hormesis.data.readers import Progress
from hormesis.data.samples import Samples, samples_from
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


def folder_source(folder: Path, progress: Progress | None) -> ImageSource:
    """Return the images of a directory with one folder a class, classes in alphabetical order."""
    try:
        _refuse_circles(folder)
        dataset = datasets.ImageFolder(folder)
    except OSError as error:
        raise DataError(
            f"Expected '{folder}' to hold one folder of images for each class: "
            f"{str(error).rstrip('.')}."
        ) from error
    files = [Path(path) for path, _ in dataset.samples]
    return source_of_files(files, torch.tensor(dataset.targets), len(dataset.classes), progress)


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
    files: list[Path], labels: Tensor, classes: int, progress: Progress | None
) -> ImageSource:
    """Return a source that decodes image files."""

    def read(chosen: Int[Tensor, " chosen"]) -> Float[Tensor, "chosen 3 height width"]:
        """Return the images at these indices, from 0 to 1."""
        return read_images([files[index] for index in chosen.tolist()], progress)

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
