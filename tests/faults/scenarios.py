"""What is interrupted: every command that writes, on networks that take no time."""

import io
import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from faults.journal import Tree

_QUIET = "--no-progress"
_SMALL = (
    "--model tiny:network --data tiny:data --epsilon 0.05 --filters high_pass low_pass"
    f" --num-workers 1 --engine plain {_QUIET}"
)
_ANALYZE = f"analyze {_SMALL} --thresholds 3 --out studies/one"
_TRAIN = (
    f"train --model tiny:network --data tiny:data --batch-size 24 --lr 0.02 --loggers {{}} {_QUIET}"
    " --out runs/one"
)
_EPOCHS = (
    "analyze --run runs/one --allow-code --epsilon 0.05 --filters high_pass low_pass --thresholds 3"
    f" --num-workers 1 --engine plain {_QUIET} --out studies"
)
_RETRAIN = (
    "retrain studies/epochs/epoch-0002 --run runs/one --allow-code --by clean --undecided estimate"
    " --filter high_pass --reference base --tolerance 0.4 --keep robust --epochs 1 --batch-size 24"
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
_TIMES = ("began", "bytes", "identity", "seconds", "sessions", "sha256")
_DRAWN = re.compile(r"([.]hormesis-tmp-)[\w-]+-[0-9a-f]{8}")
_STATE = ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step")


def compared(tree: Tree) -> Tree:
    """Return what is compared of a result: all but times of day, drawn names, and sums of these.

    Of the state that a training resumes from, it is what the next epoch depends on: Lightning also
    counts in it how often the training was resumed.
    """
    found: Tree = {}
    for name, content in tree.items():
        if isinstance(content, bytes):
            if name.endswith(".json"):
                content = _of_json(content)
            elif name.endswith("metrics.csv"):
                content = _without_seconds(content.decode(errors="replace")).encode()
            elif name.endswith(".ckpt"):
                content = _of_state(content)
        found[name] = content
    return found


def _without_seconds(table: str) -> str:
    return "\n".join(line.rpartition(",")[0] for line in table.split("\n"))


def _of_json(content: bytes) -> bytes:
    def cleaned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: cleaned(one) for key, one in value.items() if key not in _TIMES}
        if isinstance(value, str) and value.startswith("epoch,"):
            return _without_seconds(value)
        return [cleaned(one) for one in value] if isinstance(value, list) else value

    try:
        return json.dumps(cleaned(json.loads(content))).encode()
    except ValueError:
        return content


@cache
def _of_state(content: bytes) -> bytes:
    import torch

    def spelled(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.dtype, value.tolist()
        if isinstance(value, dict):
            return {key: spelled(one) for key, one in value.items()}
        return [spelled(one) for one in value] if isinstance(value, list | tuple) else value

    try:
        state = torch.load(io.BytesIO(content), weights_only=True)
        return repr([spelled(state[key]) for key in _STATE]).encode()
    except Exception:  # damaged, in one of many ways
        return content


def alike(tree: Tree) -> Tree:
    """Return what tells states apart that a command may go on from: no drawn names either."""
    found: Tree = {}
    for number, (name, content) in enumerate(sorted(compared(tree).items())):
        if name.endswith(".lock") and isinstance(content, bytes) and content[:1] == b"{":
            content = content[-1:]  # whole, or half
        found[_DRAWN.sub(rf"\g<1>{number}", name)] = content
    return found


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
