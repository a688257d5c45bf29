"""Settings of the commands besides those of the library: plain frozen values, no torch."""

from dataclasses import dataclass, field
from typing import Any

from hormesis.errors import SettingError
from hormesis.report.plots.table import PLOTS
from hormesis.settings.apply import AIMS, ROBUST, Aim, Robust, Sparse
from hormesis.settings.attacks import PAIRED, PAIRINGS
from hormesis.settings.choices import SIDES, STEMS
from hormesis.settings.network import ModelAndData
from hormesis.settings.option import option
from hormesis.training.config import check_count
from hormesis.training.selection import SCORES

STUDY = option(metavar="STUDY", expected="the folder of a study")
FOLDER = option(metavar="FOLDER", expected="the folder of a study or a training")
FILE, DIR = option(metavar="FILE"), option(metavar="DIR")
BITS, MASKS, RATIOS, TURNS = "bits", "masks", "ratios", "turns"
TABLES = ("scores", "responses", "targets", BITS, RATIOS, MASKS, TURNS)
TABLE_FORMATS = ("csv", "parquet", "json", "yaml")


@dataclass(frozen=True)
class CheckpointOptions:
    """Which checkpoints of a training are analysed.

    Args:
        run: Folder of ``hormesis train``, whose network is analysed on its data, epoch by epoch.
        epochs: Epochs of that training, such as 1,2,5,10; by default all with a checkpoint.
    """

    run: str | None = field(default=None, metadata=DIR)
    epochs: Any = field(default=None, metadata=option(metavar="LIST"))

    def __post_init__(self) -> None:
        """Check that the fields fit together."""
        object.__setattr__(self, "epochs", parse_epochs(self.epochs))
        if self.epochs is not None and self.run is None:
            raise SettingError("Expected `run`, the folder of a training, for `epochs`; got none.")


def parse_epochs(epochs: object) -> tuple[int, ...] | None:
    """Return the epochs that a list names; None for all.

    Args:
        epochs: Whole numbers with commas between them, one number, a list of them, or None.

    Raises:
        SettingError: For anything else.

    Example:
        >>> parse_epochs("1,2,5"), parse_epochs(3), parse_epochs([0, 1])
        ((1, 2, 5), (3,), (0, 1))
    """
    if epochs is None:
        return None
    parts = list(epochs) if isinstance(epochs, list | tuple) else str(epochs).split(",")
    words = [str(part).strip() for part in parts]
    if not words or not all(word.isascii() and word.isdecimal() for word in words):
        raise SettingError(
            "Expected `epochs` to be whole numbers with commas between them, such as 1,2,5, got "
            f"{epochs!r}."
        )
    return tuple(dict.fromkeys(int(word) for word in words))


@dataclass(frozen=True)
class MeasurementOptions:
    """What is measured.

    Args:
        metric: ``accuracy``, ``top5``, ``loss``, ``mse`` or another name of ``hormesis.metrics``,
            or ``module:function``.
        loss: What the attack raises, a name of ``hormesis.losses`` or ``module:function``; by
            default the one that goes with the metric.
        output: Name or place of the network's output that is measured; by default its logits.
        label: Key, column or place of the labels in data that are dictionaries, tables or tuples.
        stressed: Data to be measured in place of an attack: a data set or a folder as ``data``
            takes them, or a corruption of the data with its severity, such as ``gaussian_noise:3``.
        pairing: Whether its samples are the stressed versions of those in the data, or others.
        own_span: Take the network's own range in place of the span.
    """

    metric: str = field(default="accuracy", metadata=option(code=True))
    loss: str | None = field(default=None, metadata=option(code=True))
    output: str | None = None
    label: str | None = None
    stressed: str | None = field(default=None, metadata=option(code=True, metavar="NAME"))
    pairing: str = field(default=PAIRED, metadata=option(choices=PAIRINGS))
    own_span: bool = False


@dataclass(frozen=True)
class LiveOptions:
    """Reports that follow a measurement.

    Args:
        live: Report that is updated as results arrive.
        tensorboard: Folder of TensorBoard events that are added as results arrive.
    """

    live: str | None = field(default=None, metadata=FILE)
    tensorboard: str | None = field(default=None, metadata=DIR)


@dataclass(frozen=True)
class StudyOutput:
    """Where a study is written.

    Args:
        out: Folder of the study; by default in studies/, named by data, model and attack.
        allow_code: Run what a configuration, or the manifest of a training, names as
            ``module:factory``.
    """

    out: str | None = field(default=None, metadata=DIR)
    allow_code: bool = False


