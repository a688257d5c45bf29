"""Reuse of the outcomes of an earlier study of the same network.

An outcome belongs to a removal, identified by its key, and to a sample, identified by the
fingerprint of its shard. More thresholds, targets or samples, or another attack, are all handled
alike: recorded outcomes are read, and the rest is measured.
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
from hormesis.settings.attacks import Given, NoAttack
from hormesis.storage.files import REMOVALS, read_manifest, read_table
from hormesis.storage.outcomes import StoredOutcomes, concatenate, only_removals
from hormesis.storage.shards import most_bytes, unpack
from hormesis.storage.store import FolderStore, Span, whole_shards

Measured = Callable[[ShardTask, bool], StoredOutcomes]
"""Measures the wanted removals on some samples; clean samples only if the flag is True."""


@dataclass(frozen=True)
class EarlierStudy:
    """The part of another study that this one can reuse.

    Args:
        store: Its shards.
        study: Its identity, which the shards record.
        spans: The spans of its valid shards.
        rows: For each removal of this study, its row in the other one, or -1.
        attack: Whether outcomes on stressed samples are reused too, as far as a second data set has
            the same ones.
    """

    store: FolderStore
    study: str
    spans: tuple[Span, ...]
    rows: Int[np.ndarray, " removals"]
    attack: bool

    def shard(self, task: ShardTask, samples: Samples, measure: Measured) -> StoredOutcomes:
        """Return the outcomes of a shard; only those not recorded are measured.

        Args:
            task: The shard.
            samples: All samples of this study.
            measure: Measures missing outcomes.
        """
        inside = [span for span in self.spans if task.first <= span[0] and span[1] <= task.end]
        stored = {span: recorded for span in inside if (recorded := self._read_span(span, samples))}
        edges = sorted({task.first, task.end, *(edge for span in stored for edge in span)})
        parts = []
        for first, end in pairwise(edges):
            part = ShardTask(first, end, task.wanted)
            recorded = stored.get((first, end))
            parts.append(
                measure(part, True)
                if recorded is None
                else self._complete_part(part, *recorded, measure)
            )
        whole = concatenate([replace(part, measured=None) for part in parts])
        return only_removals(whole, task.wanted)

    def _read_span(self, span: Span, samples: Samples) -> tuple[StoredOutcomes, bool] | None:
        """Return the recorded outcomes of a span, if it holds the same samples as in this study.

        The flag says whether those on stressed samples can be reused, too.
        """
        content = self.store.get(span[0])
        if content is None:
            return None
        shard = unpack(str(self.store.path(span[0])), content)
        if shard.samples != span[1] - span[0] or shard.inputs != samples.part_fingerprint(*span):
            return None
        stressed = "" if samples.stressed is None else samples.stressed.part_fingerprint(*span)
        other = shard.outcomes
        measured = (
            np.ones(len(other.clean), dtype=bool) if other.measured is None else other.measured
        )
        rows = np.where(self.rows < 0, 0, self.rows)
        recorded = (self.rows >= 0) & measured[rows]
        if not recorded.any():
            return None
        outcomes = replace(
            other,
            clean=other.clean[rows],
            adversarial=other.adversarial[rows],
            changed=other.changed[rows],
            measured=recorded,
            idle=None if other.idle is None else other.idle[rows],
        )
        return outcomes, self.attack and shard.stressed == stressed

    def _complete_part(
        self, task: ShardTask, recorded: StoredOutcomes, attack: bool, measure: Measured
    ) -> StoredOutcomes:
        """Return the outcomes of samples of which some are recorded.

        Args:
            task: The samples.
            recorded: The outcomes.
            attack: Whether those on stressed samples are reused, too.
            measure: Measures what is missing.
        """
        assert recorded.measured is not None
        usable = recorded.measured & task.wanted
        reused = recorded
        if not attack and usable.any():
            reused = _with_adversarial(recorded, measure(replace(task, wanted=usable), False))
            # A removal may have changed a logit under the other attack only.
            usable &= ~(recorded.changed & ~reused.changed)
        missing = task.wanted & ~usable
        if not missing.any():
            return replace(reused, measured=None)
        return _merge(reused, measure(replace(task, wanted=missing), True), missing)


def _with_adversarial(recorded: StoredOutcomes, new: StoredOutcomes) -> StoredOutcomes:
    """Return recorded outcomes on clean samples, with new ones on perturbed samples."""
    return replace(
        recorded,
        base_adversarial=new.base_adversarial,
        adversarial=new.adversarial,
        changed=new.changed,
        base_idle=new.base_idle,
        idle=new.idle,
    )


def _merge(recorded: StoredOutcomes, new: StoredOutcomes, rows: np.ndarray) -> StoredOutcomes:
    """Return outcomes of the same samples, some rows of them from ``new``."""
    idle = None
    if recorded.idle is not None and new.idle is not None:
        idle = np.where(rows[:, None, None], new.idle, recorded.idle)
    return replace(
        new,
        clean=np.where(rows[:, None], new.clean, recorded.clean),
        adversarial=np.where(rows[:, None], new.adversarial, recorded.adversarial),
        changed=np.where(rows, new.changed, recorded.changed),
        measured=None,
        idle=idle,
    )


def source_of(
    folder: Path,
    question: Mapping[str, Any],
    attack: Mapping[str, Any],
    keys: Sequence[str],
) -> EarlierStudy:
    """Return the part of another study that this one can reuse.

    Args:
        folder: The folder of the other study.
        question: The question of this study.
        attack: The attack of this study, its magnitude a number.
        keys: The keys of the removals of this study, in the order of their rows.

    Raises:
        StudyError: If the folder is not a study, or of another network, data range or metric.
    """
    manifest = read_manifest(folder)
    if "shards" not in manifest:
        raise StudyError(
            f"The study {folder} is of format 1 and cannot be extended: measure it anew."
        )
    other = manifest["question"]
    if question["attack"]["name"] == NoAttack.name != other["attack"]["name"]:
        raise StudyError(
            f"The study {folder} cannot be extended without an attack, under which it was measured:"
            " its clean scores are in it, and more of them take another folder."
        )
    for part, name in _NEEDED:
        if question[part].get(name) != other[part].get(name):
            raise StudyError(
                f"The study {folder} cannot be extended: its {part} has another {name}, so that "
                "none of its outcomes can be reused."
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
    ("data", "limits"),
    ("network", "output"),
)


def _same_attack(
    question: Mapping[str, Any], attack: Mapping[str, Any], other: Mapping[str, Any]
) -> bool:
    """Return whether a study perturbs samples in the same way as the study of a manifest."""
    own_attack, other_attack = (
        {name: value for name, value in entry.items() if name != "chosen"}
        for entry in (attack, other["attack"])
    )
    if own_attack["name"] == other_attack["name"] == Given.name:
        return True  # whether the samples are the same, each shard says
    sweep, other_sweep = question["sweep"], other["question"]["sweep"]
    draws = own_attack.get("random_start") or "function" in own_attack  # which may draw
    same_seed = not draws or sweep["seed"] == other_sweep["seed"]
    return (
        own_attack == other_attack and same_seed and sweep["adversary"] == other_sweep["adversary"]
    )
