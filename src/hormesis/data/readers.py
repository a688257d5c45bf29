"""Reading inputs and labels from tensors, arrays, datasets and loaders."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset

from hormesis.data.sampling import draw_balanced
from hormesis.errors import DataError

Progress = Callable[[int, int], None]
"""Called with the amount done and the total (0: unknown)."""

Inputs = Float[Tensor, " samples *shape"]
Labels = Int[Tensor, " samples"]


def read_samples(
    data: object, count: int | None, seed: int, progress: Progress | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return float32 inputs, int64 labels and, for a drawn subset, the index of each sample.

    Args:
        data: A pair of tensors or arrays, a map-style dataset or a loader.
        count: Number of samples to draw, or None for all. Only datasets that list their labels are
            drawn from here, reading just the drawn samples; the caller draws from all others.
        seed: Seed of the draw, at least 0.
        progress: Called with items of a dataset, or batches of a loader, read and in all.

    Raises:
        DataError: For anything else, and for items that are not pairs of numbers of one shape.
    """
    if isinstance(data, Dataset):
        return _read_dataset(data, count, seed, progress)
    if isinstance(data, DataLoader):
        return *_read_loader(data, progress), None
    if isinstance(data, tuple | list) and len(data) == 2:
        inputs, labels = data
        if isinstance(inputs, Tensor | np.ndarray) and isinstance(labels, Tensor | np.ndarray):
            return _as_inputs(inputs), _as_labels(labels), None
    raise DataError(
        "Expected a pair (inputs, labels) of tensors or arrays, a map-style Dataset, a DataLoader "
        f"or Samples, got {type(data).__name__}."
    )


def refuse_non_finite(inputs: Inputs, numbers: Sequence[int] | None = None) -> None:
    """Refuse NaN and infinity, naming the first sample that has one.

    Args:
        inputs: One row a sample, at least one value.
        numbers: The user's number of each sample; by default its row.

    Raises:
        DataError: If any value is not finite.

    Example:
        >>> refuse_non_finite(torch.tensor([[0.0], [float("nan")]]))
        Traceback (most recent call last):
        hormesis.errors.DataError: Expected finite inputs, got NaN in sample 1 (1 such samples).
    """
    extremes = torch.aminmax(inputs)  # NaN carries over to both
    if math.isfinite(extremes.min) and math.isfinite(extremes.max):
        return
    broken = ~torch.isfinite(inputs.reshape(len(inputs), -1)).all(dim=1)
    row = int(broken.nonzero()[0])
    raise DataError(
        f"Expected finite inputs, got {'NaN' if inputs[row].isnan().any() else 'infinity'} in "
        f"sample {row if numbers is None else numbers[row]} ({int(broken.sum())} such samples)."
    )


def type_name(value: object) -> str:
    """Return the name of the dtype of a tensor or array, or of the type of anything else.

    Example:
        >>> type_name(torch.zeros(2)), type_name([1, 2])
        ('float32', 'list')
    """
    if isinstance(value, Tensor | np.ndarray):
        return str(value.dtype).removeprefix("torch.")
    return type(value).__name__


def _as_inputs(values: Tensor | np.ndarray) -> Float[Tensor, "..."]:
    """Return numbers of any real type as float32 on the CPU."""
    if isinstance(values, np.ndarray):
        if values.dtype.kind not in "fiu":
            raise DataError(f"Expected inputs that are real numbers, got {type_name(values)}.")
        with np.errstate(over="ignore"):  # values too large for float32 are refused as infinite
            return torch.from_numpy(np.array(values, dtype=np.float32))
    if values.is_complex() or values.dtype == torch.bool:
        raise DataError(f"Expected inputs that are real numbers, got {type_name(values)}.")
    return values.detach().to("cpu", torch.float32).contiguous()


def _as_labels(values: object) -> Int[Tensor, "..."]:
    """Return labels of any integer type as int64 on the CPU."""
    if isinstance(values, Tensor):
        is_integer = not (values.is_floating_point() or values.is_complex())
        if values.numel() == 0 or (is_integer and values.dtype != torch.bool):
            return values.detach().to("cpu", torch.int64)
    elif isinstance(values, int | np.integer | np.ndarray):
        array = np.asarray(values)
        if array.size == 0 or array.dtype.kind in "iu":
            return torch.from_numpy(np.array(array, dtype=np.int64))
    raise DataError(f"Expected integer labels, one class number a sample, got {type_name(values)}.")


