"""A metric: the score that a network gets for each sample, whatever its outputs and labels are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from hormesis.data.conversion import type_name
from hormesis.errors import SettingError, recipe
from hormesis.stress.losses import PASSED_ON, Loss, cross_entropy, failure

PerSample = Callable[[Any, Any], Tensor]
Chance = Callable[[np.ndarray], float]
ARGMAX, SIGN = "argmax", "sign"


@dataclass(frozen=True)
class Metric:
    """A score that a network gets for each sample, averaged over samples later on.

    Args:
        name: What tables and the manifest call it.
        function: Takes the outputs of a network, such as logits ``[batch, classes]``, and the
            labels of the samples; returns one number a sample, ``[batch]``.
        higher_is_better: False for a loss or an error.
        binary: True if every number is 0 or 1, so that outcomes can be stored as bits.
        chance: Mean of a guess that never looks at the input, or a function that returns it from
            the labels of a study, as an array; None where that is not known.
        rank: Where a sample counts 1 if its true class is among so many largest logits, of equal
            ones the lower index first, that number. Rows that rounding may turn are then told
            exactly; those of other binary metrics wherever two of the six largest logits are close.
        help: What it is, in a line.
        loss: What an attack raises to lower it.
        decides: ``"argmax"`` where the number hangs on which class is largest at each position,
            ``"sign"`` where it hangs on the signs of the outputs: rows that rounding may turn are
            then told exactly. Empty where the number changes as little as the outputs.
        class_axis: Axis of the classes where ``decides`` is ``"argmax"``, such as 1 or -1.
        compares: Whether the labels are the unfiltered network's own outputs on the clean samples.
        aggregate: For a metric of a whole set of samples, the name of what makes one number of all
            samples' numbers, see ``analysis.set_metrics``; empty for the mean.

    Example:
        >>> margin = Metric("top score", lambda outputs, labels: outputs.amax(dim=1))
        >>> margin.measure(torch.tensor([[1.0, 2.0]]), torch.tensor([0]))
        tensor([2.])
    """

    name: str
    function: PerSample
    higher_is_better: bool = True
    binary: bool = False
    chance: float | int | Chance | None = None
    rank: int | None = None
    help: str = ""
    loss: Loss = cross_entropy
    decides: str = ""
    class_axis: int = 1
    compares: bool = False
    aggregate: str = ""

    def chance_on(self, labels: Shaped[np.ndarray, "samples ..."] | None) -> float | None:
        """Return the mean of a guess on samples of these labels; None where that is not known.

        Example:
            >>> from hormesis.stress.metrics import accuracy
            >>> accuracy.chance_on(np.array([0, 0, 0, 1]))
            0.75
        """
        if not callable(self.chance):
            return None if self.chance is None else float(self.chance)
        return None if labels is None else float(self.chance(labels))

    def measure(self, outputs: Tensor, labels: Any) -> Float[Tensor, " batch"]:  # noqa: ANN401
        """Return one number a sample, in 32-bit floating point and detached.

        Args:
            outputs: Of the network, the first axis being the sample.
            labels: Of the same samples: a tensor or a structure of tensors, or None.

        Raises:
            SettingError: If the function fails, or returns anything but one real number a sample,
                or, where ``binary`` is set, a number other than 0 and 1.
        """
        try:
            result = self.function(outputs, labels)
        except PASSED_ON:
            raise
        except Exception as error:  # anything may come out of code that is not ours
            raise SettingError(failure("metric", self.name, outputs, labels, error)) from error
        expected = f"Expected the metric {self.name!r} to return "
        if not isinstance(result, Tensor) or result.is_complex():
            kind = type_name(result) if isinstance(result, Tensor) else type(result).__name__
            raise SettingError(
                f"{expected}a tensor of real numbers, got {kind}: `torch.as_tensor` makes one of "
                "numbers."
            )
        if result.shape != outputs.shape[:1]:
            hint = (
                "take the mean over all other axes"
                if result.ndim
                else "`hormesis.metrics.per_sample` applies it to one at a time"
                f"{recipe('metrics-of-your-own')}"
            )
            raise SettingError(
                f"{expected}one number a sample, shape {[len(outputs)]}, got shape "
                f"{list(result.shape)}: {hint}."
            )
        values = result.detach().to(torch.float32)
        if self.binary and not bool(((values == 0) | (values == 1)).all()):
            raise SettingError(f"{expected}0 or 1 for each sample, as `binary` says, got others.")
        return values
