"""Images a second in training, and the wait for data: ``python -m benchmarks.training``.

Each of the paper's networks on each of its data sets, one epoch over a few batches, after one that
warms up. Lightning's own profiler tells what a step takes and what the next batch does. The results
are appended to ``TRAINING.md``, so that machines can be compared.
"""

import argparse
import os
import platform
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import lightning.pytorch as lightning
import torch
from lightning.pytorch.profilers import SimpleProfiler

from hormesis.data.splits import Parts, load_parts
from hormesis.models.networks import PAPER
from hormesis.training.config import DataConfig, Recipe, TrainerConfig
from hormesis.training.fit import silence_lightning
from hormesis.training.lit_module import LitNetwork
from hormesis.training.train import build_training_network

DATA = ("mnist", "cifar10", "tiny-imagenet")
RESULTS = Path(__file__).with_name("TRAINING.md")
WAITING = "[_TrainingEpochLoop].train_dataloader_next"
STEP = "run_training_batch"
HEADER = """
## {day}, {machine}

`python -m benchmarks.training{options}`; {versions}. Adam, batches of {batch}, {batches} batches
after {warm} that warm up, {threads} thread(s). Wall time: other work on the machine lowers the
images a second.

| network | data | images a second | waiting for data, share of a step |
| --- | --- | ---: | ---: |
"""


def main() -> None:
    """Run the pairs asked for, print the table and append it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", default=os.environ.get("HORMESIS_DATA", "data"))
    parser.add_argument("--batches", type=int, default=10)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--only", default="", help="part of a network's name")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    asked = parser.parse_args()
    text = _header(asked, parser)
    print(text, end="")  # noqa: T201
    for data in DATA:
        parts = load_parts(data, root=Path(asked.data_root))
        for model in PAPER:
            if asked.only in model:
                row = _row(model, parts, asked)
                print(row, flush=True)  # noqa: T201
                text += row + "\n"
    before = RESULTS.read_text() if RESULTS.exists() else "# Training\n"
    RESULTS.write_text(before + text)


def _row(model: str, parts: Parts, asked: argparse.Namespace) -> str:
    warm = _measured(model, parts, asked, batches=2)
    del warm
    rate, waiting = _measured(model, parts, asked, batches=asked.batches)
    return f"| {model} | {parts.train.name} | {rate:.0f} | {waiting:.2%} |"


def _measured(
    model: str, parts: Parts, asked: argparse.Namespace, *, batches: int
) -> tuple[float, float]:
    """Return images a second, and the share of a step that is spent waiting for its batch."""
    recipe = Recipe(epochs=1, batch_size=asked.batch)
    network = build_training_network(model, parts, DataConfig(), recipe).to(
        memory_format=torch.channels_last
    )
    learner = LitNetwork(network, parts, recipe, TrainerConfig())
    profiler = SimpleProfiler()
    with TemporaryDirectory() as folder, silence_lightning():
        trainer = lightning.Trainer(
            accelerator={"cuda": "gpu"}.get(asked.device, asked.device),
            devices=1,
            max_epochs=1,
            limit_train_batches=batches,
            limit_val_batches=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
            profiler=profiler,
        )
        started = time.monotonic()
        trainer.fit(learner)
        seconds = time.monotonic() - started
    durations = profiler.recorded_durations
    steps, waits = durations[STEP], durations[WAITING]
    busy = sum(steps) + sum(waits) if asked.device == "cpu" else seconds
    return len(steps) * asked.batch / busy, sum(waits) / busy


def _header(asked: argparse.Namespace, parser: argparse.ArgumentParser) -> str:
    given = {key: value for key, value in vars(asked).items() if key != "data_root"}
    return HEADER.format(
        day=datetime.now(UTC).date().isoformat(),
        machine=_machine(asked.device),
        options="".join(
            f" --{key} {value}" for key, value in given.items() if value != parser.get_default(key)
        ),
        versions=f"hormesis {version('hormesis')}, torch {torch.__version__}, "
        f"lightning {lightning.__version__}",
        batch=asked.batch,
        batches=asked.batches,
        warm=2,
        threads=torch.get_num_threads(),
    )


def _machine(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{os.cpu_count()} cores, {platform.machine()}"


if __name__ == "__main__":
    main()
