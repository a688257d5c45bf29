"""Makes the committed folders: ``cd tests && python -m frozen.make``.

To be run only to add a case, with the code of before a change; what is there is left as it is.
Studies of the older formats were made by the code of their time, of 25 November 2026, with
``cases.CASES["signed"]`` at five thresholds and one control draw.
"""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path

from frozen import cases, tables

# What a finished training would go on from, pictures, and the trainings of a retraining.
_LEFT_OUT = ("*.ckpt", "*.png", ".lock", "seed-*", "measured.parquet")


def main() -> None:
    """Make what is not there."""
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary)
        for name in cases.CASES:
            if not (cases.STUDIES / name).exists():
                cases.measured(name, "auto", made / name)
                _keep(made / name, cases.STUDIES / name)
        if not cases.TRAINING.exists():
            cases.trained(made / "training")
            _keep(made / "training", cases.TRAINING)
        if not cases.SERIES.exists():
            cases.measured_series("auto", cases.TRAINING, made / "series")
            _keep(made / "series", cases.SERIES)
        if not cases.RETRAINING.exists():
            cases.retrained(made / "retraining")
            _keep(made / "retraining", cases.RETRAINING)
    for name, found in every_table():
        if not (cases.TABLES / name).exists():
            tables.write(cases.TABLES / name, found)


def every_table():
    """Yield the names and the tables of everything that is committed."""
    for folder in sorted(cases.STUDIES.iterdir()):
        every = folder.name in cases.EVERY_SCORING
        yield folder.name, cases.study_tables(cases.opened(folder), every=every)
    for name in cases.BOOTSTRAPPED:
        yield f"{name}-by-bootstrap", cases.bootstrapped(name)
    yield "series", cases.study_tables(cases.opened(cases.SERIES), every=True)
    for name in cases.COMPARISONS:
        yield f"comparison-by-{name}", cases.compared(name)


def _keep(made: Path, place: Path) -> None:
    """Copy what was made, without what no test reads, and without paths of this machine."""
    shutil.copytree(made, place, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    for folder in place.iterdir():
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    for path in place.rglob("manifest.json"):
        _without_paths(path)


def _without_paths(path: Path) -> None:
    """Shorten the path of a training or of a study in a manifest, and seal that again."""
    said = json.loads(path.read_text())
    paths = [(said.get("origin", {}), "run"), (said.get("study", {}), "path")]
    paths = [(entry, key) for entry, key in paths if isinstance(entry, dict) and key in entry]
    if not paths:
        return
    for entry, key in paths:
        entry[key] = Path(entry[key]).name
    said.pop("sha256")
    seal = hashlib.sha256(json.dumps(said, indent=2).encode()).hexdigest()
    path.write_text(json.dumps({**said, "sha256": seal}, indent=2) + "\n")


if __name__ == "__main__":
    main()
