"""One fault at a time: what it does to a command, and whether the same command mends it."""

import random
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from faults import journal
from faults.forks import Forks, Ran
from faults.journal import Tree
from faults.scenarios import SENTINELS, Scenario, alike, compared, differences
from faults.shim import FAULTS, NOTHING, Fault

TEAR = "power cut"
KINDS = (*FAULTS, TEAR)
_REFUSED = re.compile(r"being worked on|been taken|another process")
_LEFTOVER = re.compile(r"(/|^)([.]hormesis-tmp-|[.]lock is too many|[.][^/]+[.]old( |/))")
_PATIENCE = 30.0  # seconds of refusals


@dataclass(frozen=True)
class Trial:
    """What came of a fault.

    Args:
        scenario: The command.
        kind: Which fault, and of what for power cuts.
        at: Its place among the operations that it may happen to.
        verdict: ``held`` if the same command led to the undisturbed result; ``named`` if a sentence
            named the damage, and following it did; else ``lost``, ``traceback`` or ``hung``.
        refused: For how many seconds the same command was refused because of the dead one.
        detail: What was wrong, or what was said.
    """

    scenario: str
    kind: str
    at: int
    verdict: str
    refused: float = 0.0
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.scenario}, {self.kind} at {self.at}: {self.verdict}. {self.detail}"


class Laboratory:
    """A folder in which a scenario is tried again and again."""

    def __init__(self, forks: Forks, scenario: Scenario, folder: Path, seed: int = 0) -> None:
        """Run what comes before, and the command itself in peace.

        Args:
            forks: What runs commands; its root is emptied for every trial.
            scenario: What is tried.
            folder: For the state that trials begin with.
            seed: Of power cuts.
        """
        self.forks, self.scenario, self._seed = forks, scenario, seed
        self._root, self._start = forks.root, folder / "start"
        self._words = scenario.command.split()
        self._resumed_from = dict[str, Trial]()
        journal.write(SENTINELS, self._root)
        for line in scenario.before:
            ran = forks.run(line.split())
            assert ran.code == 0, ran
        shutil.copytree(self._root, self._start, symlinks=True)
        before = journal.Disk(self._start)
        ran = forks.run(self._words, journal=folder / "journal")
        assert ran.code == 0, ran
        self.records = journal.read(folder / "journal")
        for record in self.records:
            before.apply(record)
        self.unseen = differences(before.tree(), journal.tree_of(self._root))
        self.wanted = compared(journal.tree_of(self._root))

    def places(self, kind: str) -> int:
        """Return to how many operations a fault may happen; of power cuts, how many states."""
        if kind == TEAR:
            return len(self._states)
        self._reset()
        counting = Fault(NOTHING.name, FAULTS[kind].classes, 0)
        return self.forks.run(self._words, counting).counted

    def trials(self, kind: str, places: Iterable[int]) -> Iterator[Trial]:
        """Try a fault at these places; a power cut, at these states."""
        for place in places:
            if kind == TEAR:
                yield self._torn(*self._states[place])
            else:
                yield self._failed(FAULTS[kind], place)

    @cached_property
    def _states(self) -> list[tuple[int, str, Tree]]:
        return list(journal.torn(self._start, self.records, self._seed))

    def _reset(self) -> None:
        shutil.rmtree(self._root)
        shutil.copytree(self._start, self._root, symlinks=True)

    def _torn(self, place: int, policy: str, tree: Tree) -> Trial:
        journal.write(tree, self._root)
        return self._resumed(f"{TEAR}, {policy}", place)

    def _failed(self, fault: Fault, place: int) -> Trial:
        self._reset()
        ran = self.forks.run(self._words, fault, place)
        about = self.scenario.name, fault.name, place
        if not ran.fired:
            return Trial(*about, "held", detail="nothing happened")
        wrong = _wrong(ran, fault)
        if wrong:
            return Trial(*about, wrong, detail=f"{ran.operation}: {_short(ran)}")
        if ran.code == 0:
            left = self._differences()
            if not all(_LEFTOVER.search(one) for one in left):
                detail = f"{ran.operation}: exit 0, but {left[0]}"
                return Trial(*about, "lost", detail=detail)
        return self._resumed(fault.name, place, f"{ran.operation}: {_short(ran)} ")

    def _differences(self) -> list[str]:
        return differences(compared(journal.tree_of(self._root)), self.wanted)

    def _resumed(self, kind: str, place: int, before: str = "") -> Trial:
        """Run the same command until it is not refused, and follow what it says.

        Once only from states that are alike, whatever has led to them.
        """
        seal = journal.sealed(alike(journal.tree_of(self._root)))
        if seal not in self._resumed_from:
            self._resumed_from[seal] = self._resumed_once(kind, place)
        known = self._resumed_from[seal]
        return replace(known, kind=kind, at=place, detail=before + known.detail)

    def _resumed_once(self, kind: str, place: int) -> Trial:
        about, words = (self.scenario.name, kind, place), list(self._words)
        begun, refused, said = time.monotonic(), 0.0, ""
        for _ in range(1000):
            at = time.monotonic()
            ran = self.forks.run(words, quiet=True)
            if _wrong(ran, None):
                detail = f"then {_short(ran)}"
                return Trial(*about, _wrong(ran, None), refused, detail)
            if ran.code == 0:
                break
            if _REFUSED.search(ran.errors):
                refused = time.monotonic() - begun
                if refused > _PATIENCE:
                    return Trial(*about, "lost", refused, f"then {_short(ran)}")
                time.sleep(0.1)
                continue
            if said == ran.errors or not _followed(ran.errors, words, self._root):
                return Trial(*about, "lost", refused, f"then {_short(ran)}")
            said = ran.errors
            begun += time.monotonic() - at
        left = self._differences()
        if left:
            return Trial(*about, "lost", refused, f"then {'; '.join(left[:4])}")
        return Trial(*about, "named" if said else "held", refused, said.strip())


