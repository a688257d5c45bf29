"""Which engine measures a study, and with how many workers."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor, nn

from hormesis.engine import plain, suffix
from hormesis.engine.graph import NotExportable
from hormesis.engine.outcomes import Block, Outcomes, Question
from hormesis.engine.plan import Removal
from hormesis.engine.suffix import compile_network
from hormesis.settings import Run


@dataclass(frozen=True)
class Engine:
    """Something that measures every removal on one block of samples.

    Args:
        name: What the manifest calls it.
        measure: Takes a block and a function to call after each removal.
        workers: How many blocks it may measure at a time.
        notes: What a reader has to know about the choice, in sentences.
    """

    name: str
    measure: Callable[[Block, Callable[[], None]], Outcomes]
    workers: int
    notes: tuple[str, ...] = ()


def plain_engine(network: nn.Module, removals: Sequence[Removal], question: Question) -> Engine:
    """Return the plain loop. It changes the network in place, so that it works alone.

    Example:
        >>> from hormesis.stress.adversaries import FGSM
        >>> from hormesis.stress.performance import accuracy
        >>> asked = Question(accuracy, FGSM(0.1), adaptive=False, bounds=(0.0, 1.0), seed=0)
        >>> plain_engine(nn.Linear(1, 2), (), asked).workers
        1
    """

    def measure(block: Block, tick: Callable[[], None]) -> Outcomes:
        return plain.measure(network, removals, block, question, tick)

    return Engine("plain", measure, workers=1)


def suffix_engine(
    network: nn.Module,
    removals: Sequence[Removal],
    question: Question,
    example: Float[Tensor, " batch *shape"],
    workers: int | None = None,
) -> Engine:
    """Return the engine that computes again only what depends on the filtered parameter.

    Args:
        network: The network, in evaluation mode.
        removals: What is measured.
        question: How it is measured.
        example: At least one input.
        workers: Blocks measured at a time; by default one a core, and one on an accelerator.

    Raises:
        NotExportable: If the network has no functional program.
    """
    program = compile_network(network, example)

    def measure(block: Block, tick: Callable[[], None]) -> Outcomes:
        return suffix.measure(program, network, removals, block, question, tick)

    default = len(os.sched_getaffinity(0)) if example.device.type == "cpu" else 1
    return Engine("suffix", measure, workers or default)


def choose_engine(
    network: nn.Module,
    removals: Sequence[Removal],
    question: Question,
    example: Float[Tensor, " batch *shape"],
    run: Run,
) -> Engine:
    """Return the engine that a run asks for, or the plain loop with a note why it has to be that.

    Args:
        network: The network, in evaluation mode.
        removals: What is measured.
        question: How it is measured.
        example: At least one input.
        run: Which engine, and how many workers.
    """
    if run.engine == "plain":
        return plain_engine(network, removals, question)
    try:
        return suffix_engine(network, removals, question, example, run.workers)
    except NotExportable as reason:
        note = (
            f"Every cell ran the whole network, because {reason}. The results are the same and "
            "take longer; a forward pass that torch.export understands would be faster."
        )
        return replace(plain_engine(network, removals, question), notes=(note,))
