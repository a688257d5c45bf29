"""Every fault at every place: a table of what came of it.

PYTHONPATH=tests python -m faults.table [--scenario NAME ...] [--kind NAME ...] [--most N]
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from faults.forks import Forks
from faults.scenarios import SCENARIOS
from faults.shim import FAULTS, built, missing
from faults.trials import KINDS, Laboratory, Trial, drawn

_COLUMNS = ("tried", "held", "named", "lost", "tracebacks", "longest refusal")


def main() -> int:
    """Try, print what went wrong as it happens, and the table at the end."""
    given = _parsed()
    if missing():
        print(f"Nothing can be tried: {missing()}.", file=sys.stderr)
        return 2
    begun, found = time.monotonic(), dict[tuple[str, str], list[Trial]]()
    with tempfile.TemporaryDirectory(prefix="faults-") as made:
        shim = built(Path(made).resolve())
        parts = [given.scenario[at :: given.workers] for at in range(given.workers)]
        folders = [shim.parent / f"worker-{at}" for at in range(given.workers)]
        with ThreadPoolExecutor(given.workers) as pool:
            for part in pool.map(
                lambda at: _tried(parts[at], folders[at], shim, given), range(given.workers)
            ):
                found |= part
    _print(found, given)
    every = [trial for trials in found.values() for trial in trials]
    print(f"\n{len(every):,} trials, {(time.monotonic() - begun) / 60:.0f} minutes.")
    return int(any(trial.verdict not in ("held", "named") or trial.refused > 2 for trial in every))


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--scenario", nargs="+", default=list(SCENARIOS), choices=list(SCENARIOS))
    add("--kind", nargs="+", default=list(KINDS), choices=list(KINDS))
    add("--most", type=int, help="try so many places of each, at random (default: all)")
    add("--at", type=int, nargs="+", help="try these places alone")
    add("--seed", type=int, default=0, help="of what is drawn (default: 0)")
    add("--workers", type=int, default=2, help="processes that try (default: 2)")
    return parser.parse_args()


def _tried(
    names: list[str], folder: Path, shim: Path, given: argparse.Namespace
) -> dict[tuple[str, str], list[Trial]]:
    found = dict[tuple[str, str], list[Trial]]()
    if not names:
        return found
    root = folder / "root"
    root.mkdir(parents=True)
    forks = Forks(shim, root)
    for name in names:
        place = folder / name.replace(" ", "")
        place.mkdir()
        laboratory = Laboratory(forks, SCENARIOS[name], place, given.seed)
        if laboratory.unseen:
            raise RuntimeError(f"Not everything was seen of {name}: {laboratory.unseen}")
        for kind in given.kind:
            found[name, kind] = []
            for trial in laboratory.trials(kind, _places(laboratory, kind, given)):
                found[name, kind].append(trial)
                if trial.verdict != "held" or trial.refused > 2:
                    print(trial, flush=True)
            said = Counter(trial.verdict for trial in found[name, kind])
            print(f"{name}, {kind}: {dict(said)}", flush=True)
    forks.end()
    return found


def _places(laboratory: Laboratory, kind: str, given: argparse.Namespace) -> list[int] | None:
    if given.at is not None or given.most is None:
        return given.at
    count = laboratory.places(FAULTS[kind]) if kind in FAULTS else laboratory.states()
    return drawn(
        count, given.most, random.Random(f"{given.seed} {laboratory.scenario.name} {kind}")
    )


def _print(found: dict[tuple[str, str], list[Trial]], given: argparse.Namespace) -> None:
    print(f"\n| command | fault | {' | '.join(_COLUMNS)} |\n|{' --- |' * (2 + len(_COLUMNS))}")
    rows = [
        (f"`{name}`", kind, found[name, kind]) for name in given.scenario for kind in given.kind
    ]
    rows.append(("all", "all", [trial for _, _, trials in rows for trial in trials]))
    for name, kind, trials in rows:
        said = Counter(trial.verdict for trial in trials)
        lost = len(trials) - said["held"] - said["named"] - said["traceback"]
        longest = max((trial.refused for trial in trials), default=0.0)
        cells = len(trials), said["held"], said["named"], lost, said["traceback"]
        print(f"| {name} | {kind} | {' | '.join(map(str, cells))} | {longest:.1f} s |")


if __name__ == "__main__":
    sys.exit(main())
