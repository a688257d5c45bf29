"""How far the attack of a user or of another library moved samples, as a manifest holds it."""

from hormesis.storage.validation import AtLeast0, Entry, Positive


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
