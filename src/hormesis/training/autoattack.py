"""AutoAttack (Croce and Hein 2020, arXiv:2003.01690), where ``pyautoattack`` is installed."""

import logging

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from hormesis.data.samples import Samples
from hormesis.errors import SettingError
from hormesis.models.eval_mode import evaluation_mode
from hormesis.models.networks import logits_of
from hormesis.training.controls_config import check_autoattack

_TARGETED = 9  # classes that the standard version aims at, of ten or more
_FEWEST = 4  # classes that its targeted loss can tell apart
_BATCH = 100


class _Logits(nn.Module):
    """The network's logits; ``.to(device)`` and ``.train()`` do not reach the network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._network = (network,)

    def forward(self, inputs: Tensor) -> Tensor:
        return logits_of(self._network[0](inputs))


def survives_autoattack(
    network: nn.Module,
    samples: Samples,
    candidates: Bool[Tensor, " samples"],
    epsilon: float,
    seed: int,
) -> Bool[Tensor, " samples"]:
    """Return which candidates are still classified correctly under standard AutoAttack.

    Args:
        network: The network, which is attacked in evaluation mode.
        samples: Images in [0, 1], of at least four classes.
        candidates: Which samples to attack; the others count as fooled.
        epsilon: Magnitude in input units.
        seed: Seed of its random steps.

    Raises:
        MissingExtraError: If AutoAttack is not installed.
        SettingError: For bounds or classes that AutoAttack does not support.
    """
    check_autoattack()
    from pyautoattack import AutoAttack  # an extra

    if samples.bounds != (0.0, 1.0) or samples.inputs.ndim != 4 or samples.classes < _FEWEST:
        raise SettingError(
            f"AutoAttack supports images in [0, 1] of at least {_FEWEST} classes, got inputs of "
            f"shape {list(samples.inputs.shape[1:])} in {list(samples.bounds)} of "
            f"{samples.classes}: leave `autoattack` out."
        )
    stands = candidates.clone()
    rows = candidates.nonzero().flatten()
    if not len(rows):
        return stands
    inputs = samples.inputs[rows.cpu()].to(candidates.device)
    labels = samples.labels[rows.cpu()].to(candidates.device)
    logging.getLogger("auto-attack").setLevel(logging.ERROR)
    with evaluation_mode(network), torch.random.fork_rng():
        wrapped = _Logits(network)
        attack = AutoAttack(wrapped, eps=epsilon, seed=seed, device=candidates.device)
        targeted = min(_TARGETED, samples.classes - 1)
        attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = targeted
        perturbed, _ = attack.run_standard_evaluation(inputs, labels, batch_size=_BATCH)
        with torch.no_grad():
            stands[rows] = wrapped(perturbed).argmax(dim=1) == labels
    return stands
