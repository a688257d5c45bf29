"""The engine of evaluations: a function of the user's measures the network, filtered or not."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from hormesis.engine.engines import Engine
from hormesis.engine.outcomes import Block, MeasurementSpec, Outcomes
from hormesis.engine.plain import filtering, same
from hormesis.engine.plan import Removal
from hormesis.models.eval_mode import evaluation_mode


def evaluation_engine(network: nn.Module) -> Engine:
    """Return the engine that asks an evaluation. It changes the network in place: it works alone.

    Args:
        network: The network.
    """
    return Engine("evaluation", partial(measure, network), workers=1)


def measure(
    network: nn.Module,
    removals: Sequence[Removal],
    block: Block,
    spec: MeasurementSpec,
    tick: Callable[[], None] = lambda: None,
) -> Outcomes:
    """Measure every removal on one block of samples, one after the other.

    Args:
        network: The network; the same afterwards, bit for bit.
        removals: What is removed, never together.
        block: Its inputs are the numbers of the samples.
        spec: Its evaluation measures; and whether stressed samples are measured, too.
        tick: Called after each removal.
    """
    evaluation = spec.evaluation
    assert evaluation is not None
    numbers = block.inputs.tolist()

    def ask() -> list[Tensor]:
        return [
            torch.from_numpy(evaluation.measure(network, numbers, stressed=kind))
            for kind in spec.parts(False, True)
        ]

    with evaluation_mode(network):
        base, results = ask(), []
        for removal in removals:
            with filtering(network, removal):
                scores = ask()
            changed = any(not same(one, other) for one, other in zip(scores, base, strict=True))
            results.append((*spec.pair(scores), changed))
            tick()
    idle = torch.zeros(2, len(numbers), dtype=torch.bool)
    return Outcomes.of(spec.pair(base), results, idle)
