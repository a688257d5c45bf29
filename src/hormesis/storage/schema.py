"""What the manifest of a study or of a retraining may say: one rule for every entry that is read.

To add an entry that the package reads, add one line with its rule to the table that it belongs to
(and one to ``docs/study-format.md``); the name ends in ``?`` unless every study has it, also those
that are written already. Rules: ``Whole``, ``Number``, ``Flag``, ``Text``, ``Many`` (a list),
``Named`` (a table of any keys), ``Table`` (a table of known keys), ``either``. What has to fit
something else in the manifest stands in ``_disagreements``; what has to fit a table, in
``claims.wrong_study``. Entries without a rule are let pass and must not be believed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from itertools import pairwise
from typing import Any

from hormesis.settings.choices import (
    ADVERSARIES,
    BASES,
    CERTAIN,
    COMPARED,
    GRANULARITIES,
    INTERVALS,
    MOST_DRAWS,
    MOST_SEED,
    MOST_THRESHOLDS,
    MULTIPLICITIES,
    POPULATIONS,
    PRECISIONS,
    REFERENCES,
    SCOPES,
)
from hormesis.settings.scoring import Scoring
from hormesis.storage.rules import (
    LARGEST,
    Exactly,
    Flag,
    Many,
    Named,
    Number,
    Table,
    Text,
    Whole,
    either,
)

UNFINISHED, FINISHED = "unfinished", "finished"
MOST_SHARDS = 1 << 17
BINARY = ("accuracy", "top5")  # performances whose means are shares of the samples
_NONE, _HASH = Exactly(None), Text(128)
_ABSENT = either()  # an entry that a study has in memory alone
_PATTERNS = Many(Text())
_ABOVE_0 = Number(0, LARGEST, open=True)
_RANGE = Many(Number(), 2, 2)
_SCORING = Table(
    {
        "base?": Text(among=BASES),
        "reference?": Text(among=REFERENCES),
        "tolerance?": Number(0),
        "interval?": Text(among=INTERVALS),
        "level?": Number(0, 1, open=True),
        "multiplicity?": Text(among=MULTIPLICITIES),
        "chance_corrected?": Flag(),
        "population?": Text(among=POPULATIONS),
    }
)
_QUESTION = Table(
    {
        "network": Table(
            {
                "name": Text(),
                "fingerprint": _HASH,
                "normalization?": Table({"mean": Many(Number()), "std": Many(Number())}),
            }
        ),
        "data": Table(
            {
                "name": Text(),
                "samples": Whole(1),
                "classes": Whole(1),
                "shape?": Many(Whole(1), 0, 64),
                "bounds?": _RANGE,
                "fingerprint": _HASH,
            }
        ),
        "attack": Table(
            {
                "name": Text(64),
                "epsilon": either(_ABOVE_0, Text(among=("auto",))),
                "steps?": either(_NONE, Whole(1)),
                "step_size?": _ABOVE_0,
                "random_start?": Flag(),
            }
        ),
        "targets": Table(
            {
                "include?": _PATTERNS,
                "exclude?": _PATTERNS,
                "kinds?": either(_NONE, _PATTERNS),
                "scope": Text(among=SCOPES),
                "per": Text(among=GRANULARITIES),
            }
        ),
        "sweep": Table(
            {
                "filters": Many(Text(64), 1, 64),
                "thresholds": Whole(2, MOST_THRESHOLDS),
                "compare?": Text(among=COMPARED),
                "span?": either(_NONE, _RANGE),
                "adversary": Text(among=ADVERSARIES),
                "precision?": Text(among=PRECISIONS),
                "control?": either(Flag(), Whole(0, MOST_DRAWS)),
                "seed": Whole(0, MOST_SEED),
                "until?": either(_NONE, Text(among=(CERTAIN,)), _ABOVE_0),
            }
        ),
        "performance": Table({"name": Text(), "higher_is_better": Flag()}),
        "until?": _SCORING,
    }
)
_ATTACK = Table(
    {
        "name": Text(64),
        "epsilon": _ABOVE_0,
        "random_start?": Flag(),
        "chosen?": either(
            _NONE,
            Table(
                {
                    "epsilon?": _ABOVE_0,
                    "clean?": Number(0, 1),
                    "adversarial?": Number(0, 1),
                    "evaluations?": Whole(0),
                    "unharmed?": Flag(),
                    "chance?": either(_NONE, Number()),
                }
            ),
        ),
    }
)
_RUN = Table(
    {
        "engine?": Text(64),
        "workers?": Whole(0),
        "batch?": Whole(1),
        "began?": Number(0, 1e12),
        "seconds?": Number(0, 1e12),
        "versions?": Named(Text(64)),
        "python?": Text(64),
        "machine?": Text(64),
        "cores?": Whole(0),
    }
)
_TRAINING = Table(
    {
        "question?": Table(
            {
                "network?": Table({}),
                "data?": Table({}),
                "recipe?": Table({"seed?": either(_NONE, Whole(0, MOST_SEED))}),
            }
        )
    }
)
_STUDY: dict[str, Any] = {
    "format?": Whole(1),
    "state?": Text(among=(UNFINISHED, FINISHED)),
    "study?": _HASH,
    "question": _QUESTION,
    "attack": _ATTACK,
    "scoring": _SCORING,
    "shards?": Table({"edges": Many(Whole(), 2, MOST_SHARDS + 1), "there?": _ABSENT}),
    "origin?": Table({"epoch?": Whole(0, 10**9), "run?": Text(), "training?": _TRAINING}),
    "base?": Table(
        {
            "clean": Number(),
            "adversarial": Number(),
            "higher_is_better?": Flag(),
            "samples?": Whole(1),
            "clean_error?": Number(),
            "adversarial_error?": Number(),
            "zero_gradient?": Number(),
            "unmoved?": Number(),
        }
    ),
    "chance?": Number(),
    "metric?": Table({"binary": Flag()}),
    "confirmation?": Table(
        {
            "key?": Text(),
            "level?": Number(),
            "seconds?": Number(),
            "targets?": Many(Text()),
            "samples?": Whole(),
            "steps?": Whole(),
            "restarts?": Whole(),
            "draws?": Whole(),
        }
    ),
    "cross_check?": Table(
        {
            "key?": Text(),
            "level?": Number(),
            "margin?": Number(),
            "seconds?": Number(),
            "samples?": Whole(),
            "draws?": Whole(),
            "surrogates?": Many(Text()),
        }
    ),
    "settled?": Many(
        Table(
            {
                "samples": Whole(2),
                "clean": Number(),
                "adversarial": Number(),
                "targets": Many(Text(), 1),
            }
        ),
        most=10_000,
    ),
    "flow?": Many(Table({"targets": Many(Text()), "after": Many(Whole())}), most=100_000),
    "audit?": Table({"outcomes?": Whole(), "different?": Whole()}),
    "notes": Many(Text(20_000), most=10_000),
    "run?": _RUN,
    "tables?": Named(_HASH),
}
_WHOLE = Table(_STUDY)
_CHOSEN = {"epsilon", "clean", "adversarial", "evaluations", "unharmed"}

_COUNTS = Named(Whole())
_RETRAINING = Table(
    {
        "study": Table({"network": Text(), "data": Text(), "epoch?": either(_NONE, Whole())}),
        "selection": Table(
            {
                "targets": Many(Text()),
                "keep": Many(Text(64)),
                "by": Text(64),
                "filter": Text(64),
                "undecided?": Text(64),
                "others?": Text(64),
                "batchnorm?": Text(64),
                "scoring?": either(_NONE, _SCORING),
                "trained_targets?": _COUNTS,
                "frozen_targets?": _COUNTS,
                "trained_parameters?": Whole(),
                "frozen_parameters?": Whole(),
            }
        ),
        "recipe": Table({"epochs": Whole(), "optimizer": Text(), "rate": Number(0)}),
        "arms?": Named(Many(Table({"seed?": Whole(0, MOST_SEED)}))),
        "controls?": Table(
            {
                "seeds": Many(Whole(0, MOST_SEED), 1),
                "samples": Whole(1),
                "trial": Table({"steps": Whole(), "restarts": Whole()}),
            }
        ),
        "notes?": Many(Text(20_000), most=10_000),
        "frozen?": Table({"values": Whole(), "equal": Text()}),
    }
)


def faults(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the manifest of a study, as parts of sentences.

    Args:
        manifest: Plain values, as JSON has them.

    Example:
        >>> next(faults({"question": {"network": {"name": 3}}}))
        'it lacks `attack`'
    """
    unfinished = manifest.get("state") == UNFINISHED
    needed = [name for name in _STUDY if not name.endswith("?")]
    needed += ["study", "shards"] if unfinished else ["base"]
    needed += ["study"] if "shards" in manifest else []
    missing = [f"it lacks `{name}`" for name in needed if name not in manifest]
    wrong = [f"it lacks a proper `{place}`" for place in _WHOLE.wrong(manifest, "")]
    yield from missing
    yield from wrong
    if not missing and not wrong:
        yield from _disagreements(manifest)


