"""``hormesis retrain``: training continues with a part of the parameters, beside controls."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from hormesis.cli.attack_options import ObjectiveOptions
from hormesis.cli.commands.run_text import print_repairs
from hormesis.cli.options import RetrainOptions, RunOutput
from hormesis.cli.parser import Arguments
from hormesis.report.plots.retraining import draw_arms
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
from hormesis.training.source_lookup import SourceNetwork, find_training
from hormesis.training.source_network import data_config_of

PICTURE = "accuracy.png"


def run(arguments: Arguments) -> int:
    """Retrain, print the result, and return the exit code."""
    options, attack = arguments[RetrainOptions], arguments[ObjectiveOptions].to_attack()
    recipe = arguments.make(Recipe, attack=attack, adversarial=attack is not None)
    selection = _selection(arguments)
    plan = plan_retraining(options.study, selection)
    source = SourceNetwork(
        weights=options.weights,
        weights_key=options.weights_key,
        weights_ignore=options.weights_ignore,
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
        retraining = retrain_with_controls(plan.study, options.data, controls=controls, **settings)
        print_retraining(retraining, picture=_draw_arms(retraining))
        return 0  # repaired damage is among the notes
    retraining = retrain(plan.study, options.data, **settings)
    print_retraining(retraining, picture=_draw_arms(retraining))
    trained = load_run(retraining.folder)
    return print_repairs(trained.mended, trained.damaged)


def _draw_arms(retraining: Retraining) -> Path | None:
    """Draw the arms of a retraining with controls, and return the file."""
    if retraining.accuracy is None:
        return None
    path = retraining.folder / PICTURE
    with explaining_errors(retraining.folder), replacing(path) as temporary:
        draw_arms(retraining, temporary)
    return path


def _selection(arguments: Arguments) -> Selection:
    """Return the selection; flags of the scoring change the study's own."""
    selection, changed = arguments[Selection], arguments.overrides(Scoring)
    if not changed:
        return selection
    study = load_study_or_series(arguments[RetrainOptions].study)
    return replace(selection, scoring=replace(study.scoring, **changed))


def _data_config(arguments: Arguments, training: TrainingRun | None) -> DataConfig | None:
    """Return the settings of the data; None for those of the study's training."""
    config = arguments[DataConfig]
    if arguments[RetrainOptions].data is not None:
        return config
    if training is None:
        return None
    changed = {"root": config.root, "samples": config.samples, "download": config.download}
    return replace(
        data_config_of(training), **{name: value for name, value in changed.items() if value}
    )


def _name(plan: RetrainingPlan, controls: bool) -> str:
    """Return the default name of a retraining's folder."""
    study = plan.described()["study"]
    source = ModelAndData(model=study["network"], data=study["data"])
    return source.study_name("controls" if controls else "selective")
