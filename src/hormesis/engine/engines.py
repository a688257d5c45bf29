"""Which engine measures a study, and with how many workers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from hormesis.engine import plain
from hormesis.engine.outcomes import Block, Outcomes, Question
from hormesis.engine.plan import Removal
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


def choose_engine(
    network: nn.Module, removals: Sequence[Removal], question: Question, run: Run
) -> Engine:
    """Return the engine that a run asks for."""
    return plain_engine(network, removals, question)
