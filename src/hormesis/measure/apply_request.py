"""The one request for an applied network, from the command line or a Python call."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hormesis.measure.apply_source import NamedSource
from hormesis.settings.apply import Aim, Proof
from hormesis.settings.execution import Execution


@dataclass(frozen=True)
class ApplyRequest:
    """What is asked besides the study; see ``apply``.

    Args:
        network: The network; None for one by name.
        data: The data set; None, or a text, for one by name.
        aim: The aim.
        out: Folder for the result, or None.
        stressed: The second data set, unless it has a name.
        proof: The settings of the proof.
        source: Names of network and data.
        execution: How to measure.
    """

    network: Any
    data: Any
    aim: Aim
    out: Path | None
    stressed: Any
    proof: Proof
    source: NamedSource
    execution: Execution
