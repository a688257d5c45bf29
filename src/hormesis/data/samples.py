"""The labelled samples of a study, in memory and checked once."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils._pytree import tree_flatten

from hormesis.data.bounds import UNBOUNDED, Bounds, as_bounds, continuous_part, is_uniform
from hormesis.data.conversion import type_name
from hormesis.data.readers import Progress, read_samples, refuse_non_finite
from hormesis.data.sampling import balanced_order, draw_balanced, draw_random, random_order
from hormesis.data.trees import Tree, count_rows, in_memory, select_rows, tensors_in
from hormesis.errors import DataError

_HASHED = 2**22  # values at a time


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples, labelled or not, whose values lie within declared bounds.

    Args:
        inputs: One row a sample, on the CPU, in input units (pixels: 0 to 1), before any
            normalisation: a tensor, or a structure of tensors, in float32, or integers such as
            token ids.
        labels: Class of each sample, int64, from 0 to ``classes - 1``; or labels of any other kind,
            one row a sample, or None, where ``classes`` is 0.
        bounds: Lowest and highest value that an input may take, also after an attack; by input or
            by value if need be, see ``data.bounds.as_bounds``; None for none.
        classes: Number of classes; 0 for labels that are no classes.
        name: Name of the data set in tables and manifests.
        mean: Per-channel mean that networks for these data expect, or empty.
        std: Per-channel standard deviation that networks for these data expect, or empty.
        places: For samples in random order, such as drawn ones, the index of each in the data set;
            None for samples in the order of the data set.
        stressed: As many samples of a second data set, see ``data.stressed``.

    Raises:
        DataError: For fewer than 2 samples, values that are not finite or not within ``bounds``,
            labels out of range, or parts that do not fit together.

    Example:
        >>> Samples(torch.rand(2, 1, 8, 8), torch.tensor([0, 3]), (0.0, 1.0), 3, "mine")
        Traceback (most recent call last):
        hormesis.errors.DataError: Expected `labels` from 0 to 2 for 3 classes, got 3 at sample 1.
    """

    inputs: Tree
    labels: Tree
    bounds: Any
    classes: int
    name: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    places: Int[Tensor, " samples"] | None = None
    stressed: "Samples | None" = None

    def __post_init__(self) -> None:
        """Check every field."""
        if self.classes < 0:
            raise DataError(f"Expected `classes` to be at least 0, got {self.classes}.")
        check_form(self.inputs, self.labels, classes=self.classes > 0)
        for tensor in tensors_in(self.inputs):
            if tensor.is_floating_point():
                refuse_non_finite(in_memory(tensor))
        object.__setattr__(self, "bounds", as_bounds(self.bounds, self.inputs))
        _check_bounds(self.inputs, self.bounds)
        if self.classes:
            _check_labels(self.labels, self.classes)
        _check_normalisation(self)

    def __len__(self) -> int:
        """Return the number of samples."""
        return count_rows(self.inputs)

    def fingerprint(self) -> str:
        """Return the SHA-256 of inputs, labels and bounds, as 64 hexadecimal digits.

        Two sets have the same fingerprint if shapes, values and bounds agree to the last bit; name,
        number of classes, normalisation and a second data set do not count.
        """
        return self.part_fingerprint(0, len(self))

    def part_fingerprint(self, first: int, end: int) -> str:
        """Return the SHA-256 of the samples from ``first`` up to ``end`` and of the bounds."""
        digest = hashlib.sha256(spelled_bounds(self.bounds).encode())
        parts = (self.inputs, self.labels)
        if not all(isinstance(part, Tensor) for part in parts):
            digest.update(f"|{[str(tree_flatten(part)[1]) for part in parts]}|".encode())
        for part in tensors_in(select_rows(parts, slice(first, end))):
            digest.update(f"|{type_code(part)} {tuple(part.shape)}|".encode())
            # Values that share memory are written out, some at a time.
            for rows in part.detach().split(max(_HASHED // max(part[:1].numel(), 1), 1)):
                digest.update(rows.contiguous().view(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()


def type_code(tensor: Tensor) -> str:
    """Return NumPy's code of a data type, such as ``<f4``, or PyTorch's name where it has none.

    Example:
        >>> type_code(torch.zeros(1)), type_code(torch.zeros(1, dtype=torch.bfloat16))
        ('<f4', 'bfloat16')
    """
    if tensor.dtype == torch.bfloat16:
        return type_name(tensor)
    return tensor[:0].numpy().dtype.str


def spelled_bounds(bounds: Bounds) -> str:
    """Return bounds as text that tells them from all others."""
    if is_uniform(bounds):
        low, high = (float(bound) for bound in bounds)
        return f"bounds {low!r} {high!r}"
    limits = [torch.as_tensor(bound, dtype=torch.float32).tolist() for bound in bounds]
    return f"bounds {limits!r}"


def check_classified(samples: Samples, use: str) -> None:
    """Refuse samples that are not one floating-point tensor with a class number each.

    Args:
        samples: Any samples.
        use: What needs these, for the message.

    Raises:
        DataError: Naming what they are.

    Example:
        >>> check_classified(samples_from((torch.rand(2, 3), torch.rand(2))), "training")
        Traceback (most recent call last):
        hormesis.errors.DataError: Expected a pair (inputs, labels) of one floating-point tensor \
and class numbers for training, got labels that are no class numbers.
    """
    inputs = samples.inputs
    if not isinstance(inputs, Tensor):
        got = f"inputs in a {type(inputs).__name__}"
    elif not inputs.is_floating_point():
        got = f"inputs of {type_name(inputs)}"
    elif not samples.classes:
        got = "no labels" if samples.labels is None else "labels that are no class numbers"
    elif not is_uniform(samples.bounds):
        got = "bounds that are not two numbers"
    else:
        return
    raise DataError(
        "Expected a pair (inputs, labels) of one floating-point tensor and class numbers for "
        f"{use}, got {got}."
    )


def take(samples: Samples, indices: Int[Tensor, " chosen"]) -> Samples:
    """Return the samples at ``indices``, in that order, under the same declarations.

    Example:
        >>> samples = samples_from((torch.rand(3, 4), torch.tensor([0, 1, 2])))
        >>> take(samples, torch.tensor([2, 0])).labels
        tensor([2, 0])
    """
    places = None if samples.places is None else samples.places[indices]
    inputs, labels = select_rows((samples.inputs, samples.labels), indices)
    stressed = None if samples.stressed is None else take(samples.stressed, indices)
    return replace(samples, inputs=inputs, labels=labels, places=places, stressed=stressed)


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
    if order is None:
        balanced = samples.classes > 0
        order = balanced_order(samples.labels, 0) if balanced else random_order(len(samples), 0)
    placed = (
        samples
        if samples.places is not None
        else replace(samples, places=torch.arange(len(samples)))
    )
    return take(placed, order)


def samples_from(
    data: object,
    *,
    bounds: Any = (0.0, 1.0),  # noqa: ANN401
    classes: int | None = None,
    name: str = "custom",
    count: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    label: str | int | None = None,
) -> Samples:
    """Return ``data`` as checked samples in memory.

    Args:
        data: A ``Samples`` (its own declarations stay); a pair (inputs, labels), the inputs a
            tensor, an array, or a tuple or dictionary of these; inputs alone, without labels; a
            batch or table with a column of labels; a list of pairs; a dataset, or a loader, which
            is read once, in its order, also where that order is shuffled.
        bounds: Lowest and highest value that an input may take, in input units: a pair of numbers,
            or of arrays that fit one sample; for several inputs a pair for each, by name or place.
            None declares none.
        classes: Number of classes; by default the highest label plus one, or 0 for labels that are
            no class numbers.
        name: Name of the data set in tables and manifests.
        count: Number of samples to draw, stratified by class, in random order; a smaller draw is
            the beginning of a larger one. By default all are taken, in their order. Of a dataset
            with a ``targets`` list, like torchvision's, only drawn samples are decoded.
        seed: Seed of that draw, at least 0.
        progress: Called with items of a dataset, or batches of a loader, read and in all.
        label: Key, column or place of the labels in batches that are dictionaries, tables or
            tuples; by default ``labels``, ``label``, ``targets``, ``target`` or ``y``, and the last
            of a tuple.

    Returns:
        Inputs in float32 or as integers, labels in int64, or as they are if they are no class
        numbers. They share memory with tensors that had these types.

    Raises:
        DataError: For data of another kind, or for what ``Samples`` refuses.

    Example:
        >>> pair = (torch.rand(6, 3, 8, 8), torch.tensor([0, 1, 2, 0, 1, 2]))
        >>> samples = samples_from(pair, count=3)
        >>> samples.inputs.shape, samples.classes
        (torch.Size([3, 3, 8, 8]), 3)
        >>> tokens = {"input_ids": torch.ones(2, 5, dtype=torch.int64), "labels": torch.zeros(2)}
        >>> samples_from(tokens).inputs
        {'input_ids': tensor([[1, 1, 1, 1, 1],
                [1, 1, 1, 1, 1]])}
    """
    if isinstance(data, Samples):
        samples = data
    else:
        inputs, labels, places = read_samples(data, count, seed, progress, label)
        are_classes = holds_class_numbers(labels)
        check_form(inputs, labels, classes=are_classes)
        if classes is None:
            classes = max(1, int(labels.max()) + 1) if are_classes else 0
        samples = Samples(inputs, labels, bounds, classes, name, places=places)
    if count is None or (samples is not data and samples.places is not None):
        return samples
    if samples.classes:
        return randomize_order(samples, draw_balanced(samples.labels, count, seed))
    return randomize_order(samples, draw_random(len(samples), count, seed))


def holds_class_numbers(labels: Tree) -> bool:
    """Return whether labels are one integer a sample.

    Example:
        >>> holds_class_numbers(torch.tensor([0, 3])), holds_class_numbers(torch.tensor([0.5]))
        (True, False)
    """
    return isinstance(labels, Tensor) and labels.dtype == torch.int64 and labels.ndim == 1


def check_form(inputs: Tree, labels: Tree, *, classes: bool = True) -> None:
    """Refuse anything but tensors on the CPU with one row a sample, of at least two samples.

    Args:
        inputs: A tensor, or a structure of tensors.
        labels: The same, or None.
        classes: Whether the labels have to be class numbers.

    Raises:
        DataError: For another type of value or number, unequal lengths, or fewer than 2 samples.

    Example:
        >>> check_form(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64))
        Traceback (most recent call last):
        hormesis.errors.DataError: Expected at least 2 samples, got a single one.
    """
    tensors = tensors_in(inputs)
    if not tensors:
        raise DataError(
            "Expected `inputs` to be a tensor, or a structure of tensors, got "
            f"{type_name(inputs)}; `samples_from` converts whatever holds numbers."
        )
    for tensor in tensors:
        _check_tensor(
            "inputs", tensor, tensor.dtype == torch.float32 or not tensor.is_floating_point()
        )
    if classes:
        _check_tensor("labels", labels, getattr(labels, "dtype", None) == torch.int64)
    for tensor in tensors_in(labels):
        _check_tensor("labels", tensor, True)
    lengths = {len(tensor) if tensor.ndim else -1 for tensor in (*tensors, *tensors_in(labels))}
    if len(lengths) > 1 or -1 in lengths or (classes and labels.ndim != 1):
        raise DataError(
            "Expected one label for each row of the inputs, got inputs of shape "
            f"{_shapes(inputs)} and labels of shape {_shapes(labels)}."
        )
    if (count := len(tensors[0])) < 2:
        what = "a single one" if count else "an empty set"
        raise DataError(f"Expected at least 2 samples, got {what}.")
    for tensor in tensors:
        if tensor.numel() == 0:
            raise DataError(f"Expected inputs with values, got the shape {tuple(tensor.shape)}.")


def _shapes(tree: Tree) -> str:
    """Return the shape of a tensor, or the shapes in a structure, for a sentence."""
    if isinstance(tree, Tensor):
        return str(tuple(tree.shape))
    return ", ".join(str(tuple(one.shape)) for one in tensors_in(tree)) or "none"


def _check_tensor(what: str, part: object, fits: bool) -> None:
    """Refuse ``part`` unless it is a tensor of a type that fits, in memory."""
    if isinstance(part, Tensor) and fits and part.device.type == "cpu":
        return
    device = f" on {part.device}" if isinstance(part, Tensor) else ""
    expected = "int64" if what == "labels" else "float32 or integers"
    raise DataError(
        f"Expected `{what}` to be a tensor of {expected} on the CPU, got {type_name(part)}{device};"
        " `samples_from` converts whatever holds such numbers."
    )


def _check_bounds(inputs: Tree, bounds: Bounds) -> None:
    """Refuse bounds that do not enclose the inputs."""
    if bounds is UNBOUNDED:
        return
    values = continuous_part(inputs)
    if values is None:
        return
    low, high = bounds
    if not is_uniform(bounds):
        low, high = (torch.as_tensor(limit, dtype=values.dtype) for limit in bounds)
        outside = ((values < low) | (values > high)).flatten(1).any(dim=1).nonzero()
        if len(outside):
            raise DataError(
                f"Expected inputs within the `bounds`, got a value outside them in sample "
                f"{int(outside[0])}."
            )
        return
    least, most = torch.aminmax(values)
    limits = torch.tensor(bounds, dtype=values.dtype)  # as the inputs were: 0.3 is above float32's
    pixels = least >= 0 and 1 < most <= 255 and bool((values == values.round()).all())
    if pixels and (low, high) == (0.0, 1.0):
        raise DataError(
            f"Expected inputs within the bounds (0, 1), got values from {float(least):.6g} to "
            f"{float(most):.6g}: divide pixels of 0 to 255 by 255, or declare the `bounds` that "
            "hold, (-inf, inf) for none."
        )
    if least < limits[0] or most > limits[1]:
        raise DataError(
            f"Expected inputs within the bounds ({low}, {high}), got values from "
            f"{float(least):.6g} to {float(most):.6g}. Declare the `bounds` that hold, (-inf, inf) "
            "for none, scale the inputs, or move their normalisation into the network with "
            "`hormesis.normalized`."
        )


def _check_labels(labels: Int[Tensor, " samples"], classes: int) -> None:
    """Refuse labels outside 0 to ``classes - 1``."""
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
    inputs = samples.inputs
    if mean and (not isinstance(inputs, Tensor) or inputs.ndim < 2 or inputs.shape[1] != len(mean)):
        raise DataError(
            f"Expected one `mean` for each channel, got {len(mean)} for inputs of shape "
            f"{_shapes(inputs)}."
        )
