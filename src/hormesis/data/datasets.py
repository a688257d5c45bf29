"""The data sets that can be named, and one function that loads all kinds of data.

A named set is one ``NamedDataset`` here, in ``NAMED_DATASETS``, and one line in
``settings.choices.DATASETS``. Help texts, training and analysis follow from the object.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision import datasets

from hormesis.data.image_array import ImageArray, image_array_from
from hormesis.data.image_folders import (
    ImageSource,
    load_folder,
    load_own,
    source_of_files,
)
from hormesis.data.readers import Progress
from hormesis.data.samples import Samples, take
from hormesis.data.sampling import draw_stratified
from hormesis.data.tiny_imagenet import find_tiny_imagenet, pooled_images, validation_files
from hormesis.errors import DataError, unknown
from hormesis.settings.choices import DATASETS, check_new_name

Stages = Callable[[str, int, int], None]
"""Called with a stage, the work done and in all."""

_MOST_BYTES = 1 << 30  # of a file of these
_HELD_OUT = 180


@dataclass(frozen=True)
class Request:
    """Where a named set is read from, and what is told meanwhile.

    Args:
        name: Name of the set.
        root: Folder of the named sets; None for what ``HORMESIS_DATA`` names.
        download: Whether to fetch the set where it is missing.
        progress: Called with a stage, the work done and in all.
    """

    name: str
    root: Path | None = None
    download: bool = False
    progress: Stages = lambda stage, done, total: None

    @property
    def folder(self) -> Path:
        """The folder of the named sets.

        Raises:
            DataError: If there is none.
        """
        known = self.root or os.environ.get("HORMESIS_DATA")
        if not known:
            raise DataError(
                f"The data set {self.name!r} is read from a folder: name it with `--data-root`, or "
                "in the environment as HORMESIS_DATA."
            )
        return Path(known).expanduser()


@dataclass(frozen=True)
class Parts:
    """Training and validation part of a data set.

    Args:
        train: What networks are trained on.
        validation: What they are validated and analysed on; no sample is in both.
        notes: What a user has to know, in sentences.
    """

    train: ImageArray
    validation: ImageArray
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class NamedDataset:
    """A data set that can be named.

    Args:
        name: What flags, tables and the manifest call it.
        help: What it is, in a line.
        read: Returns the part that is analysed, its inputs in units of [0, 1]. It finds or fetches
            its files itself, by the request.
        parts: Returns the training and the validation part; None holds a stratified tenth of what
            ``read`` returns out for validation.
        pooled: Returns training and validation images together, with the number of the former, for
            the splits of the paper; None if there are none.
        mean: Per-channel mean that networks for these data expect, in units of [0, 1], or empty.
        std: Per-channel standard deviation, likewise.
    """

    name: str
    help: str
    read: Callable[[Request], ImageSource]
    parts: Callable[[Request], Parts] | None = None
    pooled: Callable[[Request], tuple[ImageArray, int, tuple[str, ...]]] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


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
    """Return the test part of a data set, or a draw from it, stratified by class.

    Args:
        name: One of ``NAMED_DATASETS``, a directory with one folder of images a class, or
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
    folder = Path(name).expanduser()
    named = NAMED_DATASETS.get(name)
    if named is None and folder.is_dir():
        return load_folder(folder, samples=samples, seed=seed, bounds=bounds, progress=progress)
    if named is None:
        return load_own(name, samples, seed, bounds, progress, tuple(NAMED_DATASETS))
    report = (lambda stage, done, total: None) if progress is None else _without_stage(progress)
    source = named.read(Request(name, root, download, report))
    inputs, labels, places = source.draw(samples, seed)
    limits, mean, std = bounds or (0.0, 1.0), named.mean, named.std
    return Samples(inputs, labels, limits, source.classes, name, mean, std, places)


def _without_stage(progress: Progress) -> Stages:
    return lambda stage, done, total: progress(done, total)


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
    whole = Samples(images, labels, (0.0, 1.0), 10, "digits", _DIGITS_MEAN, _DIGITS_STD)
    return take(whole, (held_out if split == "test" else ~held_out).nonzero().flatten())


def _read_digits(request: Request) -> ImageSource:
    test = digits("test")
    return ImageSource(test.labels, lambda chosen: test.inputs[chosen], test.classes)


def _digits_parts(request: Request) -> Parts:
    return Parts(image_array_from(digits("train")), image_array_from(digits("test")))


