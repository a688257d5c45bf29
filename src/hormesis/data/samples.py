"""The labelled samples of a study, in memory and checked once."""

import hashlib
import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hormesis.data.readers import Progress, read_samples, refuse_non_finite, type_name
from hormesis.data.sampling import balanced_order, draw_balanced
from hormesis.errors import DataError


@dataclass(frozen=True, eq=False)
class Samples:
    """Labelled samples whose values lie within declared bounds.

    Args:
        inputs: One row a sample, float32 on the CPU, in input units (pixels: 0 to 1), before any
            normalisation.
        labels: Class of each sample, int64, from 0 to ``classes - 1``.
        bounds: Lowest and highest value that an input may take, also after an attack.
        classes: Number of classes.
        name: Name of the data set in tables and manifests.
        mean: Per-channel mean that networks for these data expect, or empty.
        std: Per-channel standard deviation that networks for these data expect, or empty.
        places: For samples in random order, such as drawn ones, the index of each in the data set;
            None for samples in the order of the data set.

    Raises:
        DataError: For fewer than 2 samples, values that are not finite or not within ``bounds``,
            labels out of range, or parts that do not fit together.

    Example:
        >>> Samples(torch.rand(2, 1, 8, 8), torch.tensor([0, 3]), (0.0, 1.0), 3, "mine")
        Traceback (most recent call last):
        hormesis.errors.DataError: Expected `labels` from 0 to 2 for 3 classes, got 3 at sample 1.
    """

    inputs: Float[Tensor, " samples *shape"]
    labels: Int[Tensor, " samples"]
    bounds: tuple[float, float]
    classes: int
    name: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    places: Int[Tensor, " samples"] | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        check_form(self.inputs, self.labels)
        refuse_non_finite(self.inputs)
        _check_bounds(self.inputs, self.bounds)
        _check_labels(self.labels, self.classes)
        _check_normalisation(self)

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.labels)

    def fingerprint(self) -> str:
        """Return the SHA-256 of inputs, labels and bounds, as 64 hexadecimal digits.

        Two sets have the same fingerprint if shapes, values and bounds agree to the last bit; name,
        number of classes and normalisation do not count.
        """
        return self.part_fingerprint(0, len(self))

    def part_fingerprint(self, first: int, end: int) -> str:
        """Return the SHA-256 of the samples from ``first`` up to ``end`` and of the bounds."""
        low, high = (float(bound) for bound in self.bounds)
        digest = hashlib.sha256(f"bounds {low!r} {high!r}".encode())
        for part, dtype in ((self.inputs[first:end], "<f4"), (self.labels[first:end], "<i8")):
            digest.update(f"|{dtype} {tuple(part.shape)}|".encode())
            digest.update(np.ascontiguousarray(part.detach().numpy(), dtype=dtype).data)
        return digest.hexdigest()


def take(samples: Samples, indices: Int[Tensor, " chosen"]) -> Samples:
    """Return the samples at ``indices``, in that order, under the same declarations.

    Example:
        >>> samples = samples_from((torch.rand(3, 4), torch.tensor([0, 1, 2])))
        >>> take(samples, torch.tensor([2, 0])).labels
        tensor([2, 0])
    """
    places = None if samples.places is None else samples.places[indices]
    inputs, labels = samples.inputs[indices], samples.labels[indices]
    return replace(samples, inputs=inputs, labels=labels, places=places)


def randomize_order(samples: Samples, order: Int[Tensor, " chosen"] | None = None) -> Samples:
    """Return samples in random order, so that the first ones are representative.

    Args:
        samples: Any samples; those in random order are returned unchanged.
        order: The order, or the beginning of one; by default ``balanced_order`` with seed 0.

    Example:
        >>> samples = samples_from((torch.rand(4, 2), torch.tensor([0, 0, 1, 1])))
        >>> randomize_order(samples).labels, randomize_order(samples).places
        (tensor([1, 0, 1, 0]), tensor([3, 1, 2, 0]))
    """
    if samples.places is not None and order is None:
        return samples
    order = balanced_order(samples.labels, 0) if order is None else order
    placed = (
        samples
        if samples.places is not None
        else replace(samples, places=torch.arange(len(samples)))
    )
    return take(placed, order)


