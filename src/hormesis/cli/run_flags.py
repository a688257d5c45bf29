"""The flags that say where a study lies and how it is measured."""

from collections.abc import Callable

from jsonargparse import ActionYesNo, ArgumentParser

from hormesis.settings.choices import ENGINES
from hormesis.settings.execution import Execution


def add_run(parser: ArgumentParser) -> None:
    """Add the flags that say where and how a study is measured; none changes its results."""
    add = parser.add_argument_group("run").add_argument
    add(
        "--out",
        type=str | None,
        metavar="DIR",
        help="folder of the study (default: in studies/, named by data, model and attack)",
    )
    add("--overwrite", action="store_true", help="replace a study that lies there")
    add(
        "--extend",
        type=str | None,
        metavar="STUDY",
        help="take over what this study of the same network has measured: for more samples, "
        "thresholds or targets, or another attack (default of --out: the same folder)",
    )
    add(
        "--engine",
        type=str,
        metavar="NAME",
        default=Execution().engine,
        help=f"{', '.join(ENGINES[:-1])} or {ENGINES[-1]} (default: %(default)s)",
    )
    add("--num-workers", type=int | None, metavar="N", help="threads (default: one a core)")
    add(
        "--address",
        type=str | None,
        metavar="ADDRESS",
        help="Ray cluster of --engine ray, such as auto or 10.0.0.1:6379 (default: $RAY_ADDRESS, "
        "or Ray on this machine)",
    )
    add(
        "--gpus-per-task",
        type=float | None,
        metavar="X",
        help="GPUs of a task of --engine ray, such as 0.5 (default: 1 if the network is on a GPU)",
    )
    add(
        "--cpus-per-task",
        type=float,
        metavar="X",
        default=Execution().cpus_per_task,
        help="cores of a task of --engine ray (default: %(default)s)",
    )
    add(
        "--memory",
        type=str | None,
        metavar="SIZE",
        help="memory at most, such as 4GiB, on a GPU its own (default: half of what is free)",
    )
    add(
        "--progress",
        action=ActionYesNo(no_prefix="no-"),
        default=True,
        help="show progress on standard error (default: yes)",
    )


def add_normalize(add: Callable[..., object], default: bool | None) -> None:
    """Add the flag for what is put in front of a network.

    Args:
        add: What adds a flag to a group of a parser.
        default: What is done where it is not given.
    """
    add(
        "--normalize",
        action=ActionYesNo(no_prefix="no-"),
        default=default,
        help="put the normalisation of a named data set in front of the network (default: yes for "
        "networks by name, no for module:factory)",
    )