def _read_dataset(
    dataset: Dataset[Any], count: int | None, seed: int, progress: Progress | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return inputs, labels and, for a drawn subset, the index of each."""
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise DataError(
            f"Expected a map-style Dataset, got {type(dataset).__name__}; wrap it in a DataLoader."
        )
    total = _length(dataset)
    numbers, places = list(range(total)), None
    labels_of_all = None if count is None else _known_labels(dataset)
    if labels_of_all is not None and count is not None:
        places = draw_balanced(labels_of_all, count, seed)
        numbers = places.tolist()
    inputs, labels = torch.empty(0), torch.empty(len(numbers), dtype=torch.int64)
    for row, number in enumerate(numbers):
        value, label = _as_pair(dataset[number], f"item {number}")
        if row == 0:
            inputs = torch.empty(len(numbers), *value.shape)
        if value.shape != inputs.shape[1:] or label.numel() != 1:
            raise DataError(
                f"Expected every item to be of the shape {tuple(inputs.shape[1:])} with one label, "
                f"as item {numbers[0]} is, got {tuple(value.shape)} with {label.numel()} label(s) "
                f"for item {number}."
            )
        inputs[row], labels[row] = value, label.reshape(())
        if progress:
            progress(row + 1, len(numbers))
    if inputs.numel():
        refuse_non_finite(inputs, numbers)
    return inputs, labels, places


def _length(dataset: Dataset[Any]) -> int:
    """Return the number of items of a map-style dataset; torch declares no ``__len__``."""
    return len(dataset)  # pyright: ignore[reportArgumentType]


def _known_labels(dataset: Dataset[Any]) -> Labels | None:
    """Return the labels that a dataset lists as ``targets``, if it does."""
    if isinstance(dataset, Subset):
        labels = _known_labels(dataset.dataset)
        return None if labels is None else labels[list(dataset.indices)]
    targets = getattr(dataset, "targets", None)
    if isinstance(targets, list) and all(isinstance(target, int) for target in targets):
        targets = torch.tensor(targets)
    if not isinstance(targets, Tensor | np.ndarray) or targets.shape != (_length(dataset),):
        return None
    return _as_labels(targets)


def _as_pair(item: object, where: str) -> tuple[Tensor, Tensor]:
    """Return input and label of an item, or inputs and labels of a batch."""
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise DataError(f"Expected pairs (input, label), got {type(item).__name__} as {where}.")
    value, label = item
    if not isinstance(value, Tensor | np.ndarray):
        raise DataError(
            f"Expected the input of {where} to be a tensor, got {type(value).__name__}; images "
            "need a transform such as torchvision.transforms.ToTensor()."
        )
    return _as_inputs(value), _as_labels(label)


def _read_loader(loader: DataLoader[Any], progress: Progress | None) -> tuple[Tensor, Tensor]:
    """Return all batches of a loader, one after the other."""
    total = 0 if isinstance(loader.dataset, IterableDataset) else len(loader)
    batches: list[tuple[Tensor, Tensor]] = []
    for number, batch in enumerate(loader):
        inputs, labels = _as_pair(batch, f"batch {number}")
        first = batches[0][0] if batches else inputs
        if inputs.ndim < 1 or inputs.shape[1:] != first.shape[1:] or labels.ndim != 1:
            raise DataError(
                f"Expected batches of inputs of the shape {tuple(first.shape[1:])} with one label "
                f"each, got {tuple(inputs.shape)} and {tuple(labels.shape)} in batch {number}."
            )
        batches.append((inputs, labels))
        if progress:
            progress(number + 1, total)
    if not batches:
        return torch.empty(0), torch.empty(0, dtype=torch.int64)
    return torch.cat([inputs for inputs, _ in batches]), torch.cat(
        [labels for _, labels in batches]
    )
