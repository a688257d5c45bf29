"""Analysis by name: names are resolved to a network and samples, as on the command line."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from hormesis.data.corruptions import KINDS, Corruption, by_name
from hormesis.data.datasets import NAMED_DATASETS, load_data
from hormesis.data.evaluation import Evaluation
from hormesis.data.image_folders import load_folder
from hormesis.data.samples import Samples, samples_from, take
from hormesis.data.sampling import draw_balanced
from hormesis.data.splits import load_parts
from hormesis.engine.progress import SENTENCE, Report, show_progress
from hormesis.errors import DataError, SettingError
from hormesis.language.texts import SUFFIXES
from hormesis.measure.epsilons import analyze_magnitudes
from hormesis.measure.language import names_language_model, resolve_language
from hormesis.measure.pictures import Pictures, plan_pictures
from hormesis.measure.pipeline import analyze_request
from hormesis.measure.preparation import read_data
from hormesis.measure.zoom import zoom_request
from hormesis.models.checkpoints import load_checkpoint, load_weights
from hormesis.models.devices import find_device
from hormesis.models.networks import build_for, build_model, check_name
from hormesis.models.normalization import (
    normalized,
    normalizes_by_default,
    restore_normalization,
)
from hormesis.results.series import StudySeries
from hormesis.results.study import Study
from hormesis.results.training_run import TrainingRun
from hormesis.results.zoom import Zoom
from hormesis.settings.attacks import PAIRED
from hormesis.settings.factory import call_factory, is_factory, users_code
from hormesis.settings.network import RANDOM, ModelAndData
from hormesis.settings.request import AnalysisRequest
from hormesis.settings.zoom import ZoomSettings
from hormesis.storage.folders import check_free, is_study
from hormesis.stress.metrics import as_metric
from hormesis.training.digits import load_or_train_on_digits


def analyze_by_name(source: ModelAndData, request: AnalysisRequest) -> Study:
    """Load the data, build the network, give it weights, and analyse it.

    Args:
        source: Network and data.
        request: The request; its metric may be a name, or ``module:function``.

    Raises:
        HormesisError: One sentence on what cannot be found, read or measured.
    """
    execution, out = request.execution, request.out
    if out is not None and (execution.overwrite or not is_study(out)):
        check_free(out, overwrite=execution.overwrite)
    return analyze_request(*_resolved(source, request))


def analyze_magnitudes_by_name(
    source: ModelAndData, request: AnalysisRequest, epsilons: tuple[float, ...]
) -> StudySeries:
    """Do the same at several magnitudes of the attack.

    Args:
        source: Network and data.
        request: The request for each; ``out`` is the folder of all studies.
        epsilons: The magnitudes, in ascending order.

    Raises:
        HormesisError: As ``analyze_by_name`` does.
    """
    return analyze_magnitudes(*_resolved(source, request), epsilons)


def zoom_by_name(source: ModelAndData, request: AnalysisRequest, settings: ZoomSettings) -> Zoom:
    """Do the same for a search of single weights.

    Args:
        source: Network and data.
        request: Attack, metric, seed and execution.
        settings: Where to search, and for how long.

    Raises:
        HormesisError: As ``analyze_by_name`` does.
    """
    return zoom_request(*_resolved(source, request), settings)


def _resolved(
    source: ModelAndData, request: AnalysisRequest
) -> tuple[nn.Module, Samples | Evaluation, AnalysisRequest]:
    """Return network, data and request as ``analyze_request`` takes them."""
    device = find_device(source.device)
    with show_progress(enabled=request.execution.progress) as report:
        if names_language_model(source):
            language = resolve_language(source, request, report)
            return language.network.to(device), language.samples, language.request
        request = replace(request, metric=as_metric(request.metric), name=source.model)
        resolved = resolve(source, request, report)
        if isinstance(request.stressed_data, str):
            stressed = stressed_named(source, request, resolved.samples, report)
            request = replace(request, stressed_data=stressed)
    request = replace(request, notes=resolved.notes)
    return resolved.network.to(device), resolved.samples, request


@dataclass(frozen=True)
class NetworkAndSamples:
    """The network and the samples that names refer to.

    Args:
        network: On the CPU, with its weights, and its normalisation in front.
        samples: In the order of the data set; or an evaluation by a function of the user's.
        notes: What was done with pictures, and chosen in a checkpoint, in sentences.
    """

    network: nn.Module
    samples: Samples | Evaluation
    notes: tuple[str, ...] = ()


def resolve(source: ModelAndData, request: AnalysisRequest, report: Report) -> NetworkAndSamples:
    """Return the network and the samples that names refer to; train it on the digits if needed.

    Args:
        source: The names.
        request: With the seed of an untrained network, of a training on the digits, and of a choice
            of samples, and with what data of the user's have to be.
        report: Shows progress.

    Raises:
        HormesisError: One sentence on what cannot be found or read.
    """
    _check_names(source)
    seed = request.sweep.seed
    pictures = plan_pictures(source)
    notes = () if pictures is None else pictures.notes
    if is_factory(source.data):
        samples = _own_data(source, request, report)
    else:
        samples = _load_samples(source, pictures, seed, report)
    bare = _network_for(source, samples, seed)
    # Pictures have a normalisation only where the network's published weights expect it.
    default = pictures is not None or normalizes_by_default(source.model)
    network = _with_normalization(bare, source, samples, default=default)
    if source.weights not in (None, RANDOM):
        key, ignore = source.weights_key, source.weights_ignore
        notes += load_weights(network, source.weights, key=key, ignore=ignore)
    if source.weights is None and not is_factory(source.model):
        show = partial(report, f"Training {source.model} on the digits")
        load_or_train_on_digits(network, source.model, seed=seed, report=show)
    for note in notes:
        report(note, 0, SENTENCE)
    return NetworkAndSamples(network, samples, notes)


def _network_for(source: ModelAndData, samples: Samples | Evaluation, seed: int) -> nn.Module:
    """Return an untrained network; one by name has to fit the data, which are images then.

    Raises:
        SettingError: For a network by name, and data that are no classified images.
    """
    if is_factory(source.model) and not source.model.startswith("timm:"):
        return build_model(source.model, classes=1, channels=1, seed=seed, stem=source.stem)
    classes = samples.classes if isinstance(samples, Samples) else 0
    inputs = samples.inputs if isinstance(samples, Samples) else None
    shape = inputs.shape[1:] if isinstance(inputs, Tensor) else ()
    if len(shape) != 3 or not classes:
        raise SettingError(
            f"Expected images with one class number each for {source.model}, got other data from "
            f"{source.data}: name a network made for them, as `--model module:factory`."
        )
    return build_for(source.model, shape, classes, seed=seed, stem=source.stem)


def _own_data(
    source: ModelAndData, request: AnalysisRequest, report: Report
) -> Samples | Evaluation:
    """Return the samples, or the evaluation, that a function of the user's gives."""
    data = call_factory(source.data, "data set")
    if isinstance(data, Evaluation):
        return data
    read = partial(
        samples_from,
        name=source.data,
        count=source.samples,
        seed=request.sweep.seed,
        label=request.label,
        progress=partial(report, "Reading the data"),
    )
    with users_code(source.data, "data set"):  # a dataset of the user's own decodes its items here
        return read_data(data, replace(request, bounds=source.bounds), read)


