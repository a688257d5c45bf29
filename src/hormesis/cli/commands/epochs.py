"""``hormesis analyze --run``: a study for every checkpoint of a training."""

import sys
from pathlib import Path

from jsonargparse import Namespace

from hormesis.cli.commands.watch import sinks_from, tell
from hormesis.cli.config import run_from, scoring_from, sweep_from, targets_from
from hormesis.cli.confirmation_flags import confirmation_from
from hormesis.cli.epoch_flags import epochs_from
from hormesis.errors import SettingError, StudyError
from hormesis.settings.attacks import make_attack
from hormesis.settings.network import ModelAndData
from hormesis.settings.request import AnalysisRequest

PICTURE = "epochs.png"


def run(given: Namespace) -> int:
    """Analyse the epochs of a training, and return 1 if a checkpoint had to be left out."""
    epochs = epochs_from(given.epochs)
    attack = make_attack(given.attack, given.epsilon, steps=given.steps, step_size=given.step_size)
    targets, sweep, scoring = targets_from(given), sweep_from(given), scoring_from(given)

    from hormesis.results.training_run import load_run

    training = load_run(given.run)
    _check_alike(given, training.manifest["question"])
    training.chosen(epochs)
    usual = Path("studies") / f"{training.folder.resolve().name}-{attack.name}"
    out = Path(given.out or given.extend or usual)
    sinks = sinks_from(given.live, given.tensorboard, out)

    from hormesis.measure.epochs import (  # imports torch, which takes seconds
        CheckpointSelection,
        analyze_checkpoints,
    )
    from hormesis.report.html.live import following
    from hormesis.report.plots.evolution import draw_evolution
    from hormesis.report.text.console import printable
    from hormesis.report.text.epoch_table import print_evolution
    from hormesis.storage.atomic import replacing

    with following(out, sinks) as follower:
        selection = CheckpointSelection(
            given.run,
            epochs,
            given.samples,
            given.data_root,
            given.device,
            given.allow_code or all(given[name] == code for name, code in training.code().items()),
        )
        request = AnalysisRequest(
            attack,
            targets,
            sweep,
            scoring,
            metric=given.metric,
            out=out,
            execution=run_from(given),
            confirmation=confirmation_from(given),
        )
        studies, damaged = analyze_checkpoints(selection, request)
    tell(follower)
    try:
        with replacing(out / PICTURE) as temporary:
            draw_evolution(studies, temporary)
    except OSError as error:
        raise StudyError(
            f"The studies in {out} are complete, but their picture cannot be written: "
            f"{error.strerror}. Free some space and run the same command again."
        ) from error
    print_evolution(studies, picture=out / PICTURE)
    for epoch, sentence in damaged.items():
        print(f"hormesis: epoch {epoch} was left out: {printable(sentence)}", file=sys.stderr)
    return 1 if damaged else 0


def _check_alike(given: Namespace, question: dict[str, dict[str, object]]) -> None:
    """Refuse network, weights and data of another origin than the training's."""
    usual = ModelAndData()
    said = {
        "model": question["network"]["name"],
        "data": question["data"]["name"],
        "stem": question["recipe"]["stem"],
        "normalize": question["data"]["normalize"],
    }
    for name, there in said.items():
        if given[name] not in (getattr(usual, name), there):
            raise SettingError(
                f"Expected `{name}` to be left out, as the run {given.run} is of {there}, got "
                f"{given[name]!r}."
            )
    for name in ("weights", "bounds"):
        if given[name] is not None:
            raise SettingError(
                f"Expected no `{name}` beside `run`, whose checkpoints are analysed."
            )
