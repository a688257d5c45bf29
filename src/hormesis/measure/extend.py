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
from hormesis.engine.shards import ShardTask
from hormesis.errors import StudyError
from hormesis.storage.files import REMOVALS, read_manifest, read_table
from hormesis.storage.outcomes import StoredOutcomes, concatenate, only_removals
from hormesis.storage.shards import most_bytes, unpack
from hormesis.storage.store import FolderStore, Span, whole_shards

Measured = Callable[[ShardTask, bool], StoredOutcomes]
"""Measures the wanted removals of some samples; without their clean half if so told."""


@dataclass(frozen=True)
class EarlierStudy:
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

    def shard(self, task: ShardTask, samples: Samples, measure: Measured) -> StoredOutcomes:
        """Return the outcomes of a shard, of which only what is not known is measured.

        Args:
            task: The shard.
            samples: All samples of this study.
            measure: Measures what is missing.
        """
        inside = [span for span in self.spans if task.first <= span[0] and span[1] <= task.end]
        stored = {span: known for span in inside if (known := self._stored(span, samples))}
        edges = sorted({task.first, task.end, *(edge for span in stored for edge in span)})
        parts = []
        for first, end in pairwise(edges):
            part = ShardTask(first, end, task.wanted)
            known = stored.get((first, end))
            parts.append(measure(part, True) if known is None else self._part(part, known, measure))
        whole = concatenate([replace(part, measured=None) for part in parts])
        return only_removals(whole, task.wanted)

    def _stored(self, span: Span, samples: Samples) -> StoredOutcomes | None:
        """Return what is known of some samples, if they are those that this study has there."""
        content = self.store.get(span[0])
        if content is None:
            return None
        shard = unpack(str(self.store.path(span[0])), content)
        if shard.samples != span[1] - span[0] or shard.inputs != samples.part_fingerprint(*span):
            return None
        other = shard.outcomes
        measured = (
            np.ones(len(other.clean), dtype=bool) if other.measured is None else other.measured
        )
        rows = np.where(self.rows < 0, 0, self.rows)
        known = (self.rows >= 0) & measured[rows]
        if not known.any():
            return None
        return replace(
            other,
            clean=other.clean[rows],
            adversarial=other.adversarial[rows],
            changed=other.changed[rows],
            measured=known,
            idle=None if other.idle is None else other.idle[rows],
        )

    def _part(self, task: ShardTask, known: StoredOutcomes, measure: Measured) -> StoredOutcomes:
        """Return the outcomes of samples of which some are known."""
        assert known.measured is not None
        usable = known.measured & task.wanted
        taken_over = known
        if not self.attack and usable.any():
            taken_over = _with_adversarial(known, measure(replace(task, wanted=usable), False))
            # What changed a logit may have done so under the other attack only.
            usable &= ~(known.changed & ~taken_over.changed)
        missing = task.wanted & ~usable
        if not missing.any():
            return replace(taken_over, measured=None)
        return _merged(taken_over, measure(replace(task, wanted=missing), True), missing)


def _with_adversarial(known: StoredOutcomes, new: StoredOutcomes) -> StoredOutcomes:
    """Return known outcomes on clean samples, with others on perturbed ones."""
    return replace(
        known,
        base_adversarial=new.base_adversarial,
        adversarial=new.adversarial,
        changed=new.changed,
        base_idle=new.base_idle,
        idle=new.idle,
    )


def _merged(known: StoredOutcomes, new: StoredOutcomes, rows: np.ndarray) -> StoredOutcomes:
    """Return the outcomes of the same samples, some rows from ``new``."""
    idle = None
    if known.idle is not None and new.idle is not None:
        idle = np.where(rows[:, None, None], new.idle, known.idle)
    return replace(
        new,
        clean=np.where(rows[:, None], new.clean, known.clean),
        adversarial=np.where(rows[:, None], new.adversarial, known.adversarial),
        changed=np.where(rows, new.changed, known.changed),
        measured=None,
        idle=idle,
    )


def source_of(
    folder: Path,
    question: Mapping[str, Any],
    attack: Mapping[str, Any],
    keys: Sequence[str],
) -> EarlierStudy:
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
    other = manifest["question"]
    for part, name in _NEEDED:
        if question[part][name] != other[part].get(name):
            raise StudyError(
                f"The study {folder} cannot be extended: its {part} has another {name}, so that "
                "nothing of it holds here."
            )
    table = read_table(folder, REMOVALS, ("key",), manifest.get("tables", {}).get(REMOVALS))
    row_of = {key: row for row, key in enumerate(table["key"].tolist())}
    rows = np.array([row_of.get(key, -1) for key in keys], dtype=np.int64)
    store = FolderStore(folder, most=most_bytes(len(table)))
    whole, _ = whole_shards(store, manifest["shards"]["edges"], manifest["study"])
    return EarlierStudy(
        store,
        manifest["study"],
        tuple(whole),
        rows,
        _same_attack(question, attack, manifest),
    )


_NEEDED = (
    ("network", "fingerprint"),
    ("performance", "name"),
    ("sweep", "precision"),
    ("data", "bounds"),
)


def _same_attack(
    question: Mapping[str, Any], attack: Mapping[str, Any], other: Mapping[str, Any]
) -> bool:
    """Return whether a study perturbs samples in the same way as the one of another manifest."""
    here, there = (
        {name: value for name, value in one.items() if name != "chosen"}
        for one in (attack, other["attack"])
    )
    sweep, other_sweep = question["sweep"], other["question"]["sweep"]
    same_seed = not here.get("random_start") or sweep["seed"] == other_sweep["seed"]
    return here == there and same_seed and sweep["adversary"] == other_sweep["adversary"]
