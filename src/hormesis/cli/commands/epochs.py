"""``hormesis analyze --run``: a study for every checkpoint of a training."""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from hormesis.cli.attack_options import AttackOptions
from hormesis.cli.commands.watch import live_reports, write_picture
from hormesis.cli.options import CheckpointOptions, LiveOptions, StudyOutput
from hormesis.cli.parser import Arguments
from hormesis.data.corruptions import by_name
from hormesis.errors import SettingError
from hormesis.measure.epochs import CheckpointSelection, analyze_checkpoints
from hormesis.report.plots.evolution import draw_evolution
from hormesis.report.text.console import printable
from hormesis.report.text.series_table import print_series
from hormesis.results.training_run import TrainingRun, load_run
from hormesis.settings.network import ModelAndData
from hormesis.settings.request import AnalysisRequest
from hormesis.stress.metrics import metric_named

PICTURE = "epochs.png"


def run(arguments: Arguments, request: AnalysisRequest) -> int:
    """Analyse the epochs of a training, and return 1 if a checkpoint had to be left out."""
    checkpoints, source = arguments[CheckpointOptions], arguments[ModelAndData]
    if arguments[AttackOptions].epsilons:
        raise SettingError(
            "Expected one `epsilon` beside `run`, got several: analyse one checkpoint, with "
            "`weights`, for several magnitudes."
        )
    if request.stressed_data is not None:
        request = replace(request, stressed_data=by_name(request.stressed_data))
    training = load_run(str(checkpoints.run))
    _check_alike(source, training)
    training.chosen(checkpoints.epochs)
    name = f"{training.folder.resolve().name}-{request.attack.name}"
    out = request.out or Path("studies") / name
    metric = metric_named(request.metric)
    code_named = all(getattr(source, setting) == code for setting, code in training.code().items())
    with live_reports(arguments[LiveOptions], out):
        studies, damaged = analyze_checkpoints(
            CheckpointSelection(
                training.folder,
                checkpoints.epochs,
                source.samples,
                source.data_root,
                source.device,
                arguments[StudyOutput].allow_code or code_named,
            ),
            replace(request, out=out, metric=metric),
        )
    write_picture(partial(draw_evolution, studies), out / PICTURE, f"The studies in {out} are")
    print_series(studies, picture=out / PICTURE)
    for epoch, sentence in damaged.items():
        print(f"hormesis: epoch {epoch} was left out: {printable(sentence)}", file=sys.stderr)
    return 1 if damaged else 0


def _check_alike(source: ModelAndData, training: TrainingRun) -> None:
    """Refuse a network, weights or data that are not the training's."""
    question = training.metadata.question
    recorded = {
        "model": question.network.name,
        "data": question.data.name,
        "stem": question.recipe.stem,
        "normalize": question.data.normalize,
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