def stressed_named(
    source: ModelAndData, request: AnalysisRequest, samples: Samples | Evaluation, report: Report
) -> Samples | Evaluation | Corruption:
    """Return the second data set that a request names, or a corruption of the first.

    Args:
        source: How data are read.
        request: Its ``stressed_data`` are a name.
        samples: The first data set; of a choice of its samples, the same ones are taken.
        report: Shows progress.

    Raises:
        HormesisError: One sentence on what cannot be found or read.
    """
    name = request.stressed_data
    kind, _, severity = name.partition(":")
    if kind in KINDS or severity.isdecimal():
        return by_name(name)
    own = replace(source, data=name, samples=None)
    if is_factory(name):
        stressed = _own_data(own, request, report)
    else:
        stressed = _load_samples(own, plan_pictures(own), request.sweep.seed, report)
    if isinstance(stressed, Evaluation) or isinstance(samples, Evaluation):
        return stressed
    stressed, places = replace(stressed, name=name), samples.places
    if request.pairing == PAIRED and places is not None and int(places.max()) < len(stressed):
        return take(stressed, places)
    return stressed


def _load_samples(
    source: ModelAndData, pictures: Pictures | None, seed: int, report: Report
) -> Samples:
    settings: dict[str, Any] = {
        "samples": source.samples,
        "seed": seed,
        "bounds": source.bounds,
        "progress": partial(report, "Reading the data"),
    }
    if pictures is not None:
        return load_folder(pictures.folder, pictures.reading, **settings)
    root = None if source.data_root is None else Path(source.data_root).expanduser()
    return load_data(source.data, root=root, download=source.download, **settings)


