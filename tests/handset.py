"""Hand-made studies, small enough to read."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hormesis.results.study import Study
from hormesis.settings.choices import DEFAULT_FILTERS
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.storage.files import OUTCOMES, RESPONSES, TARGETS, write_manifest, write_tables
from hormesis.storage.outcomes import StoredOutcomes
from hormesis.storage.shards import Shard, pack
from hormesis.storage.store import FolderStore

STEPS = 3
DENSITY = (1.0, 0.5, 0.0)


def manifest(**changes: Any) -> dict[str, Any]:
    """What a study says of itself; ``changes`` replace whole entries."""
    return {
        "question": {
            "network": {"name": "tiny", "fingerprint": "0" * 64},
            "data": {
                "name": "made up",
                "samples": 10,
                "classes": 2,
                "shape": [1, 2, 2],
                "bounds": [0.0, 1.0],
                "fingerprint": "1" * 64,
            },
            "attack": {"name": "fgsm", "epsilon": 0.25},
            "targets": asdict(Targets()),
            "sweep": asdict(Sweep(thresholds=STEPS)),
            "performance": {"name": "accuracy", "higher_is_better": True},
        },
        "attack": {"name": "fgsm", "epsilon": 0.25},
        "scoring": asdict(Scoring(reference="density")),
        "base": {"clean": 0.8, "adversarial": 0.4, "higher_is_better": True, "samples": 10},
        "notes": ["A note."],
        "run": {"engine": "plain", "workers": 1, "seconds": 0.5},
        **changes,
    }


def write(
    folder: Path,
    made: tuple[dict[str, Any], pd.DataFrame, pd.DataFrame],
    *blocks: StoredOutcomes,
) -> Path:
    """Write a finished study: manifest, targets and responses, and outcomes in their order."""
    (folder / OUTCOMES).mkdir(parents=True, exist_ok=True)
    first = 0
    for block in blocks:
        put(folder, first, block)
        first += len(block.base_clean)
    said, targets, responses = made
    write_tables(folder, {TARGETS: targets, RESPONSES: responses})
    write_manifest(folder, said)
    return folder


def put(folder: Path, first: int, block: StoredOutcomes) -> None:
    """Write one shard of no study in particular."""
    FolderStore(folder).put(first, pack(Shard(first, block)))


def responses(
    curves: dict[str, tuple[float, float, float]],
    filters: tuple[str, ...] = DEFAULT_FILTERS,
    *,
    unreached: tuple[str, ...] = (),
) -> pd.DataFrame:
    """Three steps for each target and filter; adversarial performance is half the clean one."""
    rows = [
        (target, name, step, clean[step], target not in unreached)
        for target, clean in curves.items()
        for name in filters
        for step in range(STEPS)
    ]
    steps = np.array([row[2] for row in rows])
    alpha = steps - 1.0
    return pd.DataFrame(
        {
            "target": [row[0] for row in rows],
            "filter": [row[1] for row in rows],
            "step": steps,
            "alpha": alpha,
            "zeroed": 2 * steps,
            "density": [DENSITY[row[2]] for row in rows],
            "clean": [row[3] for row in rows],
            "adversarial": [row[3] / 2 for row in rows],
            "progress": steps / (STEPS - 1),
            "lower": alpha - 0.5,
            "upper": alpha + 0.5,
            "outcome": np.arange(len(rows)),
            "changed": [row[4] for row in rows],
        }
    )


def targets(names: list[str], sizes: dict[str, int] | None = None) -> pd.DataFrame:
    """One row a target, all of them linear, and one that was left out."""
    sizes = sizes or {}
    count = len(names)
    return pd.DataFrame(
        {
            "target": [*names, "fc.bias"],
            "kind": ["linear"] * count + ["bias"],
            "shape": ["2x2"] * count + ["2"],
            "size": [sizes.get(name, 4) for name in names] + [2],
            "depth": range(count + 1),
            "minimum": [-1.0] * (count + 1),
            "maximum": [1.0] * (count + 1),
            "tested": [True] * count + [False],
            "reason": [""] * count + ["of kind bias, which was not asked for"],
        }
    )


def study(
    curves: dict[str, tuple[float, float, float]],
    filters: tuple[str, ...] = DEFAULT_FILTERS,
    *,
    sizes: dict[str, int] | None = None,
    unreached: tuple[str, ...] = (),
    folder: Path | None = None,
    **changes: Any,
) -> Study:
    """A study of targets with the given clean performance at the three thresholds."""
    return Study(
        manifest(**changes),
        targets(list(curves), sizes),
        responses(curves, filters, unreached=unreached),
        folder,
    )


UNFINISHED: dict[str, Any] = {
    "state": "unfinished",
    "study": "0" * 32,
    "shards": {"edges": [0, 10]},
}
"""What the manifest of an unfinished study says besides."""

# Relative to the base of 0.8, by Simpson's rule less one half: 0, 1/2 and -1/3.
ROBUST, ANTIFRAGILE, FRAGILE = (0.8, 0.4, 0.0), (0.8, 0.8, 0.8), (0.8, 0.0, 0.0)