@dataclass(frozen=True)
class RunOutput:
    """Where a training is written.

    Args:
        out: Folder of the run; by default in runs/, named by data and model.
        allow_code: Run what a configuration, or the manifest of a training, names as
            ``module:factory``.
    """

    out: str | None = field(default=None, metadata=DIR)
    allow_code: bool = False


@dataclass(frozen=True)
class TrainOptions:
    """What is trained.

    Args:
        model: A torchvision name, ``timm:NAME`` or ``module:factory``.
        data: ``digits``, ``mnist``, ``fashion-mnist``, ``cifar10``, ``tiny-imagenet``, a folder
            with one folder of images a class, or ``module:factory``.
    """

    model: str = field(default=ModelAndData.model, metadata=option(code=True))
    data: str = field(default=ModelAndData.data, metadata=option(code=True))


@dataclass(frozen=True)
class RetrainOptions:
    """What is retrained.

    Args:
        study: Folder of the study, or of an applied network, whose zeros stay zero.
        run: Folder of the training that the study is of; by default where the study says.
        weights: Checkpoint of the study's network.
        weights_key: Where the weights lie in a checkpoint of several networks, such as ``ema``.
        weights_ignore: Entries of the checkpoint to leave out, with * and ?.
        model: What builds the network of these weights; by default the study's name of it.
        stem: First layer of that network.
        data: A data set, as for ``hormesis train``; by default that of the study's training.
        controls: Also train everything, the fragile targets, and random ones of the same size and
            number, and compare all of them under attack.
        seeds: How many seeds for each arm, or which ones, of two or more.
    """

    study: str = field(metadata=STUDY)
    run: str | None = field(default=None, metadata=DIR)
    weights: str | None = field(default=None, metadata=FILE)
    weights_key: str | None = field(default=None, metadata=option(metavar="KEY"))
    weights_ignore: tuple[str, ...] = ()
    model: str | None = field(default=None, metadata=option(code=True))
    stem: str = field(default="standard", metadata=option(choices=STEMS))
    data: str | None = field(default=None, metadata=option(code=True))
    controls: bool = False
    seeds: tuple[int, ...] = (3,)

    def arm_seeds(self) -> tuple[int, ...]:
        """Return the listed seeds, or the first seeds if there is only their number.

        Example:
            >>> RetrainOptions("a").arm_seeds(), RetrainOptions("a", seeds=(5, 8)).arm_seeds()
            ((1, 2, 3), (5, 8))
        """
        if len(self.seeds) != 1:
            return self.seeds
        (count,) = self.seeds
        check_count("seeds", count)
        return tuple(range(1, count + 1))


@dataclass(frozen=True)
class ApplyOptions:
    """What is applied, and what for.

    Args:
        study: Folder of the study.
        aim: A better performance under stress, or fewer values.
        clean_loss: Clean performance that robustness may cost, in percentage points; by default 1.
        loss: Performance that sparsity may cost, clean and under stress each, in percentage points;
            by default 0.5.
        out: Folder of the result; by default in applied/, named by study and aim.
        run: Folder of the training that the study is of; by default where the study says.
        stressed: The study's second data set, as for ``hormesis analyze``; by default as the study
            names it.
        proof_data: Data for the proof, as for ``hormesis analyze``; by default what the study left
            of its data set.
        proof_stressed: Stressed version of the data for the proof.
        allow_code: Run what the study, or its training, names as ``module:factory``.
    """

    study: str = field(metadata=STUDY)
    aim: str = field(default=ROBUST, metadata=option(choices=AIMS))
    clean_loss: float | int | None = None
    loss: float | int | None = None
    out: str | None = field(default=None, metadata=DIR)
    run: str | None = field(default=None, metadata=DIR)
    stressed: str | None = field(default=None, metadata=option(code=True, metavar="NAME"))
    proof_data: str | None = field(default=None, metadata=option(code=True, metavar="NAME"))
    proof_stressed: str | None = field(default=None, metadata=option(code=True, metavar="NAME"))
    allow_code: bool = False

    def to_aim(self) -> Aim:
        """Return the aim with its loss.

        Raises:
            SettingError: For the loss of the other aim.

        Example:
            >>> ApplyOptions("studies/r18", aim="sparse", loss=2).to_aim()
            Sparse(loss=2.0)
        """
        other, value = (
            ("loss", self.loss) if self.aim == ROBUST else ("clean_loss", self.clean_loss)
        )
        if value is not None:
            raise SettingError(
                f"Expected no `{other}` for the aim {self.aim!r}, got {value:g}: that is the loss "
                "of the other aim."
            )
        if self.aim == ROBUST:
            return Robust() if self.clean_loss is None else Robust(self.clean_loss)
        return Sparse() if self.loss is None else Sparse(self.loss)


@dataclass(frozen=True)
class ShowOptions:
    """What is printed.

    Args:
        study: Folder of the study.
    """

    study: str = field(metadata=STUDY)


