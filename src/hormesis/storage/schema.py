"""The manifest of a study as typed values, shared by writers, readers and checks.

To add an entry that the package reads, add a field to its class (and a line to
``docs/study-format.md``), with a default unless every existing study has the entry. Checks of
entries against each other are in ``manifest_checks``; checks against a table are in
``table_checks.study_fault``. Entries without a field are ignored and must not be used.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, field

from hormesis.settings import choices
from hormesis.settings.attacks import Given, NoAttack
from hormesis.settings.scoring import Scoring
from hormesis.storage.attack_schema import UNSCALED, AttackEntry, ChangeEntry, RunAttack
from hormesis.storage.validation import (
    Above0,
    AtLeast0,
    Count,
    Entry,
    Hash,
    Number,
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

UNFINISHED, FINISHED = "unfinished", "finished"
MOST_SHARDS = 1 << 17
_BINARY = ("accuracy", "top5")  # for manifests of earlier versions, which do not say
_Seconds = Annotated[float, Meta(ge=0, le=1e12)]
_Seed = Annotated[int, Meta(ge=0, le=choices.MOST_SEED)]
_NAN = float("nan")


class Normalization(Entry, frozen=True):
    """Normalisation of the inputs, one number per channel; empty for none."""

    mean: list[Number]
    std: list[Number]


class Embedding(Entry, frozen=True):
    """The embedding that an attack perturbs, and the root mean square of its values."""

    module: Text
    scale: Above0


class NetworkEntry(Entry, frozen=True):
    """The network that was measured."""

    name: Text
    fingerprint: Hash
    normalization: Normalization = field(default_factory=lambda: Normalization(mean=[], std=[]))
    embedding: Embedding | None = None


class DataEntry(Entry, frozen=True):
    """The samples that were to be measured."""

    name: Text
    samples: Positive
    classes: Count
    fingerprint: Hash
    shape: Shape = field(default_factory=list)
    bounds: Range = (0.0, 1.0)
    limits: Text = ""  # identity of other bounds than two numbers


class TargetsEntry(Entry, frozen=True):
    """The requested parameters."""

    scope: Annotated[str, among(choices.SCOPES)]
    per: Annotated[str, among(choices.GRANULARITIES)]
    include: Texts = field(default_factory=list)
    exclude: Texts = field(default_factory=list)
    kinds: Texts | None = None
    groups: Annotated[dict[Text, Texts], Meta(max_length=1_000_000)] = field(default_factory=dict)


class ReplacementEntry(Entry, frozen=True):
    """A replacement that was swept; further settings of its own are not read."""

    levels: Annotated[list[Number], Meta(min_length=1, max_length=choices.MOST_THRESHOLDS)]
    unit: Text = "level"
    draws: Annotated[int, Meta(ge=0, le=choices.MOST_DRAWS)] = 0


class SweepEntry(Entry, frozen=True):
    """The requested sweep."""

    filters: Annotated[list[Word], Meta(min_length=1, max_length=64)]
    thresholds: (
        Annotated[int, Meta(ge=1, le=choices.MOST_THRESHOLDS)]
        | Annotated[list[Number], Meta(min_length=2, max_length=choices.MOST_THRESHOLDS)]
    )
    adversary: Annotated[str, among(choices.ADVERSARIES)]
    seed: _Seed
    by: Annotated[str, among(choices.COMPARED)] = field(name="compare", default="signed")
    span: Range | None = None
    precision: Annotated[str, among(choices.PRECISIONS)] = "exact"
    control: bool | Annotated[int, Meta(ge=0, le=choices.MOST_DRAWS)] = False
    until: Above0 | Annotated[str, among((choices.CERTAIN,))] | None = None
    spacing: Annotated[str, among(choices.SPACINGS)] = "even"
    replacements: Annotated[dict[Word, ReplacementEntry], Meta(max_length=64)] = field(
        default_factory=dict
    )

    @property
    def steps(self) -> int:
        """Number of thresholds, or of levels."""
        return len(self.thresholds) if isinstance(self.thresholds, list) else self.thresholds


class MetricEntry(Entry, frozen=True):
    """The metric that was measured for each sample."""

    name: Text
    higher_is_better: bool


class ScoringEntry(Entry, frozen=True):
    """How responses become scores, see ``settings.scoring.Scoring``."""

    base: Annotated[str, among(choices.BASES)] = Scoring.base
    reference: Annotated[str, among(choices.REFERENCES)] = Scoring.reference
    tolerance: AtLeast0 = Scoring.tolerance
    interval: Annotated[str, among(choices.INTERVALS)] = Scoring.interval
    level: Annotated[float, Meta(gt=0, lt=1)] = Scoring.level
    multiplicity: Annotated[str, among(choices.MULTIPLICITIES)] = Scoring.multiplicity
    chance_corrected: bool = Scoring.chance_corrected
    population: Annotated[str, among(choices.POPULATIONS)] = Scoring.population

    def as_scoring(self) -> Scoring:
        """Return the entry as a ``Scoring``."""
        return Scoring(**msgspec.structs.asdict(self))


class QuestionEntry(Entry, frozen=True):
    """The request: two studies with the same question have the same results."""

    network: NetworkEntry
    data: DataEntry
    attack: AttackEntry
    targets: TargetsEntry
    sweep: SweepEntry
    metric: MetricEntry = field(name="performance")
    until: ScoringEntry | None = None


class MetricProperties(Entry, frozen=True):
    """Properties of the metric; ``binary`` is None if not recorded.

    ``aggregate`` names what makes one score of all samples' numbers, see ``analysis.set_metrics``;
    empty for their mean.
    """

    binary: bool | None = None
    aggregate: Text = ""


class Shards(Entry, frozen=True):
    """The edges of the shards; none in a study of format 1."""

    edges: Annotated[list[Count], Meta(min_length=2, max_length=MOST_SHARDS + 1)]
    measured: list[tuple[int, int]] = field(name="there", default_factory=list)  # never written


class OriginRecipe(Entry, frozen=True):
    """Settings of the training that comparisons of studies show."""

    seed: _Seed | None = None


class OriginQuestion(Entry, frozen=True):
    """The question of the training."""

    network: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    recipe: OriginRecipe = field(default_factory=OriginRecipe)


class OriginTraining(Entry, frozen=True):
    """The manifest of the training."""

    question: OriginQuestion = field(default_factory=OriginQuestion)


class Origin(Entry, frozen=True):
    """Where the network comes from, as far as recorded."""

    epoch: Annotated[int, Meta(ge=0, le=10**9)] | None = None
    run: Text = ""
    training: OriginTraining = field(default_factory=OriginTraining)


class BaseEntry(Entry, frozen=True):
    """Mean performance of the unfiltered network; ``samples`` is 0 until something is measured.

    Without an attack there is no adversarial one.
    """

    clean: Number
    adversarial: Number = _NAN
    higher_is_better: bool = True
    samples: Positive = 0
    clean_error: Number = _NAN
    adversarial_error: Number = _NAN
    zero_gradient: Number = _NAN
    unmoved: Number = _NAN


class EvidenceEntry(Entry, frozen=True):
    """How a confirmation or cross-check was made; an empty key means that it was not."""

    key: Text = ""
    level: Number = 0.0
    margin: Number = 0.0
    seconds: Number = 0.0
    targets: Texts = field(default_factory=list)
    surrogates: Texts = field(default_factory=list)
    samples: Count = 0
    steps: Count = 0
    restarts: Count = 0
    draws: Count = 0


class Settled(Entry, frozen=True):
    """Targets that were settled before the last sample."""

    samples: Annotated[int, Meta(ge=2, le=1 << 53)]
    clean: Number
    targets: Annotated[list[Text], Meta(min_length=1, max_length=1_000_000)]
    adversarial: Number = _NAN


class TapeNode(Entry, frozen=True):
    """A node of the data flow: its parameters, and the indices of the nodes that feed it."""

    targets: Texts
    after: Annotated[list[Count], Meta(max_length=1_000_000)]


class AuditEntry(Entry, frozen=True):
    """Number of outcomes that the plain loop measured again, and how many of them differed."""

    outcomes: Count = 0
    different: Count = 0


class SessionEntry(Entry, frozen=True):
    """How the study was carried out; nothing here changes a result."""

    engine: Word = ""
    workers: Count = 0
    batch: Positive = 0
    began: _Seconds = 0.0
    seconds: _Seconds = 0.0
    versions: Annotated[dict[Text, Word], Meta(max_length=1000)] = field(default_factory=dict)
    python: Word = ""
    machine: Word = ""
    cores: Count = 0


class Manifest(Entry, frozen=True):
    """All entries of a study's manifest that the package reads.

    Example:
        >>> manifest_of({"question": {"network": {"name": 3}}})
        Traceback (most recent call last):
        ValueError: it lacks `attack`
    """

    question: QuestionEntry
    attack: RunAttack
    scoring: ScoringEntry
    notes: Sentences
    state: Annotated[str, among((UNFINISHED, FINISHED))] = FINISHED
    format: Positive = 1
    study: Hash = ""
    metric: MetricProperties = field(default_factory=MetricProperties)
    shards: Shards = field(default_factory=lambda: Shards(edges=[]))
    origin: Origin = field(default_factory=Origin)
    base: BaseEntry = field(default_factory=lambda: BaseEntry(clean=_NAN, adversarial=_NAN))
    chance: Number | None = None
    change: ChangeEntry | None = None
    stressed_chance: Number | None = None  # on a second data set
    confirmation: EvidenceEntry = field(default_factory=EvidenceEntry)
    cross_check: EvidenceEntry = field(default_factory=EvidenceEntry)
    settled: Annotated[list[Settled], Meta(max_length=10_000)] = field(default_factory=list)
    flow: Annotated[list[TapeNode], Meta(max_length=100_000)] = field(default_factory=list)
    audit: AuditEntry = field(default_factory=AuditEntry)
    run: SessionEntry = field(default_factory=SessionEntry)
    tables: Annotated[dict[Text, Hash], Meta(max_length=1000)] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether everything that was requested has been measured."""
        return self.state == FINISHED

    @property
    def stressed(self) -> bool:
        """Whether perturbed samples were measured, too; otherwise all is about clean ones."""
        return self.attack.name != NoAttack.name

    @property
    def given(self) -> bool:
        """Whether the stressed samples are a second data set, which no network changed."""
        return self.attack.name == Given.name

    @property
    def binary(self) -> bool:
        """Whether the metric of a sample is 0 or 1, so that means are shares of the samples."""
        recorded = self.metric.binary
        return self.question.metric.name in _BINARY if recorded is None else recorded

    @property
    def planned(self) -> int | None:
        """Number of samples available, if the sweep chose when to stop; else None."""
        return None if self.question.sweep.until is None else self.question.data.samples


