"""Selective training in a loop of the user's own: what to freeze, and the proof that it stayed."""

import re
from pathlib import Path

from torch import nn

from hormesis.errors import ModelError
from hormesis.manifest import network_fingerprint
from hormesis.stress.targets import public_name
from hormesis.study import Study
from hormesis.training.case import Case, opened_case
from hormesis.training.freezing import Freezing
from hormesis.training.selection import Selection


def freeze(
    network: nn.Module,
    study: Study | str | Path,
    selection: Selection = Selection(),
    *,
    same: bool = True,
) -> Freezing:
    """Freeze what a selection does not keep, for a training loop of your own.

    Give the optimiser ``.parameters``, and call ``.follow(optimizer)``, which puts the frozen
    channels of partly trained tensors back after every step. ``.check()`` compares all frozen
    values with those at the start, and ``.stop()`` ends it. Batch norms of frozen layers are kept
    in evaluation mode before every forward pass.

    Args:
        network: The network that was analysed, as it was given; it is changed in place.
        study: The study of it, or its folder.
        selection: Which parameters are trained.
        same: Refuse weights that are not those of the study, bit for bit. Without it, as for a
            training that goes on, names and sizes have to agree.

    Raises:
        SettingError: If nothing would be trained, or nothing frozen.
        StudyError: If the study cannot be read.
        ModelError: If the network is not that of the study.

    Example:
        >>> import torch
        >>> from hormesis import FGSM, Run, analyze
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> data = (torch.rand(40, 1, 2), torch.arange(40) % 2)
        >>> study = analyze(network, data, attack=FGSM(0.1), run=Run(progress=False))
        >>> table = study.scores.query("filter == 'combined' and score == 'adversarial'")
        >>> values = table["value"].sort_values()
    """
    return frozen(network, opened_case(study, selection), same=same)


def frozen(network: nn.Module, case: Case, *, same: bool) -> Freezing:
    """Return what freezes a network, started; see ``freeze``."""
    about = case.study.manifest["question"]["network"]
    if same and network_fingerprint(network) != about["fingerprint"]:
        raise ModelError(
            f"The study is of another network than the one given ({about['name']}, "
            f"{about['fingerprint'][:12]}...): pass it as it was analysed, normalisation included, "
            "or with same=False if it was trained on since."
        )
    shares = case.arm("selective", 0).shares
    freezing = Freezing(network, shares, batchnorm=case.selection.batchnorm)
    freezing.start()
    return freezing


def part_of(module: nn.Module, name: str | None, study: Study) -> nn.Module:
    """Return the part of a module that is the network of a study.

    Args:
        module: A LightningModule, or anything that holds the network.
        name: Name of the attribute that it is; None takes the outermost part whose parameters have
            the names of the study's.
        study: The study.

    Raises:
        ModelError: If there is none.
    """
    if name is not None:
        parts = dict(module.named_modules())
        if name not in parts:
            raise ModelError(f"{type(module).__name__} has no part `network`={name!r}.")
        return parts[name]
    wanted = {re.sub(r"\[\d+\]$", "", target) for target in study.targets["target"]}
    for part in module.modules():
        if {public_name(part, key) for key, _ in part.named_parameters()} == wanted:
            return part
    raise ModelError(
        f"No part of {type(module).__name__} has the parameters of the study, such as "
        f"{min(wanted)}: name the attribute that is its network with `network`."
    )
