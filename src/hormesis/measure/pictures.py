"""A folder of pictures as data: their size, normalisation and classes."""

from dataclasses import dataclass, replace
from pathlib import Path

from hormesis.data.class_index import ClassIndex, read_class_index
from hormesis.data.datasets import NAMED_DATASETS
from hormesis.data.image_folders import FolderReading, classes_of, describe_classes
from hormesis.data.preprocessing import Preprocessing
from hormesis.errors import DataError, SettingError
from hormesis.models.checkpoints import fits
from hormesis.models.networks import build_model
from hormesis.models.published import PublishedWeights, published_weights
from hormesis.settings.network import RANDOM, ModelAndData
from hormesis.training.checkpoints import is_training_checkpoint

_PICTURE_SETTINGS = ("resize", "crop", "class_index", "preprocess")


@dataclass(frozen=True)
class Pictures:
    """How a folder of pictures is read.

    Args:
        folder: The folder.
        reading: Size, normalisation and classes of its pictures.
        notes: What is done with them, in sentences.
    """

    folder: Path
    reading: FolderReading
    notes: tuple[str, ...]


def plan_pictures(source: ModelAndData) -> Pictures | None:
    """Return how the pictures of a request are read; None if its data are no folder.

    A network by name whose weights have the outputs of the published ones (1,000 for most) gets the
    pictures as those expect them, unless its weights are of ``hormesis train``, which reads
    pictures as they are.

    Raises:
        SettingError: If a setting needs a folder, or a network whose published weights are known.
        DataError: If a folder is of no class of the network.
    """
    folder = Path(source.data).expanduser()
    if source.data in NAMED_DATASETS or not folder.is_dir():
        named = [name for name in _PICTURE_SETTINGS if getattr(source, name)]
        if named or source.class_order != "alphabetical":
            raise SettingError(
                f"Expected `data` to be a folder of images for `{(*named, 'class_order')[0]}`, got "
                f"{source.data}."
            )
        return None
    index = None if source.class_index is None else read_class_index(source.class_index)
    own_size = Preprocessing(source.resize or (), source.crop or ())
    reading = FolderReading(own_size, source.class_order, index)
    published, same_outputs = _find_published(source, own_size, len(_classes(folder, reading)))
    if published is not None:
        size = published.preprocessing
        if source.resize or source.crop:
            size = replace(own_size, interpolation=size.interpolation)
        reading = replace(reading, preprocessing=size, mean=published.mean, std=published.std)
        if same_outputs:
            reading = replace(reading, class_index=_outputs(published, index, folder))
    return Pictures(folder, reading, _notes(source, folder, reading, published))


def _classes(folder: Path, reading: FolderReading) -> ClassIndex | dict[str, int]:
    try:
        return reading.class_index or classes_of(folder)
    except OSError as error:
        raise DataError(
            f"Expected '{folder}' to hold one folder of images for each class: "
            f"{str(error).rstrip('.')}."
        ) from error


def _find_published(
    source: ModelAndData, size: Preprocessing, classes: int
) -> tuple[PublishedWeights | None, bool]:
    """Return published weights that a network is like, and whether it has their outputs.

    Args:
        source: The request.
        size: Of the user's own.
        classes: Number of classes in the data.
    """
    if source.preprocess is False:
        return None, False
    entries = published_weights(source.model, source.weights or "")
    if source.preprocess and not entries:
        raise SettingError(
            f"Expected `preprocess` for a network whose published weights are known, got "
            f"{source.model}: give `resize`, `crop`, `mean` and `std`."
        )
    if not entries or source.weights in (None, RANDOM) or is_training_checkpoint(source.weights):
        return (entries[0] if source.preprocess else None), False
    by_crop = {entry.preprocessing.crop: entry for entry in reversed(entries)}
    different = sorted(by_crop.values(), key=entries.index)  # a network may be built for one size
    for entry in different:
        if _has_outputs(source, entry, size, len(entry.class_index)):
            return entry, True
    if not source.preprocess:
        return None, False
    fitting = [entry for entry in different if _has_outputs(source, entry, size, classes)]
    return (fitting or entries)[0], False


def _has_outputs(
    source: ModelAndData, entry: PublishedWeights, size: Preprocessing, outputs: int
) -> bool:
    """Return whether a network with so many outputs takes the checkpoint of a request."""
    crop = size.crop or size.resize or entry.preprocessing.crop
    network = build_model(
        source.model,
        classes=outputs,
        channels=3,
        size=(crop[0], crop[-1]),
        stem=source.stem,
    )
    return fits(network, str(source.weights), key=source.weights_key)


def _outputs(
    published: PublishedWeights, index: ClassIndex | None, folder: Path
) -> ClassIndex | None:
    """Return the names of all outputs; None if the folders, in order, are as many."""
    count = len(published.class_index)
    if index is not None:
        return replace(index, names=index.names + ((),) * (count - len(index)))
    return None if len(classes_of(folder)) == count else published.class_index


def _notes(
    source: ModelAndData, folder: Path, reading: FolderReading, published: PublishedWeights | None
) -> tuple[str, ...]:
    """Return sentences on the size and on the classes of the pictures."""
    described = reading.preprocessing.described()
    own_size = source.resize or source.crop
    expected = f", as {published.name} expects" if published and not own_size else ""
    size = f"Pictures are {described}{expected}." if described else ""
    return tuple(note for note in (size, describe_classes(folder, reading)) if note)
