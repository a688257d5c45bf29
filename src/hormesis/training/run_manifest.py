"""What a training asks, and whether the folder it is to go on in holds the same."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn

from hormesis.data.splits import Parts
from hormesis.errors import TrainingError
from hormesis.models.fingerprint import network_fingerprint, network_name
from hormesis.models.normalization import normalization_of, normalizes_by_default
from hormesis.storage.differences import first_difference
from hormesis.storage.environment import environment
from hormesis.training.config import DataConfig, Recipe


def training_question(
    model: str | nn.Module,
    network: nn.Module,
    parts: Parts,
    recipe: Recipe,
    data_config: DataConfig,
) -> dict[str, Any]:
    """Return what a training asks, as plain values: the weights of two that agree are the same.

    Args:
        model: As it was asked for.
        network: The untrained network.
        parts: The data.
        recipe: How it is trained.
        data_config: Which part of the data is used.
    """
    named = isinstance(model, str)
    return {
        "network": {
            "name": model if named else network_name(network),
            "named": named,
            "fingerprint": network_fingerprint(network),
            **normalization_of(network),
        },
        "data": {
            "name": parts.train.name,
            "split": data_config.split,
            "split_seed": data_config.split_seed,
            "normalize": normalizes_by_default(model)
            if data_config.normalize is None
            else data_config.normalize,
            "samples": len(parts.train),
            "validation_samples": len(parts.validation),
            "classes": parts.train.classes,
            "shape": list(parts.train.shape),
            "bounds": list(parts.train.bounds),
            "fingerprint": parts.train.fingerprint(),
            "validation_fingerprint": parts.validation.fingerprint(),
        },
        "recipe": recipe.described(),
    }


def merge_manifests(
    folder: Path, question: Mapping[str, Any], stored: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what a run's manifest said before this session, if its question is the same.

    Args:
        folder: The run's folder.
        question: What ``training_question`` returned.
        stored: What the manifest says; None for a new training.

    Returns:
        The stored manifest, if any, with the question as both have it: with more epochs, if more
        are asked for.

    Raises:
        TrainingError: If the folder holds another training; the first difference is named.
    """
    if stored is None:
        return {"question": dict(question), "sessions": []}
    difference = first_difference(_fixed(question), _fixed(stored["question"]))
    if difference:
        raise TrainingError(
            f"The folder {folder} holds another training ({difference}); choose another one with "
            "`out`."
        )
    epochs = max(question["recipe"]["epochs"], stored["question"]["recipe"]["epochs"])
    merged = {**question, "recipe": {**question["recipe"], "epochs": epochs}}
    return {**stored, "question": merged, "sessions": list(stored.get("sessions", []))}


def session_of(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the manifest says of a session, with versions and hardware."""
    return {**about, **environment(), "lightning": version("lightning")}


def _fixed(question: Mapping[str, Any]) -> dict[str, Any]:
    """Return a question without what does not change the epochs that are there already.

    The fingerprint of the network covers its normalisation, which runs did not always spell out;
    and what is said of the data's normalisation is not done to a network from Python.
    """
    recipe, network, data = question["recipe"], dict(question["network"]), dict(question["data"])
    network.pop("normalization", None)
    if not network.get("named"):
        data.pop("normalize", None)
    fixed = {**question, "network": network, "data": data}
    if recipe.get("schedule") is not None:
        return fixed  # many schedules depend on the number of epochs
    return {**fixed, "recipe": {**recipe, "epochs": None}}
