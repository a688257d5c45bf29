"""Selective training in a loop of the user's own: what to freeze, and the proof that it stayed."""

import re
from pathlib import Path

from torch import nn

from hormesis.errors import ModelError
from hormesis.models.fingerprint import network_fingerprint
from hormesis.results.study import Study
from hormesis.stress.targets import public_name
from hormesis.training.freezing import Freezing
from hormesis.training.retraining_plan import Case, opened_case
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
        >>> frozen = freeze(network, study, selection)
        >>> [share.parameter for share in frozen.shares if share.trained]
        ['2.weight']
        >>> frozen.check()
        4
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
