"""The manifest of an applied network as typed values."""

from typing import Annotated

from msgspec import Meta, field

from hormesis.settings.apply import AIMS
from hormesis.storage.schema import FINISHED, UNFINISHED
from hormesis.storage.validation import (
    AtLeast0,
    Count,
    Entry,
    Hash,
    Number,
    Positive,
    Sentences,
    Share,
    Text,
    Texts,
    Word,
    among,
)


class AppliedStudy(Entry, frozen=True):
    """The study whose cells were applied."""

    network: Text
    fingerprint: Hash
    data: Text
    data_fingerprint: Hash
    samples: Positive
    identity: Hash = ""
    path: Text | None = None
    epoch: Count | None = None


class AimEntry(Entry, frozen=True):
    """What the path was chosen for; losses are in percentage points."""

    name: Annotated[str, among(AIMS)]
    clean_loss: AtLeast0 | None = None
    loss: AtLeast0 | None = None


class ProofEntry(Entry, frozen=True):
    """How the network was proved."""

    samples: Positive
    fingerprint: Hash
    steps: Positive
    restarts: Positive
    autoattack: bool
    baselines: Texts
    draws: Positive
    seed: Count
    level: Share
    attacks: Texts = field(default_factory=list)
    epsilon: AtLeast0 | None = None


class AppliedMetric(Entry, frozen=True):
    """What was measured."""

    name: Text
    higher_is_better: bool = True
    binary: bool = True
    stressed: bool = True
    stress: Text = ""


class AppliedResult(Entry, frozen=True):
    """How much was zeroed, and the fingerprint of what is left."""

    steps: Count = 0
    removed: Count = 0
    values: Count = 0
    fingerprint: Hash = ""


class AppliedSession(Entry, frozen=True):
    """How it was carried out; nothing here changes a result."""

    seconds: AtLeast0 = 0.0
    versions: Annotated[dict[Text, Word], Meta(max_length=1000)] = field(default_factory=dict)


class FactEntry(Entry, frozen=True):
    """What is known of a network of the proof besides its outcomes."""

    removed: Count = 0
    zero_gradient: Number | None = None
    unmoved: Number | None = None


class AppliedManifest(Entry, frozen=True):
    """The manifest of an applied network."""

    applied: Positive
    study: AppliedStudy
    aim: AimEntry
    proof: ProofEntry
    metric: AppliedMetric
    state: Annotated[str, among((UNFINISHED, FINISHED))] = UNFINISHED
    result: AppliedResult = field(default_factory=AppliedResult)
    facts: Annotated[dict[Text, FactEntry], Meta(max_length=1000)] = field(default_factory=dict)
    notes: Sentences = field(default_factory=list)
    tables: Annotated[dict[Text, Hash], Meta(max_length=100)] = field(default_factory=dict)
    run: AppliedSession = field(default_factory=AppliedSession)

    @property
    def finished(self) -> bool:
        """Whether the proof is whole."""
        return self.state == FINISHED
