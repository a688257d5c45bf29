"""The picture of an applied network: values removed against both performances, and the proof."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes

from hormesis.report.plots.style import (
    ADVERSARIAL,
    CLEAN,
    STYLE,
    Picture,
    freeze_layout,
    picture,
    save,
)
from hormesis.results.applied import Applied
from hormesis.results.applied_text import attack_name, strongest
from hormesis.settings.apply import APPLIED, POINTS, ROBUST, UNFILTERED_NETWORK

_INCHES = 7.0, 3.0
_KINDS = {"clean": CLEAN, "adversarial": ADVERSARIAL}


def draw_applied(applied: Applied, path: Path) -> None:
    """Write the picture of a path and its proof.

    Args:
        applied: An applied network.
        path: File to write; its suffix chooses the format.
    """
    save(applied_picture(applied), path)


def applied_picture(applied: Applied) -> Picture:
    """Return the path on the left, and the networks of the proof on the right.

    Args:
        applied: An applied network.
    """
    with mpl.rc_context(STYLE):
        figure = picture(*_INCHES)
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        draw_path(left, applied)
        if applied.proof.empty:
            right.set_axis_off()
        else:
            draw_proof(right, applied)
        about = applied.metadata
        figure.suptitle(f"{about.study.network} on {about.study.data}, {about.aim.name}")
        return freeze_layout(figure)


def draw_path(axes: Axes, applied: Applied) -> None:
    """Draw the performances along the path, and the candidates that were refused.

    Args:
        axes: Axes to draw on.
        applied: An applied network.
    """
    about, steps = applied.metadata, applied.steps
    factor = POINTS if about.metric.binary else 1.0
    refused = applied.path.loc[~applied.path["accepted"]]
    for kind, look in _KINDS.items():
        if kind == "adversarial" and not about.metric.stressed:
            continue
        label = kind if kind == "clean" else "under stress"
        x = POINTS * steps["share_removed"]
        axes.plot(x, factor * steps[kind], marker="o", markersize=3, label=label, **look)
        axes.plot(
            POINTS * refused["share_removed"],
            factor * refused[kind],
            ls="",
            marker="x",
            markersize=3,
            alpha=0.5,
            color=look["color"],
        )
        axes.axhline(_limit(applied, kind, factor), lw=0.6, color=look["color"], ls=(0, (1, 3)))
    axes.set_xlabel("values removed, % of the targets")
    axes.set_ylabel(f"{about.metric.name}{', %' if about.metric.binary else ''}, selection part")
    axes.legend(frameon=False, title="× refused; dotted: allowed")


def _limit(applied: Applied, kind: str, factor: float) -> float:
    """Return the worst performance that the aim allows; NaN if it allows any."""
    about, base = applied.metadata, float(applied.steps[kind].iloc[0])
    aim = about.aim
    if kind == "adversarial" and aim.name == ROBUST:
        return float("nan")
    loss = (aim.clean_loss if aim.name == ROBUST else aim.loss) or 0.0
    sign = 1 if about.metric.higher_is_better else -1
    return factor * (base - sign * loss / POINTS)


def draw_proof(axes: Axes, applied: Applied) -> None:
    """Draw the performance of every network of the proof, clean and under the strongest attack.

    Args:
        axes: Axes to draw on.
        applied: An applied network.
    """
    about, proof = applied.metadata, applied.proof
    factor = POINTS if about.metric.binary else 1.0
    names = list(dict.fromkeys(proof["network"]))[::-1]
    attack, epsilon = strongest(proof)
    kinds: dict[str, Any] = {"clean": CLEAN} | ({attack: ADVERSARIAL} if attack != "clean" else {})
    for number, (kind, look) in enumerate(kinds.items()):
        rows = proof.loc[proof["attack"] == kind].set_index("network").loc[names]
        axes.errorbar(
            factor * rows["accuracy"],
            [place + 0.15 * (number == 0) for place in range(len(names))],
            xerr=_spread(rows, factor),
            ls="",
            marker="o" if number == 0 else "s",
            markersize=3,
            color=look["color"],
            elinewidth=0.8,
            label="clean" if kind == "clean" else attack_name(attack, epsilon),
        )
    axes.set_yticks(range(len(names)), names)
    for label in axes.get_yticklabels():
        if label.get_text() in (APPLIED, UNFILTERED_NETWORK):
            label.set_fontweight("bold")
    axes.set_xlabel(f"{about.metric.name}{', %' if about.metric.binary else ''}, proof part")
    axes.set_ylim(-0.6, len(names) + 0.4)
    axes.legend(frameon=False, loc="upper left", ncols=2, fontsize=7)


def _spread(rows: pd.DataFrame, factor: float) -> list[Any]:
    below, above = rows["accuracy"] - rows["low"], rows["high"] - rows["accuracy"]
    return [factor * below.clip(lower=0), factor * above.clip(lower=0)]
