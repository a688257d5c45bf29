"""What it costs a training to survive a power cut: ``python -m benchmarks.durability``.

A ResNet-18, by default on 4,000 images of MNIST for two epochs. All time within ``fsync`` is added
up, of files and of folders, and all time that goes into what an epoch leaves: the state as bytes,
checksums, writing, syncing. The results are appended to ``TRAINING.md``.
"""

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

import hormesis as hm
from benchmarks.sweep import about_machine
from hormesis.training import checkpointing
from hormesis.training.resume_state import StateFiles

RESULTS = Path(__file__).with_name("TRAINING.md")
TEXT = """
## {day}: what surviving a power cut costs

`python -m benchmarks.durability{options}`; {machine} ResNet-18 on {samples} images of MNIST, {epochs} epochs
in {seconds:.0f} s of wall time, one thread; load of the machine {load:.0f}.

| in an epoch | seconds | share |
| --- | ---: | ---: |
| all of it | {epoch:.2f} | |
| syncing files and folders | {sync:.3f} | {sync_share:.2%} |
| all that is kept: state, checkpoint, record and table as bytes, checksums, writing, syncing | {kept:.3f} | {kept_share:.2%} |
"""  # noqa: E501


@contextmanager
def timed(spent: dict[str, float]) -> Iterator[None]:
    """Add up the seconds within what an epoch leaves behind, and within ``fsync``."""
    calls = [
        (os, "fsync"),
        (checkpointing, "write_checkpoint"),
        (checkpointing, "write_record"),
        (checkpointing, "write_metrics"),
        (StateFiles, "save_checkpoint"),
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


def main() -> None:
    """Train, print what it cost and append it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", default=os.environ.get("HORMESIS_DATA", "data"))
    parser.add_argument("--samples", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    spent, began = defaultdict[str, float](float), time.perf_counter()
    with TemporaryDirectory(dir=RESULTS.parent) as folder, timed(spent):  # a disk that syncs
        run = hm.train(
            "resnet18",
            "mnist",
            out=f"{folder}/run",
            recipe=hm.Recipe(epochs=asked.epochs),
            data_config=hm.DataConfig(root=asked.data_root, samples=asked.samples),
            trainer_config=hm.TrainerConfig(
                progress=False, loggers={}, validation_samples=100, device="cpu"
            ),
        )
        epoch = sum(run.metrics["seconds"]) / asked.epochs
    seconds = time.perf_counter() - began
    sync = spent.pop("fsync") / asked.epochs
    kept = sum(spent.values()) / asked.epochs
    text = TEXT.format(
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        options="".join(f" {word}" for word in sys.argv[1:]),
        machine=about_machine(),
        samples=f"{asked.samples:,}",
        epochs=asked.epochs,
        seconds=seconds,
        load=os.getloadavg()[0],
        epoch=epoch,
        sync=sync,
        sync_share=sync / epoch,
        kept=kept,
        kept_share=kept / epoch,
    )
    print(text, end="")  # noqa: T201
    RESULTS.write_text(RESULTS.read_text() + text)


if __name__ == "__main__":
    main()
