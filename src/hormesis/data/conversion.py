"""Inputs and labels from whatever holds numbers: tensors, arrays, tables, tuples, dictionaries."""

from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hormesis.data.trees import Tree, tensors_in
from hormesis.errors import DataError, recipe

LABELS = ("labels", "label", "targets", "target", "y")
"""Names under which dictionaries and tables keep their labels."""


def type_name(value: object) -> str:
    """Return the name of the dtype of a tensor or array, or of the type of anything else.

    Example:
        >>> type_name(torch.zeros(2)), type_name([1, 2])
        ('float32', 'list')
    """
    if isinstance(value, Tensor | np.ndarray):
        return str(value.dtype).removeprefix("torch.")
    return type(value).__name__


def split_labels(batch: object, label: str | int | None) -> tuple[Any, Any]:
    """Return the inputs and the labels of a batch, of an item or of a whole table.

    Args:
        batch: A tensor or array, which are inputs alone; a tuple, whose last entry are the labels;
            or a dictionary or table, with a key for them.
        label: Another place or key of the labels.

    Raises:
        DataError: If the batch has no such key or place.

    Example:
        >>> split_labels({"input_ids": [1], "labels": [0]}, None)
        ({'input_ids': [1]}, [0])
        >>> split_labels(("first", "second", "label"), None)
        (('first', 'second'), 'label')
    """
    if isinstance(batch, pd.DataFrame):
        key = _label_key(list(batch.columns), label)
        return (batch, None) if key is None else (batch.drop(columns=[key]), batch[key])
    if isinstance(batch, Mapping):
        key = _label_key(list(batch), label)
        return {name: batch[name] for name in batch if name != key}, (
            None if key is None else batch[key]
        )
    if isinstance(batch, tuple | list) and not _is_numbers(batch):
        place = -1 if label is None else label
        if len(batch) < 2 and label is None:
            return (batch[0] if batch else batch), None
        if not isinstance(place, int) or not -len(batch) <= place < len(batch):
            raise DataError(
                f"Expected the labels at `label` {label!r} of a batch, got a tuple of {len(batch)}."
            )
        rest = [part for at, part in enumerate(batch) if at != place % len(batch)]
        return (rest[0] if len(rest) == 1 else tuple(rest)), batch[place]
    return batch, None


def _label_key(names: Sequence[Any], label: str | int | None) -> Any:  # noqa: ANN401
    """Return the key of the labels among names; None if there is none."""
    if label is None:
        return next((name for name in LABELS if name in names), None)
    if label not in names:
        listed = ", ".join(repr(str(name)) for name in names[:8])
        raise DataError(f"Expected `label` to be one of {listed}, got {label!r}.")
    return label


def _is_numbers(value: Any) -> bool:  # noqa: ANN401
    """Return whether a list holds plain numbers, or lists of them."""
    while isinstance(value, tuple | list) and value:
        value = value[0]
    return isinstance(value, Number)


def as_inputs(values: object) -> Tree:
    """Return inputs as tensors on the CPU: float32, or integers as they are.

    Small integers alone, such as pixels of 8 bits, become float32; whole numbers of 32 or 64 bits
    stay, as token ids do. Texts in a dictionary are left out.

    Raises:
        DataError: If nothing that holds numbers is left, or a number is complex.

    Example:
        >>> as_inputs({"ids": [[1, 2]], "text": ["a b"]})
        {'ids': tensor([[1, 2]])}
    """
    if isinstance(values, pd.DataFrame):
        return _from_array(_table_values(values), "inputs", alone=True)
    if _is_text(values):
        raise DataError(
            "Expected inputs that hold numbers, got texts: tokenise them first, or read the "
            "pictures that they name, as torchvision.transforms.ToTensor() does"
            f"{recipe('text-classifier')}."
        )
    if isinstance(values, Mapping):
        kept = {str(name): part for name, part in values.items() if not _is_text(part)}
        converted = {name: _part(part, f"input {name!r}") for name, part in kept.items()}
        converted = {name: part for name, part in converted.items() if part is not None}
    elif isinstance(values, tuple | list) and not _is_numbers(values):
        converted = tuple(_part(part, f"input {at}") for at, part in enumerate(values))
    else:
        return _from_array(values, "inputs", alone=True)
    if not values:
        raise DataError(f"Expected at least 2 samples, got an empty {type_name(values)}.")
    if not tensors_in(converted):
        raise DataError(
            "Expected inputs that hold numbers, got texts alone: tokenise them first, and pass the "
            f"result{recipe('text-classifier')}."
        )
    return converted


