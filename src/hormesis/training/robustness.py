"""How a network does under attacks of growing strength, each sample attacked only while it stands.

A perturbation within a ball lies within every larger ball, so a sample that falls at one epsilon
has fallen at all larger ones. And what a weaker attack has felled, a stronger one need not try.
"""

from collections.abc import Callable, Iterator

import pandas as pd
import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from hormesis.data.samples import Samples
from hormesis.models.eval_mode import evaluating
from hormesis.models.networks import logits_of
from hormesis.settings.attacks import FGSM, PGD, Attack
from hormesis.stress.attacks import perturb
from hormesis.stress.metrics import accuracy_of
from hormesis.training.autoattack import stands_autoattack
from hormesis.training.controls_config import EvaluationConfig

Report = Callable[[int, int], None]
_BATCH = 100


def evaluated(
    network: nn.Module,
    samples: Samples,
    trial: EvaluationConfig,
    report: Report = lambda done, total: None,
) -> pd.DataFrame:
    """Return which samples a network gets right, clean and under each attack.

    FGSM is measured at each epsilon on its own, as the paper does. ``pgd`` counts a sample as
    fallen that FGSM or any restart of PGD felled at this epsilon or at a smaller one;
    ``autoattack`` what it or PGD felled. So accuracies fall from attack to attack and, but for
    FGSM's, from epsilon to epsilon.

    Args:
        network: The network, on any device; it is measured in evaluation mode.
        samples: Inputs and labels.
        trial: How hard.
        report: Called with magnitudes done and in all.

    Returns:
        Columns ``attack``, ``epsilon``, ``sample``, ``right``; 0 is the epsilon of ``clean``.

    Example:
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False))
        >>> _ = network[1].weight.data.copy_(torch.tensor([[-1.0], [0.0]]))
        >>> inputs, labels = torch.tensor([[0.2], [-0.4]]), torch.tensor([1, 0])
        >>> samples = Samples(inputs, labels, (-1.0, 1.0), 2, "two points")
        >>> config = EvaluationConfig(epsilons=(0.1, 0.3), steps=2, restarts=1)
        >>> table = evaluated(network, samples, config)
        >>> table.groupby(["attack", "epsilon"], sort=False)["right"].mean().tolist()
        [1.0, 1.0, 0.5, 1.0, 0.5]
    """
    device = next((each.device for each in network.parameters()), torch.device("cpu"))
    inputs, labels = samples.inputs.to(device), samples.labels.to(device)
    right = _right(network, inputs, labels)
    found = [("clean", 0.0, right)]
    standing = dict.fromkeys(trial.attacks[1:], right)
    for done, epsilon in enumerate(map(float, trial.epsilons)):
        alone = right & _stands(network, samples, right, FGSM(epsilon), trial.seed)
        found.append(("fgsm", epsilon, alone))
        left = standing["pgd"] & alone
        for restart in range(trial.restarts):
            attack = PGD(epsilon, steps=trial.steps, step_size=trial.step_size)
            seed = trial.seed + restart
            left = left & _stands(network, samples, left, attack, seed)
        standing["pgd"] = left
        found.append(("pgd", epsilon, left))
        if trial.autoattack:
            left = standing["autoattack"] & left
            left = left & stands_autoattack(network, samples, left, epsilon, trial.seed)
            standing["autoattack"] = left
            found.append(("autoattack", epsilon, left))
        report(done + 1, len(trial.epsilons))
    found.sort(key=lambda entry: ("clean", *trial.attacks).index(entry[0]))
    return pd.concat([_rows(*entry) for entry in found], ignore_index=True)


def _rows(attack: str, epsilon: float, right: Tensor) -> pd.DataFrame:
    outcome = right.cpu().numpy()
    sample = range(len(outcome))
    return pd.DataFrame({"attack": attack, "epsilon": epsilon, "sample": sample, "right": outcome})


def _stands(
    network: nn.Module,
    samples: Samples,
    tried: Bool[Tensor, " samples"],
    attack: Attack,
    seed: int,
) -> Bool[Tensor, " samples"]:
    """Return which of the samples that are tried are still right under an attack."""
    stands = tried.clone()
    for rows in _batches(tried):
        inputs = samples.inputs[rows.cpu()].to(tried.device)
        labels = samples.labels[rows.cpu()].to(tried.device)
        moved = perturb(
            network, inputs, labels, attack, bounds=samples.bounds, seed=seed, first=rows.cpu()
        )
        stands[rows] = _right(network, moved, labels)
    return stands


def _batches(tried: Bool[Tensor, " samples"]) -> Iterator[Int[Tensor, " batch"]]:
    rows = tried.nonzero().flatten()
    yield from rows.split(_BATCH) if len(rows) else ()


@torch.no_grad()
def _right(network: nn.Module, inputs: Tensor, labels: Tensor) -> Bool[Tensor, " samples"]:
    with evaluating(network):
        found = [
            accuracy_of(logits_of(network(few)), truth)
            for few, truth in zip(inputs.split(_BATCH), labels.split(_BATCH), strict=True)
        ]
    return torch.cat(found)
