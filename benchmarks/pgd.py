"""How strong PGD is at few steps, by the size of a step; `python -m benchmarks.pgd`.

The network is the one of `make demo`, on scikit-learn's digits. It takes a minute of one core.
"""

import argparse

import torch

import hormesis as hm
from hormesis.data.samples import take
from hormesis.models.networks import build_model
from hormesis.models.normalization import normalized
from hormesis.settings.attacks import FGSM, PGD, Attack
from hormesis.stress.attacks import perturb
from hormesis.training.digits import load_or_train_on_digits

EPSILON = 0.03
STEPS = (5, 10, 40)


def main() -> None:
    """Print accuracy under FGSM and under PGD, as a table of Markdown."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=180)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    samples = take(hm.load_data("digits"), torch.arange(given.samples))
    network = build_model("resnet18", classes=10, channels=1, size=(32, 32), seed=0)
    whole = normalized(network, samples.mean, samples.std)
    load_or_train_on_digits(whole, "resnet18", seed=0)

    def accuracy(attack: Attack) -> str:
        moved = perturb(whole, samples.inputs, samples.labels, attack, bounds=(0.0, 1.0), seed=0)
        with torch.no_grad():
            right = whole.eval()(moved).argmax(dim=1) == samples.labels
        return f"{100 * float(right.float().mean()):.1f} %"

    lines = [f"{given.samples} samples, ε = {EPSILON}; FGSM: {accuracy(FGSM(EPSILON))}", ""]
    lines += ["| steps of PGD | each of 2.5 ε / steps (default) | each of ε / 30 |"]
    lines += ["| ---: | ---: | ---: |"]
    for steps in given.steps:
        found = [accuracy(PGD(EPSILON, steps=steps, step_size=size)) for size in (None, 1 / 30)]
        lines.append(f"| {steps} | {' | '.join(found)} |")
    print("\n".join(lines))  # noqa: T201


if __name__ == "__main__":
    main()