@dataclass(frozen=True)
class ExportOptions:
    """Which table is written.

    Args:
        study: Folder of the study, or of an applied network for masks and ratios.
        what: Table, or the masks of what can be removed.
        format: Format of the file; masks are always safetensors.
        to: File to write; by default standard output.
        budget: Performance that the bits, ratio or mask of a layer may cost, in units of the
            metric.
        on: Performance that the budget is of.
        weights: For masks: the network's weights, as safetensors.
    """

    study: str = field(metadata=STUDY)
    what: str = field(default="scores", metadata=option(choices=TABLES, noun="table"))
    format: str = field(default="csv", metadata=option(choices=TABLE_FORMATS))
    to: str | None = field(default=None, metadata=FILE)
    budget: float = 0.01
    on: str = field(default="clean", metadata=option(choices=SIDES))
    weights: str | None = field(default=None, metadata=FILE)


@dataclass(frozen=True)
class CompareOptions:
    """Which studies are compared, and how.

    Args:
        studies: Folders of studies, or a folder that holds them.
        over: What varies: epochs, data, models or seeds.
        matching: CSV of study, target and match, which says which targets go together.
        allow: Let the studies differ in this too, such as different:epsilon.
        group_by: Pool runs that agree in these: model, data, epoch, seed.
        score: Score whose paths and pictures are shown; by default adversarial or, without an
            attack, clean.
        out: Folder for tables and pictures.
        formats: Formats of the tables.
        pictures: Format of the pictures.
    """

    studies: tuple[str, ...] = field(
        metadata=option(metavar="STUDY", expected="the folders of at least two studies")
    )
    over: str = "epochs"
    matching: str | None = field(default=None, metadata=FILE)
    allow: tuple[str, ...] = field(default=(), metadata=option(metavar="different:NAME"))
    group_by: tuple[str, ...] = field(default=(), metadata=option(metavar="COLUMN"))
    score: str | None = field(default=None, metadata=option(choices=SCORES))
    out: str | None = field(default=None, metadata=DIR)
    formats: tuple[str, ...] = field(
        default=("csv",), metadata=option(choices=("csv", "parquet", "latex"), noun="format")
    )
    pictures: str = field(
        default="png",
        metadata=option(choices=("png", "svg", "pdf"), noun="format of the pictures"),
    )


@dataclass(frozen=True)
class PlotOptions:
    """Which picture is drawn.

    Args:
        study: Folder of a study or, for epochs, of the studies of a training.
        what: Picture.
        target: Targets to show, with * and ?; by default all, or the most telling.
        width: One column of a page, or two.
        format: Format of the file; by default as its name ends, or pdf.
        out: File to write; by default named by study and picture, in the current folder.
    """

    study: str = field(metadata=STUDY)
    what: str = field(default="heatmap", metadata=option(choices=PLOTS, noun="picture"))
    target: tuple[str, ...] = ()
    width: str = field(default="single", metadata=option(choices=("single", "double")))
    format: str | None = field(default=None, metadata=option(choices=("svg", "pdf", "png")))
    out: str | None = field(default=None, metadata=FILE)


@dataclass(frozen=True)
class ReportOptions:
    """What is reported.

    Args:
        paths: Folder of a study, of the studies of a training, or of a retraining.
        out: File to write, or folder of the index; by default report.html, or gallery.
        index: Write a page for each study into a folder, and an index of them that can be sorted.
        title: Heading; by default network and data or, of an index, the number of studies.
    """

    paths: tuple[str, ...] = field(
        metadata=option(metavar="PATH", expected="the folder of a study or of a retraining")
    )
    out: str | None = field(default=None, metadata=option(metavar="PLACE"))
    index: bool = False
    title: str = ""


@dataclass(frozen=True)
class FolderOptions:
    """What is examined.

    Args:
        study: Folder of a study or a training.
    """

    study: str = field(metadata=FOLDER)


@dataclass(frozen=True)
class ZoomOptions:
    """What a zoom starts from, and where its table goes.

    Args:
        seed: Seed of the attack's random starts, and of a choice of samples.
        out: CSV file of all removals; by default only what matters is printed.
    """

    seed: int = 0
    out: str | None = field(default=None, metadata=FILE)


@dataclass(frozen=True)
class WatchOptions:
    """What is watched, and where it is shown.

    Args:
        study: Folder of the study.
        out: Report that is updated as results arrive.
        tensorboard: Folder of TensorBoard events that are added as results arrive.
    """

    study: str = field(metadata=STUDY)
    out: str | None = field(default="report.html", metadata=FILE)
    tensorboard: str | None = field(default=None, metadata=DIR)
