"""Selective training in the user's own loop: freezing, and the check that nothing changed."""

import re
from pathlib import Path

from torch import nn

from hormesis.errors import ModelError
from hormesis.models.fingerprint import network_fingerprint
from hormesis.results.study import Study
from hormesis.stress.kinds import public_name
from hormesis.training.freezing import Freezing
from hormesis.training.kept_values import check_applied, kept_values
from hormesis.training.retraining_plan import RetrainingPlan, plan_retraining
from hormesis.training.selection import Selection


def freeze(
    network: nn.Module,
    study: Study | str | Path,
    selection: Selection = Selection(),
    *,
    same: bool = True,
) -> Freezing:
    """Freeze the parameters that are not selected, for your own training loop.

    Pass ``.parameters`` to the optimiser, and call ``.follow(optimizer)``, which restores
    frozen channels of partly trained tensors after every step. ``.check()`` compares all frozen
    values with those at the start, and ``.stop()`` ends the freezing. Batch norms of frozen layers
    are put into evaluation mode before every forward pass.

    Args:
        network: The network that was passed to ``analyze``; it is changed in place.
        study: The study of it, or its folder; or the folder of ``apply``, for the network that it
            wrote: what is zeroed stays zero.
        selection: Which parameters are trained.
        same: Require the weights of the study, bit for bit. If False, as for a resumed training,
            only names and sizes have to agree.

    Raises:
        SettingError: If nothing would be trained, or nothing frozen.
        StudyError: If the study cannot be read.
        ModelError: If the network is not that of the study.

    Example:
        >>> import torch
        >>> from hormesis import FGSM, Execution, Scoring, Sweep, analyze
        >>> first, last = (nn.Linear(2, 2, bias=False) for _ in range(2))
        >>> for layer in (first, last):
        ...     _ = layer.weight.data.copy_(torch.tensor([[1.0, -1.0], [-0.5, 0.5]]))
        >>> network = nn.Sequential(nn.Flatten(), first, last)
        >>> images = torch.tensor([[0.9, 0.1], [0.2, 0.8]]).repeat(9, 1)
        >>> study = analyze(network, (images, torch.arange(18) % 2), attack=FGSM(0.01),
        ...                 sweep=Sweep(thresholds=5), execution=Execution(progress=False))
        >>> selection = Selection(("antifragile",), undecided="estimate",
        ...                       scoring=Scoring(reference="density", tolerance=0.4))
        >>> freezing = freeze(network, study, selection)
        >>> [mask.parameter for mask in freezing.masks if mask.trained]
        ['2.weight']
        >>> freezing.check()
        4
    """
    return start_freezing(network, plan_retraining(study, selection), same=same)


def start_freezing(network: nn.Module, plan: RetrainingPlan, *, same: bool) -> Freezing:
    """Freeze a network by a plan, see ``freeze``."""
    recorded = plan.study.manifest["question"]["network"]
    if same and plan.applied is not None:
        check_applied(network, plan.applied)
    elif same and network_fingerprint(network) != recorded["fingerprint"]:
        raise ModelError(
            f"The study is of another network than the one given ({recorded['name']}, "
            f"{recorded['fingerprint'][:12]}...): pass it as it was analysed, normalisation "
            "included, or with same=False if it was trained since."
        )
    masks = plan.arm("selective", 0).masks
    kept = kept_values(network, plan.applied)
    freezing = Freezing(network, masks, batchnorm=plan.selection.batchnorm, kept=kept)
    freezing.start()
    return freezing


def find_network(module: nn.Module, name: str | None, study: Study) -> nn.Module:
    """Return the submodule that is the network of a study.

    Args:
        module: A LightningModule, or any module that holds the network.
        name: Name of the submodule; None takes the outermost one whose parameters have the same
            names as the study's.
        study: The study.

    Raises:
        ModelError: If there is none.
    """
    if name is not None:
        parts = dict(module.named_modules())
        if name not in parts:
            raise ModelError(f"{type(module).__name__} has no part `network`={name!r}.")
        return parts[name]
    names = {re.sub(r"\[\d+\]$", "", target) for target in study.targets["target"]}
    for part in module.modules():
        if {public_name(part, key) for key, _ in part.named_parameters()} == names:
            return part
    raise ModelError(
        f"No part of {type(module).__name__} has the parameters of the study, such as "
        f"{min(names)}: name the attribute that is its network with `network`."
    )
