"""Accuracy under attacks of growing strength; samples that were fooled once are not attacked again.

A perturbation within a ball lies within every larger ball, so a sample that is fooled at one
epsilon counts as fooled at all larger ones. A stronger attack skips samples that a
weaker one has fooled.
"""

from collections.abc import Callable, Iterator

import pandas as pd
import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from hormesis.data.samples import Samples
from hormesis.models.devices import strict_arithmetic
from hormesis.models.eval_mode import evaluation_mode
from hormesis.models.networks import logits_of
from hormesis.settings.attacks import FGSM, PGD, Attack
from hormesis.stress.attacks import perturb
from hormesis.stress.metrics import accuracy_of
from hormesis.training.autoattack import survives_autoattack
from hormesis.training.controls_config import EvaluationConfig

Report = Callable[[int, int], None]
_BATCH = 100


@strict_arithmetic()
def evaluate_robustness(
    network: nn.Module,
    samples: Samples,
    config: EvaluationConfig,
    report: Report = lambda done, total: None,
) -> pd.DataFrame:
    """Return which samples a network classifies correctly, clean and under each attack.

    FGSM is measured at each epsilon on its own, as in the paper. ``pgd`` counts a sample as fooled
    if FGSM or any restart of PGD fooled it at this epsilon or a smaller one; ``autoattack`` adds
    the samples that AutoAttack fooled. So accuracy never rises from one attack to the next or,
    except for FGSM, from one epsilon to the next.

    Args:
        network: The network, on any device; it is measured in evaluation mode.
        samples: Inputs and labels.
        config: Which attacks, and how strong.
        report: Called with magnitudes done and in all.

    Returns:
        Columns ``attack``, ``epsilon``, ``sample``, ``right``; 0 is the epsilon of ``clean``.

    Example:
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False))
        >>> _ = network[1].weight.data.copy_(torch.tensor([[-1.0], [0.0]]))
        >>> inputs, labels = torch.tensor([[0.2], [-0.4]]), torch.tensor([1, 0])
        >>> samples = Samples(inputs, labels, (-1.0, 1.0), 2, "two points")
        >>> config = EvaluationConfig(epsilons=(0.1, 0.3), steps=2, restarts=1)
        >>> table = evaluate_robustness(network, samples, config)
        >>> table.groupby(["attack", "epsilon"], sort=False)["right"].mean().tolist()
        [1.0, 1.0, 0.5, 1.0, 0.5]
    """
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    inputs, labels = samples.inputs.to(device), samples.labels.to(device)
    correct = _correct(network, inputs, labels)
    outcomes = [("clean", 0.0, correct)]
    standing = dict.fromkeys(config.attacks[1:], correct)
    for done, epsilon in enumerate(map(float, config.epsilons)):
        by_fgsm = correct & _survivors(network, samples, correct, FGSM(epsilon), config.seed)
        outcomes.append(("fgsm", epsilon, by_fgsm))
        survivors = standing["pgd"] & by_fgsm
        for restart in range(config.restarts):
            attack = PGD(epsilon, steps=config.steps, step_size=config.step_size)
            seed = config.seed + restart
            survivors = survivors & _survivors(network, samples, survivors, attack, seed)
        standing["pgd"] = survivors
        outcomes.append(("pgd", epsilon, survivors))
        if config.autoattack:
            survivors = standing["autoattack"] & survivors
            survivors = survivors & survives_autoattack(
                network, samples, survivors, epsilon, config.seed
            )
            standing["autoattack"] = survivors
            outcomes.append(("autoattack", epsilon, survivors))
        report(done + 1, len(config.epsilons))
    outcomes.sort(key=lambda entry: ("clean", *config.attacks).index(entry[0]))
    return pd.concat([_rows(*entry) for entry in outcomes], ignore_index=True)


def _rows(attack: str, epsilon: float, right: Tensor) -> pd.DataFrame:
    outcome = right.cpu().numpy()
    sample = range(len(outcome))
    return pd.DataFrame({"attack": attack, "epsilon": epsilon, "sample": sample, "right": outcome})


def _survivors(
    network: nn.Module,
    samples: Samples,
    candidates: Bool[Tensor, " samples"],
    attack: Attack,
    seed: int,
) -> Bool[Tensor, " samples"]:
    """Return which of the candidates are still classified correctly under an attack."""
    stands = candidates.clone()
    for rows in _batches(candidates):
        inputs = samples.inputs[rows.cpu()].to(candidates.device)
        labels = samples.labels[rows.cpu()].to(candidates.device)
        perturbed = perturb(
            network, inputs, labels, attack, bounds=samples.bounds, seed=seed, first=rows.cpu()
        )
        stands[rows] = _correct(network, perturbed, labels)
    return stands


def _batches(candidates: Bool[Tensor, " samples"]) -> Iterator[Int[Tensor, " batch"]]:
    rows = candidates.nonzero().flatten()
    yield from rows.split(_BATCH) if len(rows) else ()


@torch.no_grad()
def _correct(network: nn.Module, inputs: Tensor, labels: Tensor) -> Bool[Tensor, " samples"]:
    with evaluation_mode(network):
        parts = [
            accuracy_of(logits_of(network(few)), truth)
            for few, truth in zip(inputs.split(_BATCH), labels.split(_BATCH), strict=True)
        ]
    return torch.cat(parts)
