"""What a study takes over from another one of the same network: every outcome that it shares.

An outcome belongs to a removal, which its key tells from all others, and to a sample, whose shard
says in a fingerprint which samples it is of. More thresholds, more targets, more samples and
another attack are all the same to this: what is known is read, and the rest is measured.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from hormesis.data.samples import Samples
from hormesis.engine.shards import Task
from hormesis.errors import StudyError
from hormesis.storage.files import REMOVALS, read_manifest, read_table
from hormesis.storage.outcomes import StoredOutcomes, concatenate, only_removals
from hormesis.storage.shards import most_bytes, unpack
from hormesis.storage.store import FolderStore, Span, whole_shards

Measured = Callable[[Task, bool], StoredOutcomes]
"""Measures the wanted removals of some samples; without their clean half if so told."""


@dataclass(frozen=True)
class Source:
    """Another study, as far as this one can take over of it.

    Args:
        store: Where its shards lie.
        study: What they say that they belong to.
        spans: Of which samples those are that are whole.
        rows: For each removal of this study, its row there, or -1.
        attack: Whether the outcomes on perturbed samples are taken over too.
    """

    store: FolderStore
    study: str
    spans: tuple[Span, ...]
    rows: Int[np.ndarray, " removals"]
    attack: bool

    def shard(self, task: Task, samples: Samples, measure: Measured) -> StoredOutcomes:
        """Return the outcomes of a shard, of which only what is not known is measured.

        Args:
            task: The shard.
            samples: All samples of this study.
            measure: Measures what is missing.
        """
        inside = [span for span in self.spans if task.first <= span[0] and span[1] <= task.end]
        found = {span: known for span in inside if (known := self._known(span, samples))}
        edges = sorted({task.first, task.end, *(edge for span in found for edge in span)})
        parts = []
        for first, end in pairwise(edges):
            part = Task(first, end, task.wanted)
            known = found.get((first, end))
            parts.append(measure(part, True) if known is None else self._part(part, known, measure))
        return only_removals(_joined(parts), task.wanted)

    def _known(self, span: Span, samples: Samples) -> StoredOutcomes | None:
        """Return what is known of some samples, if they are those that this study has there."""
        content = self.store.get(span[0])
        if content is None:
            return None
        shard = unpack(str(self.store.path(span[0])), content)
        if shard.samples != span[1] - span[0] or shard.inputs != samples.part_fingerprint(*span):
            return None
        there = shard.outcomes
        measured = (
            np.ones(len(there.clean), dtype=bool) if there.measured is None else there.measured
        )
        rows = np.where(self.rows < 0, 0, self.rows)
        known = (self.rows >= 0) & measured[rows]
        if not known.any():
            return None
        return StoredOutcomes(
            there.base_clean,
            there.base_adversarial,
            there.clean[rows],
            there.adversarial[rows],
            there.changed[rows],
            known,
            there.base_idle,
            None if there.idle is None else there.idle[rows],
        )

    def _part(self, task: Task, known: StoredOutcomes, measure: Measured) -> StoredOutcomes:
        """Return the outcomes of samples of which some are known."""
        assert known.measured is not None
        there = known.measured & task.wanted
        found = known
        if not self.attack and there.any():
            found = _with_adversarial(known, measure(replace(task, wanted=there), False))
            # What changed a logit may have done so under the other attack only.
            there &= ~(known.changed & ~found.changed)
        missing = task.wanted & ~there
        if not missing.any():
            return replace(found, measured=None)
        return _merged(found, measure(replace(task, wanted=missing), True), missing)


def _with_adversarial(known: StoredOutcomes, found: StoredOutcomes) -> StoredOutcomes:
    """Return known outcomes on clean samples, with others on perturbed ones."""
    return replace(
        known,
        base_adversarial=found.base_adversarial,
        adversarial=found.adversarial,
        changed=found.changed,
        base_idle=found.base_idle,
        idle=found.idle,
    )


def _merged(known: StoredOutcomes, found: StoredOutcomes, rows: np.ndarray) -> StoredOutcomes:
    """Return the outcomes of the same samples, some rows from ``found``."""
    return StoredOutcomes(
        found.base_clean,
        found.base_adversarial,
        np.where(rows[:, None], found.clean, known.clean),
        np.where(rows[:, None], found.adversarial, known.adversarial),
        np.where(rows, found.changed, known.changed),
        base_idle=found.base_idle,
        idle=_merged_idle(known.idle, found.idle, rows),
    )


def _merged_idle(
    known: np.ndarray | None, found: np.ndarray | None, rows: np.ndarray
) -> np.ndarray | None:
    if known is None or found is None:
        return None
    return np.where(rows[:, None, None], found, known)


def _joined(parts: Sequence[StoredOutcomes]) -> StoredOutcomes:
    return concatenate([replace(part, measured=None) for part in parts])


def source_of(
    folder: Path,
    question: Mapping[str, Any],
    attack: Mapping[str, Any],
    keys: Sequence[str],
) -> Source:
    """Return what a study can take over from another.

    Args:
        folder: The folder of the other.
        question: What this one asks.
        attack: The attack of this one, its magnitude a number.
        keys: What tells the removals of this one apart, in the order of their rows.

    Raises:
        StudyError: If the other is no study, or of another network, data range or measurement.
    """
    manifest = read_manifest(folder)
    if "shards" not in manifest:
        raise StudyError(
            f"The study {folder} is of format 1 and cannot be extended: measure it anew."
        )
    there = manifest["question"]
    for part, name in _NEEDED:
        if question[part][name] != there[part].get(name):
            raise StudyError(
                f"The study {folder} cannot be extended: its {part} has another {name}, so that "
                "nothing of it holds here."
            )
    table = read_table(folder, REMOVALS, ("key",), manifest.get("tables", {}).get(REMOVALS))
    row_of = {key: row for row, key in enumerate(table["key"].tolist())}
    rows = np.array([row_of.get(key, -1) for key in keys], dtype=np.int64)
    store = FolderStore(folder, most=most_bytes(len(table)))
    whole, _ = whole_shards(store, manifest["shards"]["edges"], manifest["study"])
    return Source(
        store,
        manifest["study"],
        tuple(whole),
        rows,
        _same_attack((question, attack), (there, manifest["attack"])),
    )


_NEEDED = (
    ("network", "fingerprint"),
    ("performance", "name"),
    ("sweep", "precision"),
    ("data", "bounds"),
)


def _same_attack(
    here: tuple[Mapping[str, Any], Mapping[str, Any]],
    there: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> bool:
    """Return whether two studies perturb the same samples in the same way."""
    attacks = [
        {name: value for name, value in attack.items() if name != "chosen"}
        for _, attack in (here, there)
    ]
    sweeps = [question["sweep"] for question, _ in (here, there)]
    seeds = [sweep["seed"] if attacks[0].get("random_start") else None for sweep in sweeps]
    return (
        attacks[0] == attacks[1]
        and seeds[0] == seeds[1]
        and sweeps[0]["adversary"] == sweeps[1]["adversary"]
    )
