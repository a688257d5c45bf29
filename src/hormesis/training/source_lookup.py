"""Where the network of a study is: what the user says, or else its manifest. Trains nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from hormesis.errors import ModelError, SettingError, TrainingError
from hormesis.models.networks import check_name
from hormesis.results.study import Study
from hormesis.results.training_run import TrainingRun, load_run
from hormesis.settings.factory import is_code


@dataclass(frozen=True)
class SourceNetwork:
    """Where the network of a study comes from; nothing is needed if the study records it.

    Args:
        network: The network itself, as ``hormesis.analyze`` was given it; it is copied.
        weights: A checkpoint of it.
        model: Name or ``module:factory`` of the network, for ``weights``; None takes that of the
            study.
        stem: How its first layer is built, for ``weights``.
        run: The folder of its training; None takes the one recorded in the study.
        weights_key: Where the weights lie in a checkpoint of several networks.
        weights_ignore: Entries of the checkpoint to leave out, with * and ?.
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
    weights_key: str | None = None
    weights_ignore: Sequence[str] = ()
    allow_code: bool = False


def manifest_code(study: Study, source: SourceNetwork, data: object) -> dict[str, str]:
    """Return each ``module:factory`` for model or data that only a manifest names.

    Args:
        study: The study.
        source: Where its network is.
        data: The user's training data; None takes those in the training's manifest.

    Raises:
        TrainingError: As ``find_training`` says.
    """
    if source.network is not None:
        return {}
    training = find_training(study, source)
    name = study.manifest["question"]["network"]["name"]
    named = {"model": name} if training is None else training.code()
    user_values = {"model": source.model, "data": data}
    return {
        key: code
        for key, code in named.items()
        if is_code(key, code)
        and user_values[key] != code
        and not (key == "data" and data is not None)
    }


def refuse_manifest_code(study: Study, source: SourceNetwork, data: object) -> None:
    """Refuse to import code that only a manifest names, unless that is allowed.

    Raises:
        SettingError: It names the setting, the code and the remedy.
    """
    if source.allow_code:
        return
    for setting, code in manifest_code(study, source, data).items():
        raise SettingError(
            f"The study or its training names code for its {setting}, {code!r}, which would run "
            f"with your rights: name it as `{setting}`, or pass `allow_code` if you trust these "
            "folders."
        )


def find_training(study: Study, source: SourceNetwork) -> TrainingRun | None:
    """Return the training of a study's network, or None if the network comes from elsewhere.

    Raises:
        TrainingError: If it is not known where the network is, or its training is missing.
    """
    origin = study.manifest.get("origin") or {}
    folder = source.run or origin.get("run")
    if source.network is not None or source.weights is not None:
        return None
    if folder is None and is_trained_on_digits(study):
        return None
    if folder is None:
        name = study.manifest["question"]["network"]["name"]
        raise TrainingError(
            f"The network of the study, {name}, is not at hand: name its checkpoint with "
            "`weights`, or the folder of its training with `run`."
        )
    if source.run is None and not Path(folder).is_dir():
        raise TrainingError(
            f"The study is of the training {folder}, which is not there: name its folder with "
            "`run`, or a checkpoint with `weights`."
        )
    return load_run(folder)


def is_trained_on_digits(study: Study) -> bool:
    """Return whether ``hormesis analyze`` may have trained a study's network on the digits."""
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
