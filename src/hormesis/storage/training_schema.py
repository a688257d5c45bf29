"""The files of trainings and retrainings as typed values; see ``schema`` for studies."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, field

from hormesis.settings.choices import MOST_EPOCHS, MOST_SEED, STEMS
from hormesis.storage.metrics_table import parse_metrics
from hormesis.storage.safe_read import digest
from hormesis.storage.schema import ScoringEntry
from hormesis.storage.validation import (
    AtLeast0,
    Count,
    Entry,
    Hash,
    Positive,
    Range,
    Sentences,
    Shape,
    Text,
    Texts,
    Word,
    among,
    convert,
)

MISSING = "it is missing"
_Seed = Annotated[int, Meta(ge=0, le=MOST_SEED)]
_Epochs = Annotated[int, Meta(ge=1, le=MOST_EPOCHS)]


class RunNetwork(Entry, frozen=True):
    """The network that is trained."""

    name: Text
    named: bool
    fingerprint: Hash = ""


class RunData(Entry, frozen=True):
    """The data that it is trained on."""

    name: Text
    samples: Positive
    split: Text
    split_seed: Count
    normalize: bool
    validation_fingerprint: Hash
    validation_samples: Positive = 0
    classes: Positive = 0
    shape: Shape = field(default_factory=list)
    bounds: Range = (0.0, 1.0)
    fingerprint: Hash = ""


class RunRecipe(Entry, frozen=True):
    """The settings of the training."""

    seed: _Seed
    stem: Annotated[str, among(STEMS)]
    epochs: _Epochs
    batch_size: Positive = field(name="batch", default=0)
    lr: Annotated[float, Meta(ge=0, le=sys.float_info.max)] = field(name="rate", default=0.0)
    schedule: Text | None = None


class RunQuestion(Entry, frozen=True):
    """The request of a training."""

    network: RunNetwork
    data: RunData
    recipe: RunRecipe


class RunSession(Entry, frozen=True):
    """How a training was carried out, and which files it found damaged."""

    data: Text | None = None
    data_root: Text | None = None
    validated_on: Count | None = None
    notes: Texts | None = None
    mended: Texts = field(default_factory=list)
    damaged: Texts = field(default_factory=list)


class RunManifest(Entry, frozen=True):
    """The manifest of a training.

    Example:
        >>> convert({"question": {}}, RunManifest)
        Traceback (most recent call last):
        ValueError: it lacks a proper `question.network`
    """

    question: RunQuestion
    sessions: Annotated[list[RunSession], Meta(max_length=100_000)] = field(default_factory=list)

    @property
    def last_session(self) -> RunSession:
        """The last session; an empty one if there was none."""
        return self.sessions[-1] if self.sessions else RunSession()


class Seal(Entry, frozen=True):
    """The size of a file in bytes, and its checksum in hexadecimal digits."""

    bytes: Count
    sha256: Word

    def fault(self, path: Path) -> str:
        """Return what is wrong with a file, in a few words, or an empty string; follows no link.

        Args:
            path: The file.
        """
        try:
            checksum = digest(path, self.bytes)
        except FileNotFoundError:
            return MISSING
        except OSError as error:
            return error.strerror or str(error)
        return "" if checksum == self.sha256 else "its checksum does not fit"


class RunRecord(Entry, frozen=True):
    """The record of a training's state."""

    epoch: _Epochs
    state: Seal
    checkpoints: Annotated[dict[Text, Seal], Meta(max_length=MOST_EPOCHS + 1)]
    metrics: str
    manifest: RunManifest


class RetrainedStudy(Entry, frozen=True):
    """The study whose parameters were selected."""

    network: Text
    data: Text
    epoch: Count | None = None


class SelectionEntry(Entry, frozen=True):
    """Which parameters were trained further, and how many."""

    targets: Texts
    keep: list[Word]
    by: Word
    filter: Word
    undecided: Word = ""
    others: Word = ""
    batchnorm: Word = ""
    scoring: ScoringEntry | None = None
    trained_targets: dict[Text, Count] = field(default_factory=dict)
    frozen_targets: dict[Text, Count] = field(default_factory=dict)
    trained_parameters: Count = 0
    frozen_parameters: Count = 0


class RetrainingRecipe(Entry, frozen=True):
    """The settings of the further training."""

    epochs: Count
    optimizer: Text
    lr: AtLeast0 = field(name="rate")


class ArmEntry(Entry, frozen=True):
    """One training of an arm."""

    seed: _Seed = 0


class TrialEntry(Entry, frozen=True):
    """The attack that the arms were evaluated with."""

    steps: Count
    restarts: Count


class ControlsEntry(Entry, frozen=True):
    """The other arms of a retraining; without seeds, there are none."""

    seeds: Annotated[list[_Seed], Meta(min_length=1, max_length=1_000_000)]
    samples: Positive
    trial: TrialEntry


class Frozen(Entry, frozen=True):
    """Number of frozen values, and the check that they did not change."""

    values: Count
    equal: Text


class RetrainingManifest(Entry, frozen=True):
    """The manifest of a retraining."""

    study: RetrainedStudy
    selection: SelectionEntry
    recipe: RetrainingRecipe
    arms: Annotated[dict[Text, list[ArmEntry]], Meta(max_length=1000)] = field(default_factory=dict)
    controls: ControlsEntry = field(
        default_factory=lambda: ControlsEntry(
            seeds=[], samples=0, trial=TrialEntry(steps=0, restarts=0)
        )
    )
    notes: Sentences = field(default_factory=list)
    frozen: Frozen = field(default_factory=lambda: Frozen(values=0, equal=""))


def validate_record(values: Mapping[str, Any]) -> RunRecord:
    """Return the record of a state as typed values, after checking it.

    Raises:
        ValueError: If anything is wrong; its text is a part of a sentence.
    """
    record = convert(dict(values), RunRecord)
    for name in record.checkpoints:
        if not name.isdecimal() or str(int(name)) != name or int(name) > record.epoch:
            raise ValueError(f"it lacks a proper `checkpoints.{name}`")
    if parse_metrics(record.metrics)[1] or record.metrics.count("\n") != record.epoch + 1:
        raise ValueError("it lacks a proper `metrics`")
    return record
