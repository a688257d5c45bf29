"""What a targeted attack aims at, and whether a sample has been taken there."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from hormesis.errors import SettingError
from hormesis.settings.threat import LEAST_LIKELY, NEXT
from hormesis.stress.attempt import Attempt
from hormesis.stress.class_metrics import accuracy_of


@torch.no_grad()
def classes_aimed_at(target: int | str | None, attempt: Attempt) -> Int[Tensor, " batch"] | None:
    """Return the class that each sample shall be taken for; None if any wrong one will do.

    Args:
        target: See ``settings.threat.as_target``.
        attempt: The batch under attack; the least likely class is that of its clean inputs.

    Raises:
        SettingError: If outputs and labels are no classes, or there is no such class.
    """
    if target is None:
        return None
    outputs, labels = attempt.outputs(attempt.inputs), attempt.labels
    check_aim(target, outputs, labels)
    if target == LEAST_LIKELY:
        return outputs.argmin(dim=1)
    if target == NEXT:
        return (labels + 1) % outputs.shape[1]
    return torch.full_like(labels, int(target))


def check_aim(target: int | str, outputs: Tensor, labels: object) -> None:
    """Refuse a target that is no class of a network.

    Args:
        target: See ``settings.threat.as_target``.
        outputs: Of a few samples.
        labels: Of the same samples.

    Raises:
        SettingError: Naming it.
    """
    is_class = isinstance(labels, Tensor) and labels.ndim == 1 and not labels.is_floating_point()
    if outputs.ndim != 2 or outputs.shape[1] < 2 or not is_class:
        raise SettingError(
            f"Expected no `target` where a sample has no single class, got {target!r}: leave it "
            "out, and give a `loss` that says what the attack is after."
        )
    if isinstance(target, int) and target >= outputs.shape[1]:
        raise SettingError(
            f"Expected `target` to be one of the network's {outputs.shape[1]} classes, numbered "
            f"from 0, got {target}."
        )


@torch.no_grad()
def still_standing(attempt: Attempt, perturbed: Tensor) -> Bool[Tensor, " batch"] | None:
    """Return which samples are yet to be harmed: still right, or not taken for the class aimed at.

    Args:
        attempt: The batch under attack.
        perturbed: Its perturbed inputs.

    Returns:
        None for what is no classification.
    """
    outputs = attempt.outputs(perturbed)
    if attempt.toward is not None:
        return ~accuracy_of(outputs, attempt.toward)
    return accuracy_of(outputs, attempt.labels) if attempt.classifies(outputs) else None
