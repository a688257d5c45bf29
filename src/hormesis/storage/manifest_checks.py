"""Validation of a study's manifest: each entry, and whether the entries agree."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from hormesis.settings.attacks import NoAttack
from hormesis.storage.attack_schema import ChosenEpsilon
from hormesis.storage.schema import Manifest, ScoringEntry, manifest_of


def validate_manifest(values: Mapping[str, Any]) -> Manifest:
    """Return the manifest of a study as typed values, after checking that its entries agree.

    Args:
        values: The manifest, parsed from JSON.

    Raises:
        ValueError: If anything is wrong; its text is a part of a sentence.
    """
    manifest = manifest_of(values)
    if "there" in values.get("shards", {}):
        raise ValueError("it lacks a proper `shards.there`")
    unknown = set(values["scoring"]) - {*ScoringEntry.__struct_fields__}
    if unknown:
        raise ValueError(f"its `scoring` has a setting {min(unknown)!r} too many")
    for fault in _disagreements(manifest):
        raise ValueError(fault)
    return manifest


def _disagreements(manifest: Manifest) -> Iterator[str]:
    """Yield what is wrong with entries that contradict each other."""
    question = manifest.question
    if len(set(question.sweep.filters)) < len(question.sweep.filters):
        yield "its `question.sweep.filters` name one twice"
    levels = [len(entry.levels) for entry in question.sweep.replacements.values()]
    if levels and {*levels} != {question.sweep.steps}:
        yield "its `question.sweep.replacements` have another number of levels than it says"
    if not levels and question.sweep.steps < 2:
        yield "it lacks a proper `question.sweep.thresholds`"
    ranges = {"data.bounds": question.data.bounds, "sweep.span": question.sweep.span or (0.0, 1.0)}
    for name, (low, high) in ranges.items():
        if not low < high:
            yield f"its `question.{name}` do not run from low to high"
    if (question.attack.name == NoAttack.name) is manifest.stressed:
        yield "its `attack` is another than its `question` names"
    if manifest.binary and manifest.metric.aggregate:
        yield "its `metric` is of a whole set, and yet a share of its samples"
    yield from _wrong_samples(manifest)
    yield from _wrong_targets(manifest)


def _wrong_samples(manifest: Manifest) -> Iterator[str]:
    planned, base, edges = manifest.question.data.samples, manifest.base, manifest.shards.edges
    if base.samples > planned:
        yield "its `base.samples` are more than its data have"
    if edges:
        if edges[0] != 0 or any(edge >= following for edge, following in pairwise(edges)):
            yield "the edges of its `shards` do not ascend from 0"
        elif edges[-1] != planned:
            yield "its shards end at another sample than its data"
        if manifest.finished and not base.samples:
            yield "it lacks a proper `base.samples`"
    if manifest.binary and base.samples:
        shares = {"clean": base.clean}
        if manifest.stressed:
            shares["adversarial"] = base.adversarial
        for name, value in shares.items():
            if value != 0 and not 0.99 / base.samples <= value <= 1:
                yield f"it lacks a proper `base.{name}`"  # not a share of its samples


def _wrong_targets(manifest: Manifest) -> Iterator[str]:
    """Yield what is wrong with the entries that name targets."""
    most = manifest.base.samples or manifest.question.data.samples
    if any(group.samples > most for group in manifest.settled):
        yield f"targets are `settled` after more than {most} samples"
    names = [name for group in manifest.settled for name in group.targets]
    if len(set(names)) < len(names):
        yield "a target is `settled` twice"
    for index, node in enumerate(manifest.flow):
        if any(source >= index for source in node.after):
            yield "its `flow` does not come in the order in which it is computed"
            return


# Of a chosen magnitude: the first by earlier versions, the others where the accuracy was measured.
_OFTEN_LEFT_OUT = {"chance", "metric", "higher_is_better"}


def resume_fault(values: Mapping[str, Any]) -> str:
    """Return why a study cannot be resumed, as a part of a sentence, or an empty string.

    Args:
        values: Its manifest, of the same question as the current one.
    """
    try:
        manifest = validate_manifest(values)
    except ValueError as error:
        return str(error)
    if not manifest.shards.edges:
        return ""
    if not manifest.run.batch:
        return "it lacks a proper `run.batch`"
    chosen = set(values["attack"].get("chosen") or ())
    known = {*ChosenEpsilon.__struct_fields__}
    whole = known - _OFTEN_LEFT_OUT <= chosen <= known
    if manifest.question.attack.epsilon == "auto" and not whole:
        return "it lacks a proper `attack.chosen`"
    return ""
