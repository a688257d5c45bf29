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
from hormesis.models.devices import find_device
from hormesis.models.networks import build_model, check_name
from hormesis.models.normalization import normalized, normalizes_by_default
from hormesis.results.study import Study
from hormesis.settings.attacks import Attack
from hormesis.settings.confirmation import Confirmation
from hormesis.settings.execution import Execution
from hormesis.settings.factory import is_factory
from hormesis.settings.network import ModelAndData
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.storage import check_free, is_study
from hormesis.stress.metrics import metric_named
from hormesis.training.digits import load_or_train_on_digits

RANDOM = "random"


def analyze_named(
    named: ModelAndData,
    attack: Attack,
    measured: tuple[Targets, Sweep, Scoring],
    *,
    metric: str,
    out: Path,
    execution: Execution,
    confirmation: Confirmation = Confirmation(),
) -> Study:
    """Load the data, build the network, give it weights, and analyse it.

    Args:
        named: Network and data.
        attack: The adversary.
        measured: Targets, sweep and scoring.
        metric: Name of the performance, or ``module:function``.
        out: Folder for the study.
        execution: Engine, workers and progress.
        confirmation: How claims are put to the test.

    Raises:
        HormesisError: One sentence on what cannot be found, read or measured.
    """
    targets, sweep, scoring = measured
    wanted = metric_named(metric)
    device = find_device(named.device)
    if execution.overwrite or not is_study(out):
        check_free(out, overwrite=execution.overwrite)
    _check_names(named)
    with shown(enabled=execution.progress) as report:
        samples = load_data(
            named.data,
            root=None if named.data_root is None else Path(named.data_root).expanduser(),
            samples=named.samples,
            seed=sweep.seed,
            download=named.download,
            bounds=named.bounds,
            progress=partial(report, "Reading the data"),
        )
        network = _network(named, samples, sweep.seed, report)
    return analyze(
        network.to(device),
        samples,
        attack=attack,
        targets=targets,
        sweep=sweep,
        scoring=scoring,
        metric=wanted,
        out=out,
        execution=execution,
        confirmation=confirmation,
        name=named.model,
    )


def _check_names(named: ModelAndData) -> None:
    """Refuse, before anything slow, what can be known to fail from the names alone."""
    check_name(named.model)
    known = named.data in NAMES or is_factory(named.data) or Path(named.data).expanduser().is_dir()
    if not known:
        return  # for `load_data`, which comes next, to refuse
    if named.weights is None and named.data != "digits" and not is_factory(named.model):
        raise SettingError(
            f"Expected `weights` for {named.model} on {named.data}: use `hormesis train`, or pass "
            "its checkpoint (.safetensors, .pt, .pth or .ckpt) with --weights FILE, or ask for an "
            "untrained network with --weights random."
        )
    if named.weights in (None, RANDOM):
        return
    if not Path(named.weights).expanduser().exists():
        raise SettingError(
            f"The checkpoint {named.weights} does not exist; check --weights, or ask for an "
            "untrained network with --weights random."
        )
    load_checkpoint(named.weights)


def _behind_normalisation(network: nn.Module, named: ModelAndData, samples: Samples) -> nn.Module:
    """Return the network with a normalisation in front, if it gets one.

    Raises:
        SettingError: If one is asked for and none is known.
        ModelError: If the network brings one of its own.
    """
    if named.mean and named.std:
        return normalized(network, named.mean, named.std)
    if named.normalize and not samples.mean:
        raise SettingError(
            f"Expected data whose normalisation is known for `normalize`, got {named.data}: give "
            "its `mean` and `std`, one number a channel."
        )
    wanted = normalizes_by_default(named.model) if named.normalize is None else named.normalize
    return normalized(network, samples.mean, samples.std) if wanted and samples.mean else network


def _network(named: ModelAndData, samples: Samples, seed: int, report: Report) -> nn.Module:
    shape = samples.inputs.shape[1:]
    height_width = (shape[1], shape[2]) if len(shape) == 3 else None
    network = build_model(
        named.model,
        classes=samples.classes,
        channels=shape[0],
        size=height_width,
        seed=seed,
        stem=named.stem,
    )
    if named.weights not in (None, RANDOM):
        load_weights(network, Path(named.weights).expanduser())
    whole = _behind_normalisation(network, named, samples)
    if named.weights is None and not is_factory(named.model):
        training = partial(report, f"Training {named.model} on the digits")
        load_or_train_on_digits(whole, named.model, seed=seed, report=training)
    return whole
