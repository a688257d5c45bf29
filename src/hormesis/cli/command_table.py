"""The table of the commands: what each does, and the dataclasses that its flags fill. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass

from hormesis.cli.attack_options import AttackOptions, ObjectiveOptions, TrainingAttackOptions
from hormesis.cli.flags import Flag, FlagGroup
from hormesis.cli.options import (
    ApplyOptions,
    CheckpointOptions,
    CompareOptions,
    ExportOptions,
    FolderOptions,
    LiveOptions,
    MeasurementOptions,
    PlotOptions,
    ReportOptions,
    RetrainOptions,
    RunOutput,
    ShowOptions,
    StudyOutput,
    TrainOptions,
    WatchOptions,
    ZoomOptions,
)
from hormesis.settings.apply import Proof
from hormesis.settings.confirmation import Confirmation
from hormesis.settings.execution import Execution
from hormesis.settings.network import ModelAndData
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.settings.zoom import ZoomSettings
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
    groups: tuple[FlagGroup, ...]
    configurable: bool = False

    @property
    def flags(self) -> list[Flag]:
        """All settings, in the order of the help."""
        return [flag for group in self.groups for flag in group.flags]


_OF_STUDY = FlagGroup(Scoring, "scoring (by default as in the study)", optional=True)
COMMANDS: Mapping[str, Command] = {
    "analyze": Command(
        "measure and score a network",
        "Measure a network at every threshold of the filters, and score its parameters. Without "
        "any option: a ResNet-18, trained on the embedded digits on the spot.",
        (
            FlagGroup(ModelAndData, "network and data"),
            FlagGroup(CheckpointOptions, "checkpoints of a training"),
            FlagGroup(AttackOptions, "adversary"),
            FlagGroup(Targets, "targets"),
            FlagGroup(Sweep, "sweep"),
            FlagGroup(MeasurementOptions, "measurement"),
            FlagGroup(Scoring, "scoring"),
            FlagGroup(Confirmation, "confirmation"),
            FlagGroup(Execution, "execution"),
            FlagGroup(StudyOutput, "output"),
            FlagGroup(LiveOptions, "live reports"),
        ),
        configurable=True,
    ),
    "zoom": Command(
        "find the single weights that matter most",
        "Remove halves of parameters, and halves of those that matter, down to the single weights "
        "that a network hangs on.",
        (
            FlagGroup(ModelAndData, "network and data"),
            FlagGroup(ZoomSettings, "search"),
            FlagGroup(AttackOptions, "adversary", without=("target",), defaults={"attack": "none"}),
            FlagGroup(
                MeasurementOptions, "measurement", without=("stressed", "pairing", "own_span")
            ),
            FlagGroup(Execution, "execution", without=("overwrite", "extend")),
            FlagGroup(ZoomOptions, "output"),
        ),
    ),
    "train": Command(
        "train a network and keep checkpoints",
        "Train a network and keep checkpoints. The same command resumes an interrupted run. "
        "`hormesis analyze --run DIR` analyses the epochs.",
        (
            FlagGroup(TrainOptions, "network and data"),
            FlagGroup(DataConfig),
            FlagGroup(Recipe, "recipe", later=True),
            FlagGroup(TrainingAttackOptions, "adversary"),
            FlagGroup(TrainerConfig, "execution"),
            FlagGroup(RunOutput, "output"),
        ),
        configurable=True,
    ),
    "retrain": Command(
        "continue training the robust parameters",
        "Continue training the network of a study, but only the targets of some classes; "
        "everything else is frozen, bit for bit. --controls also trains and compares the usual "
        "alternatives.",
        (
            FlagGroup(Selection, "selection"),
            _OF_STUDY,
            FlagGroup(RetrainOptions, "network and data"),
            FlagGroup(DataConfig, without=("split", "split_seed")),
            FlagGroup(Recipe, "recipe", without=("stem", "adversarial"), later=True),
            FlagGroup(ObjectiveOptions, "objective"),
            FlagGroup(EvaluationConfig, "evaluation of controls", later=True),
            FlagGroup(TrainerConfig, "execution"),
            FlagGroup(RunOutput, "output"),
        ),
        configurable=True,
    ),
    "apply": Command(
        "put the best filters of a study into its network",
        "Put the best filters of a study into its network, one on top of the other, and prove what "
        "that does on samples that had no part in the choice, beside pruning of the same size. The "
        "same command resumes an interrupted one.",
        (
            FlagGroup(ApplyOptions, "aim"),
            FlagGroup(Proof, "proof"),
            FlagGroup(
                ModelAndData,
                "network and data (by default as in the study)",
                without=("samples",),
                optional=True,
            ),
            FlagGroup(Execution, "execution", without=("overwrite", "extend")),
        ),
        configurable=True,
    ),
    "show": Command(
        "print the scores of a study",
        "Print the scores of a study, on request by another base or reference.",
        (FlagGroup(ShowOptions), _OF_STUDY),
    ),
    "export": Command(
        "write a table of a study",
        "Write a table of a study.",
        (FlagGroup(ExportOptions), _OF_STUDY),
    ),
    "compare": Command(
        "compare several studies",
        "Compare studies of the same method: which targets keep their class, which change.",
        (FlagGroup(CompareOptions), _OF_STUDY),
    ),
    "plot": Command(
        "draw a picture of a study for a paper",
        "Draw a picture of a study for a paper.",
        (FlagGroup(PlotOptions), _OF_STUDY),
    ),
    "report": Command(
        "write a report in one HTML file",
        "Write a report on studies and retrainings: one HTML file, which needs no network.",
        (FlagGroup(ReportOptions), _OF_STUDY),
    ),
    "status": Command(
        "print the progress of a study or a training",
        "Print how far a study or a training is, how long it will still take, and the estimates of "
        "a study so far.",
        (FlagGroup(FolderOptions),),
    ),
    "verify": Command(
        "check every file of a study or a training",
        "Check every file of a study or a training. The exit code is 1 if one is damaged or "
        "missing; the command that made it measures such shards again, or mends the training.",
        (FlagGroup(FolderOptions),),
    ),
    "watch": Command(
        "report on a study while it is measured",
        "Report on a study while it is measured, here or elsewhere, until it is finished.",
        (FlagGroup(WatchOptions),),
    ),
}
