"""Data sets by name, from a folder of images, or from a user's own function."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision import datasets

from hormesis.data.images import read_images
from hormesis.data.readers import Progress
from hormesis.data.samples import Samples, samples_from, take
from hormesis.data.sampling import draw_balanced, draw_stratified
from hormesis.data.tiny_imagenet import find_tiny_imagenet, validation_files
from hormesis.errors import DataError, unknown
from hormesis.settings.factory import call_factory, is_factory, users_code

NAMES = ("digits", "mnist", "fashion-mnist", "cifar10", "tiny-imagenet")

# Mean and standard deviation of each channel, in units of [0, 1].
NORMALISATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "digits": ((0.3053,), (0.3237,)),  # of its training part, resized
    "mnist": ((0.1307,), (0.3081,)),
    "fashion-mnist": ((0.2860,), (0.3530,)),
    "cifar10": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "tiny-imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),  # of ImageNet
}

_TORCHVISION: dict[str, Callable[..., Any]] = {
    "mnist": datasets.MNIST,
    "fashion-mnist": datasets.FashionMNIST,
    "cifar10": datasets.CIFAR10,
}
_FILES = {
    "mnist": Path("MNIST", "raw"),
    "fashion-mnist": Path("FashionMNIST", "raw"),
    "cifar10": Path("cifar-10-batches-py"),
}
_MOST_BYTES = 1 << 30  # of a file of these
_MOST_FOLDERS = 100_000  # within a folder of images, those behind links included
_HELD_OUT = 180


@dataclass(frozen=True)
class _Source:
    """Labels that are known at once, and inputs read where they are asked for."""

    labels: Int[Tensor, " samples"]
    read: Callable[[Tensor], Tensor]
    classes: int


def load_data(
    name: str,
    *,
    root: Path | None = None,
    samples: int | None = None,
    seed: int = 0,
    download: bool = False,
    bounds: tuple[float, float] | None = None,
    progress: Progress | None = None,
) -> Samples:
    """Return the test part of a data set, or a draw from it, every class in its share.

    Args:
        name: One of ``NAMES``, a directory with one folder of images a class, or
            ``package.module:attribute``: something that ``samples_from`` takes, or a function
            without arguments that returns it.
        root: Folder of the named sets; ``digits`` needs none.
        samples: How many samples to draw; by default all are taken. Only those are decoded.
        seed: Seed of that draw, at least 0.
        download: Fetch a named set that is not in ``root``.
        bounds: Lowest and highest value that an input may take; by default 0 and 1, or what the
            user's own ``Samples`` declare.
        progress: Called with images read (bytes, for a download) and in all.

    Raises:
        DataError: If the set is unknown, missing or damaged, or ``samples`` out of range.
        SettingError: If the user's own function cannot be imported or fails.

    Example:
        >>> held_out = load_data("digits", samples=20)
        >>> held_out.inputs.shape, held_out.classes
        (torch.Size([20, 1, 32, 32]), 10)
    """
    if name not in NAMES and not Path(name).expanduser().is_dir():
        return _from_factory(name, samples, seed, bounds, progress)
    if name in NAMES:
        source = _named(name, root, download, progress)
        mean, std = NORMALISATIONS[name]
    else:
        source = _image_folder(Path(name).expanduser(), progress)
        name, mean, std = Path(name).expanduser().resolve().name, (), ()
    places = None if samples is None else draw_balanced(source.labels, samples, seed)
    chosen = torch.arange(len(source.labels)) if places is None else places
    inputs, labels = source.read(chosen), source.labels[chosen]
    return Samples(inputs, labels, bounds or (0.0, 1.0), source.classes, name, mean, std, places)


def digits(split: str = "test") -> Samples:
    """Return scikit-learn's handwritten digits, 8x8 pixels resized to 1x32x32, from 0 to 1.

    180 of the 1,797 images are held out. Which ones is fixed, class by class, so that a network
    trained on the others never saw them, whatever the seed of a study. The resizing (bilinear)
    involves only multiples of 1/1024, so the pixels are the same to the last bit everywhere.

    Args:
        split: ``"test"`` for the held-out images, ``"train"`` for the other 1,617.

    Raises:
        DataError: For another split.

    Example:
        >>> len(digits("test")), len(digits("train"))
        (180, 1617)
    """
    from sklearn.datasets import load_digits  # half a second that other data sets do not need

    if split not in ("train", "test"):
        raise DataError(unknown("split of digits", split, ("train", "test")))
    raw: Any = load_digits()
    images = torch.from_numpy(raw.images.astype(np.float32) / 16)[:, None]
    images = interpolate(images, size=(32, 32), mode="bilinear", align_corners=False).clamp(0, 1)
    labels = torch.from_numpy(raw.target.astype(np.int64))
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    held_out[draw_stratified(labels, _HELD_OUT, seed=0)] = True
    mean, std = NORMALISATIONS["digits"]
    whole = Samples(images, labels, (0.0, 1.0), 10, "digits", mean, std)
    return take(whole, (held_out if split == "test" else ~held_out).nonzero().flatten())


def data_folder(name: str, root: Path | None) -> Path:
    """Return the folder of the named sets: ``root``, or what ``HORMESIS_DATA`` names.

    Raises:
        DataError: If neither is given.
    """
    known = root or os.environ.get("HORMESIS_DATA")
    if not known:
        raise DataError(
            f"The data set {name!r} is read from a folder: name it with `--data-root`, or in the "
            "environment as HORMESIS_DATA."
        )
    return Path(known).expanduser()


def _named(name: str, root: Path | None, fetch: bool, progress: Progress | None) -> _Source:
    """Return the test part of one of ``NAMES``."""
    if name == "digits":
        held_out = digits("test")
        return _Source(held_out.labels, lambda chosen: held_out.inputs[chosen], held_out.classes)
    root = data_folder(name, root)
    if name == "tiny-imagenet":
        folder = find_tiny_imagenet(root, fetch=fetch, progress=progress)
        return _files(*validation_files(folder), progress)
    return _torchvision(name, root, fetch)


def torchvision_pixels(
    name: str, root: Path, *, train: bool, fetch: bool
) -> tuple[UInt8[Tensor, "images channels height width"], Int[Tensor, " images"], int]:
    """Return images, labels and the number of classes of a set that torchvision reads at once.

    Args:
        name: ``mnist``, ``fashion-mnist`` or ``cifar10``.
        root: Folder of the named sets.
        train: Its training part instead of its test part.
        fetch: Download it where it is missing.

    Raises:
        DataError: If it is missing or damaged, or cannot be fetched.
    """
    try:
        _check_files(root / _FILES[name])
        dataset = _TORCHVISION[name](root=root, train=train, download=fetch)
    except DataError:
        raise
    except (RuntimeError, OSError, ValueError, AssertionError, KeyError, EOFError) as error:
        if fetch:
            raise DataError(f"Could not fetch {name!r} into '{root}': {error}.") from error
        raise DataError(
            f"The data set {name!r} is missing or damaged in '{root}'. Fetch it with `--download`, "
            "or name its folder with `--data-root`."
        ) from error
    pixels = torch.as_tensor(dataset.data)
    pixels = pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    return pixels, torch.as_tensor(dataset.targets), len(dataset.classes)


def _check_files(folder: Path) -> None:
    """Refuse what torchvision would wait for, or read without an end, in the place of a file.

    Raises:
        DataError: Naming it.
    """
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        found = path.stat() if path.exists() else None  # a link to nothing
        if found is None or stat.S_ISDIR(found.st_mode):
            continue
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
            raise DataError(
                f"Expected a file of at most {_MOST_BYTES:,} bytes, got '{path}', which is none."
            )


def _torchvision(name: str, root: Path, fetch: bool) -> _Source:
    """Return the test part of a set that torchvision reads as one array."""
    pixels, labels, classes = torchvision_pixels(name, root, train=False, fetch=fetch)

    def read(chosen: Int[Tensor, " chosen"]) -> Float[Tensor, "chosen channels height width"]:
        """Return the images at these indices, from 0 to 1."""
        return pixels[chosen].contiguous().to(torch.float32).div(255)

    return _Source(labels, read, classes)


def _image_folder(folder: Path, progress: Progress | None) -> _Source:
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
    return _files(files, torch.tensor(dataset.targets), len(dataset.classes), progress)


def _refuse_circles(folder: Path) -> None:
    """Refuse links that lead back to where they lie, which torchvision would follow for ever.

    Raises:
        DataError: Naming one.
    """
    waiting, count = [(str(folder), frozenset[str]())], 0
    while waiting:
        place, above = waiting.pop()
        real, count = os.path.realpath(place), count + 1
        if real in above or count > _MOST_FOLDERS:
            raise DataError(f"The links in '{folder}' lead in circles, as at '{place}': remove it.")
        with os.scandir(place) as entries:
            inner = [entry.path for entry in entries if entry.is_dir()]
        waiting += [(path, above | {real}) for path in inner]


def _files(files: list[Path], labels: Tensor, classes: int, progress: Progress | None) -> _Source:
    """Return a source that decodes image files."""

    def read(chosen: Int[Tensor, " chosen"]) -> Float[Tensor, "chosen 3 height width"]:
        """Return the images at these indices, from 0 to 1."""
        return read_images([files[index] for index in chosen.tolist()], progress)

    return _Source(labels, read, classes)


def _from_factory(
    name: str,
    count: int | None,
    seed: int,
    bounds: tuple[float, float] | None,
    progress: Progress | None,
) -> Samples:
    """Return what a user's own function gives, if ``name`` names one at all."""
    if not is_factory(name):
        if os.sep in name or name.startswith((".", "~")):
            raise DataError(f"There is no folder {name!r} to read images from.")
        raise DataError(
            f"{unknown('data set', name, NAMES)} A directory with one folder of images a class, or "
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
