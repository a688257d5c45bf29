"""When a sweep has seen enough samples."""

import math
from dataclasses import dataclass, field, replace

import pandas as pd

from hormesis.analysis.responses import Means, as_sweeps, response_table
from hormesis.analysis.scores import COMBINED, UNTESTED, Base, score_table
from hormesis.analysis.sequence import Sequence
from hormesis.analysis.uncertainty import influence_sums, with_intervals
from hormesis.settings import CERTAIN, Scoring
from hormesis.storage import StoredOutcomes, packed_outcomes, part_of, read_blocks

FIRST_LOOK = 256
_GROWTH = 1.1  # from one look to the next: few looks, and few samples too many


@dataclass
class Stopping:
    """Looks at scores while samples come in, and says which targets are settled.

    Looks come after 256 samples, then every 256 or 10 % more, whatever the blocks: the same samples
    in the same order stop at the same place. Intervals are those of a confidence sequence, so that
    looking often does no harm. Samples have to come in random order.

    Args:
        cells: As ``response_table`` takes them.
        scoring: How responses become scores; tolerance, level and multiplicity.
        until: ``"certain"``, or the half-width that no interval is to exceed; None never stops.
        planned: How many samples there are.
        higher_is_better: Of the performance.

    Attributes:
        samples: How many were counted.
        settled: The targets that are settled, with the number of samples at which they first were.
        done: Whether all were settled at one look; nothing is counted any more.
    """

    cells: pd.DataFrame
    scoring: Scoring
    until: str | float | None
    planned: int
    higher_is_better: bool = True
    samples: int = 0
    settled: dict[str, int] = field(default_factory=dict)
    done: bool = False
    _means: Means = field(default_factory=Means, repr=False)
    _packed: list[bytes] = field(default_factory=list, repr=False)
    _next: int = FIRST_LOOK

    def update(self, block: StoredOutcomes) -> StoredOutcomes:
        """Count the samples of a block, look where it is time, and return those that count.

        Args:
            block: The next samples. If the last target is settled within it, the rest is left out.
        """
        if self.until is None:
            return block
        size, taken = len(block.base_clean), 0
        while taken < size and not self.done:
            end = min(size, taken + self._next - self.samples)
            part = part_of(block, taken, end)
            self._packed.append(packed_outcomes(self.samples, part))
            self._means.add(part)
            self.samples, taken = self.samples + end - taken, end
            if self.samples == self._next:
                self._look()
        return part_of(block, 0, taken)

    def _look(self) -> None:
        self._next = max(self.samples + FIRST_LOOK, int(self.samples * _GROWTH))
        table = self.scores()
        distance = pd.concat(
            [table["value"] - table["low"], table["high"] - table["value"]], axis=1
        ).max(axis=1)
        narrow = math.inf if self.until in (None, CERTAIN) else float(self.until)
        enough = table["certain"] if self.until == CERTAIN else distance <= narrow
        enough = enough | (table["point"] == UNTESTED)
        open_still = set(table.loc[~enough, "target"].tolist())
        for target in table["target"].unique().tolist():
            if target not in open_still:
                self.settled.setdefault(target, self.samples)
        self.done = not open_still

    def scores(self) -> pd.DataFrame:
        """Return the scores so far, with the intervals of the sequence.

        Of the combined filter where there is one, else of all filters.
        """
        responses = response_table(self.cells, self._means)
        base = Base(
            float(self._means.of("base_clean")),
            float(self._means.of("base_adversarial")),
            self.higher_is_better,
        )
        table = score_table(responses, base, self.scoring)
        sums = influence_sums(
            as_sweeps(responses), base, self.scoring, lambda: read_blocks(self._packed)
        )
        law = Sequence(self.samples, self.planned, self.scoring.level)
        table = with_intervals(table, sums.spread(), law, replace(self.scoring, interval="delta"))
        combined = table.loc[table["filter"] == COMBINED]
        return combined if len(combined) else table

    def notes(self) -> list[str]:
        """Return what was saved, as a sentence; nothing if nothing was asked for."""
        if self.until is None:
            return []
        aim = (
            "every class was certain"
            if self.until == CERTAIN
            else f"every interval was within ±{self.until:g}"
        )
        if self.done:
            saved = 1 - self.samples / self.planned
            return [
                f"Stopped after {self.samples} of {self.planned} samples, when {aim}: {saved:.0%} "
                "of the work was saved."
            ]
        count, targets = len(self.settled), self.cells["target"].nunique()
        return [
            f"All {self.planned} samples were needed: {count} of {targets} targets were settled "
            "before the last one."
        ]
