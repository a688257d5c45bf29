"""How a study is carried out; nothing here changes its results."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from hormesis.errors import SettingError
from hormesis.settings.choices import ENGINES, RAY, check_choice


@dataclass(frozen=True)
class Execution:
    """How a study is carried out; nothing here changes its results.

    Args:
        engine: ``"auto"`` recomputes only what depends on the filtered parameter; ``"plain"`` runs
            the whole network for every cell, as the reference does; ``"ray"`` lets the nodes of a
            Ray cluster measure, each as ``"auto"`` does.
        num_workers: Shards measured at a time, one thread each; None takes one a core, and all a
            cluster has room for.
        memory: What the process may take at most, such as ``"4GiB"``, kept by measuring fewer
            samples at a time; on a GPU, what it may take there. None takes half of what is free.
        progress: Show progress on standard error.
        overwrite: Replace a study that lies in the output folder.
        address: The Ray cluster, such as ``"auto"`` or ``"10.0.0.1:6379"``; None takes what
            ``RAY_ADDRESS`` names, or else starts Ray on this machine.
        gpus_per_task: GPUs of a cluster's task, a fraction or a whole number; None takes one if the
            network is on a GPU.
        cpus_per_task: Cores of a cluster's task, above 0; it computes with as many threads.
        extend: Folder of another study of the same network; what it has measured is taken over.

    Raises:
        SettingError: For an unknown engine, fewer than one worker, an amount of memory that cannot
            be read, or shares of a cluster that no task can have.

    Example:
        >>> Execution(engine="plain", num_workers=1).progress
        True
    """

    engine: str = "auto"
    num_workers: int | None = None
    memory: str | int | None = None
    progress: bool = True
    overwrite: bool = False
    address: str | None = None
    gpus_per_task: float | int | None = None
    cpus_per_task: float | int = 1
    extend: str | Path | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        check_choice("engine", self.engine, ENGINES)
        if self.engine != RAY and self.address is not None:
            raise SettingError(f"Expected engine 'ray' for an `address`, got {self.engine!r}.")
        if self.engine == RAY and self.extend is not None:
            raise SettingError(
                "Expected another `engine` than 'ray' with `extend`, which this machine reads."
            )
        _check_share("cpus_per_task", self.cpus_per_task, least=0.01)
        _check_share("gpus_per_task", self.gpus_per_task or 0, least=0)
        if self.num_workers is not None and self.num_workers < 1:
            raise SettingError(f"Expected `num_workers` to be at least 1, got {self.num_workers}.")
        if self.memory is not None:
            in_bytes(self.memory)


def _check_share(name: str, share: float | int, *, least: float | int) -> None:
    """Refuse what Ray cannot give to a task: less than nothing, or a whole and a part."""
    if not least <= share < math.inf or (share > 1 and share != int(share)):
        raise SettingError(
            f"Expected `{name}` to be a fraction of one or a whole number, got {share:g}."
        )


_UNITS = {"": 1, "B": 1} | {
    f"{letter}{kind}": base**power
    for power, letter in enumerate("KMGT", start=1)
    for kind, base in (("B", 1000), ("iB", 1024))
}


def in_bytes(memory: str | int) -> int:
    """Return an amount of memory in bytes.

    Raises:
        SettingError: If it is not a positive number with a unit from bytes to TiB.

    Example:
        >>> in_bytes("1.5 GiB"), in_bytes("500MB"), in_bytes(4096)
        (1610612736, 500000000, 4096)
    """
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,15})?)\s*([KMGT]?i?B?)", str(memory).strip())
    number, unit = found.groups() if found else ("0", "")
    if unit not in _UNITS or not float(number):
        raise SettingError(f"Expected `memory` to be an amount such as 4GiB, got {memory!r}.")
    return int(float(number) * _UNITS[unit])
