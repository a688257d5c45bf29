"""The network that a study is of, found again and compared bit for bit."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from hormesis.data.splits import Parts
from hormesis.errors import DataError, ModelError, SettingError, TrainingError
from hormesis.models.checkpoints import load_weights
from hormesis.models.fingerprint import network_fingerprint
from hormesis.models.networks import check_name
from hormesis.models.normalization import Normalized, as_recorded, normalized
from hormesis.results.study import Study
from hormesis.results.training_run import TrainingRun, load_run
from hormesis.settings.factory import is_code
from hormesis.training.config import DataConfig, Recipe
from hormesis.training.digits import trained_on_digits
from hormesis.training.train import network_of


@dataclass(frozen=True)
class SourceNetwork:
    """Where the network of a study comes from. One of these is enough, or none if a study knows.

    Args:
        network: The network itself, as ``hormesis.analyze`` was given it; it is copied.
        weights: A checkpoint of it.
        model: What the network is built by, for ``weights``; None takes the study's name of it.
        stem: How its first layer is built, for ``weights``.
        run: The folder of the training that it comes from; None takes the one the study knows.
        allow_code: Import the ``module:factory`` of network or data that a manifest names.

    Example:
        >>> SourceNetwork(weights="r18.safetensors").stem
        'standard'
    """

    network: nn.Module | None = None
    weights: str | Path | None = None
    model: str | None = None
    stem: str = "standard"
    run: str | Path | None = None
    allow_code: bool = False


def code_of(study: Study, origin: SourceNetwork, data: object) -> dict[str, str]:
    """Return the ``module:factory`` that a manifest, and nobody else, names for model or data.

    Args:
        study: The study.
        origin: Where its network is.
        data: What was asked to be trained on; None takes what the training's manifest names.

    Raises:
        TrainingError: As ``training_of`` says.
    """
    if origin.network is not None:
        return {}
    training = training_of(study, origin)
    name = study.manifest["question"]["network"]["name"]
    named = {"model": name} if training is None else training.code()
    given = {"model": origin.model, "data": data}
    return {
        key: code
        for key, code in named.items()
        if is_code(key, code) and given[key] != code and not (key == "data" and data is not None)
    }


def refuse_code(study: Study, origin: SourceNetwork, data: object) -> None:
    """Refuse to import what only a manifest names.

    Raises:
        SettingError: It names the setting, the code and the remedy.
    """
    if origin.allow_code:
        return
    for setting, code in code_of(study, origin, data).items():
        raise SettingError(
            f"The study or its training names code for its {setting}, {code!r}, which would run "
            f"with your rights: name it as `{setting}`, or pass `allow_code` if you trust these "
            "folders."
        )


def training_of(study: Study, origin: SourceNetwork) -> TrainingRun | None:
    """Return the training that a study's network comes from, or None if it comes from elsewhere.

    Raises:
        TrainingError: If nobody says where the network is, or its training is not there.
    """
    said = study.manifest.get("origin") or {}
    folder = origin.run or said.get("run")
    if origin.network is not None or origin.weights is not None:
        return None
    if folder is None and trained_on_the_spot(study):
        return None
    if folder is None:
        name = study.manifest["question"]["network"]["name"]
        raise TrainingError(
            f"The network of the study, {name}, is not at hand: name its checkpoint with "
            "`weights`, or the folder of its training with `run`."
        )
    if origin.run is None and not Path(folder).is_dir():
        raise TrainingError(
            f"The study is of the training {folder}, which is not there: name its folder with "
            "`run`, or a checkpoint with `weights`."
        )
    return load_run(folder)


def trained_on_the_spot(study: Study) -> bool:
    """Return whether a study may be of a network that ``hormesis analyze`` trains on the digits."""
    question = study.manifest["question"]
    name = question["network"]["name"]
    elsewhere = question["data"]["name"] != "digits" or bool(study.manifest.get("origin"))
    if elsewhere or is_code("model", name):
        return False
    try:
        check_name(name)
    except ModelError:  # the class of a network that came from Python
        return False
    return True


def corpus_of(training: TrainingRun, root: str | None = None) -> DataConfig:
    """Return which part of its data a training was made with.

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


