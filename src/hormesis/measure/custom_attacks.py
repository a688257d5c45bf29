"""Attacks of users and of other libraries before a study: do they fit, and what do they change?"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from hormesis.data.bounds import perturbable_part
from hormesis.data.samples import Samples
from hormesis.data.trees import join_rows, move_to, select_rows
from hormesis.errors import AttackError, SettingError
from hormesis.measure.shard_worker import device_of
from hormesis.settings.attacks import Attack
from hormesis.settings.choices import RAY
from hormesis.settings.custom_attack import CustomAttack
from hormesis.settings.magnitudes import AUTO
from hormesis.settings.request import AnalysisRequest
from hormesis.settings.threat import L2, LINF, NORM_NAMES
from hormesis.stress.attacks import perturb
from hormesis.stress.epsilon import widest_change
from hormesis.stress.foreign_attacks import check_bound
from hormesis.stress.projections import sizes

_FEW = 8  # samples that an attack is tried on
_MOST = 64  # samples whose changes are measured
_ROUNDING = 1e-4  # of the largest change; what differs by less is the same
_SHARE = 0.05  # of the changed values that rounding may turn, as it turns signs of small gradients


def settle_attack(
    network: nn.Module, samples: Samples, request: AnalysisRequest
) -> AnalysisRequest:
    """Return a request whose attack gives a sample the same result whatever its batch.

    A few samples are attacked together, and again in other batches with other seeds. If the results
    differ, the attack is run on one sample at a time, seeded by the sample, and a note says so.

    Args:
        network: In evaluation mode.
        samples: The samples.
        request: Any request; others than ``CustomAttack`` stay as they are.

    Raises:
        AttackError: If a sample has two results even so; see also ``foreign_attacks``.
        SettingError: For an attack that cannot be sent to other machines.
    """
    attack = request.attack
    if not isinstance(attack, CustomAttack):
        return request
    check_bound(attack, network)
    if attack.bound is not None and request.execution.engine == RAY:
        raise SettingError(
            f"Expected another engine than 'ray' for {attack.name!r}, which is bound to a network "
            "of this process: pass a function that makes the attack of the network that it is "
            "given, or measure with engine 'auto'."
        )
    tried = attack
    if attack.epsilon == AUTO:
        tried = replace(attack, epsilon=widest_change(samples, str(attack.norm)) / 32)
    if _is_settled(network, samples, tried, request.sweep.seed):
        return request
    if attack.per_sample or not _is_settled(
        network, samples, replace(tried, per_sample=True), request.sweep.seed
    ):
        raise AttackError(
            f"Expected the attack {attack.name!r} to change a sample in the same way every time, "
            "got two results from one seed: draw what is random with PyTorch, NumPy or `random`, "
            "which are seeded by the sample."
        )
    note = (
        f"The attack {attack.name} draws at random or depends on the other samples of a batch: it "
        "was run on one sample at a time, seeded by the sample."
    )
    return replace(request, attack=replace(attack, per_sample=True), notes=(*request.notes, note))


def _is_settled(network: nn.Module, samples: Samples, attack: CustomAttack, seed: int) -> bool:
    """Return whether a few samples are changed in the same way in another order and batch.

    Args:
        network: The network.
        samples: The samples.
        attack: The attack.
        seed: Of the first run; of the second one too, if samples are attacked one at a time.
    """
    other = seed if attack.per_sample else seed + 1
    count = min(_FEW, len(samples))
    both = samples.inputs, samples.labels
    few, labels = move_to(select_rows(both, slice(0, count)), device_of(network))
    run = partial(perturb, network, attack=cast(Attack, attack), bounds=samples.bounds)
    whole = perturbable_part(run(few, labels, seed=seed))
    order = torch.arange(count - 1, -1, -1)
    parts = []
    for rows in order.tensor_split(2) if count >= 4 else (order,):
        some, truth = select_rows((few, labels), rows.to(device_of(network)))
        parts.append(run(some, truth, seed=other, first=rows))
    again = perturbable_part(join_rows(parts)).flip(0)
    return _agree(perturbable_part(few), whole, again)


def _agree(clean: Tensor, one: Tensor, other: Tensor) -> bool:
    largest = torch.maximum((one - clean).abs(), (other - clean).abs())
    different = (one - other).abs() > _ROUNDING * largest.max()
    changed = int((largest > 0).sum())
    return int(different.sum()) <= _SHARE * changed


def measure_change(
    network: nn.Module, samples: Samples, attack: Attack, seed: int
) -> dict[str, Any]:
    """Return how far an attack moves the first samples of a study, as plain values.

    Args:
        network: In evaluation mode.
        samples: In the order of the study.
        attack: Its magnitude a number, if it has one.
        seed: Of the study.

    Returns:
        ``samples`` and ``moved``, which are counts, and for each norm the ``median`` over samples
        and the ``largest`` change, in input units; nothing for attacks of this package, whose
        magnitude says that.

    Raises:
        AttackError: If no sample is moved at all.
    """
    if not isinstance(attack, CustomAttack):
        return {}
    count = min(_MOST, len(samples))
    both = samples.inputs, samples.labels
    few, labels = move_to(select_rows(both, slice(0, count)), device_of(network))
    perturbed = perturb(network, few, labels, attack, bounds=samples.bounds, seed=seed)
    changes = perturbable_part(perturbed) - perturbable_part(few)
    moved = int((sizes(changes) > 0).sum())
    if moved == 0:
        raise AttackError(
            f"Expected the attack {attack.name!r} to change inputs, got the first {count} back as "
            "they were: look at what it returns, or measure with `attack=None`."
        )
    return {
        "samples": count,
        "moved": moved,
        **{norm: _spread(sizes(changes, norm)) for norm in (LINF, L2)},
    }


def _spread(values: Tensor) -> dict[str, float]:
    values = values.double()
    return {"median": float(values.quantile(0.5)), "largest": float(values.max())}


def change_notes(attack: Attack, change: Mapping[str, Any]) -> list[str]:
    """Return how far an attack moved samples in a sentence, if that was measured.

    Example:
        >>> spread = {"median": 0.1, "largest": 0.3}
        >>> mine = CustomAttack(lambda network, inputs, labels: inputs, "mine")
        >>> change_notes(mine, {"samples": 9, "moved": 8, "linf": spread, "l2": spread})
        ['The attack mine moved 8 of the first 9 samples: by 0.1 in the median and 0.3 at most in \
L∞, by 0.1 and 0.3 in L2.']
    """
    if not change:
        return []
    linf, l2 = ((change[norm]["median"], change[norm]["largest"]) for norm in (LINF, L2))
    return [
        f"The attack {attack.name} moved {change['moved']} of the first {change['samples']} "
        f"samples: by {linf[0]:.3g} in the median and {linf[1]:.3g} at most in "
        f"{NORM_NAMES[LINF]}, by {l2[0]:.3g} and {l2[1]:.3g} in {NORM_NAMES[L2]}."
    ]
