"""Which engine measures a study, and with how many workers."""

import os
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import nn

from hormesis.data.trees import Tree, device_of_rows
from hormesis.engine import plain, suffix
from hormesis.engine.dataflow import Flow
from hormesis.engine.graph import NotExportable, Program
from hormesis.engine.memory import Measure, halving
from hormesis.engine.outcomes import MeasurementSpec
from hormesis.engine.suffix import compile_network
from hormesis.errors import SettingError
from hormesis.settings.custom_attack import CustomAttack
from hormesis.settings.execution import Execution

INEXACT = "Logits were computed in bfloat16: outcomes are not exact."
_OWN_ATTACK = (
    "Every cell ran the whole network, because {} has to be given each filtered network, which the "
    "fast engine never builds as a whole. The results are the same and take longer."
)
_TELLING = 1e-4  # rounding of logits, as a share of the largest, that a reader should know of


@dataclass(frozen=True)
class Engine:
    """Something that measures removals on one block of samples.

    Args:
        name: What the manifest calls it.
        measure: Takes removals, a block, the spec, and a function to call after each removal.
        workers: How many blocks it may measure at a time.
        notes: What a reader has to know about the choice, in sentences.
        flow: Which parameter feeds which; empty if that is not known.
    """

    name: str
    measure: Measure
    workers: int
    notes: tuple[str, ...] = ()
    flow: Flow = ()


def plain_engine(network: nn.Module) -> Engine:
    """Return the plain loop. It changes the network in place, so that it works alone.

    Example:
        >>> plain_engine(nn.Linear(1, 2)).workers
        1
    """
    return Engine("plain", halving(partial(plain.measure, network)), workers=1)


def suffix_engine(
    network: nn.Module,
    example: Tree,
    workers: int | None,
    spec: MeasurementSpec,
) -> Engine:
    """Return the engine that computes again only what depends on the filtered parameter.

    Args:
        network: The network, in evaluation mode.
        example: At least one sample.
        workers: Blocks measured at a time; by default one a core, and one on an accelerator.
        spec: Its precision and adversary decide what is prepared.

    Raises:
        NotExportable: If the network has no functional program.
    """
    dtype = torch.bfloat16 if spec.precision == "bf16" else None
    program = compile_network(network, example, dtype=dtype, adaptive_too=spec.adaptive)
    default = _cores() if device_of_rows(example).type == "cpu" else 1
    measure = halving(partial(suffix.measure, program, network))
    notes = (INEXACT,) if dtype is not None else _notes(program)
    return Engine("suffix", measure, workers or default, notes, program.flow)


def _cores() -> int:
    """Return how many cores this process may use; only Linux says which those are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _notes(program: Program) -> tuple[str, ...]:
    if program.rounding <= _TELLING:
        return ()
    return (
        "Large values cancel within the network: rounding moves its logits by "
        f"{program.rounding:.1g} of the largest. Outcomes that hang on less were left to the "
        "network itself; they may change with the machine and the number of samples measured at "
        "a time.",
    )


def choose_engine(
    network: nn.Module,
    example: Tree,
    execution: Execution,
    spec: MeasurementSpec,
) -> Engine:
    """Return the engine that a run asks for, or the plain loop with a note why it has to be that.

    Args:
        network: The network, in evaluation mode.
        example: At least one sample.
        execution: Which engine, and how many workers.
        spec: See ``suffix_engine``.

    Raises:
        SettingError: If the plain loop is asked to be inexact.
    """
    custom = spec.adaptive and isinstance(spec.attack, CustomAttack)
    if (execution.engine == "plain" or custom) and spec.precision != "exact":
        raise SettingError(
            f"The engine 'plain' is always exact: leave out precision {spec.precision!r}."
        )
    if execution.engine == "plain":
        return plain_engine(network)
    if custom:
        return replace(plain_engine(network), notes=(_OWN_ATTACK.format(spec.attack.name),))
    try:
        return suffix_engine(network, example, execution.num_workers, spec)
    except NotExportable as reason:
        note = (
            f"Every cell ran the whole network, because {reason}. The results are the same and "
            "take longer; a forward pass that torch.export understands would be faster."
        )
        return replace(plain_engine(network), notes=(note,))