def _torchvision_pixels(
    kind: Callable[..., Any], files: str, request: Request, *, train: bool
) -> tuple[UInt8[Tensor, "images channels height width"], Int[Tensor, " images"], int]:
    """Return images, labels and the number of classes of a set that torchvision reads at once.

    Args:
        kind: Class of torchvision.
        files: Folder of its files, within that of the named sets.
        request: Where, and whether to download it where it is missing.
        train: Its training part instead of its test part.

    Raises:
        DataError: If it is missing or damaged, or cannot be fetched.
    """
    name, root, fetch = request.name, request.folder, request.download
    try:
        _check_files(root / files)
        dataset = kind(root=root, train=train, download=fetch)
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
        status = path.stat() if path.exists() else None  # a link to nothing
        if status is None or stat.S_ISDIR(status.st_mode):
            continue
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
            raise DataError(
                f"Expected a file of at most {_MOST_BYTES:,} bytes, got '{path}', which is none."
            )


def _read_torchvision(kind: Callable[..., Any], files: str, request: Request) -> ImageSource:
    """Return the test part of a set that torchvision reads as one array."""
    pixels, labels, classes = _torchvision_pixels(kind, files, request, train=False)

    def read(chosen: Int[Tensor, " chosen"]) -> Float[Tensor, "chosen channels height width"]:
        """Return the images at these indices, from 0 to 1."""
        return pixels[chosen].contiguous().to(torch.float32).div(255)

    return ImageSource(labels, read, classes)


def _torchvision_parts(kind: Callable[..., Any], files: str, request: Request) -> Parts:
    own = NAMED_DATASETS[request.name]

    def part(train: bool) -> ImageArray:
        values, labels, classes = _torchvision_pixels(kind, files, request, train=train)
        stored = values.contiguous().numpy()
        return ImageArray(stored, labels, (0.0, 1.0), classes, own.name, own.mean, own.std)

    return Parts(part(True), part(False))


def _torchvision(
    name: str, kind: Callable[..., Any], files: str, mean: tuple[float, ...], std: tuple[float, ...]
) -> NamedDataset:
    read, parts = partial(_read_torchvision, kind, files), partial(_torchvision_parts, kind, files)
    return NamedDataset(name, DATASETS[name], read, parts, mean=mean, std=std)


def _read_tiny_imagenet(request: Request) -> ImageSource:
    report = partial(request.progress, "Reading the data")
    folder = find_tiny_imagenet(request.folder, fetch=request.download, progress=report)
    return source_of_files(*validation_files(folder), report)


def _pooled_tiny_imagenet(request: Request) -> tuple[ImageArray, int, tuple[str, ...]]:
    own = NAMED_DATASETS[request.name]
    folder = find_tiny_imagenet(
        request.folder, fetch=request.download, progress=partial(request.progress, "Downloading")
    )
    report = partial(request.progress, "Decoding the images, once")
    decoded, labels, classes, first = pooled_images(folder, report)
    notes = (decoded.note,) if decoded.note else ()
    limits = (0.0, 1.0)
    every = ImageArray(decoded.pixels, labels, limits, classes, own.name, own.mean, own.std)
    return every, first, notes


_DIGITS_MEAN, _DIGITS_STD = (0.3053,), (0.3237,)  # of its training part, resized
_SETS = (
    NamedDataset(
        "digits",
        DATASETS["digits"],
        _read_digits,
        _digits_parts,
        mean=_DIGITS_MEAN,
        std=_DIGITS_STD,
    ),
    _torchvision("mnist", datasets.MNIST, "MNIST/raw", (0.1307,), (0.3081,)),
    _torchvision("fashion-mnist", datasets.FashionMNIST, "FashionMNIST/raw", (0.286,), (0.353,)),
    _torchvision("cifar10", datasets.CIFAR10, "cifar-10-batches-py", (0.5,) * 3, (0.5,) * 3),
    NamedDataset(
        "tiny-imagenet",
        DATASETS["tiny-imagenet"],
        _read_tiny_imagenet,
        pooled=_pooled_tiny_imagenet,
        mean=(0.485, 0.456, 0.406),  # of ImageNet
        std=(0.229, 0.224, 0.225),
    ),
)
NAMED_DATASETS = {one.name: one for one in _SETS}
"""Every data set that can be named."""


def register_dataset(made: NamedDataset) -> NamedDataset:
    """Make a data set known by its name: to ``load_data``, to training and to the command line.

    Args:
        made: The set; one of the same name is replaced, but for those of the package.

    Returns:
        The set itself.

    Raises:
        SettingError: If the package has a data set of this name.

    Example:
        >>> register_dataset(NAMED_DATASETS["digits"])
        Traceback (most recent call last):
        hormesis.errors.SettingError: Expected another `name` than 'digits', which is taken.
    """
    check_new_name(made.name, {one.name for one in _SETS})
    NAMED_DATASETS[made.name], DATASETS[made.name] = made, made.help
    return made
