"""Claims of a finished study put to the test: attacked anew, and harder, beside controls.

Each step is measured as a study is, shard by shard, in a folder of its own within the study's: what
was measured before a kill counts. The folder goes when the results are in the study's own table.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from hormesis.analysis.confirmation import (
    ADAPTIVE,
    COLUMNS,
    CONTROLS,
    FILTER,
    NOISE,
    RANDOM,
    RESTARTS,
    TRANSFER,
    by_base,
    claims,
    holds,
    measured_rows,
)
from hormesis.analysis.responses import Means, response_table
from hormesis.analysis.stopping import Stopping
from hormesis.analysis.verdicts import Claim
from hormesis.cluster import sweeper_of
from hormesis.confirmation import ALWAYS, NEVER, Confirmation
from hormesis.engine.outcomes import Block, Question
from hormesis.engine.plan import Plan, Removal
from hormesis.engine.shards import Work, doubled, parts_of
from hormesis.growing import Outline, grow
from hormesis.inputs.samples import Samples, take
from hormesis.measuring import Worker, equipped
from hormesis.report.progress import SENTENCE, Report
from hormesis.settings import UNFILTERED, Run, Sweep
from hormesis.storage import (
    CELLS,
    CONFIRMATION,
    FolderStore,
    MemoryStore,
    StoredOutcomes,
    read_manifest,
    read_spans,
    spelled_seconds,
    write_manifest,
    write_tables,
)
from hormesis.stress.adversaries import PGD
from hormesis.study import Study

_DRAWS = 2**31  # seeds of controls
_CROSSING = 2.5  # radii that the steps of PGD add up to
_STRESSES = {FILTER: "the filters", NOISE: "noise instead", RANDOM: "random removal instead"}
_ATTACKS = {
    ADAPTIVE: "attacked anew",
    TRANSFER: "attacked beforehand",
    RESTARTS: "attacked anew by PGD",
}
_SHARD = 128  # samples measured between two moments at which a kill does no harm


@dataclass(frozen=True)
class Subject:
    """What was measured, and how.

    Args:
        network: In evaluation mode; the same afterwards.
        samples: In the order of the study.
        plan: Its targets and removals.
        cells: Its table of cells.
        question: How they were measured, the attack's magnitude a number.
        asked: Sweep and run.
    """

    network: nn.Module
    samples: Samples
    plan: Plan
    cells: pd.DataFrame
    question: Question
    asked: tuple[Sweep, Run]


def open_claims(study: Study, confirmation: Confirmation) -> list[Claim]:
    """Return the claims of a study that are still to be put to the test.

    Args:
        study: A finished study.
        confirmation: How; nothing is left to do for a study that says it was done this way.
    """
    if confirmation.when == NEVER or _key(study, confirmation) == _known(study).get("key"):
        return []
    unconfirmed = replace(study, confirmation=None)
    scores = unconfirmed.score(by_base(study.scoring))
    return claims(scores, every=confirmation.when == ALWAYS)


def confirmed(
    study: Study,
    subject: Subject,
    confirmation: Confirmation,
    report: Report,
    check: Callable[[], None] = lambda: None,
) -> Study:
    """Return a study with what stronger attacks say of its claims, written where it lies.

    Args:
        study: A finished study.
        subject: What it was measured on.
        confirmation: How its claims are put to the test.
        report: Shows what that costs, and how far it is.
        check: Makes sure that the folder is still ours.
    """
    claimed = open_claims(study, confirmation)
    if not claimed:
        return study
    began = time.monotonic()
    table = _Trial(study, subject, confirmation, report, check).table(claimed)
    said = {
        **confirmation.described(),
        "key": _key(study, confirmation),
        "targets": sorted({target for target, _, _ in claimed}),
        "level": study.scoring.level,
        "seconds": round(time.monotonic() - began, 1),
    }
    manifest = {**study.manifest, "confirmation": said}
    if study.folder is not None:
        check()
        known = read_manifest(study.folder)
        tables = known["tables"] | write_tables(study.folder, {CONFIRMATION: table})
        write_manifest(study.folder, {**known, "confirmation": said, "tables": tables})
        manifest["tables"] = tables
        shutil.rmtree(_folder(study.folder), ignore_errors=True)
    return replace(study, manifest=manifest, confirmation=table)


def _key(study: Study, confirmation: Confirmation) -> str:
    """Return what tells one way to confirm one study from all others."""
    scoring = study.scoring
    said = {
        "study": study.manifest.get("study"),
        "confirmation": confirmation.described(),
        "scoring": [scoring.tolerance, scoring.level, scoring.multiplicity],
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]


def _known(study: Study) -> Mapping[str, Any]:
    return study.manifest.get("confirmation", {})


def _folder(study: Path) -> Path:
    return study / Path(CONFIRMATION).stem


@dataclass(frozen=True)
class _Trial:
    """The steps of a confirmation: what fails one is not measured in the next."""

    study: Study
    subject: Subject
    confirmation: Confirmation
    report: Report
    check: Callable[[], None]

    def table(self, claimed: Sequence[Claim]) -> pd.DataFrame:
        """Return the scores under each attack, see ``analysis.confirmation.COLUMNS``."""
        self._tell_cost(claimed)
        first = TRANSFER if self.subject.question.adaptive else ADAPTIVE
        left, parts = self._through(claimed, FILTER, (first, RESTARTS))
        for control in CONTROLS if self.confirmation.draws else ():
            parts += self._through(left, control, (ADAPTIVE, RESTARTS))[1]
        table = pd.concat(parts, ignore_index=True)
        return table.loc[:, list(COLUMNS)].reset_index(drop=True)

    def _through(
        self, claimed: Sequence[Claim], stress: str, attacks: Sequence[str]
    ) -> tuple[list[Claim], list[pd.DataFrame]]:
        """Return which claims hold against all attacks, and the scores under each."""
        parts, left = [], list(claimed)
        for attack in attacks:
            targets = list(dict.fromkeys(target for target, _, _ in left))
            if not targets:
                break
            rows = self._measured(targets, stress, attack).assign(stress=stress, attack=attack)
            parts.append(rows)
            by = {
                (row["target"], row["filter"], row["score"]): row for row in rows.to_dict("records")
            }
            left = [key for key in left if holds(by[key], self.study.scoring.tolerance)]
        return left, parts

    def _measured(self, targets: Sequence[str], stress: str, attack: str) -> pd.DataFrame:
        """Return the scores of some targets under one attack; of controls, the mean over draws."""
        cells, removals = self._cells(targets)
        draws = 1 if stress == FILTER else self.confirmation.draws
        if stress != FILTER:
            removals = [
                replace(one, draw=_draw(one, stress, draw), noise=stress == NOISE)
                for one in removals
                for draw in range(draws)
            ]
        question = self._question(attack)
        store, identity = self._store(stress, attack), self._identity(stress, attack, removals)
        outline = Outline({"study": identity, "shards": {"edges": self._edges}}, {CELLS: cells})
        stopping = Stopping(
            pd.DataFrame({"target": "", "outcome": range(len(removals))}),
            self.study.scoring,
            None,
            len(self._samples),
            self.study.base.higher_is_better,
        )
        worker = Worker(replace(self._work, removals=removals, question=question), identity)
        shard = max(end - start for start, end in pairwise(self._edges))
        sweeper = sweeper_of(self.subject.network, worker, self._asked, shard)
        stage = f"Confirming: {_STRESSES[stress]}, {_ATTACKS[attack]}"
        grow(outline, store, stopping, worker, sweeper, lambda *done: self.report(stage, *done))

        def blocks() -> Iterator[StoredOutcomes]:
            for block in read_spans(store, pairwise(self._edges), identity):
                yield _over_draws(block, draws)

        means = Means()
        for block in blocks():
            means.add(block)
        base = replace(
            self.study.base,
            clean=float(means.of("base_clean")),
            adversarial=float(means.of("base_adversarial")),
        )
        responses = response_table(cells, means)
        return measured_rows(
            responses, base, blocks, by_base(self.study.scoring), len(self._samples)
        )

    def _cells(self, targets: Sequence[str]) -> tuple[pd.DataFrame, list[Removal]]:
        """Return the cells of some targets, and the removals that they read."""
        cells = self.subject.cells.drop(columns=["control"], errors="ignore")
        cells = cells.loc[cells["target"].isin(targets)].reset_index(drop=True)
        rows = sorted(set(cells["outcome"].tolist()) - {UNFILTERED})
        place = {row: number for number, row in enumerate(rows)} | {UNFILTERED: UNFILTERED}
        removals = [self.subject.plan.removals[row] for row in rows]
        return cells.assign(outcome=cells["outcome"].map(place)), removals

    def _question(self, attack: str) -> Question:
        own = self.subject.question
        if attack == RESTARTS:
            steps, restarts = self.confirmation.steps, self.confirmation.restarts
            if isinstance(own.attack, PGD):
                steps, restarts = max(steps, own.attack.steps), max(restarts, own.attack.restarts)
            strong = PGD(
                own.attack.epsilon, steps=steps, step_size=_CROSSING / steps, restarts=restarts
            )
            own = replace(own, attack=strong)
        return replace(own, adaptive=attack != TRANSFER)

    @cached_property
    def _samples(self) -> Samples:
        measured = int(self.study.manifest["base"]["samples"])
        count = min(self.confirmation.samples, measured)
        return take(self.subject.samples, torch.arange(count))

    @cached_property
    def _edges(self) -> list[int]:
        return parts_of(0, len(self._samples), _SHARD)

    @property
    def _asked(self) -> tuple[Sweep, Run]:
        sweep, run = self.subject.asked
        return replace(sweep, adversary="adaptive"), replace(run, extend=None)

    @cached_property
    def _work(self) -> Work:
        shard = max(end - first for first, end in pairwise(self._edges))
        question = self._question(ADAPTIVE)
        asked = question, *self._asked
        targets = list(dict.fromkeys(self.subject.cells["target"].tolist()))
        removals = self._cells(targets)[1]
        return equipped(self.subject.network, self._samples, removals, asked, shard)

    def _store(self, stress: str, attack: str) -> FolderStore | MemoryStore:
        if self.study.folder is None:
            return MemoryStore()
        folder = _folder(self.study.folder) / f"{stress}-{attack}"
        (folder / "outcomes").mkdir(parents=True, exist_ok=True)
        return FolderStore(folder, self.check)

    def _identity(self, stress: str, attack: str, removals: Sequence[Removal]) -> str:
        keys = [removal.key() for removal in removals]
        said = [_key(self.study, self.confirmation), stress, attack, *keys]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]

    def _tell_cost(self, claimed: Sequence[Claim]) -> None:
        """Show what the confirmation takes at most, from the time of one removal."""
        targets = list(dict.fromkeys(target for target, _, _ in claimed))
        _, removals = self._cells(targets)
        strong = self._question(RESTARTS).attack
        assert isinstance(strong, PGD)
        steps = strong.steps * strong.restarts
        count = min(self._work.batch, len(self._samples))
        block = doubled(Block(self._samples.inputs[:count], self._samples.labels[:count]))
        block, question = block.to(self._work.device), self._question(ADAPTIVE)
        began = time.monotonic()
        self._work.engine.measure(removals[:1], block, question, lambda: None)
        once = (time.monotonic() - began) / 2 / count  # the unfiltered network is attacked, too
        cells, runs = len(removals), 1 + len(CONTROLS) * self.confirmation.draws
        work = cells * len(self._samples) * once * (1 + steps) / self._work.engine.workers
        names = "1 target" if len(targets) == 1 else f"{len(targets)} targets"
        self.report(
            f"Confirming {names}, antifragile under attack as it seems: {cells} cells × "
            f"{1 + steps} attack steps on {len(self._samples)} samples, about "
            f"{spelled_seconds(work)}; where that holds, {runs - 1} times as much for controls. "
            "`--confirm never` leaves it out.",
            0,
            SENTENCE,
        )


def _draw(removal: Removal, stress: str, number: int) -> int:
    """Return the seed of a control: it depends on what is removed, not on the order."""
    digest = hashlib.sha256(f"{stress}/{number}/{removal.key()}".encode()).digest()
    return int.from_bytes(digest[:7]) % _DRAWS


def _over_draws(block: StoredOutcomes, draws: int) -> StoredOutcomes:
    """Return outcomes whose rows are the means over draws that follow on each other."""
    if draws == 1:
        return block

    def mean(values: Any) -> Any:  # noqa: ANN401
        return values.reshape(-1, draws, *values.shape[1:]).mean(axis=1)

    return replace(
        block,
        clean=mean(block.clean),
        adversarial=mean(block.adversarial),
        changed=block.changed.reshape(-1, draws).any(axis=1),
        idle=None if block.idle is None else mean(block.idle) > 0.5,
    )