def samples_from(
    data: object,
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    classes: int | None = None,
    name: str = "custom",
    count: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Samples:
    """Return ``data`` as checked samples in memory.

    Args:
        data: A ``Samples`` (its own declarations stay), a pair (inputs, labels) of tensors or NumPy
            arrays, a map-style ``Dataset`` of pairs (input, label), or a ``DataLoader`` of pairs of
            batches. A loader is read once, in its order, also where that order is shuffled.
        bounds: Lowest and highest value that an input may take, in input units.
        classes: Number of classes; by default the highest label plus one.
        name: Name of the data set in tables and manifests.
        count: Number of samples to draw, stratified by class, in random order; a smaller draw is
            the beginning of a larger one. By default all are taken, in their order. Of a dataset
            with a ``targets`` list, like torchvision's, only drawn samples are decoded.
        seed: Seed of that draw, at least 0.
        progress: Called with items of a dataset, or batches of a loader, read and in all.

    Returns:
        Inputs in float32 and labels in int64. They share memory with tensors that had these types.

    Raises:
        DataError: For data of another kind, or for what ``Samples`` refuses.

    Example:
        >>> pair = (torch.rand(6, 3, 8, 8), torch.tensor([0, 1, 2, 0, 1, 2]))
        >>> samples = samples_from(pair, count=3)
        >>> samples.inputs.shape, samples.classes
        (torch.Size([3, 3, 8, 8]), 3)
    """
    if isinstance(data, Samples):
        samples = data
    else:
        inputs, labels, places = read_samples(data, count, seed, progress)
        check_form(inputs, labels)
        if classes is None:
            classes = max(1, int(labels.max()) + 1)
        samples = Samples(inputs, labels, bounds, classes, name, places=places)
    if count is None or (samples is not data and samples.places is not None):
        return samples
    return randomize_order(samples, draw_balanced(samples.labels, count, seed))


def check_form(inputs: object, labels: object) -> None:
    """Refuse anything but two tensors of the right types with one row per sample.

    Raises:
        DataError: For another type of value or number, unequal lengths, or fewer than 2 samples.

    Example:
        >>> check_form(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64))
        Traceback (most recent call last):
        hormesis.errors.DataError: Expected at least 2 samples, got a single one.
    """
    inputs = _tensor("inputs", inputs, torch.float32)
    labels = _tensor("labels", labels, torch.int64)
    if inputs.ndim < 1 or labels.ndim != 1 or len(inputs) != len(labels):
        raise DataError(
            "Expected one label for each row of the inputs, got inputs of shape "
            f"{tuple(inputs.shape)} and labels of shape {tuple(labels.shape)}."
        )
    if len(labels) < 2:
        what = "a single one" if len(labels) else "an empty set"
        raise DataError(f"Expected at least 2 samples, got {what}.")
    if inputs.numel() == 0:
        raise DataError(f"Expected inputs with values, got the shape {tuple(inputs.shape)}.")


def _tensor(what: str, part: object, dtype: torch.dtype) -> Tensor:
    """Return ``part``, refused unless it is a tensor of this type in memory."""
    if isinstance(part, Tensor) and part.dtype == dtype and part.device.type == "cpu":
        return part
    device = f" on {part.device}" if isinstance(part, Tensor) else ""
    raise DataError(
        f"Expected `{what}` to be a tensor of {type_name(torch.empty(0, dtype=dtype))} on the CPU, "
        f"got {type_name(part)}{device}; `samples_from` converts whatever holds such numbers."
    )


def _check_bounds(inputs: Tensor, bounds: tuple[float, float]) -> None:
    """Refuse bounds that do not enclose the inputs."""
    low, high = bounds
    if not (low < high and math.isfinite(low) and math.isfinite(high)):
        raise DataError(f"Expected finite `bounds` from low to high, got ({low}, {high}).")
    least, most = torch.aminmax(inputs)
    limits = torch.tensor(bounds, dtype=inputs.dtype)  # as the inputs were: 0.3 is above float32's
    if least < limits[0] or most > limits[1]:
        raise DataError(
            f"Expected inputs within the bounds ({low}, {high}), got values from "
            f"{float(least):.6g} to {float(most):.6g}. Declare the `bounds` that hold, scale the "
            "inputs, or move their normalisation into the network with `hormesis.normalized`."
        )


def _check_labels(labels: Tensor, classes: int) -> None:
    """Refuse labels outside 0 to ``classes - 1``."""
    if classes < 1:
        raise DataError(f"Expected `classes` to be at least 1, got {classes}.")
    wrong = ((labels < 0) | (labels >= classes)).nonzero()
    if len(wrong):
        first = int(wrong[0])
        raise DataError(
            f"Expected `labels` from 0 to {classes - 1} for {classes} classes, got "
            f"{int(labels[first])} at sample {first}."
        )


def _check_normalisation(samples: Samples) -> None:
    """Refuse a mean and deviation that do not fit each other or the channels."""
    mean, std = samples.mean, samples.std
    if len(mean) != len(std) or not all(value > 0 for value in std):
        raise DataError(f"Expected a positive `std` for every `mean`, got {mean} and {std}.")
    if mean and (samples.inputs.ndim < 2 or samples.inputs.shape[1] != len(mean)):
        raise DataError(
            f"Expected one `mean` for each channel, got {len(mean)} for inputs of shape "
            f"{tuple(samples.inputs.shape)}."
        )
