"""The attack of a study as its manifest holds it: as requested, as it was run, how far it went."""

from typing import Annotated

from hormesis.settings.attacks import PAIRINGS, Evaluated, Given, NoAttack
from hormesis.settings.threat import AIMS, LINF, NORMS
from hormesis.storage.validation import (
    Above0,
    AtLeast0,
    Count,
    Entry,
    Hash,
    Number,
    Positive,
    Text,
    Word,
    among,
)

UNSCALED = (NoAttack.name, Evaluated.name, Given.name)
"""What stands for an attack in studies whose stress has no magnitude."""
_NAN = float("nan")


class AttackEntry(Entry, frozen=True):
    """The attack as requested; those of ``UNSCALED`` have no ``epsilon``."""

    name: Word
    epsilon: Above0 | Annotated[str, among(("auto",))] = _NAN
    steps: Positive | None = None
    step_size: Above0 = _NAN
    random_start: bool = False
    norm: Annotated[str, among(NORMS)] = LINF
    target: Count | Annotated[str, among(AIMS)] | None = None
    function: Text = ""
    data: Text = ""  # of a second data set, as are the next two
    fingerprint: Hash = ""
    pairing: Annotated[str, among(PAIRINGS)] = PAIRINGS[0]


class ChosenEpsilon(Entry, frozen=True):
    """How ``auto`` chose the magnitude of the attack."""

    epsilon: Above0 = _NAN
    clean: Number = _NAN
    adversarial: Number = _NAN
    evaluations: Count = 0
    unharmed: bool = True
    chance: Number | None = None
    metric: Text = "accuracy"
    higher_is_better: bool = True


class RunAttack(Entry, frozen=True):
    """The attack as it was run; those of ``UNSCALED`` have no ``epsilon``.

    A ``function`` is where an attack of a user or another library was defined; it may have none.
    """

    name: Word
    epsilon: Above0 = _NAN
    random_start: bool = False
    norm: Annotated[str, among(NORMS)] = LINF
    target: Count | Annotated[str, among(AIMS)] | None = None
    function: Text = ""
    chosen: ChosenEpsilon | None = None
    data: Text = ""  # of a second data set, as are the next two
    fingerprint: Hash = ""
    pairing: Annotated[str, among(PAIRINGS)] = PAIRINGS[0]

    @property
    def scaled(self) -> bool:
        """Whether the attack has a magnitude."""
        return self.epsilon == self.epsilon  # NaN stands for none

    @property
    def title(self) -> str:
        """Its name for readers: in capitals, unless it is one of a user or another library."""
        if self.name == Evaluated.name:
            return "stress of its own"
        return self.name if self.function else self.name.upper()


class Spread(Entry, frozen=True):
    """Median and largest of some numbers, one a sample."""

    median: AtLeast0
    largest: AtLeast0


class ChangeEntry(Entry, frozen=True):
    """How far an attack of a user or another library moved the first samples, by each norm."""

    samples: Positive
    moved: Positive
    linf: Spread
    l2: Spread
