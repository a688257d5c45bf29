"""Corruptions of images and texts, as stressed data: ``analyze(stressed=gaussian_noise(3))``.

Those of images are the common corruptions of D. Hendrycks and T. Dietterich, "Benchmarking neural
network robustness to common corruptions and perturbations", ICLR 2019, arXiv:1903.12261, at their
five severities: with the parameters of CIFAR-10-C for images of up to 64 pixels a side, with those
of ImageNet-C for larger ones (``make_cifar_c.py`` and ``make_imagenet_c.py`` of the authors'
``robustness`` repository). Values are not rounded to 256 levels, except by JPEG. Shifts and
rotations, which keep the label, are not among theirs.

What is drawn at random depends on the seed and on the index of a sample in its data set alone.

Example:
    >>> gaussian_noise(severity=4).name
    'gaussian_noise:4'
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hormesis.data import image_corruptions as images
from hormesis.data.bounds import is_uniform
from hormesis.data.samples import Samples
from hormesis.data.severity import SEVERITIES, USUAL, check_severity, severity_in
from hormesis.data.text_corruptions import TEXT_KINDS, TextCorruption, dropped_words, typos
from hormesis.data.trees import count_rows
from hormesis.errors import DataError, SettingError, unknown

__all__ = [
    "Corruption",
    "TextCorruption",
    "brightness",
    "by_name",
    "contrast",
    "defocus_blur",
    "dropped_words",
    "gaussian_blur",
    "gaussian_noise",
    "impulse_noise",
    "jpeg_compression",
    "pixelate",
    "rotation",
    "shift",
    "shot_noise",
    "typos",
]

_SMALL = 64  # pixels a side, up to which the parameters are those of CIFAR-10-C
_CORRUPTIONS = 7  # keeps these draws apart from others made with the same seed


@dataclass(frozen=True)
class Corruption:
    """One corruption of images, at one severity.

    Args:
        kind: One of ``KINDS``.
        severity: From 1 to 5.
        seed: Seed of what is drawn at random, at least 0.

    Raises:
        SettingError: For a value outside these.

    Example:
        >>> Corruption("contrast", 2).name
        'contrast:2'
        >>> Corruption("contrast", 6)
        Traceback (most recent call last):
        hormesis.errors.SettingError: Expected `severity` as a whole number from 1 to 5, got 6.
    """

    kind: str
    severity: int = USUAL
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every field."""
        if self.kind not in KINDS:
            raise SettingError(unknown("corruption", self.kind, KINDS))
        check_severity(self.severity, self.seed)

    @property
    def name(self) -> str:
        """What tables, manifests and the command line call it."""
        return f"{self.kind}:{self.severity}"

    def apply(self, samples: Samples) -> Samples:
        """Return corrupted samples under the same declarations.

        Args:
            samples: Images ``[samples, channels, height, width]`` with finite bounds.

        Raises:
            DataError: For anything else.

        Example:
            >>> images = torch.tensor([0.2, 0.6]).expand(2, 1, 1, 2)
            >>> samples = Samples(images, torch.tensor([0, 1]), (0.0, 1.0), 2, "two")
            >>> contrast(severity=2).apply(samples).inputs[0, 0]
            tensor([[0.3000, 0.5000]])
        """
        inputs, bounds = samples.inputs, samples.bounds
        if not (isinstance(inputs, Tensor) and inputs.is_floating_point() and inputs.ndim == 4):
            raise DataError(
                f"Expected images of shape [samples, channels, height, width] for the corruption "
                f"{self.name!r}, got others: pass the corrupted inputs and their labels."
            )
        if not is_uniform(bounds):
            raise DataError(
                f"Expected two finite `bounds` for the corruption {self.name!r}, which is defined "
                "on pixels from black to white, got none: declare them."
            )
        low, width = float(bounds[0]), float(bounds[1]) - float(bounds[0])
        places = range(count_rows(inputs)) if samples.places is None else samples.places.tolist()
        change = self._change(max(inputs.shape[2:]))
        corrupted = torch.empty_like(inputs)
        for row, place in enumerate(places):
            pixels = (inputs[row].double().numpy() - low) / width
            generator = np.random.default_rng((_CORRUPTIONS, self.seed, place))
            changed = np.clip(change(pixels, generator), 0, 1)
            corrupted[row] = torch.from_numpy(changed * width + low)
        corrupted.clamp_(*bounds)  # as rounding may leave them
        return replace(samples, inputs=corrupted, name=self.name)

    def _change(self, side: int) -> Callable[[images.Pixels, np.random.Generator], images.Pixels]:
        small, large = KINDS[self.kind]
        return (small if side <= _SMALL else large)[self.severity - 1]


_Levels = Sequence[Callable[..., Float[np.ndarray, "channels height width"]]]


def _levels(function: Callable[..., images.Pixels], *values: object) -> _Levels:
    """Return the functions of five severities, from their parameters."""
    return tuple(
        partial(function, *(value if isinstance(value, tuple) else (value,))) for value in values
    )


