"""What the published weights of a network by name expect: pictures, normalisation, classes."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torchvision.models import get_model_weights

from hormesis.data.class_index import ClassIndex, aliases_of
from hormesis.data.preprocessing import Preprocessing
from hormesis.models.networks import find_timm
from hormesis.settings.factory import is_factory

_RGB = 3
# Their published weights take pixels from -1 to 1; torchvision normalises twice to that end.
_HALVES = ("googlenet", "inception_v3")
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")


@dataclass(frozen=True)
class PublishedWeights:
    """What weights of a network by name expect.

    Args:
        name: What torchvision or timm call them.
        preprocessing: Size of the pictures.
        mean: Mean of each channel, in units of [0, 1].
        std: Standard deviation of each channel, likewise.
        class_index: The names of its outputs, empty where these are not known.
    """

    name: str
    preprocessing: Preprocessing
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_index: ClassIndex


def published_weights(model: str, file: str | Path = "") -> list[PublishedWeights]:
    """Return what the published weights of a network expect; nothing is downloaded.

    Args:
        model: A torchvision classification name or ``timm:NAME``; others have none.
        file: A checkpoint; weights that are published under its name come first, and before others
            those that the family takes by default.

    Example:
        >>> first, second = published_weights("resnet50")
        >>> first.name, first.preprocessing.resize, second.preprocessing.resize
        ('ResNet50_Weights.IMAGENET1K_V2', (232,), (256,))
        >>> published_weights("resnet50", "resnet50-0676ba61.pth")[0].name
        'ResNet50_Weights.IMAGENET1K_V1'
    """
    if model.startswith("timm:"):
        return _of_timm(model)
    return [] if is_factory(model) else _of_torchvision(model, Path(file).name)


def _of_torchvision(model: str, file: str) -> list[PublishedWeights]:
    try:
        kinds: Any = get_model_weights(model)
        members = [weights for weights in kinds if weights.meta["categories"]]
    except ValueError:  # a network without any
        return []

    def rank(weights: Any) -> tuple[bool, bool]:  # noqa: ANN401
        return weights.url.rpartition("/")[2] != file, weights is not kinds.DEFAULT

    entries = [_torchvision_entry(weights) for weights in sorted(members, key=rank)]
    if model in _HALVES:
        return [replace(entry, mean=(0.5,) * _RGB, std=(0.5,) * _RGB) for entry in entries]
    return entries


def _torchvision_entry(weights: Any) -> PublishedWeights:  # noqa: ANN401
    preset = weights.transforms()
    name = f"{type(weights).__name__}.{weights.name}"
    names = tuple((category,) for category in weights.meta["categories"])
    size = Preprocessing(
        tuple(preset.resize_size), tuple(preset.crop_size), preset.interpolation.value
    )
    index = ClassIndex(names, f"the categories of {name}")
    return PublishedWeights(name, size, tuple(preset.mean), tuple(preset.std), index)


def _of_timm(model: str) -> list[PublishedWeights]:
    timm, short = find_timm(model)
    config = timm.get_pretrained_cfg(short)
    if config is None or config.input_size[0] != _RGB or not config.num_classes:
        return []
    if config.crop_mode not in ("center", "squash"):
        return []
    crop = tuple(config.input_size[1:])
    # As timm.data.transforms_factory has it.
    resize = tuple(math.floor(side / (config.crop_pct or 0.875)) for side in crop)
    if config.crop_mode == "center" and resize[0] == resize[1]:
        resize = resize[:1]
    known = config.interpolation in _INTERPOLATIONS
    size = Preprocessing(resize, crop, config.interpolation if known else "bilinear")
    name = f"timm's {short if '.' in short or not config.tag else f'{short}.{config.tag}'}"
    names = _timm_names(timm, config, config.num_classes)
    index = ClassIndex(names, f"the classes of {name}")
    return [PublishedWeights(name, size, tuple(config.mean), tuple(config.std), index)]


def _timm_names(timm: Any, config: Any, count: int) -> tuple[tuple[str, ...], ...]:  # noqa: ANN401
    """Return WordNet's number and names for each output, where timm knows them."""
    subset = timm.data.infer_imagenet_subset(config.to_dict())
    if subset is None:
        return ((),) * count
    info = timm.data.ImageNetInfo(subset)
    lines = (f"{info.index_to_label_name(n)} {info.index_to_description(n)}" for n in range(count))
    return tuple(aliases_of(line) for line in lines)
