"""Batches of training samples, in an order that depends on the seed and the epoch alone."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from hormesis.data.image_array import ImageArray

Transform = Callable[[Tensor], Tensor]
_ORDER, _CHANGE, _STEP = range(3)  # keep the draws made with one seed apart


def derive_seed(*parts: int) -> int:
    """Return a seed of 63 bits that depends on all parts, and on nothing else.

    Args:
        parts: Numbers of at least 0.

    Example:
        >>> derive_seed(1, 2) == derive_seed(1, 2), derive_seed(1, 2) == derive_seed(2, 1)
        (True, False)
    """
    (state,) = np.random.SeedSequence(parts).generate_state(1, np.uint64)
    return int(state) >> 1


def step_seed(seed: int, step: int) -> int:
    """Return the seed of the random draws of a network in one step, such as dropout."""
    return derive_seed(_STEP, seed, step)


def epoch_order(count: int, *, seed: int, epoch: int) -> Int[Tensor, " count"]:
    """Return the order of the samples in an epoch.

    Args:
        count: Number of samples.
        seed: Seed of the training.
        epoch: Number of the epoch, from 0.

    Example:
        >>> sorted(epoch_order(5, seed=1, epoch=0).tolist())
        [0, 1, 2, 3, 4]
    """
    generator = torch.Generator().manual_seed(derive_seed(_ORDER, seed, epoch))
    return torch.randperm(count, generator=generator)


class _BatchSampler(Sampler[Tensor]):
    """Yields the indices of one batch after the other."""

    def __init__(self, order: Tensor, batch_size: int) -> None:
        batches = list(order.split(batch_size))
        if batch_size > 1 and len(batches) > 1 and len(batches[-1]) == 1:
            # Batch normalisation needs more than one sample: a last single one joins its neighbour.
            batches[-2:] = [torch.cat(batches[-2:])]
        self._batches = batches

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


class _BatchDataset(Dataset[tuple[Tensor, Tensor]]):
    """Returns the augmented inputs and the labels of a whole batch."""

    def __init__(
        self, images: ImageArray, transforms: Sequence[Transform], seed: int, epoch: int
    ) -> None:
        self._images = images
        self._transforms = transforms
        self._seed = (_CHANGE, seed, epoch)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        inputs, labels = self._images.batch(chosen)
        if self._transforms:
            inputs = augment_batch(inputs, chosen, self._transforms, self._seed)
        return inputs, labels


def augment_batch(
    inputs: Float[Tensor, " batch *shape"],
    numbers: Int[Tensor, " batch"],
    transforms: Sequence[Transform],
    seed: Sequence[int],
) -> Float[Tensor, " batch *changed"]:
    """Return the inputs after random transforms that depend on sample and seed alone.

    Transforms draw from PyTorch's global generator, whose state is restored afterwards.

    Args:
        inputs: Images in input units.
        numbers: Number of each sample in its data set.
        transforms: Applied to one image at a time.
        seed: Combined with the number of each sample.
    """
    changed = []
    with torch.random.fork_rng(devices=[]):
        for image, number in zip(inputs, numbers.tolist(), strict=True):
            torch.default_generator.manual_seed(derive_seed(*seed, number))
            for transform in transforms:
                image = transform(image)
            changed.append(image)
    return torch.stack(changed)


def training_loader(
    images: ImageArray,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    transforms: Sequence[Transform] = (),
    num_workers: int = 0,
) -> DataLoader[Any]:
    """Return the batches of one epoch, which do not depend on the number of workers."""
    order = epoch_order(len(images), seed=seed, epoch=epoch)
    return DataLoader(
        _BatchDataset(images, transforms, seed, epoch),
        batch_size=None,
        sampler=_BatchSampler(order, batch_size),
        num_workers=num_workers,
    )


def plain_loader(images: ImageArray, *, batch_size: int) -> DataLoader[Any]:
    """Return all samples, unchanged and in their order, in batches."""
    sampler = _BatchSampler(torch.arange(len(images)), batch_size)
    return DataLoader(_BatchDataset(images, (), 0, 0), batch_size=None, sampler=sampler)
