"""Replacements by weights from elsewhere: freshly initialised ones, and those of a checkpoint.

Both are the tests of layer criticality (Zhang, Bengio and Singer, arXiv 1902.01996): a layer is
critical if the network suffers when it goes back to where its training began.
"""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hormesis.errors import SettingError
from hormesis.models.checkpoints import load_checkpoint
from hormesis.models.fingerprint import tensors_fingerprint
from hormesis.settings.choices import REPLACEMENTS
from hormesis.settings.replacement import Levels, Replacement
from hormesis.stress.kinds import public_name
from hormesis.stress.parts import Part
from hormesis.stress.replacing import Level, Preparation, seed_of, take_prepared

_RESETS = ("reset_parameters", "_reset_parameters")  # the latter of nn.MultiheadAttention
_SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)
Checkpoint = str | Path | Mapping[str, Tensor]


def reinitialization(levels: Levels = _SHARES, *, draws: int = 3) -> Replacement:
    """Return the replacement that moves values towards a fresh initialisation.

    The fresh values are those of the module's own ``reset_parameters`` under a seed or, where it
    has none, Gaussian with mean and standard deviation of the tensor. A draw has the same fresh
    values at all levels.

    Args:
        levels: Share of the way, from 0 to 1; at 1 nothing is left of the training.
        draws: How many initialisations are drawn.

    Example:
        >>> reinitialization((1,), draws=5).levels
        (1.0,)
    """
    return Replacement(
        "reinitialization",
        REPLACEMENTS["reinitialization"],
        _move,
        tuple(levels),
        unit="share of the way to a fresh initialisation",
        least=0.0,
        most=1.0,
        draws=draws,
        prepare=_initialise,
    )


def rewinding(
    checkpoint: Checkpoint | Sequence[Checkpoint], levels: Levels | None = None
) -> Replacement:
    """Return the replacement that moves values back to those of a checkpoint.

    Args:
        checkpoint: A file or a state dictionary with the names of the network; or several, from the
            nearest to the earliest, each of which is a level of its own.
        levels: Share of the way back, from 0 to 1; of several checkpoints, their numbers from 1.

    Raises:
        SettingError: For no checkpoint, or something else.
        ModelError: If a file cannot be read. Nothing but tensors is ever unpickled.

    Example:
        >>> rewinding({"weight": torch.zeros(2, 2)}, (0.5, 1)).levels
        (0.5, 1.0)
    """
    several = isinstance(checkpoint, list | tuple)
    sources = tuple(_read(one) for one in (checkpoint if several else (checkpoint,)))
    if not sources:
        raise SettingError("Expected `checkpoint` to be at least one checkpoint, got none.")
    numbers = tuple(float(number) for number in range(1, len(sources) + 1))
    chosen = (numbers if several else _SHARES) if levels is None else tuple(levels)
    return Replacement(
        "rewinding",
        "moves values back to those of a checkpoint",
        take_prepared if several else _move,
        chosen,
        unit="number of the checkpoint" if several else "share of the way back",
        least=1.0 if several else 0.0,
        most=float(len(sources)) if several else 1.0,
        whole=several,
        settings={"checkpoints": [tensors_fingerprint(source)[:32] for source in sources]},
        prepare=_rewind,
        source=sources,
    )


def _move(values: Float[Tensor, "*part"], at: Level) -> Float[Tensor, "*part"]:
    assert at.prepared is not None
    if at.value == 1:
        return at.prepared
    own, end = values.double(), at.prepared.double()
    return own + at.value * (end - own)


def _initialise(asked: Preparation) -> list[Tensor]:
    """Return fresh values of each part, the same at every level of a draw."""
    key = asked.target.name, asked.draw
    if key not in asked.around.memo:
        seed = seed_of(asked.sweep_seed, asked.target.name, "fresh", asked.draw)
        asked.around.memo[key] = [
            _fresh_part(asked, part, seed_of(seed, part.parameter)) for part in asked.target.parts
        ]
    return asked.around.memo[key]


def _fresh_part(asked: Preparation, part: Part, seed: int) -> Tensor:
    path, _, leaf = part.parameter.rpartition(".")
    owner = copy.deepcopy(asked.around.network.get_submodule(path)).cpu()
    reset = next((getattr(owner, name) for name in _RESETS if hasattr(owner, name)), None)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        if reset is not None:
            reset()
            return part.of(getattr(owner, leaf)).detach().clone()
        own = asked.original(part)
        spread = own.double().std(correction=0)
        return (own.double().mean() + spread * torch.randn(own.shape).double()).to(own.dtype)


def _rewind(asked: Preparation) -> list[Tensor]:
    several = len(asked.source) > 1
    entries = asked.source[int(asked.value) - 1 if several else 0]
    return [_entry(entries, part, asked) for part in asked.target.parts]


def _entry(entries: Mapping[str, Tensor], part: Part, asked: Preparation) -> Tensor:
    """Return the values of a part in a checkpoint, whatever prefix its names have there."""
    network: nn.Module = asked.around.network
    whole = dict(network.named_parameters())[part.parameter]
    name = public_name(network, part.parameter)
    endings = [key for key in entries if key.endswith(f".{name}")]
    names = [key for key in (part.parameter, name) if key in entries]
    names = names or (endings if len(endings) == 1 else [])
    if not names:
        raise SettingError(
            f"The checkpoint of the replacement 'rewinding' has no values for {name}: pass one of "
            "the same network, or leave this target out with `exclude`."
        )
    value = entries[names[0]]
    if value.shape != whole.shape:
        raise SettingError(
            f"The checkpoint of the replacement 'rewinding' has {name} of shape "
            f"{tuple(value.shape)}, the network {tuple(whole.shape)}: pass one of the same network."
        )
    return part.of(value).detach().to("cpu", whole.dtype, copy=True).contiguous()


def _read(checkpoint: Any) -> dict[str, Tensor]:  # noqa: ANN401
    if isinstance(checkpoint, str | Path):
        return dict(load_checkpoint(checkpoint))
    fits = isinstance(checkpoint, Mapping)
    if not fits or not all(isinstance(value, Tensor) for value in checkpoint.values()):
        raise SettingError(
            "Expected `checkpoint` to be a file or a state dictionary of tensors, got "
            f"{type(checkpoint).__name__}."
        )
    return {str(name): value.detach().cpu() for name, value in checkpoint.items()}
