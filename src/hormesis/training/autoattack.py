"""AutoAttack (Croce and Hein 2020, arXiv:2003.01690), where ``pyautoattack`` is installed."""

import logging

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from hormesis.data.samples import Samples
from hormesis.errors import SettingError
from hormesis.models.eval_mode import evaluating
from hormesis.models.networks import logits_of
from hormesis.training.controls_config import check_autoattack

_TARGETED = 9  # classes that the standard version aims at, of ten or more
_FEWEST = 4  # classes that its targeted loss can tell apart
_BATCH = 100


class _Logits(nn.Module):
    """The network's logits; the network is out of reach of ``.to(device)`` and ``.train()``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._network = (network,)

    def forward(self, inputs: Tensor) -> Tensor:
        return logits_of(self._network[0](inputs))


def stands_autoattack(
    network: nn.Module,
    samples: Samples,
    tried: Bool[Tensor, " samples"],
    epsilon: float,
    seed: int,
) -> Bool[Tensor, " samples"]:
    """Return which of the samples that are tried stand the standard version of AutoAttack.

    Args:
        network: The network, which is attacked in evaluation mode.
        samples: Images in [0, 1], of at least four classes.
        tried: Which samples; the others count as fallen.
        epsilon: Magnitude in input units.
        seed: Seed of its random steps.

    Raises:
        MissingExtraError: Where it is not installed.
        SettingError: For bounds or classes that it does not know.
    """
    check_autoattack()
    from pyautoattack import AutoAttack  # an extra

    if samples.bounds != (0.0, 1.0) or samples.inputs.ndim != 4 or samples.classes < _FEWEST:
        raise SettingError(
            f"AutoAttack knows images in [0, 1] of at least {_FEWEST} classes, got inputs of shape "
            f"{list(samples.inputs.shape[1:])} in {list(samples.bounds)} of {samples.classes}: "
            "leave `autoattack` out."
        )
    stands = tried.clone()
    rows = tried.nonzero().flatten()
    if not len(rows):
        return stands
    inputs = samples.inputs[rows.cpu()].to(tried.device)
    labels = samples.labels[rows.cpu()].to(tried.device)
    logging.getLogger("auto-attack").setLevel(logging.ERROR)
    with evaluating(network), torch.random.fork_rng():
        wrapped = _Logits(network)
        attack = AutoAttack(wrapped, eps=epsilon, seed=seed, device=tried.device)
        targeted = min(_TARGETED, samples.classes - 1)
        attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = targeted
        moved, _ = attack.run_standard_evaluation(inputs, labels, batch_size=_BATCH)
        with torch.no_grad():
            stands[rows] = wrapped(moved).argmax(dim=1) == labels
    return stands
