"""The one request that travels from the command line or a Python call to engine and manifest."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hormesis.settings.attacks import FGSM, Attack
from hormesis.settings.confirmation import Confirmation
from hormesis.settings.execution import Execution
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets


@dataclass(frozen=True)
class AnalysisRequest:
    """All settings of an analysis besides its network and data.

    Args:
        attack: The adversary, ``FGSM`` or ``PGD``.
        targets: Which parameters are filtered.
        sweep: Filters, thresholds, adversary and control.
        scoring: How responses become scores and classes.
        metric: A name, a ``Metric``, or a function of logits and labels.
        out: Folder for the study; None keeps it in memory.
        execution: Engine, workers and progress; nothing that changes a result.
        confirmation: How claims that a target is antifragile under attack are put to the test.
        name: What tables and the manifest call the network; its class by default.
        origin: Where the network comes from, as plain values for the manifest.
        notes: What a reader has to know about network and data, in sentences.

    Example:
        >>> AnalysisRequest(sweep=Sweep(thresholds=9)).sweep.thresholds
        9
    """

    attack: Attack = FGSM()
    targets: Targets = Targets()
    sweep: Sweep = Sweep()
    scoring: Scoring = Scoring()
    metric: Any = "accuracy"
    out: Path | None = None
    execution: Execution = Execution()
    confirmation: Confirmation = Confirmation()
    name: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
