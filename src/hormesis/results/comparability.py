"""Which studies may be compared: those of the same method, with different networks or data."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from hormesis.errors import SettingError, StudyError
from hormesis.results.study import Study
from hormesis.settings.magnitudes import short_epsilon

OVERS = ("epochs", "data", "models", "seeds", "epsilons")
ALLOWED = "different:"
_ABOUT = ("model", "data", "epoch", "seed")
_LEADS = {
    "epochs": "epoch",
    "seeds": "seed",
    "models": "model",
    "data": "data",
    "epsilons": "epsilon",
}
"""The column of the table of studies that each choice of ``over`` goes along."""
# The settings that a study's numbers depend on besides network and data; seeds may differ.
ORDERS: Mapping[str, Callable[[Study], float | int | None]] = {
    "epochs": lambda study: study.metadata.origin.epoch,
    "epsilons": lambda study: study.metadata.attack.epsilon if study.stressed else None,
}
"""The choices of ``over`` that have an order, and what gives it; None where it is not known."""
_METHOD: Mapping[str, tuple[str, ...]] = {
    "targets": ("kinds", "scope", "per", "groups"),
    "sweep": (
        *("filters", "thresholds", "compare", "span", "adversary", "precision"),
        *("spacing", "replacements"),
    ),
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
_FREE = {
    "epochs": (),
    "seeds": (),
    "data": ("data",),
    "models": ("model", "targets.groups"),
    "epsilons": ("attack.epsilon",),
}


def check_distinct(studies: Sequence[Study]) -> None:
    """Refuse a study that is passed twice, from one folder or from two.

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
        A sentence for every allowed difference, one if magnitudes were chosen per network, and one
        if only some studies have an attack.

    Raises:
        StudyError: Naming the first difference.
        SettingError: For an ``allow`` of another form.
    """
    for entry in allow:
        if not entry.startswith(ALLOWED) or entry == ALLOWED:
            raise SettingError(
                f"Expected `allow` to be such as 'different:epsilon', got {entry!r}."
            )
    names = {entry.removeprefix(ALLOWED) for entry in allow}
    first, notes = studies[0], {}
    for study in studies[1:]:
        for key, (entry, other) in _differences(first, study, over, scored=scored).items():
            if not names & {key, *key.split(".")}:
                short = key.rpartition(".")[2]
                raise StudyError(
                    f"The studies differ in {key}: {entry} in {first.folder or first}, {other} in "
                    f"{study.folder or study}. Compare like with like, or allow it with `allow` as "
                    f"'{ALLOWED}{short}'."
                )
            notes.setdefault(key, f"Allowed: the studies differ in {key}.")
    stressed = [study for study in studies if study.stressed]
    if stressed and len(stressed) < len(studies):
        notes["attack"] = "Clean scores alone are compared, as not every study has an attack."
    chosen = sorted(study.metadata.attack.epsilon for study in stressed)
    if not notes and over != "epsilons" and chosen and chosen[0] < chosen[-1]:
        notes["epsilon"] = (
            f"The attack's magnitude was chosen for each network: ε from {chosen[0]:.4g} to "
            f"{chosen[-1]:.4g}."
        )
    return list(notes.values())


def _differences(
    first: Study, second: Study, over: str, *, scored: bool
) -> dict[str, tuple[Any, Any]]:
    first_method, second_method = (
        _method(first, over, scored=scored),
        _method(second, over, scored=scored),
    )
    common = [
        key for key in first_method if key in second_method
    ]  # an older study may not know of a setting
    differences = {
        key: (first_method[key], second_method[key])
        for key in common
        if first_method[key] != second_method[key]
    }
    if not (first.stressed and second.stressed):  # clean scores depend on no attack
        differences.pop("sweep.adversary", None)
        return differences
    attacks = [study.manifest["question"]["attack"] for study in (first, second)]
    for key in {**attacks[0], **attacks[1]}:
        values = attacks[0].get(key), attacks[1].get(key)
        if values[0] != values[1] and f"attack.{key}" not in _FREE[over]:
            differences[f"attack.{key}"] = values
    return differences


def _method(study: Study, over: str, *, scored: bool) -> dict[str, Any]:
    question = study.manifest["question"]
    identity = study.metadata.question
    subject = {"model": identity.network.name, "data": identity.data.name}
    method = {name: value for name, value in subject.items() if name not in _FREE[over]}
    for part, keys in _METHOD.items():
        settings = question[part]
        free = [key for key in keys if key not in settings or f"{part}.{key}" in _FREE[over]]
        method |= {f"{part}.{key}": _plain(settings[key]) for key in keys if key not in free}
    if not scored:
        method |= {f"scoring.{key}": getattr(study.scoring, key) for key in _SCORING}
    return method


def _plain(value: object) -> object:
    """Return a tuple as a list, as a manifest on disk has it."""
    return list(value) if isinstance(value, tuple) else value


def in_order(studies: Sequence[Study], over: str) -> list[Study]:
    """Return studies along what varies between them, if that has an order and all have it.

    Args:
        studies: Any studies.
        over: What varies between them.
    """
    if over not in ORDERS:
        return list(studies)
    places = [ORDERS[over](study) for study in studies]
    known = [place for place in places if place is not None]
    if len(known) < len(places):
        return list(studies)
    return [studies[number] for number in sorted(range(len(known)), key=known.__getitem__)]


def describe_studies(studies: Sequence[Study]) -> pd.DataFrame:
    """Return a table that describes each study, one row per study.

    Columns ``model``, ``data``, ``epoch``, ``seed`` (of the training, if known),
    ``samples``, ``clean``, ``adversarial`` and ``epsilon`` (unless no study has an attack), and
    ``mark``.
    """
    rows = []
    for study in studies:
        metadata, base = study.metadata, study.base
        samples, planned = metadata.base.samples, metadata.question.data.samples
        rows.append(
            {
                "model": metadata.question.network.name,
                "data": metadata.question.data.name,
                "epoch": metadata.origin.epoch,
                "seed": metadata.origin.training.question.recipe.seed,
                "samples": samples,
                "clean": base.clean,
                "adversarial": base.adversarial,
                "epsilon": metadata.attack.epsilon,
                "mark": f"partial: {samples} of {planned} samples" if samples < planned else "",
            }
        )
    table = pd.DataFrame(rows)
    if not any(study.stressed for study in studies):
        table = table.drop(columns=["adversarial", "epsilon"])
    return table.astype({"epoch": "Int64", "seed": "Int64"})


def study_labels(studies: Sequence[Study], descriptions: pd.DataFrame, over: str) -> list[str]:
    """Return a short label for every study: the columns that vary, or else their folders."""
    lead = _LEADS[over]
    varying = [name for name in {*_ABOUT, lead} if len(descriptions[name].unique()) > 1]
    ordered = sorted(varying, key=lambda name: (name == lead, *map(name.__eq__, _ABOUT[::-1])))
    table = descriptions[ordered]
    if "epsilon" in ordered:
        table = table.assign(epsilon=[f"ε {short_epsilon(one)}" for one in table["epsilon"]])
    rows = table.astype("string").fillna("?").to_numpy(dtype=object)
    names = [" ".join(row) for row in rows]
    if len(set(names)) == len(names):
        return names
    folders = ["" if study.folder is None else study.folder.name for study in studies]
    if "" not in folders and len(set(folders)) == len(folders):
        return folders
    return [f"{index + 1} {name}".strip() for index, name in enumerate(names)]
