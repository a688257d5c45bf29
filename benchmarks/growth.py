"""How the engine's cost grows, as a picture: ``python -m benchmarks.growth``."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from matplotlib.figure import Figure

from benchmarks.sweep import Case, _case, _engine, _timed
from hormesis.engine.outcomes import Block
from hormesis.engine.plan import Removal

PICTURE = Path(__file__).with_name("growth.png")
NETWORK, SIZE, SAMPLES = "resnet18", 32, 64
COLOUR = "#0072b2"


def main() -> None:
    """Measure, print the figures and draw them."""
    torch.set_num_threads(1)
    case = _case(NETWORK, SIZE, 2 * SAMPLES)
    _timed(_engine, case, case.removals[:1])
    half = _of(case, SAMPLES)
    groups: dict[str, list[Removal]] = {}
    for removal in case.removals:
        groups.setdefault(removal.target.name, []).append(removal)
    first = [group[0] for group in groups.values()]
    counts = [len(first) * part // 4 for part in (1, 2, 3, 4)]
    panels = {
        "samples": [(n, _seconds(_of(case, n), first[::2])) for n in (16, 32, 64, 96, 128)],
        "targets, from the last": [(n, _seconds(half, first[-n:])) for n in counts],
        "thresholds": [
            (n, _seconds(half, [r for group in groups.values() for r in group[:n]]))
            for n in (1, 2, 3, 4)
        ],
        "depth of the target": [  # how long the prefix takes is left out
            (place, 1e3 * (_seconds(half, group[:10]) - _seconds(half, group[:2])) / 8)
            for place, group in enumerate(groups.values(), start=1)
        ],
    }
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    for axes, (what, points) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        print(f"{what}: " + ", ".join(f"{x} {y:.3g}" for x, y in points))  # noqa: T201
        axes.plot(*zip(*points, strict=True), color=COLOUR, marker="o", markersize=3)
        axes.set(xlabel=what, ylim=(0, None))
        axes.set_ylabel("ms a removal" if what.startswith("depth") else "s of CPU")
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{NETWORK}, {SIZE}x{SIZE}, {SAMPLES} samples unless they vary", fontsize=9)
    figure.savefig(PICTURE, dpi=120)


def _of(case: Case, samples: int) -> Case:
    block = Block(case.block.inputs[:samples], case.block.labels[:samples])
    return replace(case, block=block)


def _seconds(case: Case, removals: Sequence[Removal]) -> float:
    """Return the seconds of CPU time, without the attack and the unfiltered pass; best of two."""
    fixed = min(_timed(_engine, case, ())[0] for _ in range(3))
    return max(min(_timed(_engine, case, removals)[0] for _ in range(2)) - fixed, 0.0)


if __name__ == "__main__":
    main()
