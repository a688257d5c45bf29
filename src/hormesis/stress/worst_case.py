"""The worst weights within a ball around a target's own: module robust criticality.

Zhu et al., "Improving Generalization of Adversarial Training via Robust Critical Fine-Tuning"
(RiFT, arXiv 2308.02533): ``max L(θ + Δ)`` over ``‖Δ‖ ≤ r ‖θ‖``, for one module at a time.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.func import functional_call

from hormesis.data.trees import count_rows, in_batches, select_rows
from hormesis.errors import SettingError
from hormesis.models.adapter import pick_output
from hormesis.models.eval_mode import evaluation_mode
from hormesis.settings.choices import REPLACEMENTS
from hormesis.settings.replacement import Levels, Replacement
from hormesis.stress.replacing import Preparation, take_prepared

_BATCH = 128
_REACH = 2.5  # radii that all steps together would go: the border is reached, and left for more


def worst_case(
    levels: Levels = (0.003, 0.01, 0.03, 0.1, 0.3), *, steps: int = 10, samples: int = 256
) -> Replacement:
    """Return the replacement by the worst weights within a ball around the target's own.

    Gradient ascent on the mean loss of clean samples, each step along the gradient and back into
    the ball. The weights of the highest loss seen are taken. They are computed once, before
    anything is measured, so that every machine measures the same.

    Args:
        levels: Radius of the ball, as a share of the norm of the target's values.
        steps: Steps of gradient ascent, at least 1.
        samples: The loss is that of the first so many samples of the data, at least 1.

    Raises:
        SettingError: For less than one step or sample.

    Example:
        >>> worst_case((0.01,), steps=5).settings
        {'steps': 5, 'samples': 256}
    """
    for name, value in (("steps", steps), ("samples", samples)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise SettingError(f"Expected `{name}` to be a whole number from 1, got {value!r}.")
    return Replacement(
        "worst_case",
        REPLACEMENTS["worst_case"],
        take_prepared,
        tuple(levels),
        unit="radius / norm of the weights",
        least=0.0,
        settings={"steps": steps, "samples": samples},
        prepare=_ascend,
    )


def _ascend(asked: Preparation) -> list[Tensor]:
    """Return the values of each part at the highest loss seen."""
    ball = _Ball(asked)
    change = {name: torch.zeros_like(value) for name, value in ball.own.items()}
    best, highest = change, -float("inf")
    step = _REACH * ball.radius / asked.settings["steps"]
    for number in range(asked.settings["steps"] + 1):
        loss, gradient = ball.loss_and_gradient(change)
        if loss > highest:
            best, highest = change, loss
        length = _norm(gradient)
        if number == asked.settings["steps"] or not length > 0:
            break
        moved = {name: change[name] + step / length * gradient[name] for name in change}
        change = ball.inside(moved)
    after = {name: ball.own[name] + best[name] for name in best}
    return [part.of(after[part.parameter]).cpu().contiguous() for part in asked.target.parts]


class _Ball:
    """The ball around a target, and the loss of the network within it."""

    def __init__(self, asked: Preparation) -> None:
        around = asked.around
        if around.samples is None or around.loss is None:
            raise SettingError(
                "Expected samples with a loss for the replacement 'worst_case', which a "
                "`hormesis.Evaluation` does not give: leave it out."
            )
        self._network, self._loss = around.network, around.loss
        few = slice(0, asked.settings["samples"])
        self._inputs = select_rows(around.samples.inputs, few)
        self._labels = select_rows(around.samples.labels, few)
        parameters = dict(around.network.named_parameters())
        names = dict.fromkeys(part.parameter for part in asked.target.parts)
        self.own = {name: parameters[name].detach().clone() for name in names}
        self._masks = {name: torch.zeros_like(value) for name, value in self.own.items()}
        for part in asked.target.parts:
            part.of(self._masks[part.parameter]).fill_(1.0)
        kept = {name: value * self._masks[name] for name, value in self.own.items()}
        self.radius = asked.value * _norm(kept)

    def inside(self, change: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a change, drawn back into the ball if it leaves it."""
        length = _norm(change)
        share = min(1.0, self.radius / length) if length > 0 else 1.0
        return {name: share * value for name, value in change.items()}

    def loss_and_gradient(self, change: Mapping[str, Tensor]) -> tuple[float, dict[str, Tensor]]:
        """Return the mean loss, and its gradient by the values of the target."""
        with torch.inference_mode(False), torch.enable_grad(), evaluation_mode(self._network):
            changed = {
                name: (value + change[name]).requires_grad_() for name, value in self.own.items()
            }
            device = next(iter(changed.values())).device
            total, sums = 0.0, {name: torch.zeros_like(value) for name, value in change.items()}
            labels = in_batches(self._labels, _BATCH, device)
            batches = zip(in_batches(self._inputs, _BATCH, device), labels, strict=True)
            for (_, inputs), (_, own_labels) in batches:
                answer = functional_call(self._network, changed, (inputs,))
                outputs = pick_output(answer, None, count_rows(inputs))
                loss = self._loss.measure(outputs, own_labels).sum()
                total += float(loss.detach())
                if not loss.requires_grad:  # the network makes no use of the target
                    self._loss.check(outputs, own_labels)
                    continue
                found = torch.autograd.grad(loss, [*changed.values()], allow_unused=True)
                for name, gradient in zip(changed, found, strict=True):
                    if gradient is not None:
                        sums[name] += gradient
        count = count_rows(self._inputs)
        means = {name: value * self._masks[name] / count for name, value in sums.items()}
        return total / count, means


def _norm(values: Mapping[str, Tensor]) -> float:
    """Return the norm of several tensors together."""
    squares = [float(value.double().square().sum()) for value in values.values()]
    return sum(squares) ** 0.5
