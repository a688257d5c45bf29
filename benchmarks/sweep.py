"""Plain loop and engine in turn on the same work: ``python -m benchmarks.sweep``.

Both measure the same removals on the same samples, one after the other, several times. CPU time is
that of one thread, so that other work on the machine matters less; a ratio is the median over
the pairs. The attack is made by both in the same way; its time, and that of the unfiltered network,
are measured apart and taken off both sides, as a sweep of 75 cells a target hardly feels them.
With ``--device cuda`` both run on a GPU, by the clock, and the table goes to GPU.md.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import transformers
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from hormesis.data.trees import select_rows
from hormesis.engine import plain, suffix
from hormesis.engine.executor import run_program
from hormesis.engine.graph import Program
from hormesis.engine.memory import allocations, most_samples
from hormesis.engine.outcomes import Block, MeasurementSpec, Outcomes
from hormesis.engine.plan import Removal, make_plan
from hormesis.models.adapter import adapt
from hormesis.models.devices import strict_arithmetic
from hormesis.models.networks import build_model
from hormesis.settings.attacks import FGSM, NoAttack
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.stress.metrics import accuracy, perplexity
from hormesis.stress.targets import find_targets

CASES = (  # network, side of the images, samples in a block, removals of each target in a pair
    ("resnet18", 32, 250, 2),
    ("squeezenet1_1", 32, 250, 4),
    ("squeezenet1_1", 64, 250, 1),
    ("shufflenet_v2_x1_0", 32, 250, 1),
    ("resnet50", 32, 100, 1),
    ("timm:vit_tiny_patch16_224", 32, 100, 1),
    ("convnext_tiny", 32, 100, 1),
)
# Network, tokens of a text, texts in a block, removals of each target, every nth target.
LANGUAGE = (
    ("bert-base", 16, 32, 25, 18),
    ("gpt2-small", 16, 64, 25, 6),
)
VOCABULARY = 1000
CPU = torch.device("cpu")
HERE = Path(__file__).parent
HEADER = """\
# Plain loop and engine on the same work

`python -m benchmarks.sweep{options}`

{machine}

{time} for one removal on one sample, clean and adversarial. Ratio: median over
{pairs} interleaved pairs, lowest and highest in brackets. Planning: export, masks and thresholds.
Share of peak: floating-point operations a second of the engine's unfiltered pass, of those of a
large matrix product on the same machine ({peak:.0f} GFLOP/s). Memory: of the tensors that the
engine makes for a block, attack included, besides network and data. Differences: outcomes that are
not those of the plain loop. Texts are measured clean, images clean and adversarial.{elapsed}

| network | size | batch | plain | engine | ratio | planning | share of peak | memory | \
differences |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


@dataclass(frozen=True)
class Case:
    """A network ready to be measured both ways."""

    network: nn.Module
    program: Program
    removals: Sequence[Removal]
    block: Block
    question: MeasurementSpec
    planning: float