def _disagreements(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield which entries, each of its kind, do not fit the others."""
    unknown = set(manifest["scoring"]) - {one.name for one in fields(Scoring)}
    if unknown:
        yield f"its `scoring` has a setting {min(unknown)!r} too many"
    question = manifest["question"]
    filters, span = question["sweep"]["filters"], question["sweep"].get("span")
    if len(set(filters)) < len(filters):
        yield "its `question.sweep.filters` name one twice"
    for place, found in (("data.bounds", question["data"].get("bounds")), ("sweep.span", span)):
        if found is not None and not found[0] < found[1]:
            yield f"its `question.{place}` do not run from low to high"
    yield from _wrong_samples(manifest)
    yield from _wrong_base(manifest)
    yield from _wrong_targets(manifest)


def _wrong_samples(manifest: Mapping[str, Any]) -> Iterator[str]:
    planned, base = manifest["question"]["data"]["samples"], manifest.get("base", {})
    if base.get("samples", 1) > planned:
        yield "its `base.samples` are more than its data have"
    if "shards" not in manifest:
        return
    edges = manifest["shards"]["edges"]
    if edges[0] != 0 or any(one >= other for one, other in pairwise(edges)):
        yield "the edges of its `shards` do not ascend from 0"
    elif edges[-1] != planned:
        yield "its shards end at another sample than its data"
    if manifest.get("state") != UNFINISHED and "samples" not in base:
        yield "it lacks a proper `base.samples`"


def _wrong_base(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield accuracies of the unfiltered network that are no share of its samples."""
    base = manifest.get("base", {})
    if manifest["question"]["performance"]["name"] not in BINARY or "samples" not in base:
        return
    for name in ("clean", "adversarial"):
        value = base[name]
        if value != 0 and not 0.99 / base["samples"] <= value <= 1:
            yield f"it lacks a proper `base.{name}`"


def _wrong_targets(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the entries that name targets."""
    settled = manifest.get("settled", [])
    most = manifest.get("base", {}).get("samples", manifest["question"]["data"]["samples"])
    if any(one["samples"] > most for one in settled):
        yield f"targets are `settled` after more than {most} samples"
    names = [name for one in settled for name in one["targets"]]
    if len(set(names)) < len(names):
        yield "a target is `settled` twice"
    for place, node in enumerate(manifest.get("flow", [])):
        if any(source >= place for source in node["after"]):
            yield "its `flow` does not come in the order in which it is computed"
            return


def not_to_go_on_with(manifest: Mapping[str, Any]) -> str:
    """Return why nobody can go on with a study, as a part of a sentence, or nothing.

    Args:
        manifest: Its manifest, of the same question as is asked now.
    """
    fault = next(faults(manifest), "")
    if fault or "shards" not in manifest:
        return fault
    if "batch" not in manifest.get("run", {}):
        return "it lacks a proper `run.batch`"
    whole = set(manifest["attack"].get("chosen") or ()) - {"chance"} == _CHOSEN
    if manifest["question"]["attack"]["epsilon"] == "auto" and not whole:
        return "it lacks a proper `attack.chosen`"
    return ""


def retraining_fault(manifest: Mapping[str, Any]) -> str:
    """Return what is wrong with the manifest of a retraining, as a part of a sentence, or nothing.

    Example:
        >>> retraining_fault({})
        "it lacks 'study'"
    """
    missing = [key for key in ("study", "selection", "recipe") if key not in manifest]
    if missing:
        return f"it lacks {missing[0]!r}"
    place = next(_RETRAINING.wrong(manifest, ""), None)
    return "" if place is None else f"it lacks a proper `{place}`"