def _check_names(source: ModelAndData) -> None:
    """Refuse names that must fail, before anything slow."""
    check_name(source.model)
    is_folder = Path(source.data).expanduser().is_dir()
    if Path(source.data).suffix.lower() in SUFFIXES and not is_folder:
        raise SettingError(
            f"Expected a language model, as `--model hf:FOLDER`, for the texts {source.data}, got "
            f"{source.model}."
        )
    if not (source.data in NAMED_DATASETS or is_factory(source.data) or is_folder):
        return  # `load_data`, which comes next, refuses it
    if source.weights is None and source.data != "digits" and not is_factory(source.model):
        raise SettingError(
            f"Expected `weights` for {source.model} on {source.data}: use `hormesis train`, or "
            "pass its checkpoint (.safetensors, .pt, .pth or .ckpt) with --weights FILE, or ask "
            "for an untrained network with --weights random."
        )
    if source.weights in (None, RANDOM):
        return
    if not Path(source.weights).expanduser().exists():
        raise SettingError(
            f"The checkpoint {source.weights} does not exist; check --weights, or ask for an "
            "untrained network with --weights random."
        )
    load_checkpoint(source.weights)


def _with_normalization(
    network: nn.Module, source: ModelAndData, samples: Samples | Evaluation, *, default: bool
) -> nn.Module:
    """Return the network with a normalisation in front, if it needs one.

    Args:
        network: The network.
        source: The user's choice.
        samples: The data, whose normalisation may be known.
        default: Whether it is used where the user has not chosen.

    Raises:
        SettingError: If one is requested but unknown.
        ModelError: If the network has one already.
    """
    if source.mean and source.std:
        return normalized(network, source.mean, source.std)
    known = samples if isinstance(samples, Samples) and samples.mean else None
    if source.normalize and known is None:
        raise SettingError(
            f"Expected data whose normalisation is known for `normalize`, got {source.data}: give "
            "its `mean` and `std`, one number a channel."
        )
    normalize = default if source.normalize is None else source.normalize
    return normalized(network, known.mean, known.std) if normalize and known else network


def resolve_run(
    training: TrainingRun,
    count: int | None,
    data_root: str | None,
    seed: int,
    report: Report,
) -> NetworkAndSamples:
    """Return the untrained network of a training, and its validation samples.

    Args:
        training: Its manifest names both.
        count: Size of a seeded, stratified choice of the samples; None takes all.
        data_root: Folder of the named data sets; None takes the one that the training read.
        seed: Seed of that choice.
        report: Shows progress.

    Raises:
        DataError: If the data are missing, or not those of the training.
    """
    question, root = training.metadata.question, data_root or training.data_root
    data, recipe = question.data, question.recipe
    validation = load_parts(
        str(training.source),
        root=None if root is None else Path(root),
        split=data.split,
        seed=data.split_seed,
        progress=report,
    ).validation
    if validation.fingerprint() != data.validation_fingerprint:
        raise DataError(
            f"The data in {root} are not those that {training.folder} was trained with: name "
            "their folder with `data_root`."
        )
    indices = None if count is None else draw_balanced(validation.labels, count, seed)
    chosen = validation if indices is None else validation.subset(indices)
    samples = replace(chosen.samples(), places=indices)
    name, shape = question.network.name, samples.inputs.shape[1:]
    network = build_for(name, shape, samples.classes, seed=recipe.seed, stem=recipe.stem)
    entry = training.manifest["question"]["network"]
    if "normalization" in entry:
        network = restore_normalization(network, entry["normalization"])
    elif data.normalize and samples.mean:  # an earlier version did not record it
        network = normalized(network, samples.mean, samples.std)
    return NetworkAndSamples(network, samples)
