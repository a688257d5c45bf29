"""Whether studies may be compared: the same method, and different networks or data."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from hormesis.errors import SettingError, StudyError
from hormesis.results.study import Study

OVERS = ("epochs", "data", "models", "seeds")
ALLOWED = "different:"
_ABOUT = ("model", "data", "epoch", "seed")
# What a study's numbers depend on besides network and data; seeds may differ.
_METHOD: Mapping[str, tuple[str, ...]] = {
    "targets": ("kinds", "scope", "per"),
    "sweep": ("filters", "thresholds", "compare", "span", "adversary", "precision"),
    "performance": ("name",),
}
_SCORING = (
    "base",
    "reference",
    "tolerance",
    "interval",
    "level",
    "multiplicity",
    "chance_corrected",
    "population",
)
_FREE = {"epochs": (), "seeds": (), "data": ("data",), "models": ("model",)}


def check_distinct(studies: Sequence[Study]) -> None:
    """Refuse a study that is given twice, from one folder or from two.

    Raises:
        StudyError: Naming both.
    """
    seen: list[Study] = []
    for study in studies:
        for other in seen:
            same = study is other or (
                study.manifest["question"] == other.manifest["question"]
                and study.manifest.get("origin") == other.manifest.get("origin")
            )
            if same:
                raise StudyError(
                    f"The same study is given twice: {study.folder or study} and "
                    f"{other.folder or other}; leave one out."
                )
        seen.append(study)


def check_comparable(
    studies: Sequence[Study], over: str, allow: Sequence[str], *, scored: bool
) -> list[str]:
    """Refuse studies of different methods, unless the difference is allowed.

    Args:
        studies: At least one.
        over: What may vary.
        allow: What else may differ, each as ``different:NAME``.
        scored: Whether one scoring is applied to all, so that their own may differ.

    Returns:
        A sentence for every difference that was allowed, and for magnitudes chosen apart.

    Raises:
        StudyError: Naming the first difference.
        SettingError: For an ``allow`` of another form.
    """
    for one in allow:
        if not one.startswith(ALLOWED) or one == ALLOWED:
            raise SettingError(f"Expected `allow` to be such as 'different:epsilon', got {one!r}.")
    names = {one.removeprefix(ALLOWED) for one in allow}
    first, notes = studies[0], {}
    for study in studies[1:]:
        for key, (one, other) in _differences(first, study, over, scored=scored).items():
            if not names & {key, *key.split(".")}:
                short = key.rpartition(".")[2]
                raise StudyError(
                    f"The studies differ in {key}: {one} in {first.folder or first}, {other} in "
                    f"{study.folder or study}. Compare like with like, or allow it with `allow` as "
                    f"'{ALLOWED}{short}'."
                )
            notes.setdefault(key, f"Allowed: the studies differ in {key}.")
    chosen = sorted(study.metadata.attack.epsilon for study in studies)
    if not notes and chosen[0] < chosen[-1]:
        notes["epsilon"] = (
            f"The attack's magnitude was chosen for each network: ε from {chosen[0]:.4g} to "
            f"{chosen[-1]:.4g}."
        )
    return list(notes.values())


def _differences(
    one: Study, other: Study, over: str, *, scored: bool
) -> dict[str, tuple[Any, Any]]:
    here, there = _method(one, over, scored=scored), _method(other, over, scored=scored)
    common = [key for key in here if key in there]  # an older study may not know of a setting
    found = {key: (here[key], there[key]) for key in common if here[key] != there[key]}
    attacks = [study.manifest["question"]["attack"] for study in (one, other)]
    for key in {**attacks[0], **attacks[1]}:
        values = attacks[0].get(key), attacks[1].get(key)
        if values[0] != values[1]:
            found[f"attack.{key}"] = values
    return found


def _method(study: Study, over: str, *, scored: bool) -> dict[str, Any]:
    question = study.manifest["question"]
    asked = study.metadata.question
    about = {"model": asked.network.name, "data": asked.data.name}
    found = {name: value for name, value in about.items() if name not in _FREE[over]}
    for part, keys in _METHOD.items():
        entries = question[part]
        found |= {f"{part}.{key}": _plain(entries[key]) for key in keys if key in entries}
    if not scored:
        found |= {f"scoring.{key}": getattr(study.scoring, key) for key in _SCORING}
    return found


def _plain(value: object) -> object:
    """Return a tuple as a list, as it comes back from a manifest on disk."""
    return list(value) if isinstance(value, tuple) else value


def described(studies: Sequence[Study]) -> pd.DataFrame:
    """Return what each study is about, one row a study.

    Columns ``model``, ``data``, ``epoch``, ``seed`` (of the training, where it is known),
    ``samples``, ``clean``, ``adversarial``, ``epsilon`` and ``mark``.
    """
    rows = []
    for study in studies:
        known, base = study.metadata, study.base
        samples, planned = known.base.samples, known.question.data.samples
        rows.append(
            {
                "model": known.question.network.name,
                "data": known.question.data.name,
                "epoch": known.origin.epoch,
                "seed": known.origin.training.question.recipe.seed,
                "samples": samples,
                "clean": base.clean,
                "adversarial": base.adversarial,
                "epsilon": known.attack.epsilon,
                "mark": f"partial: {samples} of {planned} samples" if samples < planned else "",
            }
        )
    table = pd.DataFrame(rows)
    return table.astype({"epoch": "Int64", "seed": "Int64"})


def labels(studies: Sequence[Study], about: pd.DataFrame, over: str) -> list[str]:
    """Return a short name for every study: what varies between them, or else their folders."""
    varying = [name for name in _ABOUT if len(about[name].unique()) > 1]
    lead = {"epochs": "epoch", "seeds": "seed", "models": "model", "data": "data"}[over]
    ordered = sorted(varying, key=lambda name: name == lead)
    rows = about[ordered].astype("string").fillna("?").itertuples(index=False, name=None)
    found = [" ".join(row) for row in rows]
    if len(set(found)) == len(found):
        return found
    folders = ["" if study.folder is None else study.folder.name for study in studies]
    if "" not in folders and len(set(folders)) == len(folders):
        return folders
    return [f"{place + 1} {name}".strip() for place, name in enumerate(found)]
