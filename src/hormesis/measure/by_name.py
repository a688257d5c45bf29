"""A study of a network and data that are given by name: what the command line does."""

from functools import partial
from pathlib import Path

from torch import nn

from hormesis.data.datasets import NAMES, load_data
from hormesis.data.samples import Samples
from hormesis.engine.progress import Report, shown
from hormesis.errors import SettingError
from hormesis.measure.pipeline import analyze
from hormesis.models.checkpoints import load_checkpoint, load_weights
from hormesis.models.devices import device_named
from hormesis.models.networks import build_model, check_name
from hormesis.models.normalization import normalised_by_default, normalized
from hormesis.results.study import Study
from hormesis.settings.factory import is_factory
from hormesis.settings.network import ModelAndData
from hormesis.settings.request import AnalysisRequest
from hormesis.storage import check_free, is_study
from hormesis.stress.metrics import metric_named
from hormesis.training.digits import trained_on_digits

RANDOM = "random"


def analyze_by_name(source: ModelAndData, request: AnalysisRequest) -> Study:
    """Load the data, build the network, give it weights, and analyse it.

    Args:
        source: Network and data.
        request: Everything else; its ``out`` is a folder.

    Raises:
        HormesisError: One sentence on what cannot be found, read or measured.
    """
    out, execution = Path(request.out or ""), request.execution
    metric = metric_named(request.metric)
    device = device_named(source.device)
    if execution.overwrite or not is_study(out):
        check_free(out, overwrite=execution.overwrite)
    _check_names(source)
    with shown(enabled=execution.progress) as report:
        samples = load_data(
            source.data,
            root=None if source.data_root is None else Path(source.data_root).expanduser(),
            samples=source.samples,
            seed=request.sweep.seed,
            download=source.download,
            bounds=source.bounds,
            progress=partial(report, "Reading the data"),
        )
        network = _network(source, samples, request.sweep.seed, report)
    return analyze(
        network.to(device),
        samples,
        attack=request.attack,
        targets=request.targets,
        sweep=request.sweep,
        scoring=request.scoring,
        metric=metric,
        out=out,
        execution=execution,
        confirmation=request.confirmation,
        name=source.model,
    )


def _check_names(source: ModelAndData) -> None:
    """Refuse, before anything slow, what can be known to fail from the names alone."""
    check_name(source.model)
    known = (
        source.data in NAMES or is_factory(source.data) or Path(source.data).expanduser().is_dir()
    )
    if not known:
        return  # for `load_data`, which comes next, to refuse
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


def _behind_normalisation(network: nn.Module, source: ModelAndData, samples: Samples) -> nn.Module:
    """Return the network with a normalisation in front, if it gets one.

    Raises:
        SettingError: If one is asked for and none is known.
        ModelError: If the network brings one of its own.
    """
    if source.mean and source.std:
        return normalized(network, source.mean, source.std)
    if source.normalize and not samples.mean:
        raise SettingError(
            f"Expected data whose normalisation is known for `normalize`, got {source.data}: give "
            "its `mean` and `std`, one number a channel."
        )
    wanted = normalised_by_default(source.model) if source.normalize is None else source.normalize
    return normalized(network, samples.mean, samples.std) if wanted and samples.mean else network


def _network(source: ModelAndData, samples: Samples, seed: int, report: Report) -> nn.Module:
    shape = samples.inputs.shape[1:]
    height_width = (shape[1], shape[2]) if len(shape) == 3 else None
    network = build_model(
        source.model,
        classes=samples.classes,
        channels=shape[0],
        size=height_width,
        seed=seed,
        stem=source.stem,
    )
    if source.weights not in (None, RANDOM):
        load_weights(network, Path(source.weights).expanduser())
    whole = _behind_normalisation(network, source, samples)
    if source.weights is None and not is_factory(source.model):
        training = partial(report, f"Training {source.model} on the digits")
        trained_on_digits(whole, source.model, seed=seed, report=training)
    return whole
