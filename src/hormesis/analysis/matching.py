"""Which targets of different studies are compared with each other."""

from collections.abc import Mapping, Sequence

import pandas as pd

from hormesis.errors import StudyError

COLUMNS = ("study", "target", "match")
_STAGES = 4


def match_targets(targets: Mapping[str, pd.DataFrame], *, by_role: bool = False) -> pd.DataFrame:
    """Match the targets of several studies.

    Targets of the same name match. With ``by_role``, and unless all names agree, targets match by
    their role instead: ``first convolution``, ``classifier`` (the last linear layer or, without
    one, the last convolution), and ``stage 1`` to ``stage 4``, each a quarter of the relative depth
    between them, by kind.

    Args:
        targets: For each study, the targets that were tested, with ``target``, ``kind`` and
            ``depth``.
        by_role: Whether the networks are of different architectures.

    Returns:
        Columns ``study``, ``target`` and ``match``, in the order of depth. Targets without a match
        in every other study are left out.

    Example:
        >>> net = pd.DataFrame({"target": ["a", "b", "c"], "kind": ["convolution"] * 2 + ["linear"],
        ...                     "depth": [0, 1, 2]})
        >>> other = net.assign(target=["x", "y", "z"])
        >>> match_targets({"net": net, "other": other}, by_role=True)["match"].tolist()[:3]
        ['first convolution', 'stage 1 convolution', 'classifier']
    """
    names = [set(table["target"]) for table in targets.values()]
    alike = all(target_names == names[0] for target_names in names)
    parts = []
    for study, table in targets.items():
        ordered = table.sort_values("depth", kind="stable")
        match = _roles(ordered) if by_role and not alike else ordered["target"].tolist()
        parts.append(pd.DataFrame({"study": study, "target": ordered["target"], "match": match}))
    return _in_all(pd.concat(parts, ignore_index=True), list(targets))


def _roles(targets: pd.DataFrame) -> list[str]:
    """Return the role of each target, given in the order of depth."""
    kinds = targets["kind"].tolist()
    roles: list[str | None] = [None] * len(kinds)
    convolutions = [index for index, kind in enumerate(kinds) if kind == "convolution"]
    last = [index for index, kind in enumerate(kinds) if kind == "linear"] or convolutions
    if last:
        roles[last[-1]] = "classifier"
    if convolutions and roles[convolutions[0]] is None:
        roles[convolutions[0]] = "first convolution"
    between = [index for index, role in enumerate(roles) if role is None]
    for rank, index in enumerate(between):
        roles[index] = f"stage {1 + rank * _STAGES // len(between)} {kinds[index]}"
    return [str(role) for role in roles]


def _in_all(matching: pd.DataFrame, studies: Sequence[str]) -> pd.DataFrame:
    studies_of: dict[str, set[str]] = {}
    for study, _, match in matching.itertuples(index=False, name=None):
        studies_of.setdefault(match, set()).add(study)
    common = matching.loc[
        [len(studies_of[name]) == len(studies) for name in matching["match"].tolist()]
    ]
    if common.empty:
        raise StudyError(
            "The studies have no target in common; compare architectures with `over` as 'models', "
            "or give a table of your own with `matching`."
        )
    return common.reset_index(drop=True)


def check_matching(table: pd.DataFrame, targets: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the user's matching, checked against the studies.

    Args:
        table: Columns ``study``, ``target`` and ``match``; several targets of a study may have the
            same match, and are averaged.
        targets: For each study, the targets that were tested.

    Raises:
        StudyError: For a column that is missing, a study or target that is not there, or a target
            given twice.
    """
    lacking = [name for name in COLUMNS if name not in table]
    if lacking:
        raise StudyError(
            f"The matching lacks the column {lacking[0]}; expected study, target and match."
        )
    table = table.loc[:, list(COLUMNS)].astype(str)
    for study, target, _ in table.itertuples(index=False, name=None):
        if study not in targets:
            raise StudyError(
                f"The matching names the study {study!r}, which is none of {', '.join(targets)}."
            )
        if target not in set(targets[study]["target"]):
            raise StudyError(
                f"The matching names the target {target!r}, which was not tested in {study}."
            )
    twice = table.loc[table.duplicated(["study", "target"]), "target"]
    if len(twice):
        raise StudyError(f"The matching names the target {twice.iloc[0]!r} of a study twice.")
    return _in_all(table, list(targets))
