"""Accuracy under attacks of growing strength; samples that were fooled once are not attacked again.

A perturbation within a ball lies within every larger ball, so a sample that is fooled at one
epsilon counts as fooled at all larger ones. A stronger attack skips samples that a
weaker one has fooled.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from hormesis.data.samples import Samples
from hormesis.errors import SettingError
from hormesis.models.eval_mode import evaluation_mode
from hormesis.models.networks import logits_of
from hormesis.settings.attacks import FGSM, PGD, as_epsilon, as_step_size
from hormesis.stress.attacks import perturb
from hormesis.stress.metrics import accuracy_of
from hormesis.training.autoattack import check_autoattack, survives_autoattack
from hormesis.training.config import check_count

Report = Callable[[int, int], None]
_BATCH = 100


@dataclass(frozen=True)
class EvaluationConfig:
    """How the robustness of a network is evaluated.

    Args:
        epsilons: Magnitudes in input units, each above 0, also as text such as ``"8/255"``.
        steps: Steps of PGD, at least 1.
        restarts: Random starts of PGD, at least 1.
        autoattack: Attack samples that PGD could not fool with AutoAttack; needs ``pyautoattack``.
        samples: Size of a seeded, stratified subset of the samples; None takes all.
        seed: Seed of that subset and of random starts, at least 0.
        step_size: Size of a step of PGD as a share of epsilon; None takes 2.5 divided by ``steps``.

    Raises:
        SettingError: For a value outside these bounds.

    Example:
        >>> EvaluationConfig(epsilons=("8/255", 0.01)).epsilons[0]
        0.01
    """

    epsilons: Sequence[float | int | str] = ("2/255", "4/255", "8/255", "16/255")
    steps: int = 20
    restarts: int = 3
    autoattack: bool = False
    samples: int | None = None
    seed: int = 0
    step_size: float | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        if isinstance(self.epsilons, str) or not self.epsilons:
            raise SettingError(
                f"Expected `epsilons` to be several magnitudes, got {self.epsilons!r}."
            )
        epsilons = [as_epsilon(value) for value in self.epsilons]
        if "auto" in epsilons:
            raise SettingError("Expected `epsilons` to be numbers such as 8/255, got 'auto'.")
        object.__setattr__(self, "epsilons", tuple(sorted({float(value) for value in epsilons})))
        check_count("pgd_steps", self.steps)
        if self.step_size is None:
            object.__setattr__(self, "step_size", PGD(steps=self.steps).step_size)
        object.__setattr__(self, "step_size", as_step_size(self.step_size, name="pgd_step_size"))
        check_count("restarts", self.restarts)
        check_count("seed", self.seed, least=0)
        if self.samples is not None:
            check_count("eval_samples", self.samples, least=2)
        if self.autoattack:
            check_autoattack()

    @property
    def attacks(self) -> tuple[str, ...]:
        """Names of the attacks, the weaker first."""
        return ("fgsm", "pgd", "autoattack") if self.autoattack else ("fgsm", "pgd")


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
        Columns ``attack``, ``epsilon``, ``sample``, ``correct``; 0 is the epsilon of ``clean``.

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
    attack: FGSM | PGD,
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
