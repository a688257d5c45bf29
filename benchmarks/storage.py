"""What it costs to survive, and to open a large study: ``python -m benchmarks.storage``.

The first table is of a sweep whose every call into the study's folder is timed: packing, checksums,
fsync, reading back and counting, the lock, tables and manifest. The second opens a finished study
of the size of ResNet-50's in a process of its own, whose memory counts from after its imports.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import hormesis as hm
from benchmarks.compare import INPUTS, STEPS, TARGETS, cells, outcomes
from benchmarks.sweep import about_machine
from hormesis.analysis.responses import Means, response_table
from hormesis.data.datasets import digits
from hormesis.data.samples import Samples
from hormesis.engine.shards import shard_edges
from hormesis.measure import pipeline, shard_worker, study_writer
from hormesis.models.networks import build_model
from hormesis.storage.files import OUTCOMES, write_manifest, write_tables
from hormesis.storage.shards import Shard, pack
from hormesis.storage.store import FolderStore

RESULTS = Path(__file__).with_name("STORAGE.md")
SAMPLES = 10_000
CASES = (
    ("resnet18", "layer4.1.*"),
    ("squeezenet1_1", "features.1*.squeeze.*"),
    ("resnet50", "layer4.2.*"),
)
HEADER = """\
# Shards, checksums, locks; opening a study

`python -m benchmarks.storage`

{machine}

Share of a sweep's elapsed time, one worker, that goes into the study's folder: packing, checksums,
fsync, reading back, counting, tables and manifest. 180 digits of 1x32x32 in 6 shards, accuracy
under FGSM. Preparing the engine counts as elapsed; larger studies have larger shards, whose share
is smaller.

| network | removals | elapsed | in the folder | share |
| --- | ---: | ---: | ---: | ---: |
"""
OPENING = """
Opening a finished study of {targets} targets x {cells} cells x {samples} samples ({size:.1f} MiB in
{shards} shards), in a new process after its imports: elapsed time, and growth of the resident
memory at its highest.

| what | elapsed | memory |
| --- | ---: | ---: |
"""
OPEN = """
import json, sys, time
import hormesis, hormesis.results.study, hormesis.analysis.stopping
from pathlib import Path

def highest():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

Path("/proc/self/clear_refs").write_text("5")  # what the parent held before does not count
held, rows = highest(), []
def step(what, run):
    began = time.perf_counter()
    found = run()
    rows.append((what, time.perf_counter() - began, highest() - held))
    return found

study = step("load_study", lambda: hormesis.load_study(sys.argv[1]))
step("and all scores with intervals", lambda: study.scores)
print(json.dumps(rows))
"""


@contextmanager
def timed(spent: dict[str, float]) -> Iterator[None]:
    """Add up the seconds of every call into the folder of a study."""
    calls = [
        (FolderStore, "put"),
        (FolderStore, "get"),
        (Samples, "part_fingerprint"),
        (shard_worker, "pack"),
        (study_writer, "unpack"),
        (study_writer, "whole_shards"),
        (study_writer.Stopping, "update"),
        (pipeline, "begin"),
        (pipeline, "folder_to_write"),
        (study_writer, "write_tables"),
        (study_writer, "write_manifest"),
    ]
    before = [getattr(owner, name) for owner, name in calls]

    def counted(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **options: Any) -> Any:  # noqa: ANN401
            began = time.perf_counter()
            try:
                return run(*given, **options)
            finally:
                spent[name] += time.perf_counter() - began

        return call

    for (owner, name), run in zip(calls, before, strict=True):
        setattr(owner, name, counted(name, run))
    try:
        yield
    finally:
        for (owner, name), run in zip(calls, before, strict=True):
            setattr(owner, name, run)


def overhead(name: str, include: str, folder: Path) -> str:
    """Return the row of one network."""
    held_out = digits("test")
    network = build_model(name, classes=10, channels=1, size=(32, 32), seed=0)
    spent = defaultdict[str, float](float)
    began = time.perf_counter()
    with timed(spent):
        study = hm.analyze(
            network,
            held_out,
            attack=hm.FGSM(0.05),
            targets=hm.Targets(include=(include,), kinds=("convolution",)),
            execution=hm.Execution(progress=False, num_workers=1),
            out=folder / name,
        )
    elapsed = time.perf_counter() - began
    removals = max(study.responses["outcome"].tolist()) + 1
    inside = sum(spent.values()) - spent["write_tables"] * 0.5  # half of them within `begin`
    return f"| {name} | {removals} | {elapsed:.1f} s | {inside:.2f} s | {inside / elapsed:.2%} |\n"


def write(folder: Path) -> int:
    """Write a finished study of the size of ResNet-50's, and return the number of its shards."""
    table, means = cells(), Means()
    edges = shard_edges(SAMPLES, INPUTS["shape"])
    (folder / OUTCOMES).mkdir(parents=True)
    for first, end in pairwise(edges):
        block = outcomes(table, end - first, seed=first)
        means.add(block)
        FolderStore(folder).put(first, pack(Shard(first, block, "0" * 32, "1" * 64)))
    names = table["target"].unique()
    targets = pd.DataFrame({"target": names, "kind": "convolution", "shape": "24", "size": 24})
    targets = targets.assign(depth=range(len(names)), minimum=-1.0, maximum=1.0)
    tables = {
        "targets.parquet": targets.assign(tested=True, reason=""),
        "samples.parquet": pd.DataFrame({"place": range(SAMPLES), "label": 0}),
        "responses.parquet": response_table(table, means),
    }
    base = {name: float(means.of(f"base_{name}")) for name in ("clean", "adversarial")}
    asked = {"name": "fgsm", "epsilon": 0.03}
    write_manifest(
        folder,
        {
            "state": "finished",
            "study": "0" * 32,
            "question": {
                "network": {"name": "resnet50", "fingerprint": "0" * 64},
                "data": {
                    "name": "made up",
                    "samples": SAMPLES,
                    "classes": 10,
                    "fingerprint": "1" * 64,
                    **INPUTS,
                },
                "attack": asked,
                "targets": asdict(hm.Targets()),
                "sweep": asdict(hm.Sweep()),
                "performance": {"name": "accuracy", "higher_is_better": True},
            },
            "attack": asked,
            "scoring": asdict(hm.Scoring()),
            "shards": {"edges": edges},
            "base": {**base, "higher_is_better": True, "samples": SAMPLES},
            "notes": [],
            "tables": write_tables(folder, tables),
        },
    )
    return len(edges) - 1


def main() -> None:
    """Measure, print and write the tables."""
    torch.set_num_threads(1)
    text = HEADER.format(machine=about_machine())
    with tempfile.TemporaryDirectory(dir=RESULTS.parent) as folder:  # a disk, whose fsync counts
        for name, include in CASES:
            text += overhead(name, include, Path(folder))
        shards = write(Path(folder) / "large")
        size = sum(path.stat().st_size for path in (Path(folder) / "large").rglob("*.*"))
        text += OPENING.format(
            targets=TARGETS, cells=3 * STEPS, samples=SAMPLES, shards=shards, size=size / 2**20
        )
        words = [sys.executable, "-c", OPEN, str(Path(folder) / "large")]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        for what, seconds, memory in json.loads(said):
            text += f"| {what} | {seconds:.2f} s | {memory:.0f} MiB |\n"
    print(text, end="")  # noqa: T201
    RESULTS.write_text(text)


if __name__ == "__main__":
    main()