def as_labels(values: object) -> Tree:
    """Return labels as tensors on the CPU: int64, or float32 where they are no integers.

    Raises:
        DataError: If they hold no numbers.

    Example:
        >>> as_labels([1, 0]), as_labels(np.array([0.5]))
        (tensor([1, 0]), tensor([0.5000]))
    """
    if values is None:
        return None
    if isinstance(values, Mapping):
        return {str(name): as_labels(part) for name, part in values.items()}
    if _is_text(values):
        raise DataError(
            "Expected labels that are numbers, got texts: number the classes from 0, as "
            "scikit-learn's LabelEncoder does."
        )
    if isinstance(values, tuple | list) and not _is_numbers(values):
        return tuple(as_labels(part) for part in values)
    if isinstance(values, pd.DataFrame):
        values = _table_values(values)
    tensor = _from_array(values, "labels", alone=False)
    if tensor.is_floating_point():
        return tensor
    return tensor.to(torch.int64)


def _part(value: object, what: str) -> Tree:
    """Return one of several inputs, which may be a structure itself."""
    if value is None or isinstance(value, Mapping):
        return None if value is None else as_inputs(value)
    if isinstance(value, tuple | list) and not _is_numbers(value):
        return tuple(_part(part, what) for part in value)
    return _from_array(value, what, alone=False)


def _is_text(value: object) -> bool:
    while isinstance(value, tuple | list) and value:
        value = value[0]
    if isinstance(value, pd.Series | np.ndarray):
        first = value.reshape(-1)[:1] if isinstance(value, np.ndarray) else value.array[:1]
        return value.dtype.kind in "OUS" and all(isinstance(one, str | bytes) for one in first)
    return isinstance(value, str | bytes)


def _table_values(table: pd.DataFrame) -> np.ndarray:
    wrong = [name for name in table.columns if table[name].dtype.kind not in "fiub"]
    if wrong:
        raise DataError(
            f"Expected columns of numbers, got {str(wrong[0])!r} of type {table[wrong[0]].dtype}: "
            "encode it as numbers, or leave it out."
        )
    return table.to_numpy(dtype=np.float64)


def _from_array(values: object, what: str, *, alone: bool) -> Tensor:
    """Return numbers of any real type as a tensor on the CPU.

    Args:
        values: A tensor, an array, a column of a table, or nested lists.
        what: What they are, for messages.
        alone: Whether they are all of the inputs, so that small integers count as pixels.
    """
    if isinstance(values, Tensor):
        _check_dense(values, what)
        tensor = values.detach().cpu()
    else:
        array = _as_array(values, what)
        if array.dtype.kind not in "fiub":
            raise DataError(
                f"Expected {what} that {'are' if what.endswith('s') else 'is'} real numbers, got "
                f"{type_name(array)}."
            )
        with np.errstate(over="ignore"):  # values too large for float32 are refused as infinite
            native = array.dtype.newbyteorder("=")
            array = array.astype(np.float32 if array.dtype.kind == "f" else native)
        if array.dtype.kind == "u" and array.dtype != np.uint8:
            array = array.astype(np.int64)
        tensor = torch.from_numpy(np.ascontiguousarray(array))
    if tensor.is_complex() or (alone and tensor.dtype == torch.bool):
        raise DataError(f"Expected {what} that are real numbers, got {type_name(tensor)}.")
    if tensor.is_floating_point() or (alone and tensor.dtype not in (torch.int32, torch.int64)):
        return tensor.to(torch.float32).contiguous()
    return tensor.contiguous()


def _check_dense(tensor: Tensor, what: str) -> None:
    """Refuse a tensor that does not hold its values one after the other."""
    if tensor.is_meta:
        raise DataError(f"Expected {what} with values, got a tensor on the device 'meta'.")
    for kind, found, remedy in (
        ("nested", tensor.is_nested, "pad it with `to_padded_tensor`"),
        ("sparse", tensor.layout != torch.strided, "pass its `to_dense()`"),
        ("quantised", tensor.is_quantized, "pass its `dequantize()`"),
    ):
        if found:
            raise DataError(f"Expected {what} of plain tensors, got a {kind} one: {remedy}.")


def _as_array(values: object, what: str) -> np.ndarray:
    if isinstance(values, pd.Series):
        return values.to_numpy()
    if not isinstance(values, np.ndarray | list | tuple):
        kind = type_name(values)
        raise DataError(
            f"Expected {what} to be tensors or arrays, got {kind}{transform_hint(kind)}."
        )
    try:
        return np.asarray(values)
    except ValueError as error:
        raise DataError(
            f"Expected {what} of one shape, got lists of different lengths: pad or cut them."
        ) from error


def transform_hint(kinds: str) -> str:
    """Return the remedy for pictures among types of inputs, as the end of a sentence."""
    if "Image" not in kinds:
        return ""
    return "; images need a transform such as torchvision.transforms.ToTensor()"
