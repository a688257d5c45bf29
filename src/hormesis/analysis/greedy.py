"""The greedy path: one cell of a study after the other is applied, measured on what stands so far.

A study promises what each cell does alone; what it does beside others is measured. As in lazy
greedy search (M. Minoux, "Accelerated greedy algorithms for maximizing submodular set functions",
1978), only the cells that promise most are measured again, and a step is taken when no other
promises more than what was just measured.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hormesis.analysis.candidates import Candidate, worth
from hormesis.analysis.paired import PairedDifference
from hormesis.settings.apply import Aim, Robust

_AT_ONCE = 8  # candidates that are measured together, as the network as it stands is measured, too
_VISITS, _IN_VAIN = 3, 2  # measurements of a candidate; one in vain counts as two


@dataclass(frozen=True)
class Performance:
    """What a network achieves on the selection part.

    Args:
        clean: Mean performance on clean samples.
        adversarial: Under stress; NaN without.
    """

    clean: float
    adversarial: float


@dataclass(frozen=True)
class Reading:
    """A candidate, measured on top of the network as it stands.

    Args:
        candidate: The candidate.
        round: In which round it was measured, from 1.
        removed: Number of values that it zeroes besides those that are gone.
        performance: Of the network with it.
        gain: Change under stress from the network as it stands, paired by sample, above 0 for
            a better one.
        masked: Whether the performance under attack is masked.
    """

    candidate: Candidate
    round: int
    removed: int
    performance: Performance
    gain: PairedDifference
    masked: bool = False


@dataclass(frozen=True)
class PathStep:
    """What became of a candidate.

    Args:
        number: Of the step that it is, or would have been, from 1.
        reading: What was measured.
        reason: Why it was not taken; empty if it was.
    """

    number: int
    reading: Reading
    reason: str


Measure = Callable[[Sequence[Candidate], Sequence[Candidate], int], list[Reading]]
"""Measures candidates on top of others that stand already, in a round."""


@dataclass
class _Open:
    """A candidate that may still be taken."""

    candidate: Candidate
    priority: float
    visits: int = 0
    fresh: Reading | None = None


@dataclass
class GreedyPath:
    """The search for a path.

    Args:
        aim: The aim.
        base: Performance of the unfiltered network.
        noise: What half a sample is worth, in units of the metric.
        higher_is_better: Whether a larger performance is better.
        budget: Most networks to measure.
        tell: Called with all steps so far, after every round.
    """

    aim: Aim
    base: Performance
    noise: float
    higher_is_better: bool
    budget: int
    tell: Callable[[Sequence[PathStep]], None] = lambda steps: None
    steps: list[PathStep] = field(default_factory=list)

    def search(self, candidates: Sequence[Candidate], measure: Measure) -> list[PathStep]:
        """Return every candidate that was measured, in order, with what became of it.

        Args:
            candidates: The most promising first.
            measure: Measures some of them.
        """
        waiting = [_Open(candidate, candidate.promise) for candidate in candidates]
        taken: list[Candidate] = []
        stands, left, rounds = self.base, self.budget, 0
        while waiting:
            best = max(
                (one for one in waiting if self._serves(one)),
                key=lambda one: one.priority,
                default=None,
            )
            stale = [one for one in waiting if one.fresh is None and one.visits < _VISITS]
            stale.sort(key=lambda one: -one.priority)
            enough = not stale or left < 2
            if best is not None and (enough or best.priority >= stale[0].priority):
                stands = self._take(best, taken, waiting)
                waiting.remove(best)
            elif enough:
                break
            else:
                rounds += 1
                batch = stale[: min(_AT_ONCE, left - 1)]
                left -= len(batch) + 1
                readings = measure(taken, [one.candidate for one in batch], rounds)
                for one, reading in zip(batch, readings, strict=True):
                    self._note(one, reading, stands, len(taken) + 1)
                self.tell(self.steps)
        return self.steps

    def _serves(self, one: _Open) -> bool:
        return one.fresh is not None and not self._objection(one.fresh)

    def _take(self, best: _Open, taken: list[Candidate], waiting: Sequence[_Open]) -> Performance:
        """Take a step; all that was measured beside it is out of date."""
        assert best.fresh is not None
        taken.append(best.candidate)
        for one in waiting:
            one.fresh = None
        reading = next(
            step.reading
            for step in reversed(self.steps)
            if step.reading.candidate == best.candidate
        )
        self.steps = [
            PathStep(step.number, step.reading, "") if step.reading is reading else step
            for step in self.steps
        ]
        self.tell(self.steps)
        return reading.performance

    def _note(self, one: _Open, reading: Reading, stands: Performance, number: int) -> None:
        """Keep what was measured of a candidate."""
        objection = self._objection(reading)
        one.fresh, one.visits = reading, one.visits + (_IN_VAIN if objection else 1)
        sign = self._sign
        clean = sign * (reading.performance.clean - stands.clean)
        stressed = sign * (reading.performance.adversarial - stands.adversarial)
        one.priority = float(worth(self.aim, clean, stressed, reading.removed, self.noise))
        self.steps.append(PathStep(number, reading, objection or "another step was better"))

    def losses(self, performance: Performance) -> tuple[float, float]:
        """Return how much worse a performance is than the unfiltered network's."""
        return (
            self._sign * (self.base.clean - performance.clean),
            self._sign * (self.base.adversarial - performance.adversarial),
        )

    @property
    def _sign(self) -> int:
        return 1 if self.higher_is_better else -1

    def _objection(self, reading: Reading) -> str:
        """Return why a candidate does not serve the aim; empty if it does."""
        clean, stressed = self.losses(reading.performance)
        if reading.removed == 0:
            return "it zeroes nothing more"
        if clean > self.aim.most + _EXACT:
            return "the clean loss is too large"
        if isinstance(self.aim, Robust):
            if reading.masked:
                return "its gain is masked: the attack had no gradient"
            return "" if reading.gain.low > 0 else "its gain is no more than noise"
        return "the loss under stress is too large" if stressed > self.aim.most + _EXACT else ""


_EXACT = 1e-9  # by which means of the same counts may differ
