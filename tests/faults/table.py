"""Every fault at every place: a table of what came of it.

    PYTHONPATH=tests python -m faults.table [--scenario NAME ...] [--kind NAME ...] [--most N]

With ``--log`` it goes on where it was stopped.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from faults.forks import Forks
from faults.scenarios import SCENARIOS
from faults.shim import built, missing
from faults.trials import KINDS, Laboratory, Trial

_COLUMNS = ("places", "tried", "held", "named", "lost", "tracebacks", "longest refusal")


class Found:
    """What came of all trials, by command and fault, and to how many places each fault may come."""

    def __init__(self, log: Path | None) -> None:
        """Take over what an earlier run has found."""
        self._log = log
        self.trials: dict[tuple[str, str], dict[int, Trial]] = {}
        self.places: dict[tuple[str, str], int] = {}
        for line in log.read_text().splitlines() if log is not None and log.exists() else ():
            said = json.loads(line)
            self._keep((said["name"], said["kind"]), said["of"], said["at"], Trial(**said["trial"]))

    def _keep(self, key: tuple[str, str], of: int, at: int, trial: Trial) -> None:
        self.places[key] = of
        self.trials.setdefault(key, {})[at] = trial

    def add(self, key: tuple[str, str], of: int, at: int, trial: Trial) -> None:
        """Add a trial, and say so if anything is wrong with it."""
        self._keep(key, of, at, trial)
        if trial.verdict != "held" or trial.refused > 2:
            print(trial, flush=True)
        if self._log is not None:
            said = {"name": key[0], "kind": key[1], "of": of, "at": at, "trial": asdict(trial)}
            with self._log.open("a") as file:
                file.write(json.dumps(said) + "\n")


def main() -> int:
    """Try, print what went wrong as it happens, and the table at the end."""
    given = _parsed()
    if missing():
        print(f"Nothing can be tried: {missing()}.", file=sys.stderr)
        return 2
    begun, found = time.monotonic(), Found(given.log)
    with tempfile.TemporaryDirectory(prefix="faults-") as made:
        shim = built(Path(made).resolve())
        with ThreadPoolExecutor(given.workers) as pool:
            running = [
                pool.submit(_try, given.scenario[at :: given.workers], shim, given, found)
                for at in range(given.workers)
            ]
            for one in running:
                one.result()
    _print(found, given)
    every = [trial for trials in found.trials.values() for trial in trials.values()]
    print(f"\n{len(every):,} trials; {(time.monotonic() - begun) / 60:.0f} minutes.")
    return int(any(trial.verdict not in ("held", "named") or trial.refused > 2 for trial in every))


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--scenario", nargs="+", default=list(SCENARIOS), choices=list(SCENARIOS))
    add("--kind", nargs="+", default=list(KINDS), choices=list(KINDS))
    add("--most", type=int, help="try so many places of each, at random (default: all)")
    add("--at", type=int, nargs="+", help="try these places alone")
    add("--seed", type=int, default=0, help="of what is drawn (default: 0)")
    add("--log", type=Path, help="add every trial to this file, and leave out those in it")
    add("--workers", type=int, default=2, help="processes that try (default: 2)")
    return parser.parse_args()


def _try(names: list[str], shim: Path, given: argparse.Namespace, found: Found) -> None:
    """Try some commands, one after the other, in a folder of their own."""
    if not names:
        return
    folder = Path(tempfile.mkdtemp(dir=shim.parent))
    root = folder / "root"
    root.mkdir()
    forks = Forks(shim, root)
    for name in names:
        place = folder / name.replace(" ", "")
        place.mkdir()
        laboratory = Laboratory(forks, SCENARIOS[name], place, given.seed)
        if laboratory.unseen:
            raise RuntimeError(f"Not everything was seen of {name}: {laboratory.unseen}")
        for kind in given.kind:
            key, count = (name, kind), laboratory.places(kind)
            places = given.at or list(range(count))
            if given.most is not None:
                random.Random(f"{given.seed} {name} {kind}").shuffle(places)
            left = [at for at in places[: given.most] if at not in found.trials.get(key, ())]
            for at, trial in zip(left, laboratory.trials(kind, left), strict=True):
                found.add(key, count, at, trial)
            said = Counter(trial.verdict for trial in found.trials.get(key, {}).values())
            print(f"{name}, {kind}, {count} places: {dict(said)}", flush=True)
    forks.end()


def _print(found: Found, given: argparse.Namespace) -> None:
    print(f"\n| command | fault | {' | '.join(_COLUMNS)} |\n|{' --- |' * (2 + len(_COLUMNS))}")
    rows = [
        (f"`{name}`", kind, found.places[name, kind], [*found.trials[name, kind].values()])
        for name in given.scenario
        for kind in given.kind
        if (name, kind) in found.trials
    ]
    every = [trial for *_, trials in rows for trial in trials]
    rows.append(("all", "all", sum(places for _, _, places, _ in rows), every))
    for name, kind, places, trials in rows:
        said = Counter(trial.verdict for trial in trials)
        lost = len(trials) - said["held"] - said["named"] - said["traceback"]
        longest = max((trial.refused for trial in trials), default=0.0)
        cells = places, len(trials), said["held"], said["named"], lost, said["traceback"]
        print(f"| {name} | {kind} | {' | '.join(map(str, cells))} | {longest:.1f} s |")


if __name__ == "__main__":
    sys.exit(main())
