"""Training samples, batch by batch, in an order that the seed and the epoch decide alone."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from hormesis.data.image_array import Pixels

Transform = Callable[[Tensor], Tensor]
_ORDER, _CHANGE, _STEP = range(3)  # keep the draws made with one seed apart


def derived_seed(*parts: int) -> int:
    """Return a seed of 63 bits that depends on all parts, and on nothing else.

    Args:
        parts: Numbers of at least 0.

    Example:
        >>> derived_seed(1, 2) == derived_seed(1, 2), derived_seed(1, 2) == derived_seed(2, 1)
        (True, False)
    """
    (state,) = np.random.SeedSequence(parts).generate_state(1, np.uint64)
    return int(state) >> 1


def step_seed(seed: int, step: int) -> int:
    """Return the seed of what a network draws at random in one step, such as dropout."""
    return derived_seed(_STEP, seed, step)


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
    generator = torch.Generator().manual_seed(derived_seed(_ORDER, seed, epoch))
    return torch.randperm(count, generator=generator)


class _Whole(Sampler[Tensor]):
    """Yields the indices of one whole batch after the other."""

    def __init__(self, order: Tensor, batch: int) -> None:
        batches = list(order.split(batch))
        if batch > 1 and len(batches) > 1 and len(batches[-1]) == 1:
            # Batch normalisation has no statistics of a single sample: it joins those before it.
            batches[-2:] = [torch.cat(batches[-2:])]
        self._batches = batches

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


class _Prepared(Dataset[tuple[Tensor, Tensor]]):
    """Returns inputs and labels of a whole batch, the inputs changed at random."""

    def __init__(
        self, pixels: Pixels, transforms: Sequence[Transform], seed: int, epoch: int
    ) -> None:
        self._pixels = pixels
        self._transforms = transforms
        self._seed = (_CHANGE, seed, epoch)

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        inputs, labels = self._pixels.batch(chosen)
        if self._transforms:
            inputs = augmented(inputs, chosen, self._transforms, self._seed)
        return inputs, labels


def augmented(
    inputs: Float[Tensor, " batch *shape"],
    numbers: Int[Tensor, " batch"],
    transforms: Sequence[Transform],
    seed: Sequence[int],
) -> Float[Tensor, " batch *changed"]:
    """Return the inputs, each changed by draws that its number and the seed decide alone.

    Transforms draw from PyTorch's global generator, which is as it was afterwards.

    Args:
        inputs: Images in input units.
        numbers: Number of each sample in its data set.
        transforms: What changes one image after the other; no batch is needed.
        seed: What else decides.
    """
    changed = []
    with torch.random.fork_rng(devices=[]):
        for image, number in zip(inputs, numbers.tolist(), strict=True):
            torch.default_generator.manual_seed(derived_seed(*seed, number))
            for transform in transforms:
                image = transform(image)
            changed.append(image)
    return torch.stack(changed)


def training_loader(
    pixels: Pixels,
    *,
    batch: int,
    seed: int,
    epoch: int,
    transforms: Sequence[Transform] = (),
    loaders: int = 0,
) -> DataLoader[Any]:
    """Return the batches of one epoch, the same for any number of processes that prepare them."""
    order = epoch_order(len(pixels), seed=seed, epoch=epoch)
    prepared = _Prepared(pixels, transforms, seed, epoch)
    return DataLoader(prepared, batch_size=None, sampler=_Whole(order, batch), num_workers=loaders)


def plain_loader(pixels: Pixels, *, batch: int) -> DataLoader[Any]:
    """Return all samples, unchanged and in their order, in batches."""
    prepared = _Prepared(pixels, (), 0, 0)
    return DataLoader(prepared, batch_size=None, sampler=_Whole(torch.arange(len(pixels)), batch))
