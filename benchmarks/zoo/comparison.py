"""The fast engine and the plain loop on a network of the list, outcome for outcome."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

import hormesis as hm
from benchmarks.zoo.entry import Entry, Made, made
from hormesis.models.unwrapping import unwrapped

_CLOSE = 1e-3  # of numbers other than 0 and 1, as an audit takes it
_TARGETS = 4


@dataclass(frozen=True)
class Compared:
    """What came out of both engines.

    Args:
        entry: The network.
        engine: That ran when the choice was left to Hormesis.
        outcomes: That were compared, of samples clean and attacked, filtered and not.
        different: Of them, those that are not the same.
        moved: That filtering changed.
        kept: Whether the network is the same afterwards, bit for bit.
        notes: Of the study.
        seconds: That both took together.
    """

    entry: Entry
    engine: str
    outcomes: int
    different: int
    moved: int
    kept: bool
    notes: tuple[str, ...]
    seconds: float


def compare_engines(entry: Entry) -> Compared:
    """Measure a network of the list by the engine that is chosen for it, and by the plain loop."""
    started = time.perf_counter()
    case = made(entry)
    before = {name: value.clone() for name, value in case.network.state_dict().items()}
    fast, plain = (_study(entry, case, engine) for engine in ("auto", "plain"))
    after: dict[str, Tensor] = case.network.state_dict()
    kept = all(_same(after[name], value) for name, value in before.items())
    found, expected = fast.outcomes(), plain.outcomes()
    outcomes = different = moved = 0
    for name in ("base_clean", "base_adversarial", "clean", "adversarial"):
        one, other = getattr(found, name), getattr(expected, name)
        outcomes += one.size
        different += int((~np.isclose(one, other, rtol=_CLOSE, atol=1e-6, equal_nan=True)).sum())
    moved = int((expected.clean != expected.base_clean).sum())
    return Compared(
        entry,
        fast.manifest["run"]["engine"],
        outcomes,
        different,
        moved,
        kept,
        fast.notes,
        time.perf_counter() - started,
    )


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one.nan_to_num(), other.nan_to_num())


def _study(entry: Entry, case: Made, engine: str) -> hm.Study:
    asked: dict[str, Any] = {"attack": entry.adversary, "metric": entry.metric}
    if entry.ring == 3:
        asked = {}
    return hm.analyze(
        case.network,
        case.data,
        **asked,
        output=entry.output,
        targets=hm.Targets(include=_names(case)),
        sweep=hm.Sweep(("high_pass", "pulse_wave"), thresholds=2),
        execution=hm.Execution(engine=engine, num_workers=1, progress=False),
        confirmation=hm.Confirmation("never"),
    )


def _names(case: Made) -> tuple[str, ...]:
    """Return a few parameters from the first to the last."""
    every = [
        name
        for name, parameter in unwrapped(case.network).named_parameters()
        if parameter.ndim > 1 and parameter.is_floating_point()
    ]
    places = np.linspace(0, len(every) - 1, min(_TARGETS, len(every))).round().astype(int)
    return tuple(dict.fromkeys(every[place] for place in places))
