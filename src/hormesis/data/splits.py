"""A data set in two parts: what a network is trained on, and what it is validated on."""

from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from hormesis.data.datasets import NAMED_DATASETS, Parts, Request, Stages, load_data
from hormesis.data.image_array import ImageArray, image_array_from
from hormesis.data.sampling import draw_stratified
from hormesis.errors import DataError, unknown

SPLITS = ("standard", "paper", "paper-80")
# Of 110,000 labelled images in all, the paper validates on 10,000 or 20,000 and trains on 90,000
# or 80,000 (METHOD, section 7): shares of the whole in elevenths.
_ELEVENTHS = {"paper": (9, 1), "paper-80": (8, 2)}
_HELD_OUT = 10  # one in so many, where a data set has no validation part of its own


def load_parts(
    name: str,
    *,
    root: Path | None = None,
    split: str = "standard",
    seed: int = 0,
    download: bool = False,
    progress: Stages = lambda stage, done, total: None,
) -> Parts:
    """Return both parts of a data set.

    Args:
        name: What ``load_data`` takes. Of a folder of images, and of ``module:attribute``, a
            seeded and stratified tenth is held out for validation.
        root: Folder of the named sets; by default what ``HORMESIS_DATA`` names.
        split: ``"standard"`` for the parts that the data set comes in; ``"paper"`` pools all
            labelled images of Tiny ImageNet and draws 10,000 to validate and 90,000 to train on,
            ``"paper-80"`` draws 20,000 and 80,000.
        seed: Seed of what is drawn, at least 0.
        download: Fetch a named set that is not in ``root``.
        progress: Called with a stage, the work done and in all.

    Raises:
        DataError: If the set is unknown, missing, incomplete or damaged, or has no such split.

    Example:
        >>> parts = load_parts("digits")
        >>> len(parts.train), len(parts.validation)
        (1617, 180)
    """
    if split not in SPLITS:
        raise DataError(unknown("split", split, SPLITS))
    dataset, request = NAMED_DATASETS.get(name), Request(name, root, download, progress)
    if split != "standard" and (dataset is None or dataset.pooled is None):
        pooling = " or ".join(one.name for one in NAMED_DATASETS.values() if one.pooled)
        raise DataError(
            f"Expected `split` to be 'standard' for {name!r}, got {split!r}, which pools the "
            f"labelled images of {pooling}."
        )
    if dataset is not None and dataset.pooled is not None:
        return _of_pooled(*dataset.pooled(request), split, seed)
    if dataset is not None and dataset.parts is not None:
        return dataset.parts(request)
    whole = load_data(
        name,
        root=root,
        download=download,
        progress=lambda done, total: progress("Reading the data", done, total),
    )
    return held_out(image_array_from(whole), seed=seed)


def held_out(whole: ImageArray, *, seed: int) -> Parts:
    """Return a tenth of the samples, stratified by class, and the others.

    Raises:
        DataError: If there are fewer than 20.
    """
    if len(whole) < 2 * _HELD_OUT:
        raise DataError(
            f"Expected at least {2 * _HELD_OUT} samples, of which a tenth is held out for "
            f"validation, got {len(whole)}."
        )
    chosen = draw_stratified(whole.labels, len(whole) // _HELD_OUT, seed)
    return Parts(whole.subset(_others(chosen, len(whole))), whole.subset(chosen))


def _of_pooled(
    pooled: ImageArray, train: int, notes: tuple[str, ...], split: str, seed: int
) -> Parts:
    """Return both parts of pooled images, of which the first ``train`` are the training set."""
    if split != "standard":
        return Parts(*_drawn(pooled, split, seed), notes)
    first = torch.arange(train)
    return Parts(pooled.subset(first), pooled.subset(_others(first, len(pooled))), notes)


def _drawn(pooled: ImageArray, split: str, seed: int) -> tuple[ImageArray, ImageArray]:
    """Return as many training and validation samples as the paper's split has."""
    train, validation = (len(pooled) * share // 11 for share in _ELEVENTHS[split])
    chosen = draw_stratified(pooled.labels, validation, seed)
    rest = pooled.subset(_others(chosen, len(pooled)))
    return rest.draw(train, seed), pooled.subset(chosen)


def _others(chosen: Int[Tensor, " chosen"], count: int) -> Int[Tensor, " others"]:
    left = torch.ones(count, dtype=torch.bool)
    left[chosen] = False
    return left.nonzero().flatten()
