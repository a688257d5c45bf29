"""The picture of a retraining with controls: accuracy against epsilon, a line for each arm."""

from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes

from hormesis.analysis.effects import CLEAN, pooled_accuracy
from hormesis.report.plots.style import STYLE, Picture, freeze_layout, picture, save
from hormesis.report.views.palette import ARMS, PAGE, LineLook
from hormesis.results.retraining import Retraining

_OTHER = LineLook(PAGE["ink"], marker=".")


def draw_arms(retraining: Retraining, path: Path) -> None:
    """Write the picture of accuracy against epsilon.

    Args:
        retraining: A retraining with controls.
        path: File to write; its suffix chooses the format.
    """
    save(arms_picture(retraining), path, dpi=130.0)


def arms_picture(retraining: Retraining) -> Picture:
    """Return accuracy against epsilon for every arm, a panel for each attack.

    Args:
        retraining: A retraining with controls.
    """
    if retraining.outcomes is None:
        raise ValueError("a retraining without controls has no picture")
    pooled = pooled_accuracy(retraining.outcomes)
    attacks = [name for name in dict.fromkeys(pooled["attack"]) if name != CLEAN]
    with mpl.rc_context(STYLE):
        figure = picture(3.6 * len(attacks) + 0.6, 3.6)
        panels = figure.subplots(1, len(attacks), sharey=True, squeeze=False)[0]
        for axes, attack in zip(panels, attacks, strict=True):
            draw_attack(axes, pooled, attack)
        panels[0].set_ylabel("accuracy, mean and 95% interval")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
        about = retraining.manifest["study"]
        seeds = len(retraining.manifest["controls"]["seeds"])
        figure.suptitle(
            f"{about['network']} on {about['data']}, {retraining.manifest['controls']['samples']} "
            f"samples, {seeds} seed(s)",
            fontsize=9,
        )
        return freeze_layout(figure)


def draw_attack(axes: Axes, pooled: pd.DataFrame, attack: str) -> None:
    """Draw the arms under one attack, from clean samples to the largest epsilon.

    Args:
        axes: Axes to draw on.
        pooled: The result of ``pooled_accuracy``.
        attack: Which attack.
    """
    arms = list(dict.fromkeys(pooled["arm"]))
    widest = max(pooled["epsilon"].tolist())
    for index, arm in enumerate(arms):
        look = ARMS.get(arm, _OTHER)
        rows = pooled.loc[
            (pooled["arm"] == arm) & pooled["attack"].isin((CLEAN, attack))
        ].sort_values("epsilon")
        # Side by side, so that intervals do not hide each other.
        x = rows["epsilon"] + (index - len(arms) / 2) * 0.006 * widest
        below, above = rows["accuracy"] - rows["low"], rows["high"] - rows["accuracy"]
        axes.errorbar(
            x,
            rows["accuracy"],
            yerr=[below.clip(lower=0), above.clip(lower=0)],
            color=look.colour.light,
            marker=look.marker,
            markersize=4,
            ls=look.linestyle,
            lw=1.3,
            elinewidth=0.7,
            label=arm,
        )
    axes.set_title(attack.upper(), fontsize=9)
    axes.set_xlabel("ε, input units")
    axes.set_ylim(-0.02, 1.02)
