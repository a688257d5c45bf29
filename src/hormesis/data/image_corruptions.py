"""The functions behind the corruptions of images, each of one image with values from 0 to 1.

Each takes its parameters, then the image and a random generator, and may leave 0 to 1. Parameters
stand in ``data.corruptions``.
"""

from io import BytesIO

import numpy as np
from jaxtyping import Float
from PIL import Image
from scipy import ndimage

Pixels = Float[np.ndarray, "channels height width"]
_WIDEST = 8  # radius of a disk, in pixels, up to which its kernel is of 17 pixels
_DIRECTIONS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]


def add_gaussian(scale: float, pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Return an image with noise of this standard deviation."""
    return pixels + generator.normal(scale=scale, size=pixels.shape)


def count_photons(most: float, pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Return an image whose values are counts, with an expectation of ``most`` for white."""
    return generator.poisson(pixels * most) / most


def salt_and_pepper(share: float, pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Return an image with this share of its values black or white, one as often as the other."""
    hit = generator.random(pixels.shape) < share
    return np.where(hit, generator.random(pixels.shape) < 0.5, pixels)


def blur(sigma: float, pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Return an image blurred by a Gaussian of this standard deviation in pixels."""
    return ndimage.gaussian_filter(pixels, (0, sigma, sigma), mode="nearest", truncate=4.0)


def defocus(radius: float, smooth: float, pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Return an image blurred by a disk whose edge is smoothed.

    Args:
        radius: Of the disk, in pixels.
        smooth: Standard deviation of the Gaussian that smooths it, in pixels.
        pixels: The image.
        generator: Unused.
    """
    return ndimage.correlate(pixels, disk(radius, smooth)[None], mode="mirror")


def disk(radius: float, smooth: float) -> Float[np.ndarray, "side side"]:
    """Return a smoothed disk whose values add up to about 1.

    Example:
        >>> disk(0.3, 0.4).shape, float(disk(3.0, 0.1).sum().round(6))
        ((17, 17), 1.0)
    """
    reach = (
        np.arange(-_WIDEST, _WIDEST + 1) if radius <= _WIDEST else np.arange(-radius, radius + 1)
    )
    inside = (reach[:, None] ** 2 + reach[None] ** 2 <= radius**2).astype(float)
    near = np.arange(-1, 2) if radius <= _WIDEST else np.arange(-2, 3)
    weights = np.exp(-(near**2) / (2 * smooth**2))
    weights /= weights.sum()
    return ndimage.correlate(inside / inside.sum(), np.outer(weights, weights), mode="mirror")


def scale_contrast(share: float, pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Return an image with this share of its distances from the mean of each channel."""
    mean = pixels.mean(axis=(1, 2), keepdims=True)
    return (pixels - mean) * share + mean


def brighten(more: float, pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Return an image whose pixels have a larger value in HSV, at most 1; hues stay."""
    value = pixels.max(axis=0, keepdims=True)
    raised = np.minimum(value + more, 1)
    return np.where(value > 0, pixels * (raised / np.where(value > 0, value, 1)), raised)


def coarsen(share: float, pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Return an image that was made smaller, to this share of its sides, and large again."""
    _, height, width = pixels.shape
    small = max(int(width * share), 1), max(int(height * share), 1)

    def one(channel: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
        image = Image.fromarray(channel.astype(np.float32))
        box = Image.Resampling.BOX
        return np.asarray(image.resize(small, box).resize((width, height), box), dtype=np.float64)

    return np.stack([one(channel) for channel in pixels])


def compress(quality: int, pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Return an image that was written as JPEG; in colour if it has three channels."""
    levels = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    parts = [levels.transpose(1, 2, 0)] if len(levels) == 3 else list(levels)

    def one(part: np.ndarray) -> np.ndarray:
        file = BytesIO()
        Image.fromarray(part).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file), dtype=np.float64) / 255

    written = [one(part) for part in parts]
    return written[0].transpose(2, 0, 1) if len(levels) == 3 else np.stack(written)


def move(share: float, pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Return an image moved by whole pixels, at least one, in one of eight directions.

    Args:
        share: How far, as a share of each side.
        pixels: The image.
        generator: Draws the direction.
    """
    direction = np.array(_DIRECTIONS[generator.integers(len(_DIRECTIONS))])
    steps = direction * np.maximum(np.rint(share * np.array(pixels.shape[1:])), 1)
    return ndimage.shift(pixels, (0, *steps), order=0, mode="nearest")


def turn(degrees: float, pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Return an image turned by this angle, to either side."""
    angle = degrees * (1 if generator.random() < 0.5 else -1)
    return ndimage.rotate(pixels, angle, (1, 2), reshape=False, order=1, mode="nearest")
