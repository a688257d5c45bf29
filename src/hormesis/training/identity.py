"""What a training asks, and whether the folder it is to go on in holds the same."""

from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn

from hormesis import manifest
from hormesis.errors import TrainingError
from hormesis.inputs.parts import Parts
from hormesis.training.keeper import write_checkpoint
from hormesis.training.recipe import Corpus, Recipe
from hormesis.training.runs import MANIFEST, checkpoint_path, open_run, write_manifest


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds anything but a training.

    Raises:
        TrainingError: It names the folder.
    """
    if folder.exists() and not folder.is_dir():
        raise TrainingError(f"Expected a folder for the training, got the file {folder}.")
    if not folder.is_dir() or (folder / MANIFEST).is_file():
        return
    if any(not path.name.startswith(".") for path in folder.iterdir()):  # a kill may leave those
        raise TrainingError(
            f"The folder {folder} holds something else: choose an empty or a new one with `out`."
        )


def question(
    model: str | nn.Module, network: nn.Module, parts: Parts, asked: tuple[Recipe, Corpus]
) -> dict[str, Any]:
    """Return what a training asks, as plain values: the weights of two that agree are the same.

    Args:
        model: As it was asked for.
        network: The untrained network.
        parts: The data.
        asked: The recipe, and which part of the data.
    """
    recipe, corpus = asked
    named = isinstance(model, str)
    attack = None if recipe.attack is None else manifest.describe_attack(recipe.attack)
    return {
        "network": {
            "name": model if named else manifest.network_name(network),
            "named": named,
            "fingerprint": manifest.network_fingerprint(network),
        },
        "data": {
            "name": parts.train.name,
            "split": corpus.split,
            "split_seed": corpus.split_seed,
            "normalize": corpus.normalize,
            "samples": len(parts.train),
            "validation_samples": len(parts.validation),
            "classes": parts.train.classes,
            "shape": list(parts.train.shape),
            "bounds": list(parts.train.bounds),
            "fingerprint": parts.train.fingerprint(),
            "validation_fingerprint": parts.validation.fingerprint(),
        },
        "recipe": {**asdict(recipe), "attack": attack},
    }


def settle(folder: Path, asked: dict[str, Any], about: dict[str, Any], network: nn.Module) -> None:
    """Write the manifest and the untrained network, or check that the folder's is the same.

    Args:
        folder: The run's folder.
        asked: What ``question`` returned.
        about: What else the manifest shall say of this session.
        network: The untrained network.

    Raises:
        TrainingError: If the folder holds another training; the first difference is named.
    """
    sessions = []
    if (folder / MANIFEST).is_file():
        stored = open_run(folder).manifest
        difference = manifest.first_difference(_fixed(asked), _fixed(stored["question"]))
        if difference:
            raise TrainingError(
                f"The folder {folder} holds another training ({difference}); choose another one "
                "with `out`."
            )
        sessions = stored.get("sessions", [])
        asked = {
            **asked,
            "recipe": {
                **asked["recipe"],
                "epochs": max(asked["recipe"]["epochs"], stored["question"]["recipe"]["epochs"]),
            },
        }
    else:
        folder.mkdir(parents=True, exist_ok=True)
    said = {**about, **manifest.environment(), "lightning": version("lightning")}
    write_manifest(folder, {"question": asked, "sessions": [*sessions, said]})
    if not checkpoint_path(folder, 0).is_file():
        write_checkpoint(network, folder, 0)


def _fixed(question: dict[str, Any]) -> dict[str, Any]:
    """Return a question without what does not change the epochs that are there already."""
    recipe = question["recipe"]
    if recipe["schedule"] is not None:
        return question  # many schedules depend on the number of epochs
    return {**question, "recipe": {**recipe, "epochs": None}}
