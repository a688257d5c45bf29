"""How many bits each layer needs, from a study of quantisation."""

from typing import Any

import pandas as pd

from hormesis.errors import StudyError
from hormesis.results.changes import check_budget, with_changes
from hormesis.results.study import Study

_UNIT = "bits"  # what levels of quantisation are


def bits_per_layer(study: Study, budget: float | int = 0.01, *, on: str = "clean") -> pd.DataFrame:
    """Return the fewest bits at which each target costs no more performance than a budget.

    A number of bits suffices if the lower confidence limit of the performance at it, less that of
    the network with full precision on the same samples, is at least ``-budget``, and if all larger
    numbers that were swept suffice as well. Each target is quantised alone: several together may
    cost more than the sum. Where no sample changes, the interval of an accuracy is as wide as if
    one did: fewer than some 200 samples cannot show that it falls by less than one point.

    Args:
        study: A study whose sweep names ``quantization`` or ``quantization_per_channel``.
        budget: Performance that may be lost, in units of the metric, at least 0; 0.01 is one point
            of accuracy.
        on: ``clean`` or ``adversarial``.

    Returns:
        One row a target and quantisation: ``target``, ``filter``, ``size``, ``bits`` (missing where
        none of those swept suffices), and at these bits ``performance``, its ``change`` from the
        unfiltered network and the ``low`` end of the interval of that change, at the confidence
        level of the study.

    Raises:
        SettingError: For a budget or a side that is none.
        StudyError: If the study has no quantisation, or did not keep its outcomes.

    Example:
        >>> import torch
        >>> import hormesis as hm
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
        >>> data = torch.rand(8, 1, 2, 2), torch.arange(8) % 2
        >>> sweep = hm.Sweep(filters=("quantization",), levels=(8, 4))
        >>> study = hm.analyze(network, data, attack=None, sweep=sweep,
        ...                    execution=hm.Execution(progress=False))
        >>> bits_per_layer(study, budget=1.5)[["target", "bits"]].values.tolist()
        [['1.weight', 4]]
    """
    check_budget(study, budget, on)
    swept = [
        name
        for name, entry in study.metadata.question.sweep.replacements.items()
        if entry.unit == _UNIT
    ]
    if not swept:
        raise StudyError(
            "The study has no quantisation: sweep `quantization` or `quantization_per_channel`."
        )
    rows = study.responses
    rows = with_changes(study, rows.loc[rows["filter"].isin(swept)].reset_index(drop=True), on)
    sizes = dict(zip(study.targets["target"], study.targets["size"], strict=True))
    keys = rows[["target", "filter"]].drop_duplicates()
    table = pd.DataFrame(
        [
            {
                "target": target,
                "filter": name,
                "size": int(sizes[target]),
                **_fewest(rows.loc[(rows["target"] == target) & (rows["filter"] == name)], budget),
            }
            for target, name in keys.itertuples(index=False, name=None)
        ]
    )
    return table.astype({"bits": "Int64"})


def _fewest(sweep: pd.DataFrame, budget: float | int) -> dict[str, Any]:
    """Return the fewest bits that suffice, and what they cost."""
    best: dict[str, Any] = dict.fromkeys(("bits", "performance", "change", "low"))
    for row in sweep.sort_values("alpha", ascending=False).to_dict("records"):
        if not row["low"] >= -budget:
            break
        best = {name: row[name] for name in best if name != "bits"}
        best = {"bits": int(row["alpha"]), **best}
    return best
