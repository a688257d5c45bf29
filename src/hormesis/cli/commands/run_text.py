"""Prints a training run."""

import sys
from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from hormesis.report.text.console import console as terminal
from hormesis.report.text.console import printable
from hormesis.results.training_run import TrainingRun

COLUMNS = {
    "epoch": "{:.0f}",
    "train_loss": "{:.4f}",
    "train_accuracy": "{:.1%}",
    "validation_accuracy": "{:.1%}",
    "adversarial_accuracy": "{:.1%}",
    "seconds": "{:.0f}",
}


def print_run(run: TrainingRun) -> None:
    """Print the epochs of a training, and the next command.

    Args:
        run: The run, with at least one epoch.
    """
    console = terminal(soft_wrap=True)
    network, data = run.metadata.question.network, run.metadata.question.data
    metrics, last = run.metrics, run.metadata.last_session
    console.print()
    console.print(
        Text(
            f"{network.name} on {data.name}: {data.samples} training and "
            f"{last.validated_on} validation samples"
        )
    )
    normalization = run.manifest["question"]["network"].get("normalization")
    if normalization:
        mean, std = (
            " ".join(f"{value:g}" for value in normalization[name]) for name in ("mean", "std")
        )
        console.print(
            Text(f"in front of the network: (input − mean) / std, mean {mean}, std {std}")
        )
    for note in last.notes or ():
        console.print(Text(note))
    console.print()
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = [name for name in COLUMNS if name in metrics.columns]
    for name in columns:
        table.add_column(name.replace("_", " "), justify="right")
    for row in metrics.to_dict("records"):
        table.add_row(*(COLUMNS[name].format(row[name]) for name in columns))
    console.print(table)
    epochs = ",".join(map(str, [epoch for epoch in run.checkpoints if epoch][-5:]))
    allowed = " --allow-code" if run.code() else ""
    console.print()
    console.print(Text(f"run:     {run.folder}"))
    console.print(Text(f"next:    hormesis analyze --run {run.folder} --epochs {epochs}{allowed}"))


def print_repairs(repaired: Iterable[str], lost: Iterable[str]) -> int:
    """Print the damage of a run on standard error, and return 1 if some of it remains.

    Args:
        repaired: Repaired damage, a sentence each.
        lost: Remaining damage, a sentence each.
    """
    remaining = list(lost)
    for sentence in (*repaired, *remaining):
        print(f"hormesis: {printable(sentence)}", file=sys.stderr)
    return 1 if remaining else 0
