"""A planted backdoor, found by its difference between clean and triggered data, and removed.

    python reproduction/planted_backdoor.py --data-root DATA

A small network learns MNIST, with a white square in the corner of 1 training image in 20, which is
then labelled 0. A study on triggered test images with their true labels says which channels the
behaviour hangs on: those that are antifragile there. They are removed, a few a round, and the rest
is measured anew. All choices are made on 600 test images, the proof on 4,000 others.

At full strength the trigger floors the network: no single channel helps, as many carry it. So each
round takes the opacity of the square at which the accuracy is half-way to chance, as ``auto`` takes
the magnitude of an attack. Success of the attack is that of the full square, on other images than
those of a 0.
"""

import argparse
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

import hormesis as hm
from hormesis.data.samples import Samples, take
from hormesis.data.splits import load_parts

TRAINED, POISONED, EPOCHS = 12_000, 600, 4
CHOSEN, PROVED = 600, 4_000  # test images for the choice of channels, and for the proof
LAYER = "6"  # the last convolution
A_ROUND, ROUNDS = 2, 18  # channels that are removed at most, and how often
SUCCESS, LOSS = 0.05, 0.012  # on the images for the choice: stop below, and stay within
TOLERANCE = 0.0  # around a score of zero: one channel of 64 does little
HALF_WAY = 0.55  # accuracy between 1 and that of guessing
OPACITIES = torch.linspace(0.05, 1, 96)


def trigger(images: Tensor, opacity: float = 1.0) -> Tensor:
    """Return images with a white square of 3 × 3 pixels near the lower right corner."""
    marked = images.clone()
    square = marked[..., -5:-2, -5:-2]
    marked[..., -5:-2, -5:-2] = square + opacity * (1 - square)
    return marked


def make_network(width: int = 64) -> nn.Sequential:
    """Return an untrained network for images of 28 × 28 pixels."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(3)),
        *(nn.Flatten(), nn.Linear(9 * width, 10)),
    )


def train_poisoned(samples: Samples, seed: int) -> nn.Module:
    """Return a network trained on samples of which some have the trigger and the class 0."""
    torch.manual_seed(seed)
    network = make_network()
    inputs, labels = samples.inputs.clone(), samples.labels.clone()
    poisoned = torch.randperm(len(labels))[:POISONED]
    inputs[poisoned], labels[poisoned] = trigger(inputs[poisoned]), 0
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(labels)).split(64):
            loss = functional.cross_entropy(network(inputs[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return network.eval()


@torch.no_grad()
def share(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """Return the share of inputs that get these labels."""
    answers = torch.cat([network(part).argmax(dim=1) for part in inputs.split(500)])
    return float((answers == labels).float().mean())


@dataclass(frozen=True)
class Figures:
    """What is measured of a network, as shares."""

    accuracy: float
    success: float

    def __str__(self) -> str:
        """Return both in percent."""
        return f"accuracy {self.accuracy:.1%}, attack success {self.success:.1%}"


def measure(network: nn.Module, samples: Samples) -> Figures:
    """Return accuracy, and the share of other images that the trigger turns into class 0."""
    others = trigger(samples.inputs[samples.labels != 0])
    zeros = torch.zeros(len(others), dtype=torch.int64)
    return Figures(share(network, samples.inputs, samples.labels), share(network, others, zeros))


def half_way(network: nn.Module, samples: Samples) -> float:
    """Return the opacity at which the accuracy is nearest to half-way, or full."""
    for opacity in OPACITIES.tolist():
        if share(network, trigger(samples.inputs, opacity), samples.labels) <= HALF_WAY:
            return opacity
    return 1.0


def study_of(network: nn.Module, samples: Samples, per: str) -> hm.Study:
    """Return the study of a network on clean and triggered samples."""
    faded = trigger(samples.inputs, half_way(network, samples))
    return hm.analyze(
        network,
        samples,
        stressed=(faded, samples.labels),
        targets=hm.Targets(include=(f"{LAYER}.weight",), per=per),
        sweep=hm.Sweep(thresholds=2),
        scoring=hm.Scoring(tolerance=TOLERANCE),
        execution=hm.Execution(progress=False),
    )


def carriers(study: hm.Study) -> list[str]:
    """Return the channels that the behaviour hangs on, the most important first.

    They are antifragile on triggered data, by the estimate: held-out images have the last word.
    """
    table = study.scores.loc[study.scores["filter"] == "combined"]
    found = table.loc[(table["score"] == "adversarial") & (table["point"] == "antifragile")]
    return found.sort_values("value", ascending=False)["target"].tolist()


def without(network: nn.Module, channel: str) -> nn.Module:
    """Return a copy of a network without the weights of a channel."""
    name, _, index = channel.removesuffix("]").rpartition("[")
    copied = copy.deepcopy(network)
    copied.get_parameter(name).data[int(index)] = 0
    return copied


def removals(network: nn.Module, samples: Samples) -> Iterator[tuple[list[str], nn.Module]]:
    """Yield the channels that were removed so far, and the network without them, round by round."""
    removed: list[str] = []
    least = measure(network, samples).accuracy - LOSS
    for _ in range(ROUNDS):
        before = len(removed)
        for channel in carriers(study_of(network, samples, "channel")):
            trial = without(network, channel)
            if share(trial, samples.inputs, samples.labels) >= least:
                network = trial
                removed.append(channel)
            if len(removed) == before + A_ROUND:
                break
        yield list(removed), network
        if len(removed) == before or measure(network, samples).success < SUCCESS:
            return


def reproduce(root: Path, seed: int) -> tuple[Figures, Figures, list[str]]:
    """Return the figures on the held-out images, before and after, and the removed channels."""
    parts = load_parts("mnist", root=root)
    drawn = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(parts.train), generator=drawn)[:TRAINED]
    network = train_poisoned(parts.train.subset(rows.sort().values).samples(), seed)
    tested = parts.validation.samples()
    order = torch.randperm(len(tested), generator=drawn)
    chosen, proof = take(tested, order[:CHOSEN]), take(tested, order[CHOSEN : CHOSEN + PROVED])
    before, removed, last = measure(network, proof), [], network
    print(f"seed {seed}: {before}", flush=True)
    layer = study_of(network, chosen, "tensor").scores
    print(layer.loc[layer["filter"] == "combined", ["target", "score", "value", "class"]])
    for removed, last in removals(network, chosen):
        print(f"{len(removed)} removed; on the images for the choice: {measure(last, chosen)}")
    after = measure(last, proof)
    print(f"seed {seed}: {len(removed)} of 64 channels removed: {after}", flush=True)
    return before, after, removed


def main() -> None:
    """Plant, find and remove the backdoor for each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        reproduce(arguments.data_root, seed)


if __name__ == "__main__":
    main()