def _wrong(ran: Ran, fault: Fault | None) -> str:
    """Return what is wrong with the end of a command, in one word, or nothing."""
    if ran.code is None:
        return "hung"
    if "Traceback" in ran.errors or "Exception ignored" in ran.errors:
        return "traceback"
    if fault is not None and not fault.is_error:
        return "" if ran.code == -9 else "lost"
    if ran.code == 2:
        lines = [line for line in ran.errors.splitlines() if line]
        return "" if len(lines) == 1 and lines[0].startswith("hormesis: error: ") else "unclear"
    if ran.code == 1:  # a checkpoint that cannot be read was left out, and the others analysed
        return (
            "" if re.fullmatch(r"hormesis: epoch \d+ was left out: .+\n", ran.errors) else "unclear"
        )
    return "" if ran.code == 0 else "unclear"


def _short(ran: Ran) -> str:
    lines = ran.errors.strip().splitlines() or [""]
    frames = [line.strip() for line in lines if "hormesis/" in line]
    where = frames[-1][:160] if len(lines) > 1 and frames else ""
    return f"exit {ran.code}, {lines[-1][:300]} {where}"


def _followed(said: str, words: list[str], root: Path) -> bool:
    """Do what a sentence tells the user to do, and return whether anything was."""
    named = [root / part for part in re.findall(r"[\w./-]+", said) if "/" in part or "." in part]
    there = [path for path in named if path.is_file() or path.is_symlink()]
    if re.search(r"delete (it|that)|move (it|that file)", said) and there:
        there[0].unlink()
        return True
    if re.search(r"--overwrite|`overwrite`", said) and "--overwrite" not in words:
        words.append("--overwrite")
        return True
    return False


def drawn(count: int, wanted: int, chance: random.Random) -> list[int]:
    """Return some of so many places, at random, in ascending order."""
    return sorted(chance.sample(range(count), min(count, wanted)))
