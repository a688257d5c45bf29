"""Coverage on a grid of bases and samples: ``python tests/coverage_grid.py`` prints the tables.

Many studies at once, one a row. Their influence values are written out here, independently of
``analysis.influence``; what is made of them, from ``InfluenceMoments`` to the interval, is that of
the package.

A sample has a margin ``z``: the network is right where it lies below a quantile, and under attack
below a lower one. A filter moves the threshold step by step to any other performance, better or
worse, and replaces part of the margin by noise. A draw of the random control shifts its thresholds,
each cell on its own, or all cells of the draw alike.
"""

import sys
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from hormesis.analysis.confidence_sequence import ConfidenceSequence
from hormesis.analysis.integration import simpson_weights
from hormesis.analysis.moments import InfluenceMoments, _Draws
from hormesis.analysis.stopping import looks
from hormesis.analysis.uncertainty import IntervalMethod, Student, _reach, with_draws

STEPS, MOST = 7, 3_000_000
WEIGHTS = simpson_weights(STEPS)
BASES = (0.02, 0.03, 0.05, 0.1, 0.5, 0.9, 0.98)
SAMPLES = (10, 30, 100, 200, 1000)
SCORES = ("clean", "adversarial", "difference")
REFERENCES = ("base", "random", "random, shared", "auto")
NORMAL = stats.norm


@dataclass(frozen=True)
class Case:
    """One place of the grid.

    Args:
        base: Accuracy of the unfiltered network under attack; on clean samples it is half-way
            between that and 1. With ``auto``, the clean one, and chance is a tenth.
        samples: How many a study has.
        reference: See ``REFERENCES``.
        draws: Of the random control.
    """

    base: float
    samples: int
    reference: str = "base"
    draws: int = 5

    @property
    def random(self) -> bool:
        return self.reference.startswith("random")


