"""Labelled images, stored as bytes and converted to inputs batch by batch."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from hormesis.data.samples import Samples, check_classified
from hormesis.data.sampling import draw_stratified
from hormesis.errors import DataError

_HASHED = 4096  # rows at a time, so that a memory-mapped array stays on the disk


@dataclass(frozen=True, eq=False)
class ImageArray:
    """Labelled samples for training, converted to inputs only when a batch is requested.

    Args:
        values: One row per sample, ``[samples, channels, height, width]``: bytes, which stand for 0
            to 1 in steps of 1/255, or float32 in input units. May be mapped from a file.
        labels: Class of each sample, from 0 to ``classes - 1``.
        bounds: Lowest and highest value that an input may take.
        classes: Number of classes.
        name: Name of the data set in manifests.
        mean: Per-channel mean that networks for these data expect, or empty.
        std: Per-channel standard deviation that networks for these data expect, or empty.
        rows: Which rows of ``values`` these samples are, in order; None for all.

    Example:
        >>> pixels = ImageArray(np.full((3, 1, 2, 2), 255, np.uint8), torch.tensor([0, 1, 1]),
        ...                 (0.0, 1.0), 2, "white")
        >>> inputs, labels = pixels.batch(torch.tensor([2, 0]))
        >>> inputs.shape, float(inputs.max()), labels.tolist()
        (torch.Size([2, 1, 2, 2]), 1.0, [1, 0])
    """

    values: Shaped[np.ndarray, "stored ..."]
    labels: Int[Tensor, " samples"]
    bounds: tuple[float, float]
    classes: int
    name: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    rows: Int[np.ndarray, " samples"] | None = None

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.values.shape[1:]

    def batch(
        self, chosen: Int[Tensor, " chosen"]
    ) -> tuple[Float[Tensor, " chosen *shape"], Int[Tensor, " chosen"]]:
        """Return inputs in input units, and labels, of the samples at these indices."""
        rows = chosen.numpy() if self.rows is None else self.rows[chosen.numpy()]
        values = torch.from_numpy(np.ascontiguousarray(self.values[rows]))
        inputs = values.float().div_(255) if values.dtype == torch.uint8 else values
        return inputs, self.labels[chosen]

    def subset(self, chosen: Int[Tensor, " chosen"]) -> "ImageArray":
        """Return the samples at these indices; the stored values are shared."""
        rows = chosen.numpy() if self.rows is None else self.rows[chosen.numpy()]
        return replace(self, labels=self.labels[chosen], rows=rows)

    def draw(self, count: int | None, seed: int) -> "ImageArray":
        """Return ``count`` samples, stratified by class; all of them for None.

        Raises:
            DataError: If there are fewer than ``count``.
        """
        return self if count is None else self.subset(draw_stratified(self.labels, count, seed))

    def samples(self) -> Samples:
        """Return all samples in memory, checked, as an analysis needs them."""
        inputs, labels = self.batch(torch.arange(len(self)))
        return Samples(inputs, labels, self.bounds, self.classes, self.name, self.mean, self.std)

    def fingerprint(self) -> str:
        """Return the SHA-256 of shape, stored values and labels, as 64 hexadecimal digits."""
        stored = f"{self.values.dtype.str} {(len(self), *self.shape)} {self.bounds}"
        digest = hashlib.sha256(stored.encode())
        for start in range(0, len(self), _HASHED):
            few = slice(start, start + _HASHED)
            rows = few if self.rows is None else self.rows[few]
            digest.update(np.ascontiguousarray(self.values[rows]).data)
        digest.update(self.labels.numpy().astype("<i8").data)
        return digest.hexdigest()


def image_array_from(data: Any) -> ImageArray:  # noqa: ANN401
    """Return checked samples as ``ImageArray``, without a copy.

    Args:
        data: ``ImageArray``, or ``Samples``.

    Raises:
        DataError: For anything else.
    """
    if isinstance(data, ImageArray):
        return data
    if not isinstance(data, Samples):
        raise DataError(f"Expected `Samples` or `ImageArray`, got {type(data).__name__}.")
    check_classified(data, "training")
    return ImageArray(
        data.inputs.numpy(),
        data.labels,
        data.bounds,
        data.classes,
        data.name,
        data.mean,
        data.std,
    )
