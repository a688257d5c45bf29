"""``hormesis analyze --run``: a study for every checkpoint of a training."""

import sys
from dataclasses import replace
from pathlib import Path

from hormesis.cli.commands.watch import print_trouble, sinks_from
from hormesis.cli.options import CheckpointOptions, LiveOptions, StudyOutput
from hormesis.cli.parser import Arguments
from hormesis.errors import SettingError, StudyError
from hormesis.measure.epochs import CheckpointSelection, analyze_checkpoints
from hormesis.report.html.live import following
from hormesis.report.plots import evolution
from hormesis.report.text.console import printable
from hormesis.report.text.epoch_table import print_evolution
from hormesis.results.training_run import TrainingRun, load_run
from hormesis.settings.network import ModelAndData
from hormesis.settings.request import AnalysisRequest
from hormesis.storage.atomic import replacing
from hormesis.stress.metrics import metric_named

PICTURE = "epochs.png"


def run(arguments: Arguments, request: AnalysisRequest) -> int:
    """Analyse the epochs of a training, and return 1 if a checkpoint had to be left out."""
    asked, source = arguments[CheckpointOptions], arguments[ModelAndData]
    training = load_run(str(asked.run))
    _check_alike(source, training)
    training.chosen(asked.epochs)
    name = f"{training.folder.resolve().name}-{request.attack.name}"
    out = request.out or Path("studies") / name
    live, metric = arguments[LiveOptions], metric_named(request.metric)
    named = all(getattr(source, what) == code for what, code in training.code().items())
    with following(out, sinks_from(live.live, live.tensorboard, out)) as follower:
        studies, damaged = analyze_checkpoints(
            CheckpointSelection(
                training.folder,
                asked.epochs,
                source.samples,
                source.data_root,
                source.device,
                arguments[StudyOutput].allow_code or named,
            ),
            replace(request, out=out, metric=metric),
        )
    print_trouble(follower)
    try:
        with replacing(out / PICTURE) as temporary:
            evolution.draw_evolution(studies, temporary)
    except OSError as error:
        raise StudyError(
            f"The studies in {out} are complete, but their picture cannot be written: "
            f"{error.strerror}. Free some space and run the same command again."
        ) from error
    print_evolution(studies, picture=out / PICTURE)
    for epoch, sentence in damaged.items():
        print(f"hormesis: epoch {epoch} was left out: {printable(sentence)}", file=sys.stderr)
    return 1 if damaged else 0


def _check_alike(source: ModelAndData, training: TrainingRun) -> None:
    """Refuse network, weights and data of another origin than the training's."""
    question = training.manifest["question"]
    recorded = {
        "model": question["network"]["name"],
        "data": question["data"]["name"],
        "stem": question["recipe"]["stem"],
        "normalize": question["data"]["normalize"],
    }
    for name, value in recorded.items():
        if getattr(source, name) not in (getattr(ModelAndData(), name), value):
            raise SettingError(
                f"Expected `{name}` to be left out, as the run {training.folder} is of {value}, "
                f"got {getattr(source, name)!r}."
            )
    for name in ("weights", "bounds"):
        if getattr(source, name) is not None:
            raise SettingError(
                f"Expected no `{name}` beside `run`, whose checkpoints are analysed."
            )