def coverage(case: Case, studies: int, seed: int = 0) -> np.ndarray:
    """Return three rows of shares, by score.

    Of all studies that have a score, those whose interval misses the truth, and those that have an
    interval; of all studies, those that have a score.
    """
    size = max(1, min(studies, MOST // (case.samples * STEPS)))
    parts = [
        _of_some(case, size, np.random.default_rng([seed, part]))
        for part in range(-(-studies // size))
    ]
    missed, there, defined = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
    count = np.maximum(defined.sum(axis=1), 1)
    return np.stack([missed.sum(axis=1) / count, there.sum(axis=1) / count, defined.mean(axis=1)])


def _of_some(case: Case, studies: int, draw: np.random.Generator) -> tuple[np.ndarray, ...]:
    drawn = _Studies(case, studies, draw)
    truth = drawn.truth()
    value, sums = drawn.estimates()
    interval_method: IntervalMethod = Student(case.samples, 0.95)
    spread = with_draws(sums.standard_errors(), interval_method)
    down, up = (side.reshape(studies, 3).T for side in _reach(spread, interval_method))
    there = ~np.isnan(down) & ~np.isnan(up)
    defined = ~np.isnan(value)
    missed = there & ((truth < value - down) | (truth > value + up))
    return missed & defined, there & defined, defined


class _Studies:
    """Outcomes of studies: studies × thresholds × samples, and those of the unfiltered ones."""

    def __init__(self, case: Case, studies: int, draw: np.random.Generator) -> None:
        self.case, self.draw = case, draw
        n = case.samples
        self.base = ((1 + case.base) / 2, case.base)
        self.high = NORMAL.ppf(case.base)  # clean, where the attack is chosen
        middle, steep = draw.uniform(0.1, 0.9, (studies, 1)), draw.uniform(3, 30, (studies, 1))
        self.moved = 1 / (1 + np.exp(-steep * (np.linspace(0, 1, STEPS) - middle)))
        self.own = 1 - draw.uniform(0.1, 1, (studies, 1)) * self.moved  # of the margin that stays
        self.end = NORMAL.ppf(draw.uniform(0.02, 0.98, (studies, 1)))
        self.rate = 1 + (draw.uniform(0.0, 1.2, (studies, 1)) - 1) * self.moved
        self.size = draw.uniform(0.0, 0.6, (studies, 1))  # of the shifts of the control
        self.margin = draw.standard_normal((studies, n), dtype=np.float32)
        self.noise = draw.standard_normal((studies, n), dtype=np.float32)

    def after(self, samples: int) -> "_Studies":
        """Return the same studies with their first samples only."""
        part = copy(self)
        part.case = replace(self.case, samples=samples)
        part.margin, part.noise = self.margin[:, :samples], self.noise[:, :samples]
        return part

    def thresholds(self, kind: int, attack: np.ndarray | float) -> np.ndarray:
        """Return below which value a filtered margin is right: studies × thresholds."""
        if self.case.reference == "auto":
            start = np.full_like(self.moved, self.high)
            whole = start + self.moved * (self.end - start)
            return whole - attack * self.rate * kind
        start = np.full_like(self.moved, NORMAL.ppf(self.base[kind]))
        return start + self.moved * (self.end - start)

    def population(self) -> float:
        """Return by how much the attack lowers the margin, for all samples there are."""
        target = (self.case.base + 0.1) / 2
        return float(self.high - NORMAL.ppf(target)) if self.case.reference == "auto" else 0.0

    def truth(self) -> np.ndarray:
        """Return the true scores: three scores × studies."""
        attack = self.population()
        bases = list(self.base)
        if self.case.reference == "auto":
            bases = [self.case.base, float(NORMAL.cdf(self.high - attack))]
        curves = []
        for kind in (0, 1):
            curve = NORMAL.cdf(self.thresholds(kind, attack))
            less = np.ones_like(curve)
            if self.case.random:
                less = NORMAL.cdf(self._control(kind) / np.sqrt(1 + self.size**2)) / bases[kind]
            curves.append((curve / bases[kind], less))
        clean, adversarial = ((curve - less) @ WEIGHTS for curve, less in curves)
        return np.stack([clean, adversarial, (curves[1][0] - curves[0][0]) @ WEIGHTS])

    def _control(self, kind: int) -> np.ndarray:
        return self.thresholds(kind, 0.0) - 0.3 * self.moved

    def estimates(self) -> tuple[np.ndarray, InfluenceMoments]:
        """Return the scores as they are found, and the sums of influence values."""
        studies = len(self.margin)
        attack, limits = self._chosen()
        margin = self.margin[:, None]
        latent = self.own[..., None].astype(np.float32) * margin
        latent += np.sqrt(1 - self.own**2)[..., None].astype(np.float32) * self.noise[:, None]
        unfiltered = [self.margin < limit for limit in limits]
        means = [right.mean(axis=1) for right in unfiltered]
        quotients, influence, reach, draws, responses = [], [], [], [], []
        for kind in (0, 1):
            right = latent < self.thresholds(kind, attack)[..., None]
            with np.errstate(divide="ignore"):
                by = np.where(means[kind] > 0, means[kind], np.nan)
            weighed = np.einsum("k,skn->sn", WEIGHTS, right, dtype=np.float64)
            share, own = weighed.mean(axis=1) / by, weighed / by[:, None]
            own = own - share[:, None] * unfiltered[kind] / by[:, None]
            quotients.append(share), influence.append(own), reach.append(1 / by)  # pyright: ignore[reportUnusedExpression]
            responses.append(right.mean(axis=2))
            draws.append(self._draws(kind, by) if self.case.random else None)
        value = np.stack([quotients[0] - 1, quotients[1] - 1, quotients[1] - quotients[0]])
        if self.case.reference == "auto":
            falls = slope_of(*responses) / slope_of(*means)[:, None]
            rate = (falls @ WEIGHTS - quotients[1]) / reach_of(means[1])
            off = unfiltered[1] - unfiltered[0] / 2
            influence[1] = influence[1] - rate[:, None] * (off - off.mean(axis=1, keepdims=True))
        between = None
        psi = np.stack([influence[0], influence[1], influence[1] - influence[0]])
        if self.case.random:
            for kind in (0, 1):
                of_draws, controls, spread = draws[kind]
                value[kind] += 1 - of_draws
                psi[kind] -= controls
                draws[kind] = spread
            between = np.stack([draws[0], draws[1], np.zeros(studies)])
        return value, self._sums(psi, unfiltered, reach, between)

    def _chosen(self) -> tuple[np.ndarray | float, list[np.ndarray | float]]:
        """Return how strong the attack is, and below which margins the unfiltered one is right."""
        if self.case.reference != "auto":
            return 0.0, [NORMAL.ppf(base) for base in self.base]
        n = self.case.samples
        aim = ((self.margin < self.high).mean(axis=1) + 0.1) / 2
        place = np.clip(np.round(aim * n).astype(int), 0, n - 1)
        limit = np.sort(self.margin, axis=1)[np.arange(len(place)), place][:, None]
        return self.high - limit.astype(float), [self.high, limit]

    def _draws(self, kind: int, by: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the controls' quotient, their influence, and the variance between draws."""
        studies, count = len(by), self.case.draws
        found = _Draws(studies)
        limits, share, own = self._control(kind), np.zeros(studies), 0.0
        cells = 1 if self.case.reference == "random, shared" else STEPS
        state = np.random.default_rng(int(self.draw.integers(1 << 60)))
        parts = []
        for _ in range(count):
            shift = self.size * state.standard_normal((studies, cells))
            noise = state.standard_normal((studies, 1, self.case.samples), dtype=np.float32)
            latent = self.own[..., None].astype(np.float32) * self.margin[:, None]
            latent = latent + np.sqrt(1 - self.own**2)[..., None].astype(np.float32) * noise
            right = latent < (limits + shift)[..., None]
            parts.append(np.einsum("k,skn->sn", WEIGHTS, right, dtype=np.float64) / by[:, None])
        found.add([np.nan_to_num(part) for part in parts])
        whole = np.mean(parts, axis=0)
        share = whole.mean(axis=1)
        base = self.margin < NORMAL.ppf(self.base[kind])
        own = whole - share[:, None] * base / by[:, None]
        return share, own, found.between()

    def _sums(
        self,
        psi: np.ndarray,
        unfiltered: list[np.ndarray],
        reach: list[np.ndarray],
        between: np.ndarray | None,
    ) -> InfluenceMoments:
        divisors = [right.astype(float) for right in unfiltered]
        if self.case.reference == "auto":
            divisors[1] = divisors[0] / 2
        divisors = [part * size[:, None] for part, size in zip(divisors, reach, strict=True)]
        shared = np.zeros((2, 3, len(psi[0])))
        squares = np.zeros_like(shared)
        for place, scores in ((0, ((0, 1), (2, -1))), (1, ((1, 1), (2, 1)))):
            middle = divisors[place] - divisors[place].mean(axis=1, keepdims=True)
            for score, sign in scores:
                shared[place, score] = sign * (psi[score] * middle).sum(axis=1)
                squares[place, score] = np.square(middle).sum(axis=1)
        found = InfluenceMoments(
            np.square(psi).sum(axis=2),
            (psi**4).sum(axis=2),
            np.stack([*reach, np.hypot(*reach)]),
            self.case.samples,
            shared,
            squares,
        )
        return found if between is None else replace(found, draws=between, freedom=4)


def finite_misses(planned: int, studies: int, seed: int = 0) -> dict[str, float]:
    """Return shares of studies of which an interval misses at one of the looks of ``--until``.

    The samples are drawn without replacement from ``planned`` ones, whose score is the truth.

    Args:
        planned: How many samples there are.
        studies: How many are simulated.
        seed: Of the draw.

    Returns:
        For the sequence about the finite set, for the one about infinitely many samples (which
        holds here too, and is wider), and for plain intervals about the finite set.
    """
    missed = {"finite": 0, "infinite": 0, "plain": 0}
    size = max(1, MOST // (planned * STEPS))
    draw = np.random.default_rng(seed)
    for first in range(0, studies, size):
        some = min(size, studies - first)
        drawn = _Studies(Case(0.4, planned), some, draw)
        truth = drawn.estimates()[0][1]
        found = {name: np.zeros(some, dtype=bool) for name in missed}
        for look in looks(planned):
            value, sums = drawn.after(look).estimates()
            for name, finite in (("finite", True), ("infinite", False), ("plain", True)):
                sequence = ConfidenceSequence(look, planned, 0.95, finite)
                interval_method: IntervalMethod = (
                    Student(look, 0.95) if name == "plain" else sequence
                )
                spread = sums.standard_errors(planned if finite else None)
                down, up = (side.reshape(some, 3).T[1] for side in _reach(spread, interval_method))
                found[name] |= (truth < value[1] - down) | (truth > value[1] + up)
        missed = {name: count + int(found[name].sum()) for name, count in missed.items()}
    return {name: count / studies for name, count in missed.items()}


def slope_of(clean: np.ndarray, adversarial: np.ndarray) -> np.ndarray:
    """Return how fast a share falls with the attack, if the margins behind it are normal."""
    first, last = (NORMAL.ppf(np.clip(part, 1e-3, 1 - 1e-3)) for part in (clean, adversarial))
    slope = NORMAL.pdf(last) * (first - last)
    return slope if slope.ndim > 1 else np.where(slope != 0, slope, np.nan)


def reach_of(mean: np.ndarray) -> np.ndarray:
    return np.where(mean > 0, mean, np.nan)


def rows(studies: int, reference: str) -> Iterator[tuple[Case, np.ndarray]]:
    """Yield the places of the grid that make sense, with what was found there."""
    for base in BASES:
        if reference == "auto" and base < 0.5:
            continue  # half-way to a chance of a tenth, there is hardly a way
        for samples in SAMPLES:
            case = Case(base, samples, reference)
            yield case, coverage(case, studies, seed=int(1000 * base))


def main(studies: int) -> None:
    """Print the tables of docs/uncertainty.md."""
    for reference in REFERENCES:
        print(f"\n{reference}\n")
        print("| base | " + " | ".join(map(str, SAMPLES)) + " |")
        print("| ---: |" + " ---: |" * len(SAMPLES))
        line: list[str] = []
        for case, (missed, there, _) in rows(studies, reference):
            share = f" ({there.min():.0%})" if there.min() < 0.995 else ""
            line.append(" / ".join(f"{1 - one:.1%}" for one in missed).replace("%", "") + share)
            if case.samples == SAMPLES[-1]:
                print(f"| {case.base:g} | " + " | ".join(line) + " |", flush=True)
                line = []

    print("\nwithout replacement, from 2,560 samples:", finite_misses(2560, studies))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
