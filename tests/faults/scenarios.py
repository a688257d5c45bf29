"""What is interrupted: every command that writes, on networks that take no time."""

import json
from dataclasses import dataclass
from typing import Any

from faults.journal import Tree

_QUIET = "--no-progress"
_SMALL = (
    "--model tiny:network --data tiny:data --epsilon 0.05 --filters high_pass low_pass --workers 1"
    f" --engine plain {_QUIET}"
)
_ANALYZE = f"analyze {_SMALL} --thresholds 3 --out studies/one"
_TRAIN = (
    f"train --model tiny:network --data tiny:data --batch 24 --rate 0.02 --loggers {{}} {_QUIET}"
    " --out runs/one"
)
_EPOCHS = (
    "analyze --run runs/one --allow-code --epsilon 0.05 --filters high_pass low_pass --thresholds 3"
    f" --workers 1 --engine plain {_QUIET} --out studies"
)
_RETRAIN = (
    "retrain studies/epochs/epoch-0002 --run runs/one --allow-code --by clean --undecided estimate"
    " --filter high_pass --reference base --tolerance 0.4 --keep robust --epochs 1 --batch 24"
    f" --loggers {{}} {_QUIET} --controls --seeds 1 --epsilons 0.05 --pgd-steps 1 --restarts 1"
    " --out retrained"
)


@dataclass(frozen=True)
class Scenario:
    """A command, and those that have to come before it."""

    name: str
    command: str
    before: tuple[str, ...] = ()


_TRAINED = (f"{_TRAIN} --epochs 2",)
SCENARIOS = {
    one.name: one
    for one in (
        Scenario("analyze", _ANALYZE),
        Scenario(
            "analyze --overwrite", f"{_ANALYZE} --overwrite --attack pgd --steps 1", (_ANALYZE,)
        ),
        Scenario(
            "analyze --extend",
            f"analyze {_SMALL} --thresholds 5 --extend studies/one",
            (_ANALYZE,),
        ),
        Scenario(
            "analyze --until",
            f"analyze {_SMALL.replace(':data', ':more')} --thresholds 3 --until certain"
            " --out studies/one",
        ),
        Scenario("analyze --run", f"{_EPOCHS}/epochs --epochs 1,2", _TRAINED),
        Scenario("train", f"{_TRAIN} --epochs 3"),
        Scenario("retrain --controls", _RETRAIN, (*_TRAINED, f"{_EPOCHS}/epochs --epochs 2")),
        Scenario("report", "report studies/one --out page.html", (_ANALYZE,)),
        Scenario(
            "export",
            "export studies/one --what responses --format parquet --to responses.parquet",
            (_ANALYZE,),
        ),
        Scenario(
            "compare",
            "compare studies/epochs --out compared --formats csv parquet",
            (*_TRAINED, f"{_EPOCHS}/epochs --epochs 1,2"),
        ),
    )
}
# A user's own files, which nothing may touch.
SENTINELS: Tree = {
    "notes.txt": b"mine\n",
    ".env": b"secret\n",
    "studies": None,
    "studies/.hidden": None,
    "studies/.hidden/mine.txt": b"mine too\n",
    "studies/one.txt": b"and this\n",
    "tmp": None,
    "runs": None,
    "runs/.mine": b"and that\n",
}
_TIMES = ("began", "seconds", "sha256", "sessions")


def compared(tree: Tree) -> Tree:
    """Return what is compared of a result: everything but the times of day, and what sums them."""
    found: Tree = {}
    for name, content in tree.items():
        if isinstance(content, bytes) and name.endswith("manifest.json"):
            content = _without_times(content)
        if isinstance(content, bytes) and name.endswith("metrics.csv"):
            content = b"\n".join(line.rpartition(b",")[0] for line in content.split(b"\n"))
        found[name] = content
    return found


def _without_times(content: bytes) -> bytes:
    def cleaned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: cleaned(one) for key, one in value.items() if key not in _TIMES}
        return [cleaned(one) for one in value] if isinstance(value, list) else value

    try:
        return json.dumps(cleaned(json.loads(content))).encode()
    except ValueError:
        return content


def differences(found: Tree, wanted: Tree) -> list[str]:
    """Return what two results differ in, a few words a file."""
    said = list[str]()
    for name in sorted(found.keys() | wanted.keys()):
        if name not in found:
            said.append(f"{name} is missing")
        elif name not in wanted:
            said.append(f"{name} is too many")
        elif found[name] != wanted[name]:
            said.append(f"{name} is other")
    return said
