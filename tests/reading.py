"""Every command that reads a study, each run in a process of its own, timed and weighed."""

import contextlib
import io
import os
import resource
import shutil
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import torch
from torch import nn

import harmless
import hormesis as hm
from fresh import processes
from hormesis.cli.app import main
from hormesis.errors import HormesisError

# What the commands import only when they need it, here once for all processes.
from hormesis.report.plots import accessor, comparison, heatmap, overview, responses, style, weights  # noqa: F401
from hormesis.results import comparison as _comparison  # noqa: F401
from hormesis.storage.files import FORMAT, read_manifest, write_manifest
from hormesis.training.retraining_plan import plan_retraining
from hormesis.training.selection import Selection
from hormesis.training.source_lookup import SourceNetwork, manifest_code

SECONDS, MEBIBYTES = 1.0, 500  # what reading a study may take beyond the start of the program
SAMPLES = 70
KINDS = ("finished", "until", "unfinished")
TABLES = ("targets", "cells", "samples", "removals", "responses")
_QUIET = hm.Execution(progress=False, num_workers=1)


def network() -> nn.Module:
    """The network that the studies are of."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def data() -> tuple[torch.Tensor, torch.Tensor]:
    """The samples that the studies are made with."""
    inputs = torch.rand(SAMPLES, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    return inputs, torch.arange(SAMPLES) % 2


def analyze(out: Path, *, until: float | None = None, execution: hm.Execution = _QUIET) -> hm.Study:
    """Make a study, or go on with it."""
    sweep = hm.Sweep(thresholds=3, until=until)
    origin = {"epoch": 1, "training": {"question": {"recipe": {"seed": 3}}}, "run": "nowhere"}
    return hm.analyze(
        network(),
        data(),
        attack=hm.FGSM(0.1),
        sweep=sweep,
        out=out,
        execution=execution,
        origin=origin,
    )


def make(folder: Path) -> None:
    """Make studies of every kind: finished, stopped early with settled targets, and unfinished."""
    analyze(folder / "finished")
    analyze(folder / "until", until=0.3)
    shutil.copytree(folder / "finished", folder / "unfinished")
    said = read_manifest(folder / "unfinished")
    left = {key: value for key, value in said.items() if key not in ("base", "settled")}
    write_manifest(folder / "unfinished", {**left, "format": FORMAT, "state": "unfinished"})
    (folder / "unfinished" / "responses.parquet").unlink()
    for kind in KINDS:
        (folder / kind / "overview.png").write_bytes(b"\x89PNG")


def _cli(*words: str) -> Callable[[Path, Path], object]:
    def call(study: Path, scratch: Path) -> object:
        place = {"STUDY": str(study), "OTHER": str(scratch / "other"), "OUT": str(scratch)}
        said = [place.get(word, word.replace("OUT/", f"{scratch}/")) for word in words]
        assert main(said) in (0, 1, 2)
        return None

    return call


def _opened(study: Path, scratch: Path) -> None:
    found = hm.load_study(study)
    repr(found)
    if isinstance(found, hm.Study):
        assert found.scores_with(hm.Scoring(reference="base", interval="bootstrap")) is not None
        found.outcomes()
    found._repr_html_()


def _extended(study: Path, scratch: Path) -> None:
    analyze(scratch / "new", execution=hm.Execution(progress=False, num_workers=1, extend=study))


def _retrained(study: Path, scratch: Path) -> None:
    case = plan_retraining(study, Selection(by="clean", keep=("fragile", "robust", "antifragile")))
    case.described()
    manifest_code(case.study, SourceNetwork(), None)


COMMANDS: Mapping[str, Callable[[Path, Path], object]] = {
    "open": _opened,
    "show": _cli("show", "STUDY"),
    "status": _cli("status", "STUDY"),
    "verify": _cli("verify", "STUDY"),
    "export": _cli("export", "STUDY", "--what", "scores", "--to", "OUT/scores.csv"),
    "report": _cli("report", "STUDY", "--out", "OUT/report.html"),
    "compare": _cli("compare", "OTHER", "STUDY", "--over", "seeds"),
    "network": _cli("plot", "STUDY", "--what", "network", "--out", "OUT/network.svg"),
    "responses": _cli("plot", "STUDY", "--what", "responses", "--out", "OUT/responses.svg"),
    "heatmap": _cli("plot", "STUDY", "--what", "heatmap", "--out", "OUT/heatmap.svg"),
    "weights": _cli("plot", "STUDY", "--what", "weights", "--out", "OUT/weights.svg"),
    "watch": _cli("watch", "STUDY", "--out", "OUT/watch.html"),
    "extend": _extended,
    "go on": lambda study, scratch: analyze(study),
    "retrain": _retrained,
}


@dataclass(frozen=True)
class Ended:
    """How a reading ended.

    Args:
        how: ``done``, ``said`` (one of our errors) or the traceback of another one.
        seconds: From its start to its end; infinite if it was stopped.
        mebibytes: Of memory at most.
    """

    how: str
    seconds: float
    mebibytes: float

    def within(self, usual: "Ended") -> bool:
        """Whether it ended with success or a sentence, soon, and with little memory.

        Args:
            usual: How the same command ends that finds nothing wrong.
        """
        more = self.seconds - usual.seconds, self.mebibytes - usual.mebibytes
        return self.how in ("done", "said") and more[0] < SECONDS and more[1] < MEBIBYTES


def ended(call: Callable[[], object], limit: float = 100.0) -> Ended:
    """Run something in a process of its own, stopped if it does not end, or computes too long.

    Args:
        call: What to run; it has a name in a module, or is a ``partial`` of what has one.
        limit: Seconds of waiting; of computing, it may take a fifth of them.
    """
    context = processes()
    read, write = context.Pipe(duplex=False)
    child = context.Process(target=_run, args=(call, write, int(limit / 5), [*harmless.roots]))
    child.start()
    write.close()
    with read:
        if not read.poll(limit):
            child.kill()
            child.join()
            return Ended(f"stopped after {limit} s", float("inf"), 0.0)
        try:
            found = Ended(*read.recv())
        except EOFError:
            child.join()
            found = Ended(f"it died of {child.exitcode}", float("inf"), 0.0)
    child.join()
    return found


def _run(call: Callable[[], object], write: Connection, seconds: int, own: list[str]) -> None:
    """Do what is asked, and tell how it ended, how long it computed, and with how much memory."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    harmless.roots[:] = own
    sys.addaudithook(harmless.watch)
    how = "done"
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            call()
    except HormesisError:
        how = "said"
    except BaseException:
        how = traceback.format_exc()
    used = resource.getrusage(resource.RUSAGE_SELF)
    how = "\n".join(harmless.found) or how
    write.send((how, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024))


