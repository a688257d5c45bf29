"""``hormesis retrain``: training goes on with a part of the parameters, beside its controls."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from hormesis.cli.commands.run_text import print_repairs
from hormesis.cli.options import ObjectiveOptions, RetrainOptions, RunOutput
from hormesis.cli.parser import Arguments
from hormesis.report.plots import retraining
from hormesis.report.text.retraining import print_retraining
from hormesis.results.retraining import Retraining
from hormesis.results.series import load_study_or_series
from hormesis.results.training_run import TrainingRun, load_run
from hormesis.settings.network import ModelAndData
from hormesis.settings.scoring import Scoring
from hormesis.storage.atomic import replacing
from hormesis.training.config import DataConfig, Recipe, TrainerConfig
from hormesis.training.controls import retrain_with_controls
from hormesis.training.controls_config import Controls, EvaluationConfig
from hormesis.training.retrain import retrain
from hormesis.training.retraining_plan import RetrainingPlan, plan_retraining
from hormesis.training.run_folder import explaining_errors
from hormesis.training.selection import Selection
from hormesis.training.source_network import SourceNetwork, data_config_of, find_training

PICTURE = "accuracy.png"


def run(arguments: Arguments) -> int:
    """Retrain, print what came out, and return the exit code."""
    options, attack = arguments[RetrainOptions], arguments[ObjectiveOptions].made()
    recipe = arguments.make(Recipe, attack=attack, adversarial=attack is not None)
    selection = _selection(arguments)
    plan = plan_retraining(options.study, selection)
    source = SourceNetwork(
        weights=options.weights,
        model=options.model,
        stem=options.stem,
        run=options.run,
        allow_code=arguments[RunOutput].allow_code,
    )
    settings: dict[str, Any] = {
        "out": Path(arguments[RunOutput].out or Path("runs") / _name(plan, options.controls)),
        "selection": selection,
        "recipe": recipe,
        "source": source,
        "data_config": _data_config(arguments, find_training(plan.study, source)),
        "trainer_config": arguments[TrainerConfig],
    }
    if options.controls:
        evaluation_config = arguments.make(EvaluationConfig)
        controls = Controls(seeds=options.arm_seeds(), evaluation_config=evaluation_config)
        made = retrain_with_controls(plan.study, options.data, controls=controls, **settings)
        print_retraining(made, picture=_drawn(made))
        return 0  # what was mended is among the notes
    made = retrain(plan.study, options.data, **settings)
    print_retraining(made, picture=_drawn(made))
    trained = load_run(made.folder)
    return print_repairs(trained.mended, trained.damaged)


def _drawn(made: Retraining) -> Path | None:
    """Draw what the arms come to, and return where."""
    if made.accuracy is None:
        return None
    path = made.folder / PICTURE
    with explaining_errors(made.folder), replacing(path) as temporary:
        retraining.draw_arms(made, temporary)
    return path


def _selection(arguments: Arguments) -> Selection:
    """Return the selection, by the study's own scoring but for what was given of one."""
    selection, changed = arguments[Selection], arguments.given(Scoring)
    if not changed:
        return selection
    study = load_study_or_series(arguments[RetrainOptions].study)
    return replace(selection, scoring=replace(study.scoring, **changed))


def _data_config(arguments: Arguments, training: TrainingRun | None) -> DataConfig | None:
    """Return which part of the data was asked for; None for that of the study's training."""
    asked = arguments[DataConfig]
    if arguments[RetrainOptions].data is not None:
        return asked
    if training is None:
        return None
    changed = {"root": asked.root, "samples": asked.samples, "download": asked.download}
    return replace(
        data_config_of(training), **{name: value for name, value in changed.items() if value}
    )


def _name(plan: RetrainingPlan, controls: bool) -> str:
    """Return the name of the folder that a retraining gets unless it is given one."""
    about = plan.described()["study"]
    named = ModelAndData(model=about["network"], data=about["data"])
    return named.study_name("controls" if controls else "selective")
