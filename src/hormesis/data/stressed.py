"""A second data set as the stressed one: corrupted, from another domain, with triggers.

It is paired, each of its samples the stressed version of the one at the same place, or independent,
another set of samples. Measured are pairs in either case. Pairs of independent samples are drawn at
random, so that the covariance of their outcomes has the expectation 0: standard errors of a
difference, the bootstrap and confidence sequences, which see pairs, are then right as they are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten

from hormesis.data.conversion import type_name
from hormesis.data.corruptions import Corruption
from hormesis.data.samples import Samples, holds_class_numbers, take
from hormesis.data.sampling import draw_balanced, draw_random, random_order
from hormesis.data.trees import Tree, select_rows, tensors_in
from hormesis.errors import DataError
from hormesis.settings.attacks import INDEPENDENT, PAIRED, Given

_STRESSED, _CLEAN = 1, 0  # seeds of the orders of independent samples


@dataclass(frozen=True)
class StressedPairs:
    """Samples with those of a second data set.

    Args:
        samples: With as many ``stressed`` ones.
        given: What the manifest says of the second data set.
        notes: What a reader has to know, in sentences.
    """

    samples: Samples
    given: Given
    notes: tuple[str, ...] = ()


def pair_samples(
    samples: Samples,
    data: Any,  # noqa: ANN401
    pairing: str,
    read: Callable[..., Samples],
) -> StressedPairs:
    """Return samples with those of a second data set.

    Args:
        samples: The clean ones.
        data: The second data set, or a ``Corruption`` of the first.
        pairing: One of ``settings.attacks.PAIRINGS``.
        read: ``samples_from``, of data and ``bounds``.

    Raises:
        DataError: One sentence on what does not fit.
    """
    if samples.stressed is not None:
        raise DataError("Expected the stressed samples as `stressed`, not within `data`.")
    if isinstance(data, Corruption):
        if pairing != PAIRED:
            raise DataError(
                f"Expected `pairing` {PAIRED!r} for the corruption {data.name!r}, whose samples "
                f"are those of the data, got {pairing!r}."
            )
        stressed = data.apply(samples)
    else:
        stressed = _read_second(samples, data, read)
    given = Given(stressed.name, stressed.fingerprint(), pairing)
    _check_alike(samples, stressed)
    if pairing == PAIRED:
        stressed = _at_same_places(samples, stressed)
        notes = _differing_labels(samples, stressed)
    else:
        samples, stressed, notes = _draw_pairs(samples, stressed)
    return StressedPairs(
        replace(samples, stressed=replace(stressed, places=samples.places)), given, notes
    )


def _read_second(samples: Samples, data: Any, read: Callable[..., Samples]) -> Samples:  # noqa: ANN401
    """Return a second data set under the declarations of the first."""
    try:
        stressed = data if isinstance(data, Samples) else read(data, bounds=None, name="stressed")
        if samples.classes and not holds_class_numbers(stressed.labels):
            raise DataError(
                "Expected class numbers as labels, like those of the data, got "
                f"{type_name(stressed.labels)}."
            )
        return replace(
            stressed, bounds=samples.bounds, classes=samples.classes, mean=(), std=(), stressed=None
        )
    except DataError as error:
        text = str(error)
        raise DataError(f"The stressed data do not fit: {text[:1].lower()}{text[1:]}") from error


def _check_alike(samples: Samples, stressed: Samples) -> None:
    """Refuse stressed samples of another form than the clean ones."""
    for what, one, other in (
        ("inputs", samples.inputs, stressed.inputs),
        ("labels", samples.labels, stressed.labels),
    ):
        if _form(one) != _form(other):
            raise DataError(
                f"Expected stressed {what} of the same form as those of the data, "
                f"{_spell(one)}, got {_spell(other)}."
            )


def _form(tree: Tree) -> tuple[Any, list[Any]]:
    """Return what has to agree: the structure, and type and shape of one sample's tensors."""
    return tree_flatten(tree)[1], [(one.dtype, one.shape[1:]) for one in tensors_in(tree)]


def _spell(tree: Tree) -> str:
    parts = [f"{type_name(one)} of shape {list(one.shape[1:])}" for one in tensors_in(tree)]
    return " and ".join(parts) + " a sample" if parts else "none"


def _at_same_places(samples: Samples, stressed: Samples) -> Samples:
    """Return the stressed version of each sample.

    Of drawn samples, those with the same index in the data set, if it is there as a whole.
    """
    count, places = len(samples), samples.places
    if len(stressed) == count:
        others = stressed.places
        if places is not None and others is not None and not torch.equal(places, others):
            raise DataError(
                "Expected the stressed samples in the order of the data, got others of the data "
                f"set: draw both with the same seed, or say `pairing` {INDEPENDENT!r}."
            )
        return stressed
    if places is not None and stressed.places is None and int(places.max()) < len(stressed):
        return take(stressed, places)
    raise DataError(
        f"Expected as many stressed samples as there are in the data, {count}, sample by sample, "
        f"got {len(stressed)}: pass the stressed version of each, or, if they are other samples, "
        f"`pairing` {INDEPENDENT!r}."
    )


def _differing_labels(samples: Samples, stressed: Samples) -> tuple[str, ...]:
    """Return a note if stressed samples have other classes than those that they belong to."""
    if not samples.classes:
        return ()
    differing = int((samples.labels != stressed.labels).sum())
    if not differing:
        return ()
    return (
        f"{differing} of {len(samples)} stressed samples have another label than the samples at "
        f"their places, as after a change of labels; other samples need `pairing` {INDEPENDENT!r}.",
    )


def _draw_pairs(samples: Samples, stressed: Samples) -> tuple[Samples, Samples, tuple[str, ...]]:
    """Return pairs of independent samples, as many as the smaller set has.

    The order of the second set has nothing to do with that of the first.
    """
    sizes: Sequence[int] = len(samples), len(stressed)
    count = min(sizes)
    notes: tuple[str, ...] = ()
    if len(samples) > count:
        notes = (_LEFT_OUT.format(count=count, of="the data", size=sizes[0]),)
        if samples.classes:
            order = draw_balanced(samples.labels, count, _CLEAN)
        else:
            order = draw_random(len(samples), count, _CLEAN)
        places = torch.arange(len(samples)) if samples.places is None else samples.places
        samples = take(replace(samples, places=places), order)
    elif len(stressed) > count:
        notes = (_LEFT_OUT.format(count=count, of="the stressed data", size=sizes[1]),)
    order: Tensor = random_order(len(stressed), _STRESSED)[:count]
    return samples, take(replace(stressed, places=None), order), notes


_LEFT_OUT = (
    "{count} of {size} samples of {of}, drawn at random, were measured: as many as the other set "
    "has."
)


def sample_trees(samples: Samples, rows: slice) -> Tree:
    """Return inputs and labels of some samples, and those of a second data set or None."""
    stressed = None if samples.stressed is None else sample_trees(samples.stressed, rows)
    return *select_rows((samples.inputs, samples.labels), rows), stressed


def with_trees(samples: Samples, trees: Tree) -> Samples:
    """Return samples with the values of others, under the same declarations.

    Args:
        samples: Their declarations.
        trees: From ``sample_trees``.
    """
    inputs, labels, rest = trees
    stressed = None if samples.stressed is None else with_trees(samples.stressed, rest)
    return replace(samples, inputs=inputs, labels=labels, places=None, stressed=stressed)