_SHIFTS = _levels(images.move, *(n / 32 for n in SEVERITIES))
_ROTATIONS = _levels(images.turn, *(3.0 * n for n in SEVERITIES))
KINDS: dict[str, tuple[_Levels, _Levels]] = {
    "gaussian_noise": (
        _levels(images.add_gaussian, 0.04, 0.06, 0.08, 0.09, 0.10),
        _levels(images.add_gaussian, 0.08, 0.12, 0.18, 0.26, 0.38),
    ),
    "shot_noise": (
        _levels(images.count_photons, 500.0, 250.0, 100.0, 75.0, 50.0),
        _levels(images.count_photons, 60.0, 25.0, 12.0, 5.0, 3.0),
    ),
    "impulse_noise": (
        _levels(images.salt_and_pepper, 0.01, 0.02, 0.03, 0.05, 0.07),
        _levels(images.salt_and_pepper, 0.03, 0.06, 0.09, 0.17, 0.27),
    ),
    "gaussian_blur": (
        _levels(images.blur, 0.4, 0.6, 0.7, 0.8, 1.0),
        _levels(images.blur, 1.0, 2.0, 3.0, 4.0, 6.0),
    ),
    "defocus_blur": (
        _levels(images.defocus, (0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)),
        _levels(images.defocus, (3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)),
    ),
    "contrast": (
        _levels(images.scale_contrast, 0.75, 0.5, 0.4, 0.3, 0.15),
        _levels(images.scale_contrast, 0.4, 0.3, 0.2, 0.1, 0.05),
    ),
    "brightness": (
        _levels(images.brighten, 0.05, 0.1, 0.15, 0.2, 0.3),
        _levels(images.brighten, 0.1, 0.2, 0.3, 0.4, 0.5),
    ),
    "pixelate": (
        _levels(images.coarsen, 0.95, 0.9, 0.85, 0.75, 0.65),
        _levels(images.coarsen, 0.6, 0.5, 0.4, 0.3, 0.25),
    ),
    "jpeg_compression": (
        _levels(images.compress, 80, 65, 58, 50, 40),
        _levels(images.compress, 25, 18, 15, 10, 7),
    ),
    "shift": (_SHIFTS, _SHIFTS),
    "rotation": (_ROTATIONS, _ROTATIONS),
}
"""The functions of each corruption at the five severities: for small images, and for large ones."""


def gaussian_noise(severity: int = 3, *, seed: int = 0) -> Corruption:
    """Return noise of a normal distribution, added to every value."""
    return Corruption("gaussian_noise", severity, seed)


def shot_noise(severity: int = 3, *, seed: int = 0) -> Corruption:
    """Return the noise of counting photons: a Poisson distribution around every value."""
    return Corruption("shot_noise", severity, seed)


def impulse_noise(severity: int = 3, *, seed: int = 0) -> Corruption:
    """Return salt and pepper: some values become the lowest or the highest."""
    return Corruption("impulse_noise", severity, seed)


def gaussian_blur(severity: int = 3) -> Corruption:
    """Return blur by a Gaussian kernel."""
    return Corruption("gaussian_blur", severity)


def defocus_blur(severity: int = 3) -> Corruption:
    """Return blur by a disk, as of a lens out of focus."""
    return Corruption("defocus_blur", severity)


def contrast(severity: int = 3) -> Corruption:
    """Return a smaller contrast: values move towards the mean of their channel."""
    return Corruption("contrast", severity)


def brightness(severity: int = 3) -> Corruption:
    """Return a higher brightness: the value of HSV, the largest channel of a pixel, is raised."""
    return Corruption("brightness", severity)


def pixelate(severity: int = 3) -> Corruption:
    """Return fewer pixels: the image is made smaller and large again."""
    return Corruption("pixelate", severity)


def jpeg_compression(severity: int = 3) -> Corruption:
    """Return what JPEG makes of an image, at a low quality."""
    return Corruption("jpeg_compression", severity)


def shift(severity: int = 3, *, seed: int = 0) -> Corruption:
    """Return shifts by ``severity`` 32nds of a side, in one of eight directions; edges go on."""
    return Corruption("shift", severity, seed)


def rotation(severity: int = 3, *, seed: int = 0) -> Corruption:
    """Return rotations by three degrees times ``severity``, to either side; edges go on."""
    return Corruption("rotation", severity, seed)


def by_name(name: str) -> Corruption:
    """Return the corruption that the command line names.

    Args:
        name: One of ``KINDS``, or with its severity as in ``contrast:2``; 3 by default.

    Raises:
        SettingError: For another name or severity.

    Example:
        >>> by_name("contrast:2") == contrast(2)
        True
    """
    kind = name.partition(":")[0]
    if kind in TEXT_KINDS:
        raise SettingError(
            f"Expected a file of texts and an `hf:` model for {kind!r}, which corrupts texts: name "
            "these, or corrupt the texts in Python before they become tokens."
        )
    return Corruption(kind, severity_in(name))
