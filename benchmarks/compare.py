"""A comparison of many studies, from disk: ``python -m benchmarks.compare [STUDIES] [SAMPLES]``.

The studies are made up, of the size of ResNet-50's: 54 targets, 3 filters, 25 thresholds. Time and
memory are those of a fresh process that opens and compares them.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from hormesis.analysis.responses import Means, response_table
from hormesis.settings.choices import DEFAULT_FILTERS
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.storage.files import OUTCOMES, write_manifest, write_tables
from hormesis.storage.outcomes import StoredOutcomes
from hormesis.storage.shards import Shard, pack
from hormesis.storage.store import FolderStore

TARGETS, STEPS, BLOCK, CHANNELS = 54, 25, 256, 64
INPUTS = {"shape": [3, 32, 32], "bounds": [0.0, 1.0]}
MEASURE = """
import json, resource, sys, time
import hormesis
started = time.perf_counter()
found = hormesis.compare(sys.argv[1])
seconds = time.perf_counter() - started
mebibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"studies": len(found.studies), "seconds": round(seconds, 2),
                  "cpu_seconds": round(time.process_time(), 2), "mebibytes": round(mebibytes)}))
"""


def cells(count: int = TARGETS) -> pd.DataFrame:
    """Return the cells of so many targets; by default those of a made-up ResNet-50."""
    step = np.tile(np.arange(STEPS), count * len(DEFAULT_FILTERS))
    progress = step / (STEPS - 1)
    names = [f"layer{place:02d}.weight" for place in range(count)]
    if count > TARGETS:
        names = [
            f"layer{place // CHANNELS:02d}.weight[{place % CHANNELS}]" for place in range(count)
        ]
    columns = {
        "target": np.repeat(names, STEPS * len(DEFAULT_FILTERS)),
        "filter": np.tile(np.repeat(DEFAULT_FILTERS, STEPS), count),
        "step": step,
        "alpha": progress,
        "zeroed": step,
        "density": 1 - progress,
        "progress": progress,
        "lower": progress,
        "upper": progress,
        "outcome": np.arange(len(step)),
    }
    return pd.DataFrame(columns)


def outcomes(table: pd.DataFrame, samples: int, seed: int) -> StoredOutcomes:
    """Return outcomes of samples, each of which is lost from some threshold on."""
    generator = np.random.default_rng(seed)
    ease = generator.uniform(0.2, 1.2, (2, 1, samples)).astype(np.float32)
    strength = generator.uniform(0.3, 1.2, (len(table) // STEPS, 1)).repeat(STEPS, 0)
    loss = table["progress"].to_numpy()[:, None] * strength
    clean, adversarial = ((ease[place] - 0.3 * place > loss) for place in range(2))
    right = (ease[place, 0] - 0.3 * place > 0 for place in range(2))
    return StoredOutcomes(
        *(values.astype(np.float32) for values in (*right, clean, adversarial)),
        changed=np.ones(len(table), dtype=bool),
    )


def write(folder: Path, epoch: int, samples: int, count: int = TARGETS) -> None:
    """Write the study of one epoch, of so many targets."""
    table, means = cells(count), Means()
    question = {
        "network": {"name": "resnet50", "fingerprint": f"{epoch:064d}"},
        "data": {
            "name": "made up",
            "samples": samples,
            "classes": 10,
            "fingerprint": "0" * 64,
            **INPUTS,
        },
        "attack": {"name": "fgsm", "epsilon": 0.03},
        "targets": asdict(Targets(per="channel" if count > TARGETS else "tensor")),
        "sweep": asdict(Sweep()),
        "performance": {"name": "accuracy", "higher_is_better": True},
    }
    stage = folder / f"epoch-{epoch:04d}"
    (stage / OUTCOMES).mkdir(parents=True)
    for first in range(0, samples, BLOCK):
        block = outcomes(table, min(BLOCK, samples - first), seed=first * 1000 + epoch)
        means.add(block)
        FolderStore(stage).put(first, pack(Shard(first, block)))
    base = {name: float(means.of(f"base_{name}")) for name in ("clean", "adversarial")}
    manifest = {
        "question": question,
        "attack": question["attack"],
        "scoring": asdict(Scoring()),
        "base": {**base, "higher_is_better": True, "samples": samples},
        "notes": [],
        "origin": {"epoch": epoch},
    }
    names = table["target"].unique()
    targets = pd.DataFrame({"target": names, "kind": "convolution", "shape": "24", "size": 24})
    targets = targets.assign(depth=range(len(names)), minimum=-1.0, maximum=1.0)
    targets = targets.assign(tested=True, reason="")
    tables = {"targets.parquet": targets, "responses.parquet": response_table(table, means)}
    write_tables(stage, tables)
    write_manifest(stage, manifest)


def main() -> None:
    """Write the studies, and compare them in a process of its own."""
    studies, samples = (int(n) for n in [*sys.argv[1:], *("100", "1000")[len(sys.argv) - 1 :]])
    with tempfile.TemporaryDirectory() as folder:
        for epoch in range(studies):
            write(Path(folder), epoch + 1, samples)
        command = [sys.executable, "-c", MEASURE, folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    print(json.dumps({"samples": samples, **json.loads(done.stdout)}))


if __name__ == "__main__":
    main()
