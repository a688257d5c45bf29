"""Reading inputs and labels from tensors, arrays, tables, datasets and loaders."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from os import PathLike
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, default_collate

from hormesis.data.conversion import (
    as_inputs,
    as_labels,
    split_labels,
    transform_hint,
    type_name,
)
from hormesis.data.sampling import draw_balanced
from hormesis.data.trees import Tree, count_rows, join_rows, tensors_in
from hormesis.errors import DataError, HormesisError, quoted, recipe

Progress = Callable[[int, int], None]
"""Called with the amount done and the total (0: unknown)."""

Inputs = Float[Tensor, " samples *shape"]
Labels = Int[Tensor, " samples"]
_ITEMS = 256  # of a dataset that are put together at a time


def read_samples(
    data: object,
    count: int | None,
    seed: int,
    progress: Progress | None,
    label: str | int | None = None,
) -> tuple[Tree, Tree, Tensor | None]:
    """Return inputs, labels and, for a drawn subset, the index of each sample.

    Args:
        data: A tensor or array; a pair of inputs and labels; a dictionary or table; a list of
            pairs; a dataset or a loader.
        count: Number of samples to draw, or None for all. Only datasets that list their labels are
            drawn from here, reading just the drawn samples; the caller draws from all others.
        seed: Seed of the draw, at least 0.
        progress: Called with items of a dataset, or batches of a loader, read and in all.
        label: Key or place of the labels, see ``split_labels``.

    Raises:
        DataError: For anything else, and for items that differ in structure or shape.
    """
    if isinstance(data, DataLoader):
        total = 0 if isinstance(data.dataset, IterableDataset) else len(data)
        batches = _read(data, "batch")
        return *_join(_converted(batches, label, progress, total), "batch"), None
    if isinstance(data, tuple) and len(data) == 2 and label is None:
        return as_inputs(data[0]), as_labels(data[1]), None
    if isinstance(data, list) and len(data) == 2 and isinstance(data[0], Tensor | np.ndarray):
        return as_inputs(data[0]), as_labels(data[1]), None
    if isinstance(data, Mapping | tuple | pd.DataFrame | Tensor | np.ndarray):
        inputs, labels = split_labels(data, label)
        return as_inputs(inputs), as_labels(labels), None
    if _has_items(data):
        return _read_dataset(data, count, seed, progress, label)
    if isinstance(data, Iterable | Dataset) and not isinstance(data, str | bytes):
        items = _read(cast(Iterable[Any], data), "item")
        return *_join(_converted(_collated(items), label, progress, 0), "batch"), None
    if isinstance(data, str | PathLike):
        raise DataError(
            f"Expected a pair (inputs, labels), a Dataset or a DataLoader, got the text or path "
            f"{str(data)!r}: `hormesis.load_data` reads folders of pictures, and data sets by name."
        )
    raise DataError(
        "Expected a pair (inputs, labels) of tensors or arrays, a dictionary or table of them, a "
        f"Dataset, a DataLoader or Samples, got {type(data).__name__}{recipe('forms-of-data')}."
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


def _has_items(data: object) -> bool:
    """Return whether data have numbered items, and say how many."""
    if isinstance(data, str | IterableDataset):
        return False
    return hasattr(data, "__getitem__") and hasattr(data, "__len__")


def _read_dataset(
    dataset: Any,  # noqa: ANN401  (whatever has items and a length)
    count: int | None,
    seed: int,
    progress: Progress | None,
    label: str | int | None,
) -> tuple[Tree, Tree, Tensor | None]:
    """Return inputs, labels and, for a drawn subset, the index of each."""
    numbers, places = list(range(len(dataset))), None
    labels_of_all = None if count is None else _known_labels(dataset)
    if labels_of_all is not None and count is not None:
        places = draw_balanced(labels_of_all, count, seed)
        numbers = places.tolist()
    if not numbers:
        raise DataError("Expected at least 2 samples, got an empty set.")
    chosen = _read((dataset[number] for number in numbers), "item", numbers)
    items = _counted(chosen, len(numbers), progress)
    inputs, labels = _join(_converted(_collated(items, numbers), label, None, 0), "item", numbers)
    for tensor in tensors_in(inputs):
        if tensor.is_floating_point() and tensor.numel():
            refuse_non_finite(tensor, numbers)
    return inputs, labels, places


def _read(items: Iterable[Any], noun: str, numbers: Sequence[int] = ()) -> Iterator[Any]:
    """Yield the items of a dataset, or the batches of a loader, whose own code may fail.

    Raises:
        DataError: If it does, naming the item or batch.
    """
    done = 0
    try:
        for item in items:
            yield item
            done += 1
    except (HormesisError, OSError, MemoryError):
        raise
    except Exception as error:  # anything may come out of code that is not ours
        number = numbers[done] if numbers else done
        raise DataError(
            f"The data cannot be read: {noun} {number} failed with {quoted(error)}"
        ) from error


def _counted(items: Iterator[Any], total: int, progress: Progress | None) -> Iterator[Any]:
    for done, item in enumerate(items, start=1):
        yield item
        if progress:
            progress(done, total)


def _collated(items: Iterable[Any], numbers: Sequence[int] = ()) -> Iterator[Any]:
    """Yield items put together, some hundred at a time.

    Raises:
        DataError: If they differ in structure or shape, naming the first that does.
    """
    kind, shape, seen, waiting = None, None, 0, iter(items)
    while some := list(islice(waiting, _ITEMS)):
        if kind is None:
            kind, shape = type(some[0]), _shapes(some[0])
        for number, item in enumerate(some, start=seen):
            _check_alike(kind, shape, item, numbers[number] if numbers else number)
        seen += len(some)
        try:
            yield default_collate([_as_tensors(item) for item in some])
        except (TypeError, ValueError, RuntimeError, KeyError, AttributeError) as error:
            kinds = _kinds(some[0])
            hint = transform_hint(kinds) or (
                "" if isinstance(error, TypeError) else f": {quoted(error).rstrip('.')}"
            )
            raise DataError(
                "Expected items that are numbers, tensors or arrays, or tuples and dictionaries of "
                f"these, got {kinds}{hint}."
            ) from error


def _check_alike(kind: type, shape: Any, item: Any, number: int) -> None:  # noqa: ANN401
    """Refuse an item of another structure or shape than the first one's."""
    own = _shapes(item)
    if type(item) is not kind or own != shape:
        raise DataError(
            f"Expected every item to be of the shape {shape}, as the first is, got "
            f"{type(item).__name__} of {own} for item {number}: pad or resize them."
        )


