"""Sequential stopping: when a target, and the whole sweep, has enough samples."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from jaxtyping import Bool

from hormesis.analysis.classes import UNTESTED
from hormesis.analysis.confidence_sequence import ConfidenceSequence
from hormesis.analysis.responses import Means, response_table
from hormesis.analysis.scores import COMBINED, SCORES, Base, measured_scores
from hormesis.analysis.settled_groups import (
    SettledGroup,
    group_moments,
    group_scores,
    needed_removals,
)
from hormesis.analysis.uncertainty import with_intervals
from hormesis.settings.choices import CERTAIN
from hormesis.settings.scoring import Scoring
from hormesis.storage.outcomes import StoredOutcomes, only_removals, only_samples
from hormesis.storage.shards import Shard, pack, unpack

FIRST_LOOK = 256
_GROWTH = 1.1  # from one look to the next: few looks, and few samples too many
_LEFT = 2  # samples after the last look, at least: networks never get a single one


def looks(planned: int) -> Iterator[int]:
    """Yield the numbers of samples after which scores are looked at.

    Example:
        >>> list(looks(1000)), list(looks(10_000))[9:12]
        ([256, 512, 768], [2560, 2816, 3097])
    """
    look = FIRST_LOOK
    while look <= planned - _LEFT:
        yield look
        look = max(look + FIRST_LOOK, int(look * _GROWTH))


@dataclass
class Stopping:
    """Looks at scores while samples come in, and decides which targets are settled.

    Looks come after 256 samples, then every 256 or 10 % more, independently of the blocks: the same
    samples in the same order stop at the same point. Intervals are those of a confidence sequence,
    which may be looked at any number of times. Samples have to come in random order.

    A settled target keeps the results of its samples up to that point; later samples do not count.
    With a correction for multiplicity, a target is settled once its class passes Bonferroni's
    correction, so that other targets cannot change it. A target without any effect so far delays
    nothing, and is measured as long as any other.

    Args:
        cells: As ``response_table`` takes them.
        scoring: How responses become scores; tolerance, level and multiplicity.
        until: ``"certain"``, or the largest half-width of an interval; None never stops.
        planned: Number of samples available.
        higher_is_better: Whether a larger performance is better.
        chance: Performance of guessing, if known.
        chosen: Whether the samples chose the magnitude of the attack.
        stressed: Whether there is an attack; without one, clean scores alone decide.
        stressed_chance: Performance of guessing on a second data set, see ``Base.floor``.

    Attributes:
        samples: Number of samples counted.
        settled: The settled targets, with the number of samples at which they were first settled.
        done: Whether all targets were settled at one look; then no more samples count.
        wanted: Which removals are still to be measured.
        means: Of all counted samples.
        settled_groups: Of the targets that were settled before others.
    """

    cells: pd.DataFrame
    scoring: Scoring
    until: str | float | None
    planned: int
    higher_is_better: bool = True
    chance: float | None = None
    chosen: bool = False
    stressed: bool = True
    stressed_chance: float | None = None
    samples: int = 0
    settled: dict[str, int] = field(default_factory=dict)
    done: bool = False
    wanted: Bool[np.ndarray, " removals"] = field(init=False, repr=False)
    means: Means = field(init=False, repr=False)
    settled_groups: list[SettledGroup] = field(default_factory=list, repr=False)
    _kept: list[pd.DataFrame] = field(default_factory=list, repr=False)
    _packed: list[bytes] = field(default_factory=list, repr=False)
    _work: int = 0  # removals × samples that were counted

    def __post_init__(self) -> None:
        """Start with all removals wanted."""
        self.wanted = np.ones(needed_removals(self.cells).max(initial=-1) + 1, dtype=bool)
        self.means = Means(stressed=self.stressed)
        self._looks = list(looks(self.planned))

    def update(self, block: StoredOutcomes) -> StoredOutcomes:
        """Count the samples of a block, look at scores when due, and return the counted samples.

        Args:
            block: The next samples, with all ``wanted`` removals. Other removals are left out; so
                are the samples after the last target is settled.
        """
        if self.until is None:
            self.means.add(block)
            return block
        block = only_removals(block, self.wanted)
        size, taken = len(block.base_clean), 0
        while taken < size and not self.done:
            look = next((look for look in self._looks if look > self.samples), self.planned)
            end = min(size, taken + look - self.samples)
            part = only_samples(block, taken, end)
            self._packed.append(pack(Shard(self.samples, part)))
            self.means.add(part)
            self._work += int(self.wanted.sum()) * (end - taken)
            self.samples, taken = self.samples + end - taken, end
            if self.samples in self._looks:
                self._look()
        return only_samples(block, 0, taken)

    def _look(self) -> None:
        joint, alone = self._tables()
        self.done = not self._open(joint)
        settled = set(self.cells["target"] if self.done else ())
        if not self.done:
            reached = joint.loc[joint["point"] != UNTESTED, "target"].tolist()
            settled = set(reached) - self._open(alone)
        new = [name for name in self.cells["target"].unique() if name in settled - {*self.settled}]
        if new and not self.done:
            responses = self.responses()
            self._kept.append(responses.loc[responses["target"].isin(new)])
            self.settled_groups.append(SettledGroup(self.samples, self._base(), tuple(new)))
            wanted = self.wanted.copy()  # whoever reads it meanwhile sees the old or the new one
            wanted[needed_removals(self.cells.loc[self.cells["target"].isin(new)])] = False
            self.wanted = wanted
        self.settled |= dict.fromkeys(new, self.samples)

    def _open(self, table: pd.DataFrame) -> set[str]:
        """Return the targets that are not settled."""
        distance = pd.concat(
            [table["value"] - table["low"], table["high"] - table["value"]], axis=1
        ).max(axis=1)
        narrow = math.inf if self.until in (None, CERTAIN) else float(self.until)
        enough = table["certain"] if self.until == CERTAIN else distance <= narrow
        return set(table.loc[~(enough | (table["point"] == UNTESTED)), "target"].tolist())

    def scores(self) -> pd.DataFrame:
        """Return the scores so far, with the intervals of the confidence sequence.

        Of the combined filter if there is one, else of all filters.
        """
        return self._tables()[0]

    def _tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the scores, and the same with classes that other targets cannot change."""
        responses = self.responses()
        grouped = {name for group in self.settled_groups for name in group.targets}
        rest = tuple(name for name in self.cells["target"].unique().tolist() if name not in grouped)
        groups = [*self.settled_groups, SettledGroup(self.samples, self._base(), rest)]
        scores = group_scores(responses, groups, self.scoring)
        moments = group_moments(responses, groups, self.scoring, self._blocks)
        samples = moments.samples
        if isinstance(samples, np.ndarray):
            samples = np.repeat(samples, len(SCORES))
        finite = self.scoring.population == "finite"
        interval_method = ConfidenceSequence(samples, self.planned, self.scoring.level, finite)
        joint = replace(self.scoring, interval="delta")
        alone = replace(joint, multiplicity="none")
        if joint.multiplicity != "none" and self.until == CERTAIN:
            share = (1 - joint.level) / self.cells["target"].nunique()
            alone = replace(alone, level=1 - share)
        standard_errors = moments.standard_errors(self.planned if finite else None)
        first, second = (
            self._decisive(with_intervals(scores, standard_errors, interval_method, scoring))
            for scoring in (joint, alone)
        )
        return first, second

    def _decisive(self, table: pd.DataFrame) -> pd.DataFrame:
        table = measured_scores(table, stressed=self.stressed)
        combined = table.loc[table["filter"] == COMBINED]
        return combined if len(combined) else table

    def _blocks(self) -> Iterator[StoredOutcomes]:
        return (unpack("memory", content).outcomes for content in self._packed)

    def responses(self) -> pd.DataFrame:
        """Return the responses so far; those of settled targets are of their own samples."""
        grouped = [name for group in self.settled_groups for name in group.targets]
        rest = response_table(self.cells.loc[~self.cells["target"].isin(grouped)], self.means)
        return pd.concat([*self._kept, rest]).sort_index()

    def _base(self) -> Base:
        return Base(
            float(self.means.of("base_clean")),
            float(self.means.of("base_adversarial")),
            self.higher_is_better,
            self.chance,
            self.samples / self.planned if self.chosen else 0.0,
            self.stressed_chance,
        )

    def notes(self) -> list[str]:
        """Return how much work was saved, as a sentence; nothing if stopping was not asked for."""
        if self.until is None:
            return []
        aim = (
            "every class was certain"
            if self.until == CERTAIN
            else f"every interval was within ±{self.until:g}"
        )
        share = 1 - self._work / (max(len(self.wanted), 1) * self.planned)
        if self.done:
            dropped = "; settled targets dropped out" if self.settled_groups else ""
            return [
                f"Stopped after {self.samples} of {self.planned} samples, when {aim}{dropped}: "
                f"{share:.0%} of the work was saved."
            ]
        count, targets = len(self.settled), self.cells["target"].nunique()
        dropped = (
            f" and dropped out, which saved {share:.0%} of the work" if self.settled_groups else ""
        )
        return [
            f"All {self.planned} samples were needed: {count} of {targets} targets were settled "
            f"before the last one{dropped}."
        ]
