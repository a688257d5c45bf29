"""A study of a network and data that are given by name: what the command line does."""

from functools import partial
from pathlib import Path

import torch
from torch import nn

from hormesis.analyze import analyze
from hormesis.errors import SettingError
from hormesis.inputs.checkpoints import load_weights
from hormesis.inputs.data import load_data
from hormesis.inputs.models import build_model
from hormesis.inputs.normalize import normalized
from hormesis.inputs.samples import Samples
from hormesis.report.progress import Report, shown
from hormesis.settings import Named, Run, Scoring, Sweep, Targets
from hormesis.storage import check_free, is_study
from hormesis.stress.adversaries import Attack
from hormesis.stress.performance import performance_named
from hormesis.study import Study
from hormesis.training.digits import trained_on_digits

RANDOM = "random"


def analyze_named(
    named: Named,
    attack: Attack,
    measured: tuple[Targets, Sweep, Scoring],
    *,
    performance: str,
    out: Path,
    run: Run,
) -> Study:
    """Load the data, build the network, give it weights, and analyse it.

    Args:
        named: Network and data.
        attack: The adversary.
        measured: Targets, sweep and scoring.
        performance: Name of the performance, or ``module:function``.
        out: Folder for the study.
        run: Engine, workers and progress.

    Raises:
        HormesisError: One sentence on what cannot be found, read or measured.
    """
    targets, sweep, scoring = measured
    wanted = performance_named(performance)
    device = _device(named.device)
    if not is_study(out):
        check_free(out)
    _check_weights(named)
    with shown(enabled=run.progress) as report:
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
        performance=wanted,
        out=out,
        run=run,
        name=named.model,
    )


def _check_weights(named: Named) -> None:
    """Refuse, before anything is loaded, a named network that nobody has trained."""
    if named.weights is None and named.data != "digits" and not _is_factory(named.model):
        raise SettingError(
            f"Expected `weights` for {named.model} on {named.data}: train it in PyTorch and pass "
            "its checkpoint (.safetensors, .pt, .pth or .ckpt) with --weights FILE, or ask for an "
            "untrained network with --weights random."
        )
    if named.weights not in (None, RANDOM) and not Path(named.weights).expanduser().exists():
        raise SettingError(
            f"The checkpoint {named.weights} does not exist; check --weights, or ask for an "
            "untrained network with --weights random."
        )


def _network(named: Named, samples: Samples, seed: int, report: Report) -> nn.Module:
    shape = samples.inputs.shape[1:]
    height_width = (shape[1], shape[2]) if len(shape) == 3 else None
    network = build_model(
        named.model, classes=samples.classes, channels=shape[0], size=height_width, seed=seed
    )
    if named.weights not in (None, RANDOM):
        load_weights(network, Path(named.weights).expanduser())
    whole = network
    if named.normalize and samples.mean:
        whole = normalized(network, samples.mean, samples.std)
    if named.weights is None and not _is_factory(named.model):
        training = partial(report, f"Training {named.model} on the digits")
        trained_on_digits(whole, named.model, seed=seed, report=training)
    return whole


def _is_factory(model: str) -> bool:
    return ":" in model and not model.startswith("timm:")


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise SettingError(f"The device {name!r} cannot be used here: {first}") from error