def _shapes(item: Any) -> Any:  # noqa: ANN401
    """Return the shape of an item, or those of its parts."""
    if isinstance(item, Mapping):
        return {str(name): _shapes(part) for name, part in item.items()}
    if isinstance(item, tuple):
        return tuple(_shapes(part) for part in item)
    if isinstance(item, list):
        return (len(item),)
    return tuple(item.shape) if isinstance(item, Tensor | np.ndarray) else ()


def _as_tensors(item: Any) -> Any:  # noqa: ANN401
    """Return an item with lists of numbers as tensors, which would be taken apart otherwise."""
    if isinstance(item, Mapping):
        return {str(name): _as_tensors(part) for name, part in item.items()}
    if isinstance(item, tuple):
        return tuple(_as_tensors(part) for part in item)
    if isinstance(item, list) and item and isinstance(item[0], int | float | list):
        return torch.as_tensor(item)
    return item


def _kinds(item: Any) -> str:  # noqa: ANN401
    if isinstance(item, tuple | list):
        return f"({', '.join(type_name(part) for part in item)})"
    return type_name(item)


def _converted(
    batches: Iterable[Any], label: str | int | None, progress: Progress | None, total: int
) -> Iterator[tuple[Tree, Tree]]:
    """Yield inputs and labels of each batch, as tensors."""
    for number, batch in enumerate(batches, start=1):
        inputs, labels = split_labels(batch, label)
        yield as_inputs(inputs), as_labels(labels)
        if progress:
            progress(number, total)


def _join(
    batches: Iterable[tuple[Tree, Tree]], noun: str, numbers: Sequence[int] = ()
) -> tuple[Tree, Tree]:
    """Return all batches, one after the other.

    Raises:
        DataError: If there are none, or they differ in structure or shape.
    """
    every = list(batches)
    if not every:
        raise DataError("Expected at least 2 samples, got an empty set.")
    first = every[0]
    for number, (inputs, labels) in enumerate(every):
        own, expected = ([_form(part) for part in pair] for pair in ((inputs, labels), first))
        if own != expected or (labels is not None and count_rows(inputs) != count_rows(labels)):
            raise DataError(
                f"Expected every {noun} to hold inputs and labels of the shapes {expected}, one "
                f"label for each input, got {own} in {noun} {number}."
            )
    return join_rows([inputs for inputs, _ in every]), join_rows([labels for _, labels in every])


def _form(tree: Tree) -> Any:  # noqa: ANN401
    """Return the shape of one sample, or of each part of it."""
    if isinstance(tree, Mapping):
        return {name: _form(part) for name, part in tree.items()}
    if isinstance(tree, tuple | list):
        return tuple(_form(part) for part in tree)
    return tuple(tree.shape[1:]) if isinstance(tree, Tensor) else None


def _known_labels(dataset: Any) -> Labels | None:  # noqa: ANN401
    """Return the labels that a dataset lists as ``targets``, if it does."""
    if isinstance(dataset, Subset):
        labels = _known_labels(dataset.dataset)
        return None if labels is None else labels[list(dataset.indices)]
    targets = getattr(dataset, "targets", None)
    if isinstance(targets, list) and all(isinstance(target, int) for target in targets):
        targets = torch.tensor(targets)
    if not isinstance(targets, Tensor | np.ndarray) or targets.shape != (len(dataset),):
        return None
    return as_labels(targets)
