"""Which targets of a study are retrained, by their classes and by the arm of the experiment."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hormesis.analysis.classes import (
    ANTIFRAGILE,
    AT_CHANCE,
    CLASSES,
    FIXED_ONLY,
    MASKED,
    UNCONFIRMED,
    UNDECIDED,
    UNDEFINED,
    UNTESTED,
)
from hormesis.errors import SettingError, StudyError, unknown
from hormesis.results.study import Study
from hormesis.training.selection import ARMS, Selection

OPEN = (UNDECIDED, UNTESTED, UNDEFINED, MASKED, AT_CHANCE)
_CLAIMED = (UNCONFIRMED, FIXED_ONLY)  # antifragile by the attack of the study, as the paper has it
_DRAWS = 200  # of targets in random order, until their sizes add up to what is wanted
_CLOSE = 0.05  # as a share of the wanted size


def target_classes(study: Study, selection: Selection) -> pd.DataFrame:
    """Return every swept target with the class that decides whether it is trained.

    Args:
        study: A study of single targets.
        selection: Which score, filter and scoring; with ``undecided="estimate"`` the class is
            that of the estimate.

    Returns:
        Columns ``target``, ``kind``, ``size``, ``class`` and ``value``, in order of use.

    Raises:
        SettingError: If the filter was not swept, the reference lacks its control, or the score
            needs an attack and the study has none.
        StudyError: If the study is of all targets at once.
    """
    kinds = set(study.targets["kind"])
    if "group" in kinds:
        raise StudyError(
            f"Expected a study of single targets, got {study.folder or 'one'} of groups, which may "
            "overlap: analyse without --groups."
        )
    if "global" in kinds:
        raise StudyError(
            f"Expected a study of single targets, got {study.folder or 'one'} of all of them at "
            "once: analyse with --scope local."
        )
    if selection.by not in study.score_names:
        raise SettingError(
            f"Expected `by` to be 'clean', as {study.folder or 'the study'} has no attack, got "
            f"{selection.by!r}."
        )
    scores = study.scores_with(selection.scoring or study.scoring)
    swept = scores["filter"].unique().tolist()
    if selection.filter not in swept:
        raise SettingError(unknown("`filter` of the study", selection.filter, swept))
    chosen = (scores["filter"] == selection.filter) & (scores["score"] == selection.by)
    column = "point" if selection.undecided == "estimate" else "class"
    rows = scores.loc[chosen, ["target", column, "value"]]
    rows = rows.rename(columns={column: "class"})
    columns = study.targets[["target", "kind", "size"]]
    return columns.merge(rows, on="target", how="inner").reset_index(drop=True)


def select_targets(classes: pd.DataFrame, selection: Selection) -> frozenset[str]:
    """Return the names of the targets that are trained.

    Args:
        classes: From ``target_classes``.
        selection: Which classes are trained.

    Raises:
        SettingError: If no target or every target would be trained.

    Example:
        >>> rows = [("a", "linear", 4, "fragile", -0.3), ("b", "linear", 4, "robust", 0.0)]
        >>> table = pd.DataFrame(rows, columns=["target", "kind", "size", "class", "value"])
        >>> sorted(select_targets(table, Selection()))
        ['b']
    """
    keep = set(selection.keep)
    if ANTIFRAGILE in keep:
        keep |= set(_CLAIMED)
    if selection.undecided == "train":
        keep |= set(OPEN)
    chosen = classes["class"].isin(list(keep))
    if bool(chosen.any()) and not bool(chosen.all()):
        return frozenset(classes.loc[chosen, "target"])
    summary = ", ".join(f"{count} {name}" for name, count in count_classes(classes).items())
    criterion = f"by the {selection.by} score of the {selection.filter.replace('_', ' ')} filter"
    if not bool(chosen.any()):
        raise SettingError(
            f"Nothing would be trained: of {len(classes)} targets {criterion}, {summary}. Change "
            "`keep`, `by`, `undecided`, `reference` or `tolerance`."
        )
    raise SettingError(
        f"Nothing would be frozen: of {len(classes)} targets {criterion}, {summary}. That is "
        "regular training, see `hormesis train`; change `keep`, `by`, `reference` or `tolerance`."
    )


def count_classes(classes: pd.DataFrame) -> dict[str, int]:
    """Return the number of targets of each class that occurs."""
    labels = classes["class"].tolist()
    return {name: labels.count(name) for name in CLASSES if name in labels}


def arm_targets(
    arm: str, classes: pd.DataFrame, chosen: frozenset[str], *, seed: int
) -> frozenset[str]:
    """Return the targets that an arm of the experiment trains; empty if the arm has none.

    Args:
        arm: One of ``ARMS``.
        classes: From ``target_classes``.
        chosen: From ``select_targets``.
        seed: Seed of the random arms, which differ from the selective one.

    Example:
        >>> rows = [(name, "linear", 4, "robust", 0.0) for name in "abcd"]
        >>> table = pd.DataFrame(rows, columns=["target", "kind", "size", "class", "value"])
        >>> len(arm_targets("random-layers", table, frozenset("ab"), seed=1))
        2
    """
    names = classes["target"].tolist()
    if arm == "selective":
        return chosen
    if arm == "everything":
        return frozenset(names)
    if arm == "fragile":
        return frozenset(classes.loc[classes["class"] == "fragile", "target"])
    if arm == "none":
        return frozenset()
    random = np.random.default_rng((seed, ARMS.index(arm)))
    if arm == "random-layers":
        return _draw_same_number(names, chosen, random)
    return _draw_same_size(dict(zip(names, classes["size"].tolist(), strict=True)), chosen, random)


def _draw_same_number(
    names: Sequence[str], chosen: frozenset[str], random: np.random.Generator
) -> frozenset[str]:
    for _ in range(_DRAWS):
        drawn = frozenset(random.choice(names, len(chosen), replace=False).tolist())
        if drawn != chosen:
            return drawn
    return frozenset()


def _draw_same_size(
    sizes: dict[str, int], chosen: frozenset[str], random: np.random.Generator
) -> frozenset[str]:
    """Draw targets whose sizes add up to about that of the chosen ones."""
    size = sum(sizes[name] for name in chosen)
    best, distance = frozenset[str](), size
    for _ in range(_DRAWS):
        drawn, total = set[str](), 0
        for name in random.permutation(list(sizes)).tolist():
            if total + sizes[name] <= size * (1 + _CLOSE):
                drawn.add(name)
                total += sizes[name]
        if drawn != chosen and abs(total - size) < distance:
            best, distance = frozenset(drawn), abs(total - size)
        if distance <= _CLOSE * size:
            break
    return best
