"""How a study is carried out; nothing here changes its results."""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from hormesis.errors import SettingError
from hormesis.settings.choices import ENGINES, RAY
from hormesis.settings.option import check_choices, option


@dataclass(frozen=True)
class Execution:
    """How a study is carried out; nothing here changes its results.

    Args:
        engine: ``"auto"`` recomputes only what depends on the filtered parameter, ``"plain"`` runs
            the whole network every time, ``"ray"`` does as ``"auto"`` on a Ray cluster.
        num_workers: Threads, each of which measures a shard at a time; by default one a core, or
            all that a cluster has room for.
        memory: Most memory to use, on a GPU its own, such as 4GiB; by default half of what is
            free. It is kept by measuring fewer samples at a time.
        progress: Show progress on standard error.
        overwrite: Overwrite an existing study.
        address: Ray cluster, such as ``"auto"`` or ``"10.0.0.1:6379"``; by default $RAY_ADDRESS, or
            Ray on this machine.
        gpus_per_task: GPUs of a Ray task, a fraction or a whole number; by default 1 if the network
            is on a GPU.
        cpus_per_task: Cores of a Ray task, above 0. It computes with as many threads.
        extend: Study of the same network whose measurements are reused, for more samples,
            thresholds or targets, or for another attack.

    Raises:
        SettingError: For an unknown engine, fewer than one worker, an amount of memory that cannot
            be read, or shares of a cluster that no task can have.

    Example:
        >>> Execution(engine="plain", num_workers=1).progress
        True
    """

    engine: str = field(default="auto", metadata=option(choices=ENGINES))
    num_workers: int | None = None
    memory: str | int | None = field(default=None, metadata=option(metavar="SIZE"))
    progress: bool = True
    overwrite: bool = False
    address: str | None = field(default=None, metadata=option(metavar="ADDRESS"))
    gpus_per_task: float | int | None = None
    cpus_per_task: float | int = 1
    extend: str | Path | None = field(default=None, metadata=option(metavar="DIR"))

    def __post_init__(self) -> None:
        """Check every field."""
        check_choices(self)
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
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,15})?)\s*([KMGT]?i?B?)", str(memory).strip())
    number, unit = match.groups() if match else ("0", "")
    if unit not in _UNITS or not float(number):
        raise SettingError(f"Expected `memory` to be an amount such as 4GiB, got {memory!r}.")
    return int(float(number) * _UNITS[unit])
