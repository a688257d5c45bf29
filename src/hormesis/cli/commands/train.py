"""``hormesis train``: a network, and its checkpoints at many epochs."""

from pathlib import Path

from hormesis.cli.attack_options import TrainingAttackOptions
from hormesis.cli.commands.run_text import print_repairs, print_run
from hormesis.cli.options import RunOutput, TrainOptions
from hormesis.cli.parser import Arguments
from hormesis.settings.network import ModelAndData
from hormesis.training.config import DataConfig, Recipe, TrainerConfig
from hormesis.training.train import train


def run(arguments: Arguments) -> int:
    """Train, print the run, and return 1 if a checkpoint is damaged and cannot be repaired."""
    model, data = arguments[TrainOptions].model, arguments[TrainOptions].data
    name = ModelAndData(model=model, data=data).study_name("").rstrip("-")
    trained = train(
        model,
        data,
        out=Path(arguments[RunOutput].out or Path("runs") / name),
        recipe=arguments.make(Recipe, attack=arguments[TrainingAttackOptions].to_attack()),
        data_config=arguments[DataConfig],
        trainer_config=arguments[TrainerConfig],
    )
    print_run(trained)
    return print_repairs(trained.mended, trained.damaged)
