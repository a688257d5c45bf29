"""A sample of a study's outcomes, measured again by the plain loop."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from hormesis.engine import plain
from hormesis.engine.shards import ShardMeasurer, block_of, doubled

_SHARE = 1 / 2000  # of all outcomes; the plain loop takes some ten times as long for each
_FEWEST, _MOST = 256, 16_384  # outcomes
_SAMPLES, _REMOVALS = 4, 16  # in a block
_CLOSE = 1e-3  # of numbers other than 0 and 1, which rounding may move


class Stored(Protocol):
    """The outcomes of a shard, as ``storage.StoredOutcomes`` has them."""

    @property
    def base_clean(self) -> np.ndarray: ...  # noqa: D102
    @property
    def base_adversarial(self) -> np.ndarray: ...  # noqa: D102
    @property
    def clean(self) -> np.ndarray: ...  # noqa: D102
    @property
    def adversarial(self) -> np.ndarray: ...  # noqa: D102
    @property
    def measured(self) -> np.ndarray | None: ...  # noqa: D102


@dataclass(frozen=True)
class Audit:
    """How many outcomes were compared with the plain loop, and how many were not the same.

    Args:
        outcomes: Compared.
        different: Not the same; of numbers other than 0 and 1, further away than 0.1 %.
    """

    outcomes: int
    different: int

    def described(self) -> dict[str, int]:
        """Return it as plain values.

        Example:
            >>> Audit(256, 0).described()
            {'outcomes': 256, 'different': 0}
        """
        return asdict(self)

    def notes(self, *, exact: bool) -> list[str]:
        """Return what a reader has to know, in sentences.

        Args:
            exact: Whether the engine promises the outcomes of the plain loop.

        Example:
            >>> Audit(256, 0).notes(exact=True)
            []
        """
        if not self.different or not exact:
            return []
        return [
            f"Of {self.outcomes:,} outcomes that the plain loop measured again, {self.different:,} "
            "were different: rounding decides them, as where large values cancel within the "
            "network. Measure it in double precision, or with engine 'plain'."
        ]


def audit_outcomes(
    network: nn.Module,
    measurer: ShardMeasurer,
    spans: Sequence[tuple[int, int]],
    read: Callable[[tuple[int, int]], Stored],
) -> Audit:
    """Measure some outcomes again by the plain loop, a few samples at a time, and compare.

    Which ones depends on the seed of the spec and the size of the study alone.

    Args:
        network: The network; the same afterwards, bit for bit.
        measurer: What the study was measured with.
        spans: Its shards.
        read: Returns the outcomes of a shard.
    """
    samples, removals = spans[-1][1], len(measurer.removals)
    wanted = int(np.clip(2 * samples * removals * _SHARE, _FEWEST, _MOST))
    generator = np.random.default_rng([measurer.spec.seed, samples, removals])
    outcomes = different = 0
    rounds, most = -(-wanted // (2 * _SAMPLES * _REMOVALS)), _REMOVALS
    evaluation = measurer.spec.evaluation
    if evaluation is not None and evaluation.rechecks is not None:
        rounds, most = 1, evaluation.rechecks
    shards = generator.integers(len(spans), size=rounds)
    for number in np.sort(shards):
        stored = read(spans[number])
        measured = np.ones(removals, bool) if stored.measured is None else stored.measured
        count = len(stored.base_clean)
        first = int(generator.integers(max(count - _SAMPLES, 0) + 1))
        rows = slice(first, min(first + _SAMPLES, count))
        chosen = generator.permutation(np.flatnonzero(measured))[:most]
        remeasured = _measure(
            network, measurer, spans[number][0] + first, rows.stop - first, chosen
        )
        recorded = [stored.base_clean[None, rows], stored.base_adversarial[None, rows]]
        recorded += [stored.clean[chosen, rows], stored.adversarial[chosen, rows]]
        step = 1 if measurer.spec.stressed else 2  # every second one is of perturbed samples
        for one, other in zip(recorded[::step], remeasured[::step], strict=True):
            outcomes += one.size
            different += int((~np.isclose(one, other, rtol=_CLOSE, atol=1e-6)).sum())
    return Audit(outcomes, different)


def _measure(
    network: nn.Module, measurer: ShardMeasurer, first: int, count: int, chosen: np.ndarray
) -> list[np.ndarray]:
    """Return what the plain loop says of some samples: base and removals, clean and perturbed."""
    rows = slice(first, first + count)
    block = block_of(measurer.samples, rows, first)
    removals = [measurer.removals[row] for row in chosen]
    block = doubled(block).to(measurer.device)
    spec = measurer.spec
    loop = partial(plain.measure, network) if spec.evaluation is None else measurer.engine.measure
    remeasured = loop(removals, block, spec, lambda: None).head(count)

    def rows_of(values: Tensor) -> np.ndarray:
        return np.atleast_2d(values.to(torch.float32).cpu().numpy())

    return [rows_of(remeasured.base_clean), rows_of(remeasured.base_adversarial)] + [
        rows_of(values) for values in (remeasured.clean, remeasured.adversarial)
    ]