def network_again(
    study: Study,
    origin: SourceNetwork,
    parts: Parts,
    corpus: DataConfig,
    training: TrainingRun | None,
) -> tuple[str | nn.Module, nn.Module, str]:
    """Return the network of a study, as it was measured.

    Args:
        study: The study.
        origin: Where to look.
        parts: The data that it is trained on.
        corpus: Whether a named network gets their normalisation.
        training: What ``training_of`` returned.

    Returns:
        What the network is built by, the network on the CPU, and its stem.

    Raises:
        TrainingError: If the training has the network under no name, or not of that epoch.
        ModelError: If the network is another one.
    """
    check_shape(study, parts)
    about = study.manifest["question"]["network"]
    if origin.network is not None:
        found: tuple[str | nn.Module, nn.Module, str] = (
            origin.network,
            deepcopy(origin.network).cpu(),
            origin.stem,
        )
    else:
        model, stem, path = _named(study, origin, training)
        seed = study.manifest["question"]["sweep"]["seed"]
        network = network_of(model, parts, corpus, Recipe(stem=stem, seed=seed))
        if path is None:
            trained_on_digits(network, model, seed=seed)
        else:
            load_weights(network, path)
        found = (model, _normalised_as(about, network, parts, asked=corpus.normalize), stem)
    fingerprint = network_fingerprint(found[1])
    if fingerprint != about["fingerprint"]:
        raise ModelError(
            f"The study is of another network than {_place(origin, training)}: its fingerprint is "
            f"{about['fingerprint'][:12]}..., of this one {fingerprint[:12]}...; name the "
            "checkpoint that was analysed."
        )
    return found


def _normalised_as(
    about: Mapping[str, Any], network: nn.Module, parts: Parts, *, asked: bool | None
) -> nn.Module:
    """Return the network with, or without, what stood in front of it when it was measured.

    Manifests did not always spell it out; then the fingerprint tells, unless somebody says.

    Args:
        about: What the manifest of the study says of its network.
        network: As it is built by default.
        parts: The data, whose normalisation may have been in front.
        asked: Whether it was asked for.
    """
    inner = network.network if isinstance(network, Normalized) else network
    if "normalization" in about:
        return as_recorded(inner, about["normalization"])
    if asked is not None or network_fingerprint(network) == about["fingerprint"]:
        return network
    mean, std = parts.train.mean, parts.train.std
    other = inner if inner is not network or not mean else normalized(inner, mean, std)
    return other if network_fingerprint(other) == about["fingerprint"] else network


def check_shape(study: Study, parts: Parts) -> None:
    """Refuse data of another shape or number of classes than those of the study.

    Raises:
        DataError: It says both.
    """
    about = study.manifest["question"]["data"]
    for what, there, here in (
        ("inputs of shape", list(about.get("shape", ())), list(parts.train.shape)),
        ("a number of classes of", about["classes"], parts.train.classes),
    ):
        if there != here:
            raise DataError(
                f"Expected {what} {there}, as the study has on {about['name']}, got {here} in "
                f"{parts.train.name}."
            )


def _named(
    study: Study, origin: SourceNetwork, training: TrainingRun | None
) -> tuple[str, str, Path | str | None]:
    """Return what the network is built by, its stem, and the file with its weights, if any."""
    name = study.manifest["question"]["network"]["name"]
    if origin.weights is not None:
        check_name(origin.model or name)
        return origin.model or name, origin.stem, origin.weights
    if training is None:
        return name, origin.stem, None
    question: Mapping[str, Any] = training.manifest["question"]
    if not question["network"].get("named"):
        raise TrainingError(
            f"The network of {training.folder} came from Python, without a name to build it by: "
            "pass it to `hormesis.retrain`, loaded with its checkpoint."
        )
    said = study.manifest.get("origin") or {}
    epoch = int(said.get("epoch", max(training.checkpoints, default=0)))
    training.chosen([epoch])
    return question["network"]["name"], question["recipe"]["stem"], training.whole(epoch)


def _place(origin: SourceNetwork, training: TrainingRun | None) -> str:
    if origin.network is not None:
        return "the one given"
    if origin.weights is not None:
        return str(origin.weights)
    return "that trained on the digits" if training is None else str(training.folder)
