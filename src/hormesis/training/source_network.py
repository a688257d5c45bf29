"""The network that a study was made with: found, rebuilt, and compared bit for bit."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from hormesis.data.splits import Parts
from hormesis.errors import DataError, ModelError, TrainingError
from hormesis.models.checkpoints import load_weights
from hormesis.models.fingerprint import network_fingerprint
from hormesis.models.networks import check_name
from hormesis.models.normalization import Normalized, normalized, restore_normalization
from hormesis.results.study import Study
from hormesis.results.training_run import TrainingRun
from hormesis.training.config import DataConfig, Recipe
from hormesis.training.digits import load_or_train_on_digits
from hormesis.training.source_lookup import SourceNetwork
from hormesis.training.train import build_training_network


@dataclass(frozen=True)
class RebuiltNetwork:
    """The network of a study, rebuilt.

    Args:
        model: The network, or the name that it is built from.
        network: On the CPU, normalisation included.
        stem: How its first layer is built.
    """

    model: str | nn.Module
    network: nn.Module
    stem: str


def data_config_of(training: TrainingRun, root: str | None = None) -> DataConfig:
    """Return which part of its data a training used.

    Args:
        training: The training.
        root: Folder of the named data sets; None takes the one that the training read.
    """
    data = training.manifest["question"]["data"]
    return DataConfig(
        root=root or training.data_root,
        split=data["split"],
        split_seed=data["split_seed"],
        samples=data["samples"],
        normalize=data["normalize"],
    )


def rebuild_network(
    study: Study,
    source: SourceNetwork,
    parts: Parts,
    data_config: DataConfig,
    training: TrainingRun | None,
) -> RebuiltNetwork:
    """Return the network of a study, as it was measured.

    Args:
        study: The study.
        source: Where to look.
        parts: The data that it is trained on.
        data_config: Whether a named network normalises its inputs.
        training: What ``find_training`` returned.

    Raises:
        TrainingError: If the training records no name for the network, or lacks the epoch.
        ModelError: If the network is another one.
    """
    check_shape(study, parts)
    recorded = study.manifest["question"]["network"]
    if source.network is not None:
        rebuilt = RebuiltNetwork(source.network, deepcopy(source.network).cpu(), source.stem)
    else:
        model, stem, path = _checkpoint_of(study, source, training)
        seed = study.manifest["question"]["sweep"]["seed"]
        network = build_training_network(model, parts, data_config, Recipe(stem=stem, seed=seed))
        if path is None:
            load_or_train_on_digits(network, model, seed=seed)
        else:
            load_weights(network, path, key=source.weights_key, ignore=source.weights_ignore)
        network = _as_measured(recorded, network, parts, normalize=data_config.normalize)
        rebuilt = RebuiltNetwork(model, network, stem)
    fingerprint = network_fingerprint(rebuilt.network)
    if fingerprint != recorded["fingerprint"]:
        raise ModelError(
            f"The study is of another network than {_location(source, training)}: its fingerprint "
            f"is {recorded['fingerprint'][:12]}..., of this one {fingerprint[:12]}...; name the "
            "checkpoint that was analysed."
        )
    return rebuilt


def _as_measured(
    recorded: Mapping[str, Any], network: nn.Module, parts: Parts, *, normalize: bool | None
) -> nn.Module:
    """Return the network with the normalisation that it had when it was measured.

    Older manifests do not record the normalisation; then the fingerprint decides, unless the user
    does.

    Args:
        recorded: The network in the study's manifest.
        network: As it is built by default.
        parts: The data, whose normalisation may have been used.
        normalize: The user's choice.
    """
    inner = network.network if isinstance(network, Normalized) else network
    if "normalization" in recorded:
        return restore_normalization(inner, recorded["normalization"])
    if normalize is not None or network_fingerprint(network) == recorded["fingerprint"]:
        return network
    mean, std = parts.train.mean, parts.train.std
    other = inner if inner is not network or not mean else normalized(inner, mean, std)
    return other if network_fingerprint(other) == recorded["fingerprint"] else network


def check_shape(study: Study, parts: Parts) -> None:
    """Refuse data of another shape or number of classes than those of the study.

    Raises:
        DataError: It says both.
    """
    recorded = study.manifest["question"]["data"]
    for what, expected, actual in (
        ("inputs of shape", list(recorded.get("shape", ())), list(parts.train.shape)),
        ("a number of classes of", recorded["classes"], parts.train.classes),
    ):
        if expected != actual:
            raise DataError(
                f"Expected {what} {expected}, as the study has on {recorded['name']}, got "
                f"{actual} in {parts.train.name}."
            )


def _checkpoint_of(
    study: Study, source: SourceNetwork, training: TrainingRun | None
) -> tuple[str, str, Path | str | None]:
    """Return the network's name, its stem, and the file with its weights, if any."""
    name = study.manifest["question"]["network"]["name"]
    if source.weights is not None:
        check_name(source.model or name)
        return source.model or name, source.stem, source.weights
    if training is None:
        return name, source.stem, None
    question: Mapping[str, Any] = training.manifest["question"]
    if not question["network"].get("named"):
        raise TrainingError(
            f"The network of {training.folder} came from Python, without a name to build it by: "
            "pass it to `hormesis.retrain`, loaded with its checkpoint."
        )
    origin = study.manifest.get("origin") or {}
    epoch = int(origin.get("epoch", max(training.checkpoints, default=0)))
    training.chosen([epoch])
    return question["network"]["name"], question["recipe"]["stem"], training.whole(epoch)


def _location(source: SourceNetwork, training: TrainingRun | None) -> str:
    if source.network is not None:
        return "the one given"
    if source.weights is not None:
        return str(source.weights)
    return "that trained on the digits" if training is None else str(training.folder)
