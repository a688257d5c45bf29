"""Image files, decoded into one tensor of pixels."""

import stat
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from hormesis.data.preprocessing import Preprocessing
from hormesis.data.readers import Progress
from hormesis.errors import DataError

# The formats of `torchvision.datasets.ImageFolder`. Pillow knows others, and would run Ghostscript
# for an EPS file of any name.
FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
# Errors that Pillow raises for files that are damaged, or crafted to look like an image.
IMAGE_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,  # where warnings are errors
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)
_BYTE, _WORD = 255, 65535  # highest values of a pixel
MOST_BYTES = 1 << 29  # of a file; enough for MOST_PIXELS without compression
MOST_PIXELS = 1 << 26  # of an image; a blank image of any size takes a few bytes in a file


def read_images(
    paths: Sequence[Path],
    progress: Progress | None = None,
    preprocessing: Preprocessing = Preprocessing(),
) -> Float[Tensor, "images 3 height width"]:
    """Return images of one size as red, green and blue from 0 to 1.

    Greyscale images get three equal channels, as in torchvision's ``ImageFolder``; those of 16 bits
    keep all of them.

    Args:
        paths: Files with 8 or 16 bits a channel, at least one.
        progress: Called with images read and in all.
        preprocessing: Brings them to one size; by default they have one.

    Raises:
        DataError: If a file is missing, damaged or has more than 16 bits a channel, or if two files
            differ in size; the message names them.
    """
    first = _read_image(paths[0], preprocessing)
    check_room(len(paths) * first.numel() * first.element_size(), f"{len(paths):,} images")
    images = torch.empty(len(paths), *first.shape)
    for row, path in enumerate(paths):
        pixels = first if row == 0 else _read_image(path, preprocessing)
        if pixels.shape != first.shape:
            raise DataError(
                f"Expected images of one size, got {_size(first)} in '{paths[0]}' and "
                f"{_size(pixels)} in '{path}'; bring them to one size with `resize` and `crop`, or "
                "resize them first."
            )
        images[row] = pixels
        if progress:
            progress(row + 1, len(paths))
    return images


def read_pixels(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """Return the red, green and blue of one file, greyscale as three equal channels.

    Raises:
        DataError: If it is missing, damaged, has more than ``MOST_PIXELS`` pixels, or more than 8
            bits a channel.
    """
    image, most = _decode(path, Preprocessing())
    if most != _BYTE:
        raise DataError(f"Expected 8 bits a channel, got 16 in '{path}'.")
    return np.array(image)


def _decode(path: Path, preprocessing: Preprocessing) -> tuple[Image.Image, int]:
    """Return a file as an image of mode RGB, or F for 16 bits, and its highest possible value."""
    _check_file(path)
    try:
        with Image.open(path, formats=FORMATS) as image:
            mode, (width, height) = image.mode, image.size
            if width * height > MOST_PIXELS:
                raise ValueError(f"{width}x{height} pixels are more than {MOST_PIXELS:,}")
            # A PNG or PPM of mode I has 16 bits in 32; a TIFF may have any numbers.
            deep = mode.startswith("I;16") or (mode == "I" and image.format in ("PNG", "PPM"))
            if deep:
                plain = Image.fromarray(np.array(image).astype(np.float32))
            else:
                plain = image.convert("RGB")
            if deep or not mode.startswith(("I", "F")):
                return preprocessing.apply(plain), _WORD if deep else _BYTE
    except IMAGE_ERRORS as error:
        raise DataError(f"The image '{path}' cannot be read: {error}.") from error
    raise DataError(f"Expected 8 or 16 bits a channel, got an image of mode {mode} in '{path}'.")


def _check_file(path: Path) -> None:
    """Refuse anything but a regular file of at most ``MOST_BYTES``."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise DataError(f"There is no image '{path}'.") from error
    except OSError as error:
        raise DataError(f"The image '{path}' cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"Expected an image file, got '{path}', which is none.")
    if status.st_size > MOST_BYTES:
        raise DataError(
            f"The image '{path}' cannot be read: it is larger than {MOST_BYTES:,} bytes."
        )


def check_room(size: int, what: str) -> None:
    """Refuse to take more memory than is free.

    Args:
        size: In bytes.
        what: What needs the memory, for the message.

    Raises:
        DataError: It states how much is free.
    """
    free = psutil.virtual_memory().available
    if size > free:
        raise DataError(
            f"The {what} take {size / 2**30:.1f} GiB of memory, but {free / 2**30:.1f} GiB are "
            "free: draw fewer with `samples`, or resize them."
        )


def _read_image(path: Path, preprocessing: Preprocessing) -> Float[Tensor, "3 height width"]:
    """Decode one file, from 0 to 1."""
    image, most = _decode(path, preprocessing)
    pixels = torch.from_numpy(np.array(image))
    if most == _BYTE:
        return pixels.permute(2, 0, 1).to(torch.float32).div(_BYTE)
    return pixels.expand(3, -1, -1).div(_WORD).clamp(0, 1)  # cubic curves overshoot


def _size(pixels: Tensor) -> str:
    """Return width and height: ``64x48``."""
    return f"{pixels.shape[2]}x{pixels.shape[1]}"
