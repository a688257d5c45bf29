"""Elapsed time on all cores, plain loop and engine in turn: ``python -m benchmarks.cores``.

The plain loop uses PyTorch's own threads, the engine a worker a core, each on a block of its own.
Both suffer from other work on the machine, the plain loop more: run it on an idle one.
"""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from benchmarks.sweep import CASES, Case, _case, _chosen, _engine, _plain, about_machine
from hormesis.engine.plan import Removal

RESULTS = Path(__file__).with_name("CORES.md")
SAMPLES, PAIRS = 100, 3
HEADER = """\
# Elapsed time on all cores

`python -m benchmarks.cores`

{machine}

Elapsed time for one removal on one sample, clean and adversarial, in blocks of {samples} samples,
the plain loop with PyTorch's own threads, the engine with a worker a core. Median of {pairs} pairs.

| network | size | plain | engine | ratio |
| --- | ---: | ---: | ---: | ---: |
"""


def main() -> None:
    """Measure, print and write the table."""
    text = HEADER.format(machine=about_machine(), samples=SAMPLES, pairs=PAIRS)
    print(text, end="")  # noqa: T201
    for name, size, *_ in CASES:
        case = _case(name, size, SAMPLES)
        every = _chosen(case.removals, 1, 0)
        pairs = [_pair(case, every[:: max(1, len(every) // 12)]) for _ in range(PAIRS)]
        plain, engine = (statistics.median(column) for column in zip(*pairs, strict=True))
        row = f"| {name} | {size}x{size} | {plain:.0f} µs | {engine:.0f} µs "
        row += f"| **{statistics.median(one / other for one, other in pairs):.1f}** |"
        print(row, flush=True)  # noqa: T201
        text += row + "\n"
        RESULTS.write_text(text)


def _pair(case: Case, chosen: Sequence[Removal]) -> tuple[float, float]:
    """Return the microseconds of both, without the attack and the unfiltered pass."""
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)
    plain = _seconds(lambda removals: _plain(case, removals), chosen)
    torch.set_num_threads(1)
    with ThreadPoolExecutor(cores) as pool:
        engine = _seconds(
            lambda removals: list(pool.map(_engine, [case] * cores, [removals] * cores)), chosen
        )
    each = 1e6 / len(chosen) / SAMPLES
    return plain * each, engine * each / cores


def _seconds(run: Callable[[Sequence[Removal]], object], chosen: Sequence[Removal]) -> float:
    ends = []
    for removals in (chosen, ()):
        started = time.perf_counter()
        run(removals)
        ends.append(time.perf_counter() - started)
    return ends[0] - ends[1]


if __name__ == "__main__":
    main()