def read(name: str, case: Path) -> None:
    """Run one of the commands on the study of a case."""
    COMMANDS[name](case / "study", case)


def refused(words: Sequence[str], folder: Path) -> None:
    """Run a command line in a folder, and see it refused."""
    os.chdir(folder)
    assert main([*words]) == 2


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def _elsewhere(path: Path) -> None:
    other = path.parent / "of-somebody-else"
    other.write_text("{}")
    path.symlink_to(other)


def _repeated(path: Path) -> None:
    """Write a table whose few bytes stand for gigabytes."""
    count = 3_000_000
    column = pa.array(np.zeros(count, np.int64))
    names = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), ["x" * 5000])
    values = {f"c{number}": column for number in range(12)}
    table = pa.table({"target": names, **values})
    pyarrow.parquet.write_table(table, path, compression="zstd")


PLANTS: Mapping[str, Callable[[Path], Any]] = {
    "pipe": _pipe,
    "socket": _socket,
    "folder": Path.mkdir,
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "link to itself": lambda path: path.symlink_to(path),
    "link to nothing": lambda path: path.symlink_to(path.parent / "nothing"),
    "link to a folder": lambda path: path.symlink_to("/"),
    "link elsewhere": _elsewhere,
    "terabyte": _sparse,
    "repeated table": _repeated,
    "nothing": lambda path: None,
}
PLACES = (
    "manifest.json",
    *(f"{name}.parquet" for name in TABLES),
    "outcomes/00000000.safetensors",
    "outcomes",
    ".lock",
    "overview.png",
)


def plant(study: Path, place: str, what: str) -> None:
    """Put something in the place of a file of a study."""
    path = study / place
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    PLANTS[what](path)
