"""Small trainings for whoever interrupts, tears or fails them: seconds of one core in all.

``python tests/torn.py KIND OUT`` trains, retrains, or retrains with controls, in a process of its
own; the same command goes on where it was interrupted. ``kept`` is what must be the same after any
interruption.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import torch

import hormesis as hm
from hormesis.training.controls_config import EvaluationConfig
from hormesis.training.retrain import retrain
from hormesis.training.train import train
from retrained import network, sets, study, upper

KINDS = ("train", "retrain", "controls")
EPOCHS = 3
QUIET = hm.TrainerConfig(progress=False, loggers={}, device="cpu")
RECIPE = hm.Recipe(epochs=EPOCHS, batch_size=8, seed=3)


def run(kind: str, out: Path, epochs: int = EPOCHS) -> None:
    """Train, retrain, or retrain with controls; or go on with it."""
    torch.set_num_threads(1)
    recipe = hm.Recipe(epochs=epochs, batch_size=8, seed=3)
    if kind == "train":
        train(network(), sets(), out=out, recipe=recipe, trainer_config=QUIET)
        return
    of = study()
    asked = {
        "out": out,
        "selection": upper(of),
        "recipe": recipe,
        "source": hm.SourceNetwork(network=network()),
        "trainer_config": QUIET,
    }
    if kind == "retrain":
        retrain(of, sets(), **asked)
        return
    arms = ("selective", "everything", "none")
    trial = EvaluationConfig(epsilons=(0.05,), steps=2, restarts=1)
    controls = hm.Controls(arms=arms, seeds=(1,), evaluation_config=trial)
    hm.retrain_with_controls(of, sets(), controls=controls, **asked)


def kept(folder: Path) -> dict[str, bytes]:
    """Return the files that are the same after any interruption: weights and tables of outcomes."""
    found = [*folder.rglob("epoch-*.safetensors"), *folder.rglob("*.parquet")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(found)}


def torn(content: bytes) -> Iterator[tuple[str, bytes | None]]:
    """Yield what may be left of a file that was not on the disk when the power went."""
    middle = len(content) // 2
    flipped = bytearray(content)
    flipped[middle : middle + 1] = bytes([flipped[middle] ^ 1]) if content else b"\0"
    yield "cut", content[:middle]
    yield "empty", b""
    yield "zeros", b"\0" * len(content)
    yield "flipped", bytes(flipped)
    yield "missing", None


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]))
