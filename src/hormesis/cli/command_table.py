"""The table of the commands: what each does, and the dataclasses that its flags fill. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass

from hormesis.cli.flags import Flag, Group
from hormesis.cli.options import (
    AttackOptions,
    CheckpointOptions,
    CompareOptions,
    ExportOptions,
    FolderOptions,
    LiveOptions,
    MeasurementOptions,
    ObjectiveOptions,
    PlotOptions,
    ReportOptions,
    RetrainOptions,
    RunOutput,
    ShowOptions,
    StudyOutput,
    TrainingAttackOptions,
    TrainOptions,
    WatchOptions,
)
from hormesis.settings.confirmation import Confirmation
from hormesis.settings.execution import Execution
from hormesis.settings.network import ModelAndData
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.training.config import DataConfig, Recipe, TrainerConfig
from hormesis.training.controls_config import EvaluationConfig
from hormesis.training.selection import Selection


@dataclass(frozen=True)
class Command:
    """A command: what its help says, and the dataclasses that its flags fill.

    Args:
        summary: What it does, for the list of commands.
        description: What it does, for its own help.
        groups: Its settings.
        configurable: Whether a file of YAML can hold them.
    """

    summary: str
    description: str
    groups: tuple[Group, ...]
    configurable: bool = False

    @property
    def flags(self) -> list[Flag]:
        """All settings, in the order of the help."""
        return [flag for group in self.groups for flag in group.flags]


_OF_STUDY = Group(Scoring, "scoring (by default as in the study)", optional=True)
COMMANDS: Mapping[str, Command] = {
    "analyze": Command(
        "measure and score a network",
        "Measure a network at every threshold of the filters, and score its parameters. Without "
        "any option: a ResNet-18, trained on the embedded digits on the spot.",
        (
            Group(ModelAndData, "network and data"),
            Group(CheckpointOptions, "checkpoints of a training"),
            Group(AttackOptions, "adversary"),
            Group(Targets, "targets"),
            Group(Sweep, "sweep"),
            Group(MeasurementOptions, "measurement"),
            Group(Scoring, "scoring"),
            Group(Confirmation, "confirmation"),
            Group(Execution, "execution"),
            Group(StudyOutput, "output"),
            Group(LiveOptions, "live reports"),
        ),
        configurable=True,
    ),
    "train": Command(
        "train a network and keep checkpoints",
        "Train a network and keep checkpoints. The same command resumes an interrupted run. "
        "`hormesis analyze --run DIR` analyses the epochs.",
        (
            Group(TrainOptions, "network and data"),
            Group(DataConfig),
            Group(Recipe, "recipe", later=True),
            Group(TrainingAttackOptions, "adversary"),
            Group(TrainerConfig, "execution"),
            Group(RunOutput, "output"),
        ),
        configurable=True,
    ),
    "retrain": Command(
        "continue training the robust parameters",
        "Continue training the network of a study, but only the targets of some classes; "
        "everything else is frozen, bit for bit. --controls also trains and compares the usual "
        "alternatives.",
        (
            Group(Selection, "selection"),
            _OF_STUDY,
            Group(RetrainOptions, "network and data"),
            Group(DataConfig, without=("split", "split_seed")),
            Group(Recipe, "recipe", without=("stem", "adversarial"), later=True),
            Group(ObjectiveOptions, "objective"),
            Group(EvaluationConfig, "evaluation of controls", later=True),
            Group(TrainerConfig, "execution"),
            Group(RunOutput, "output"),
        ),
        configurable=True,
    ),
    "show": Command(
        "print the scores of a study",
        "Print the scores of a study, on request by another base or reference.",
        (Group(ShowOptions), _OF_STUDY),
    ),
    "export": Command(
        "write a table of a study", "Write a table of a study.", (Group(ExportOptions), _OF_STUDY)
    ),
    "compare": Command(
        "compare several studies",
        "Compare studies of the same method: which targets keep their class, which change.",
        (Group(CompareOptions), _OF_STUDY),
    ),
    "plot": Command(
        "draw a picture of a study for a paper",
        "Draw a picture of a study for a paper.",
        (Group(PlotOptions), _OF_STUDY),
    ),
    "report": Command(
        "write a report in one HTML file",
        "Write a report on studies and retrainings: one HTML file, which needs no network.",
        (Group(ReportOptions), _OF_STUDY),
    ),
    "status": Command(
        "print the progress of a study or a training",
        "Print how far a study or a training is, how long it will still take, and the estimates of "
        "a study so far.",
        (Group(FolderOptions),),
    ),
    "verify": Command(
        "check every file of a study or a training",
        "Check every file of a study or a training. The exit code is 1 if one is damaged or "
        "missing; the command that made it measures such shards again, or mends the training.",
        (Group(FolderOptions),),
    ),
    "watch": Command(
        "report on a study while it is measured",
        "Report on a study while it is measured, here or elsewhere, until it is finished.",
        (Group(WatchOptions),),
    ),
}