def manifest_of(values: Mapping[str, Any]) -> Manifest:
    """Return the manifest of a study as typed values; entries may still contradict each other.

    Args:
        values: The manifest, parsed from JSON.

    Raises:
        ValueError: If an entry is missing or has the wrong type, as a part of a sentence.
    """
    required = [entry.encode_name for entry in msgspec.structs.fields(Manifest) if entry.required]
    required += ["study", "shards"] if values.get("state") == UNFINISHED else ["base"]
    required += ["study"] if "shards" in values else []
    for name in required:
        if name not in values:
            raise ValueError(f"it lacks `{name}`")
    manifest = convert(dict(values), Manifest)
    for name, value in _needed_by_an_attack(manifest, has_base="base" in values):
        if value != value:  # NaN stands for a missing one
            raise ValueError(f"it lacks a proper `{name}`")
    return manifest


def _needed_by_an_attack(
    manifest: Manifest, *, has_base: bool
) -> Iterator[tuple[str, float | str]]:
    """Yield the names and values of the entries that only a study without attack may lack."""
    for name, attack in (
        ("question.attack", manifest.question.attack),
        ("attack", manifest.attack),
    ):
        if attack.name not in UNSCALED and not attack.function:
            yield f"{name}.epsilon", attack.epsilon
    if manifest.stressed:
        if has_base:
            yield "base.adversarial", manifest.base.adversarial
        for group in manifest.settled:
            yield "settled", group.adversarial
