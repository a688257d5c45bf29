"""A retraining in the terminal: the trained parameters, and the comparison of the arms."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from hormesis.analysis.classes import MASKED
from hormesis.analysis.effects import MASKING, pooled_accuracy
from hormesis.report.text.console import console as terminal
from hormesis.report.text.summary import report_step
from hormesis.report.views.palette import CLASS_LOOKS
from hormesis.report.views.retraining_text import answer, verdict_text
from hormesis.results.retraining import Retraining
from hormesis.settings.factory import is_code


def selection_lines(about: Mapping[str, Any], described: Mapping[str, Any]) -> list[str]:
    """Return the trained and frozen parameters, and the rules of their choice, in lines.

    Example:
        >>> about = {"study": {"network": "resnet18", "data": "mnist"},
        ...          "selection": {"by": "clean", "filter": "combined", "others": "follow",
        ...                        "undecided": "freeze", "batchnorm": "frozen",
        ...                        "scoring": {"reference": "base", "tolerance": 0.05}}}
        >>> described = {"trained_targets": {"robust": 3}, "frozen_targets": {"fragile": 18},
        ...              "trained_parameters": 1000, "frozen_parameters": 9000}
        >>> for line in selection_lines(about, described)[:4]:
        ...     print(line)
        resnet18 on mnist
        classes: by the clean score of the combined filter, base ±0.05
        trained: 1,000 parameters (10.0%): 3 robust
        frozen:  9,000 parameters (90.0%): 18 fragile
    """
    study, selection = about["study"], about["selection"]
    trained, frozen = described["trained_parameters"], described["frozen_parameters"]
    scoring = selection["scoring"]
    norms = {
        "frozen": "batch norms of frozen layers keep their running statistics",
        "follow": "running statistics of all batch norms follow the data",
    }
    others = {
        "follow": "biases and norms do as their layer",
        "freeze": "biases and norms are frozen",
        "train": "biases and norms are trained",
    }
    undecided = {
        "freeze": "weights without a certain class are frozen",
        "train": "weights without a certain class are trained",
        "estimate": "classes are those of the estimates",
    }
    return [
        f"{study['network']} on {study['data']}",
        f"classes: by the {selection['by']} score of the {selection['filter'].replace('_', ' ')} "
        f"filter, {scoring['reference']} ±{scoring['tolerance']:.3g}",
        f"trained: {_counts_text(trained, trained + frozen, described['trained_targets'])}",
        f"frozen:  {_counts_text(frozen, trained + frozen, described['frozen_targets'])}",
        f"{undecided[selection['undecided']]}; {others[selection['others']]};",
        norms[selection["batchnorm"]],
    ]


def _counts_text(parameters: int, total: int, targets: Mapping[str, int]) -> str:
    classes = ", ".join(f"{count} {name}" for name, count in targets.items()) or "no target"
    return f"{parameters:,} parameters ({parameters / total:.1%}): {classes}"


def print_retraining(retraining: Retraining, *, picture: Path | None = None) -> None:
    """Print a retraining, and the next command.

    Args:
        retraining: The retraining.
        picture: File of its picture, if any.
    """
    console = terminal()
    console.print()
    for line in answer(retraining):
        console.print(Text(line))
        console.print()
    for line in selection_lines(retraining.manifest, selective_arm(retraining)):
        console.print(Text(line))
    console.print()
    if retraining.outcomes is not None and retraining.effects is not None:
        for line in controls_lines(retraining):
            console.print(Text(line))
        console.print()
        console.print(comparison_table(retraining.outcomes, retraining.effects))
        console.print()
        for note in retraining.manifest["notes"]:
            console.print(Text(note))
        run = (
            retraining.folder / "selective" / f"seed-{retraining.manifest['controls']['seeds'][0]}"
        )
    else:
        frozen = retraining.manifest["frozen"]
        console.print(Text(f"frozen:  {frozen['values']:,} values, equal {frozen['equal']}"))
        run = retraining.folder
    about = retraining.manifest["study"]
    code = is_code("model", about["network"]) or is_code("data", about["data"])
    allowed = " --allow-code" if code else ""
    console.print(Text(f"run:     {retraining.folder}"), soft_wrap=True)
    if picture is not None:
        console.print(Text(f"picture: {picture}"), soft_wrap=True)
    console.print(Text(report_step(retraining.folder)), soft_wrap=True)
    console.print(Text(f"         hormesis analyze --run {run}{allowed}"), soft_wrap=True)


def selective_arm(retraining: Retraining) -> Mapping[str, Any]:
    """Return what the selective arm trains and what it freezes."""
    arms = retraining.manifest.get("arms")
    return arms["selective"][0] if arms else retraining.selection


def controls_lines(retraining: Retraining) -> list[str]:
    """Return the evaluation of the arms and the meaning of the intervals, in lines."""
    controls = retraining.manifest["controls"]
    trial, seeds = controls["trial"], len(controls["seeds"])
    size = f" of {trial['step_size']:.3g} ε" if "step_size" in trial else ""
    over = "seeds and samples" if seeds > 1 else "samples; one seed says nothing about others"
    return [
        f"{controls['samples']} samples, {seeds} seed(s), PGD of {trial['steps']} steps{size} from "
        f"{trial['restarts']} start(s)",
        f"difference: from the arm everything, paired; 95% interval over {over}",
    ]


def comparison_table(outcomes: pd.DataFrame, effects: pd.DataFrame) -> Table:
    """Return accuracy and difference of every arm, attack and epsilon; it fits 80 columns."""
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    for name in ("attack", "ε", "arm"):
        table.add_column(name, no_wrap=True)
    for name in ("accuracy", "difference"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    effect_rows = {
        (row["arm"], row["attack"], row["epsilon"]): row for row in effects.to_dict("records")
    }
    last = None
    for row in _by_attack(pooled_accuracy(outcomes)).to_dict("records"):
        group = row["attack"], row["epsilon"]
        heads = ("", "") if group == last else (row["attack"], f"{row['epsilon']:.3g}")
        effect = effect_rows.get((row["arm"], *group))
        effect_cells = ("", "") if effect is None else _effect(effect)
        style = None
        if effect is not None and effect["verdict"] == MASKING:
            style = CLASS_LOOKS[MASKED].terminal
        cells = (*heads, row["arm"], f"{row['accuracy']:.1%}", *effect_cells)
        table.add_row(*map(Text, cells), style=style)
        last = group
    return table


def _by_attack(pooled: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with all arms of one attack and epsilon beneath each other."""
    attacks = list(dict.fromkeys(pooled["attack"]))
    arms = list(dict.fromkeys(pooled["arm"]))
    order = pooled.assign(
        first=pooled["attack"].map(attacks.index), last=pooled["arm"].map(arms.index)
    )
    return order.sort_values(["first", "epsilon", "last"], kind="stable")


def _effect(row: Mapping[Any, Any]) -> tuple[str, str]:
    low, high = 100 * row["low"], 100 * row["high"]
    text = f"{100 * row['difference']:+.1f} [{low:+.1f}, {high:+.1f}]"
    return text, verdict_text(str(row["verdict"]))
