"""What an attack and more magnitudes of it cost: ``python -m benchmarks.stress``.

Whole analyses, planning and all, as a user runs them: without an attack, with FGSM, and with FGSM
at five magnitudes, in turn. A time is that of all threads of the process, so that other work on the
machine matters less; a ratio is the median over rounds.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

import hormesis as hm
from benchmarks.sweep import about_machine
from hormesis.models.networks import build_model

HERE = Path(__file__).parent
CASES = (("resnet18", 32, 256), ("squeezenet1_1", 32, 2048))  # network, side and number of images
EPSILONS = tuple(f"{levels}/255" for levels in (2, 4, 8, 12, 16))
HEADER = """\
# What an attack and more magnitudes of it cost

`python -m benchmarks.stress`

{machine}

CPU time of whole analyses (random images, {thresholds} thresholds, no confirmation): without an
attack, with FGSM at 8/255, and with FGSM at five magnitudes. Ratios to FGSM at one magnitude:
lowest and highest in brackets, rounds: {rounds}. Of few images, in shards of 32, most of
the time goes into planning and into filtered weights, which no further image needs.

| network | images | FGSM | without an attack | five magnitudes |
| --- | ---: | ---: | ---: | ---: |
"""


@dataclass(frozen=True)
class Options:
    """What is measured: thresholds, rounds, and the networks."""

    thresholds: int
    rounds: int
    only: list[str]


def measure(name: str, side: int, samples: int, options: Options) -> str:
    """Return a row of the table."""
    network = build_model(name, classes=10, channels=3, seed=0, stem="standard").eval()
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(samples, 3, side, side, generator=generator)
    with torch.no_grad():
        labels = network(inputs).argmax(dim=1)
    asked = {
        "sweep": hm.Sweep(thresholds=options.thresholds),
        "confirmation": hm.Confirmation("never"),
        "execution": hm.Execution(progress=False, num_workers=1),
    }
    data = inputs, labels

    def alone(attack: hm.FGSM | None) -> None:
        with TemporaryDirectory() as folder:
            hm.analyze(network, data, attack=attack, out=f"{folder}/study", **asked)

    def several() -> None:
        with TemporaryDirectory() as folder:
            hm.analyze_epsilons(network, data, EPSILONS, out=f"{folder}/studies", **asked)

    rounds = [
        [timed(lambda: alone(hm.FGSM("8/255"))), timed(lambda: alone(None)), timed(several)]
        for _ in range(options.rounds)
    ]
    one = statistics.median(times[0] for times in rounds)
    ratios = (spread([times[kind] / times[0] for times in rounds]) for kind in (1, 2))
    return f"| {name} {side}² | {samples} | {one:.1f} s | {' | '.join(ratios)} |"


def timed(run: Callable[[], None]) -> float:
    """Return the CPU seconds that a call takes."""
    began = time.process_time()
    run()
    return time.process_time() - began


def spread(ratios: list[float]) -> str:
    """Return the median of ratios, with the lowest and the highest."""
    return f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f})"


def main() -> None:
    """Measure, and write the table beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--thresholds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=[name for name, *_ in CASES])
    options = Options(**vars(parser.parse_args()))
    rows = [measure(*case, options) for case in CASES if case[0] in options.only]
    settings = {"thresholds": options.thresholds}
    text = HEADER.format(machine=about_machine(), rounds=options.rounds, **settings)
    (HERE / "STRESS.md").write_text(text + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
