"""The picture of how scores and responses change over the epochs of a training."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hormesis.analysis.scores import SCORES
from hormesis.report.figures import main_filter, response_curves
from hormesis.studies import Studies

_MOST_ROWS = 60
_MANY_ROWS = 40  # of more, the letters are smaller
_MOST_WRITTEN = 6  # epochs; of more, the cells are too narrow for numbers
_STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,
}


def draw_evolution(studies: Studies, path: Path) -> None:
    """Draw heat maps of scores over epochs, and the responses of three telling targets.

    Args:
        studies: Studies of several epochs, with at least one swept target.
        path: File to write; its suffix chooses the format.
    """
    scores = studies.scores
    chosen = scores.loc[scores["filter"] == main_filter(scores)]
    targets = list(dict.fromkeys(chosen["target"]))
    shown = targets[:_MOST_ROWS]
    telling = telling_targets(chosen)
    with mpl.rc_context(_STYLE):
        height = max(4.6, 1.3 + min(0.2 * len(shown), 7.0))
        figure = Figure(figsize=(12, height), layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1.0, 1.2))[0]
        maps = left.subplots(1, len(SCORES), sharey=True, squeeze=False)[0]
        _draw_maps(maps, chosen.loc[chosen["target"].isin(shown)])
        if telling:
            columns = studies.responses["filter"].nunique()
            panels = right.subplots(len(telling), columns, sharex=True, sharey=True, squeeze=False)
            for place, target in enumerate(telling):
                _draw_responses(panels[place], studies, target, last=target == telling[-1])
            right.legend(
                *panels[0, 0].get_legend_handles_labels(),
                loc="outside upper center",
                ncols=4,
                frameon=False,
            )
        cut = f"; the first {len(shown)} of {len(targets)}" if len(targets) > len(shown) else ""
        figure.suptitle(_title(studies) + cut, fontsize=9)
        figure.savefig(path, dpi=110)


def telling_targets(scores: pd.DataFrame) -> list[str]:
    """Return up to three targets: the lowest and highest at the end, and the one that moved most.

    Args:
        scores: Of one filter: ``epoch``, ``target``, ``score``, ``value``. The adversarial score
            decides, or the clean one where that is undefined.

    Example:
        >>> rows = [(epoch, name, "adversarial", value * epoch)
        ...         for epoch in (1, 2) for name, value in (("a", 0.1), ("b", -0.4), ("c", 0.0))]
        >>> telling_targets(pd.DataFrame(rows, columns=["epoch", "target", "score", "value"]))
        ['b', 'a']
    """
    for score in ("adversarial", "clean"):
        rows = scores.loc[scores["score"] == score]
        wide = rows.pivot_table(index="target", columns="epoch", values="value", sort=False)
        if wide.empty:
            continue
        last = wide.iloc[:, -1].dropna()
        moved = (wide.max(axis=1) - wide.min(axis=1)).dropna()
        if len(last):
            return list(
                dict.fromkeys([str(last.idxmin()), str(moved.idxmax()), str(last.idxmax())])
            )
    return []


def _draw_maps(maps: np.ndarray, scores: pd.DataFrame) -> None:
    epochs = sorted(scores["epoch"].unique())
    targets = list(dict.fromkeys(scores["target"]))
    reach = max(0.1, float(np.nanmax(np.abs(scores["value"].to_numpy(float)), initial=0.0)))
    colours = mpl.colormaps["PuOr"].with_extremes(bad="#eeeeee")
    image = None
    for axes, score in zip(maps, SCORES, strict=True):
        rows = scores.loc[scores["score"] == score]
        wide = rows.pivot(index="target", columns="epoch", values="value")
        values = wide.reindex(index=targets, columns=epochs).to_numpy(float)
        image = axes.imshow(values, aspect="auto", cmap=colours, vmin=-reach, vmax=reach)
        axes.set_xticks(range(len(epochs)), [str(epoch) for epoch in epochs])
        names = [name.removesuffix(".weight") for name in targets]
        axes.set_yticks(range(len(targets)), names, fontsize=6 if len(targets) > _MANY_ROWS else 8)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_title(score)
        axes.set_xlabel("epoch")
        if len(epochs) <= _MOST_WRITTEN:
            _write_values(axes, values, reach)
    bar = maps[0].figure.colorbar(image, ax=list(maps), location="bottom", fraction=0.03, pad=0.02)
    bar.set_label(f"fragile  ←  {main_filter(scores)} score  →  antifragile".replace("_", " "))


def _write_values(axes: Axes, values: np.ndarray, reach: float) -> None:
    size = 5 if len(values) > _MANY_ROWS else 6
    for (place, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            text, colour = f"{value:+.2f}", "white" if abs(value) > 0.55 * reach else "black"
            axes.text(column, place, text, ha="center", va="center", fontsize=size, color=colour)


def _draw_responses(panels: np.ndarray, studies: Studies, target: str, *, last: bool) -> None:
    """Draw performance relative to the unfiltered network, one colour an epoch."""
    colours = mpl.colormaps["viridis"](np.linspace(0.0, 0.85, len(studies.members)))
    for colour, (epoch, study) in zip(colours, studies.members.items(), strict=True):
        for axes, curve in zip(panels, response_curves(study, target), strict=True):
            for kind, line in (("clean", "-"), ("adversarial", "--")):
                base = getattr(study.prefix_of[target].base, kind)
                if base:
                    relative = np.array(getattr(curve, kind)) / base
                    label = f"epoch {epoch}, {kind}"
                    axes.plot(curve.progress, relative, ls=line, color=colour, lw=1.2, label=label)
            axes.set_title(
                f"{target.removesuffix('.weight')}\n{curve.filter.replace('_', ' ')}", fontsize=8
            )
            if last:
                axes.set_xlabel("normalised threshold")
    panels[0].set_ylabel("relative to unfiltered")


def _title(studies: Studies) -> str:
    manifest = next(iter(studies.members.values())).manifest
    question = manifest["question"]
    return (
        f"{question['network']['name']} on {question['data']['name']}, "
        f"{question['data']['samples']} samples; {question['attack']['name'].upper()}"
    )
