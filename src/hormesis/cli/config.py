"""What was given on the command line or in its configuration file, as settings."""

from dataclasses import fields, replace
from typing import Any

from jsonargparse import Namespace

from hormesis.settings.execution import Execution
from hormesis.settings.network import ModelAndData
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets


def named_from(given: Namespace) -> ModelAndData:
    """Return the network and data that were asked for by name."""
    return ModelAndData(
        model=given.model,
        weights=given.weights,
        data=given.data,
        data_root=given.data_root,
        download=given.download,
        samples=given.samples,
        bounds=None if given.bounds is None else (given.bounds[0], given.bounds[1]),
        normalize=given.normalize,
        device=given.device,
        stem=given.stem,
        mean=tuple(given.mean) if given.mean else None,
        std=tuple(given.std) if given.std else None,
    )


def targets_from(given: Namespace) -> Targets:
    """Return which parameters are to be filtered."""
    return Targets(
        include=tuple(given.include),
        exclude=tuple(given.exclude),
        kinds=tuple(given.kinds) if given.kinds else None,
        scope=given.scope,
        per=given.per,
    )


def sweep_from(given: Namespace) -> Sweep:
    """Return how the thresholds are to sweep; the random reference brings its control."""
    return Sweep(
        filters=tuple(given.filters),
        thresholds=given.thresholds,
        by=given.by,
        span=None if given.own_span else (given.span[0], given.span[1]),
        adversary=given.adversary,
        precision=given.precision,
        control=given.control or given.reference == "random",
        seed=given.seed,
        until=given.until,
    )


def scoring_flags(given: Namespace) -> dict[str, Any]:
    """Return what was given of a scoring, by the names of its fields."""
    found = {field.name: given[field.name] for field in fields(Scoring)}
    return {name: value for name, value in found.items() if value is not None}


def scoring_from(given: Namespace, default: Scoring = Scoring()) -> Scoring:
    """Return how responses are to become scores; what was not given is as in ``default``."""
    return replace(default, **scoring_flags(given))


def run_from(given: Namespace) -> Execution:
    """Return how the study is to be carried out."""
    return Execution(
        engine=given.engine,
        num_workers=given.num_workers,
        memory=given.memory,
        progress=given.progress,
        overwrite=given.overwrite,
        address=given.address,
        gpus_per_task=given.gpus_per_task,
        cpus_per_task=given.cpus_per_task,
        extend=given.extend,
    )
