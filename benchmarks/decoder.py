"""A decoder of GPT-2's size within a promise of memory: ``python -m benchmarks.decoder``.

The weights of every matrix in every block, three filters and nine thresholds, on sequences of 128
tokens, measured clean by the next tokens' negative log-likelihood. The study runs in a process of
its own, whose peak of memory is read at the end. A cell of the plain loop costs the same whatever
it filters, so that a few are timed, in the same way and beside it.
"""

import argparse
import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

import hormesis as hm
from benchmarks.sweep import about_machine
from hormesis.settings.execution import in_bytes

HERE = Path(__file__).parent
TOKENS = 128
PLAIN_CELLS = 1  # before the study, and after it
PLAIN_BATCH = 8  # sequences, whose logits take 200 MiB
HEADER = """\
# A decoder of GPT-2's size within a promise of memory

`python -m benchmarks.decoder{options}`

{machine}

GPT-2's shape (124 million parameters, 12 blocks, random weights), {sequences} sequences of {tokens}
tokens, `next_token_nll` without an attack, three filters, {thresholds} thresholds each, workers:
{workers}. CPU time of all threads. Plain loop: {cells} forward passes over the same sequences,
{batch} at a time, before and after the study, times the number of cells. Peak: all that the process
held, PyTorch, network and data included.

A study pays for planning, for an audit by the plain loop, and for looks at how far rounding goes:
six removals of each matrix on four sequences of each shard, by the network itself. With few
thresholds that is much; with 27 removals a matrix a small share. What the engine saves of a cell is
what lies before the filtered matrix: of the first one nothing, of the last one nearly all but the
head, whose 39 million parameters every cell needs.

"""
COLUMNS = """\
| matrices | cells | promised | peak | CPU time | elapsed | of which planning | plain loop | ratio |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


@dataclass(frozen=True)
class Options:
    """What is measured.

    Args:
        sequences: How many.
        thresholds: Of each filter.
        every: Every nth of the 48 matrices is filtered.
        memory: What is promised.
        workers: Blocks measured at a time.
    """

    sequences: int = 64
    thresholds: int = 9
    every: int = 1
    memory: str = "8GiB"
    workers: int = 2


def decoder() -> GPT2LMHeadModel:
    """Return a decoder of GPT-2's shape with random weights."""
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config()).eval()


def sequences(count: int) -> Tensor:
    """Return random token ids ``[count, TOKENS]``."""
    return torch.randint(50257, (count, TOKENS), generator=torch.Generator().manual_seed(0))


def matrices(every: int) -> tuple[str, ...]:
    """Return the names of the matrices of all blocks, every nth of them."""
    names = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    found = [f"transformer.h.{block}.{name}.weight" for block in range(12) for name in names]
    return tuple(found[::every])


def study(options: Options) -> dict[str, Any]:
    """Make the study; return its costs."""
    torch.set_num_threads(1)
    ids = sequences(options.sequences)
    began, cpu = time.monotonic(), time.process_time()
    found = hm.analyze(
        decoder(),
        ({"input_ids": ids}, ids),
        attack=None,
        metric="next_token_nll",
        targets=hm.Targets(include=matrices(options.every)),
        sweep=hm.Sweep(thresholds=options.thresholds),
        execution=hm.Execution(memory=options.memory, num_workers=options.workers, progress=False),
    )
    scores = found.scores
    return {
        "cells": len(found.responses),
        "matrices": scores["target"].nunique(),
        "cpu": time.process_time() - cpu,
        "elapsed": time.monotonic() - began,
        "measuring": found.manifest["run"]["seconds"],
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


@torch.inference_mode()
def plain_cell(options: Options) -> float:
    """Return the CPU seconds of one cell of a plain loop: a forward pass and its metric."""
    torch.set_num_threads(1)
    network, ids = decoder(), sequences(options.sequences)
    times = []
    for _ in range(PLAIN_CELLS):
        began = time.process_time()
        for part in ids.split(PLAIN_BATCH):
            hm.metrics.next_token_nll.measure(network(input_ids=part).logits, part)
        times.append(time.process_time() - began)
    return sum(times) / len(times)


def _apart(part: Callable[[Options], Any], options: Options) -> Any:  # noqa: ANN401
    """Return what a function returns in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(part, (options,))


def main() -> None:
    """Measure, and write the table beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in asdict(Options()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    given = parser.parse_args()
    options = Options(**vars(given))
    before, costs, after = (_apart(part, options) for part in (plain_cell, study, plain_cell))
    plain = (before + after) / 2
    changed = {k: v for k, v in vars(given).items() if v != parser.get_default(k)}
    text = HEADER.format(
        options="".join(f" --{name} {value}" for name, value in changed.items()),
        machine=about_machine(),
        cells=2 * PLAIN_CELLS,
        batch=PLAIN_BATCH,
        tokens=TOKENS,
        **{k: v for k, v in vars(given).items() if k in ("sequences", "thresholds", "workers")},
    )
    cells = costs["cells"]
    row = (
        f"| {costs['matrices']} | {cells} | {in_bytes(options.memory) / 2**30:.1f} GiB "
        f"| {costs['peak'] / 2**30:.2f} GiB | {costs['cpu'] / 60:.1f} min "
        f"| {costs['elapsed'] / 60:.1f} min "
        f"| {(costs['elapsed'] - costs['measuring']) / 60:.1f} min "
        f"| {plain * cells / 60:.1f} min | **{plain * cells / costs['cpu']:.2f}** |"
    )
    (HERE / "DECODER.md").write_text(text + COLUMNS + row + "\n")
    print(json.dumps(costs | {"plain": plain}), row, sep="\n")  # noqa: T201


if __name__ == "__main__":
    main()