def main() -> None:
    """Run the cases asked for, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, help="samples in a block")
    parser.add_argument("--pairs", type=int, default=5, help="interleaved pairs")
    parser.add_argument("--cells", type=int, help="removals of each target in a pair")
    parser.add_argument("--device", default="cpu", help="where both run, such as cuda")
    parser.add_argument("--only", default="", help="part of a network's name")
    asked = parser.parse_args()
    device = torch.device(asked.device)
    torch.set_num_threads(1)
    with strict_arithmetic():
        _table(asked, device, parser)


def _table(
    asked: argparse.Namespace, device: torch.device, parser: argparse.ArgumentParser
) -> None:
    peak = _peak(device)
    options = "".join(f" --{k} {v}" for k, v in vars(asked).items() if v != parser.get_default(k))
    text = HEADER.format(
        options=options,
        machine=about_machine(device),
        time="CPU time of one thread" if device.type == "cpu" else "Elapsed time",
        elapsed=" [CORES.md](CORES.md) has elapsed times." if device.type == "cpu" else "",
        pairs=asked.pairs,
        peak=peak,
    )
    print(text, end="")  # noqa: T201
    for name, size, samples, cells in CASES:
        if asked.only in f"{name}-{size}":
            case = _case(name, size, asked.samples or samples, device)
            row = _row(case, asked.cells or cells, asked.pairs, peak)
            row = f"| {name} | {size}x{size} | {len(case.block)} " + row
            print(row, flush=True)  # noqa: T201
            text += row + "\n"
            _page(device).write_text(text)
    for name, length, samples, cells, every in LANGUAGE:
        if asked.only in f"{name}-{length}":
            case = _language_case(name, length, asked.samples or samples, device, every)
            row = _row(case, asked.cells or cells, asked.pairs, peak)
            row = f"| {name} | {length} tokens | {len(case.block)} " + row
            print(row, flush=True)  # noqa: T201
            text += row + "\n"
            _page(device).write_text(text)


def _page(device: torch.device) -> Path:
    return HERE / ("RESULTS.md" if device.type == "cpu" else "GPU.md")


def _row(case: Case, cells: int, pairs: int, peak: float) -> str:
    samples = len(case.block)
    _timed(_engine, case, ())  # the first run warms up
    fixed = [_timed(run, case, ())[0] for run in (_plain, _engine)]
    plains, engines, different = [], [], 0
    for pair in range(pairs):
        chosen = _chosen(case.removals, cells, pair)
        slow, expected = _timed(_plain, case, chosen)
        fast, found = _timed(_engine, case, chosen)
        plains.append((slow - fixed[0]) / len(chosen) / samples * 1e6)
        engines.append((fast - fixed[1]) / len(chosen) / samples * 1e6)
        different += _differences(expected, found)
    share = _speed(case) / peak
    ratios = [one / other for one, other in zip(plains, engines, strict=True)]
    held = allocations(lambda: _engine(case, _chosen(case.removals, 1, 0)))
    memory = float(np.cumsum(held).max()) / 2**20
    parts = 2 if case.question.stressed else 1
    rows = parts * samples * pairs * len(_chosen(case.removals, cells, 0))
    return (
        f"| {statistics.median(plains):.0f} µs "
        f"| {statistics.median(engines):.0f} µs | **{statistics.median(ratios):.1f}** "
        f"({min(ratios):.1f} to {max(ratios):.1f}) "
        f"| {case.planning:.1f} s | {share:.0%} | {memory:.0f} MiB | {different} in {rows} |"
    )


def _case(name: str, size: int, samples: int, device: torch.device = CPU) -> Case:
    generator = torch.Generator().manual_seed(0)
    network = build_model(name, classes=10, channels=3, size=(size, size), seed=0).eval()
    for module in network.modules():
        _like_trained(module, generator)
    network = network.to(device)
    inputs = torch.rand(samples, 3, size, size, generator=generator).to(device)
    with torch.inference_mode():
        labels = network(inputs).argmax(dim=1)
    question = MeasurementSpec(accuracy, FGSM(0.02), adaptive=False, bounds=(0.0, 1.0), seed=0)
    return _planned(network, Block(inputs, labels), question)


def _language_case(name: str, length: int, samples: int, device: torch.device, every: int) -> Case:
    """Return an encoder that classifies, or a decoder that predicts, on clean texts.

    Of the targets every nth is measured, from one half of n on, so that they lie on average in the
    middle of the network.
    """
    torch.manual_seed(0)
    if name == "bert-base":
        sizes = transformers.BertConfig(vocab_size=VOCABULARY, num_labels=4)
        network: nn.Module = transformers.BertForSequenceClassification(sizes)
    else:
        sizes = transformers.GPT2Config(
            vocab_size=VOCABULARY, n_embd=384, n_layer=6, n_head=6, bos_token_id=0, eos_token_id=0
        )
        network = transformers.GPT2LMHeadModel(sizes)
    ids = torch.randint(0, VOCABULARY, (samples, length)).to(device)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    network = adapt(network.eval().to(device), inputs)
    with torch.inference_mode():
        labels = network(inputs).argmax(dim=1) if name == "bert-base" else ids
    metric = accuracy if name == "bert-base" else perplexity
    question = MeasurementSpec(metric, NoAttack(), adaptive=False, bounds=(0.0, 1.0), seed=0)
    case = _planned(network, Block(inputs, labels), question)
    names = list(dict.fromkeys(removal.target.name for removal in case.removals))
    chosen = set(names[every // 2 :: every])
    return replace(case, removals=[one for one in case.removals if one.target.name in chosen])


def _planned(network: nn.Module, block: Block, question: MeasurementSpec) -> Case:
    started, two = _clock(block.device), select_rows(block.inputs, slice(0, 2))
    program = suffix.compile_network(network, two)
    plan = make_plan(network, find_targets(network, two, Targets()), Sweep())
    planning = _clock(block.device) - started
    return Case(network, program, plan.removals, block, question, planning)


@torch.no_grad()
def _like_trained(module: nn.Module, generator: torch.Generator) -> None:
    """Give statistics and biases values other than those they start with."""

    def drawn(tensor: Tensor, middle: float, spread: float) -> None:
        tensor.copy_(middle + spread * (2 * torch.rand(tensor.shape, generator=generator) - 1))

    if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
        for tensor, middle in ((module.weight, 1), (module.bias, 0), (module.running_mean, 0)):
            drawn(tensor, middle, 0.3)
        if module.running_var is not None:
            drawn(module.running_var, 1, 0.5)
    elif isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        drawn(module.bias, 0, 0.05)


def _chosen(removals: Sequence[Removal], cells: int, pair: int) -> list[Removal]:
    """Return some removals of every target, others in each pair."""
    groups: dict[str, list[Removal]] = {}
    for removal in removals:
        groups.setdefault(removal.target.name, []).append(removal)
    return [
        group[(pair + place * len(group) // cells) % len(group)]
        for group in groups.values()
        for place in range(cells)
    ]


def _plain(case: Case, removals: Sequence[Removal]) -> Outcomes:
    return plain.measure(case.network, removals, case.block, case.question)


def _engine(case: Case, removals: Sequence[Removal]) -> Outcomes:
    """Measure in blocks of the size that a study has."""
    most, block = most_samples(case.block.inputs), case.block
    parts = [block.part(first, first + most) for first in range(0, len(block), most)]
    found = [
        suffix.measure(case.program, case.network, removals, part, case.question) for part in parts
    ]
    return Outcomes.concatenate(found)


def _timed(
    run: Callable[[Case, Sequence[Removal]], Outcomes], case: Case, removals: Sequence[Removal]
) -> tuple[float, Outcomes]:
    device = case.block.device
    started = _clock(device)
    outcomes = run(case, removals)
    return _clock(device) - started, outcomes


def _clock(device: torch.device) -> float:
    """Return seconds of this thread; on a GPU those that pass, its work done."""
    if device.type == "cpu":
        return time.thread_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def _differences(expected: Outcomes, found: Outcomes) -> int:
    """Return how many outcomes differ, of numbers other than 0 and 1 by more than 0.1 %."""
    names = ("clean", "adversarial", "changed")
    pairs = [(getattr(expected, name).float(), getattr(found, name).float()) for name in names]
    return sum(int((~one.isclose(other, 1e-3, 1e-6)).sum()) for one, other in pairs)


@torch.inference_mode()
def _speed(case: Case) -> float:
    """Return how fast the engine's program runs unfiltered, in GFLOP/s."""
    with FlopCounterMode(display=False) as counter:
        run_program(case.program, case.block.inputs)
    device = case.block.device
    started = _clock(device)
    run_program(case.program, case.block.inputs)
    return counter.get_total_flops() / (_clock(device) - started) / 1e9


def _peak(device: torch.device) -> float:
    """Return the speed of a large matrix product, in GFLOP/s."""
    size = 1536 if device.type == "cpu" else 8192
    matrix = torch.randn(size, size, device=device)
    seconds = []
    for _ in range(7):
        started = _clock(device)
        torch.mm(matrix, matrix)
        seconds.append(_clock(device) - started)
    return 2 * size**3 / min(seconds) / 1e9


def about_machine(device: torch.device = CPU) -> str:
    """Return the processor or GPU and the versions, as the tables of figures name them."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}; PyTorch {torch.__version__}."
    cores = len(os.sched_getaffinity(0))
    return (
        f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {cores} hardware "
        f"threads; Python {platform.python_version()}, PyTorch {torch.__version__}."
    )


if __name__ == "__main__":
    main()
