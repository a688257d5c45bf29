"""What an attack raises: a loss for each sample, from the outputs of a network and its labels.

A loss is one ``Loss`` here; a function of the user's works the same (``as_loss``). Every metric
names the loss that goes with it.

Example:
    >>> import hormesis as hm
    >>> hm.losses.mse.measure(torch.tensor([[1.0], [3.0]]), torch.tensor([1.0, 1.0]))
    tensor([0., 4.])
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from hormesis.data.conversion import type_name
from hormesis.data.trees import copy_rows, flat_rows, tensors_in
from hormesis.errors import HormesisError, ModelError, SettingError, quoted, recipe, unknown
from hormesis.settings.factory import load_factory

PASSED_ON = (HormesisError, MemoryError, torch.OutOfMemoryError)
"""Errors in code of the user's that are not quoted: they are ours, or of a machine that is full."""
_IN_CACHE = 2**19  # logits, of which a copy is in a cache of some megabytes
IGNORED = -100  # label of positions that do not count, as in PyTorch and transformers


@dataclass(frozen=True)
class Loss:
    """A loss for each sample, which attacks raise.

    Args:
        name: What messages and the manifest call it.
        function: Takes the outputs of a network and the labels; returns one number a sample,
            ``[batch]``, that can be differentiated.

    Example:
        >>> Loss("size", lambda outputs, labels: outputs.square().sum(dim=1)).name
        'size'
    """

    name: str
    function: Callable[[Any, Any], Tensor]

    def measure(self, outputs: Tensor, labels: Any) -> Float[Tensor, " batch"]:  # noqa: ANN401
        """Return the loss of each sample.

        Args:
            outputs: Of a network, the first axis being the sample.
            labels: Of the same samples, or None.

        Raises:
            SettingError: If the function fails, or returns anything but one floating-point number a
                sample.
        """
        try:
            values = self.function(outputs, labels)
        except PASSED_ON:
            raise
        except Exception as error:  # anything may come out of code that is not ours
            raise SettingError(failure("loss", self.name, outputs, labels, error)) from error
        if not isinstance(values, Tensor) or values.shape != outputs.shape[:1]:
            got = list(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise SettingError(
                f"Expected the loss {self.name!r} to return one number a sample, shape "
                f"{[len(outputs)]}, got {got}; pass `reduction='none'` to a loss of PyTorch, and "
                "take the mean over all other axes."
            )
        return values

    def check(self, outputs: Tensor, labels: Any) -> None:  # noqa: ANN401
        """Refuse a loss that an attack cannot raise, as it has no gradient.

        Args:
            outputs: Of a few samples.
            labels: Of the same samples, or None.

        Raises:
            SettingError: See ``measure``; and if the values do not follow from the outputs by
                operations that can be differentiated.

        Example:
            >>> Loss("right", lambda outputs, labels: (outputs.argmax(1) == labels).float()).check(
            ...     torch.zeros(2, 3), torch.tensor([0, 1])
            ... )
            Traceback (most recent call last):
            hormesis.errors.SettingError: Expected the loss 'right' to be differentiable with \
respect to the outputs, got values that are cut off from them: argmax, rounding, comparisons, \
detach() and NumPy do that.
        """
        with torch.inference_mode(False), torch.enable_grad():
            traced = outputs.detach().clone().requires_grad_() * 1  # which may be changed in place
            values = self.measure(traced, copy_rows(labels))
        if not values.requires_grad:
            raise SettingError(
                f"Expected the loss {self.name!r} to be differentiable with respect to the "
                "outputs, got values that are cut off from them: argmax, rounding, comparisons, "
                "detach() and NumPy do that."
            )


def failure(noun: str, name: str, outputs: Tensor, labels: Any, error: BaseException) -> str:  # noqa: ANN401
    """Return the sentence on a function of outputs and labels that failed.

    Args:
        noun: What the function is, such as ``"metric"``.
        name: Its name.
        outputs: What it was given.
        labels: What it was given.
        error: What it raised.
    """
    shapes = [list(one.shape) for one in tensors_in(labels)]
    form = f"of shape {shapes[0]}" if isinstance(labels, Tensor) else f"of shapes {shapes}"
    return (
        f"The {noun} {name!r} failed on outputs of shape {list(outputs.shape)} and labels "
        f"{form if shapes else 'None'}: {quoted(error)}"
    )


def cross_entropy_of(outputs: Tensor, labels: Any) -> Float[Tensor, " batch"]:  # noqa: ANN401
    """Return the cross-entropy of each sample in nats, a mean over positions if there are any.

    Args:
        outputs: Logits, ``[batch, classes]`` or ``[batch, classes, *positions]``.
        labels: Class numbers, ``[batch]`` or ``[batch, *positions]``; positions labelled -100 do
            not count.

    Raises:
        ModelError: If the network scores fewer classes than the labels name.
        SettingError: If the labels are no class numbers.

    Example:
        >>> cross_entropy_of(torch.zeros(1, 2), torch.tensor([0])).exp().round(decimals=4)
        tensor([2.])
    """
    truth = class_numbers(outputs, labels, "the cross-entropy")
    losses = functional.cross_entropy(outputs, truth, reduction="none", ignore_index=IGNORED)
    return losses if outputs.ndim == 2 else mean_over_positions(losses, truth != IGNORED)


def class_numbers(outputs: Tensor, labels: Any, use: str) -> Tensor:  # noqa: ANN401
    """Return labels as 64-bit class numbers, one for each position of outputs ``[batch, classes]``.

    Args:
        outputs: ``[batch, classes, *positions]``.
        labels: ``[batch, *positions]``.
        use: What needs them, for messages.

    Raises:
        ModelError: If the outputs score fewer classes than the labels name, or have no classes.
        SettingError: If the labels are no class numbers.
    """
    if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.is_complex():
        kind = "none" if labels is None else type_name(labels)
        raise SettingError(
            f"Expected labels that are class numbers for {use}, got {kind}: "
            f"{_remedy(outputs, labels)}."
        )
    if outputs.ndim < 2 or labels.shape != (len(outputs), *outputs.shape[2:]):
        raise ModelError(
            f"Expected outputs of shape [batch, classes] with one class number each for {use}, got "
            f"outputs of shape {list(outputs.shape)} and labels of shape {list(labels.shape)}: "
            f"{_remedy(outputs, labels)}."
        )
    top = int(labels.max())
    if outputs.shape[1] <= top:
        raise ModelError(
            f"Expected the network to score at least {top + 1} classes, as the labels run up to "
            f"{top}, got {outputs.shape[1]}."
        )
    return labels.long()


def _remedy(outputs: Tensor, labels: Any) -> str:  # noqa: ANN401
    """Return what to do about labels that are not one class number a sample."""
    if isinstance(labels, Tensor) and labels.shape == outputs.shape and labels.ndim > 1:
        one_hot = ((labels == 0) | (labels == 1)).all() and (labels.sum(dim=1) == 1).all()
        if one_hot:
            return "pass `labels.argmax(1)` of one-hot labels" + recipe(
                "several-labels-or-one-logit"
            )
    if isinstance(labels, Tensor) and labels.is_floating_point() and labels.ndim == 1:
        if labels.isnan().any():
            return "leave out the samples whose label is NaN"
        if bool((labels == labels.round()).all()):
            return "pass `labels.long()`, or choose a `metric` of numbers, such as 'mse'" + recipe(
                "regression-on-a-table"
            )
    if isinstance(labels, Tensor) and labels.shape == (len(outputs), 1) and outputs.ndim == 2:
        return "pass `labels.squeeze(1)`"
    if isinstance(labels, Tensor) and not labels.is_floating_point():
        return "choose the `output` that holds the logits, or a `metric` made for these" + recipe(
            "several-outputs"
        )
    return (
        "choose another `metric` and `loss`, such as 'mse' for numbers or 'multilabel_accuracy' "
        f"for several classes a sample{recipe('several-labels-or-one-logit')}"
    )


def mean_over_positions(values: Tensor, counted: Tensor) -> Float[Tensor, " batch"]:
    """Return the mean over all axes but the first, of the positions that count; 0 if none do.

    Example:
        >>> mean_over_positions(torch.tensor([[1.0, 5.0]]), torch.tensor([[True, False]]))
        tensor([1.])
    """
    weights = counted.to(values.dtype).flatten(1)
    total = torch.where(counted, values, torch.zeros_like(values)).flatten(1).sum(dim=1)
    return total / weights.sum(dim=1).clamp_min(1.0)


def binary_cross_entropy_of(outputs: Tensor, labels: Any) -> Float[Tensor, " batch"]:  # noqa: ANN401
    """Return the mean cross-entropy of yes-or-no logits, in nats.

    Args:
        outputs: One logit for each label, ``[batch]``, ``[batch, 1]`` or ``[batch, labels]``.
        labels: 0 or 1, of the same shape but for an axis of one.

    Example:
        >>> binary_cross_entropy_of(torch.zeros(2, 1), torch.tensor([0, 1])).exp()
        tensor([2., 2.])
    """
    truth = numbers_like(outputs, labels, "the binary cross-entropy")
    losses = functional.binary_cross_entropy_with_logits(outputs, truth, reduction="none")
    return flat_rows(losses).mean(dim=1)


def squared_error_of(outputs: Tensor, labels: Any) -> Float[Tensor, " batch"]:  # noqa: ANN401
    """Return the mean squared error of each sample, in squared units of the labels.

    Args:
        outputs: Predictions.
        labels: Numbers, of the same shape but for axes of one.

    Example:
        >>> squared_error_of(torch.tensor([[1.0], [3.0]]), torch.tensor([1.0, 1.0]))
        tensor([0., 4.])
    """
    truth = numbers_like(outputs, labels, "the squared error")
    return flat_rows((outputs - truth).square()).mean(dim=1)


def absolute_error_of(outputs: Tensor, labels: Any) -> Float[Tensor, " batch"]:  # noqa: ANN401
    """Return the mean absolute error of each sample, in units of the labels.

    Args:
        outputs: Predictions.
        labels: Numbers, of the same shape but for axes of one.

    Example:
        >>> absolute_error_of(torch.tensor([[1.0], [3.0]]), torch.tensor([1.0, 1.0]))
        tensor([0., 2.])
    """
    truth = numbers_like(outputs, labels, "the absolute error")
    return flat_rows((outputs - truth).abs()).mean(dim=1)


def numbers_like(outputs: Tensor, labels: Any, use: str) -> Tensor:  # noqa: ANN401
    """Return labels as numbers of the type and shape of the outputs.

    Args:
        outputs: Predictions.
        labels: Numbers, of the same shape but for axes of one.
        use: What needs them, for messages.

    Raises:
        SettingError: If the labels are no numbers, or of another shape.
    """
    if not isinstance(labels, Tensor):
        kind = "none" if labels is None else type(labels).__name__
        raise SettingError(f"Expected labels that are numbers for {use}, got {kind}.")
    ones = [size for size in outputs.shape[1:] if size != 1]
    if len(labels) != len(outputs) or [size for size in labels.shape[1:] if size != 1] != ones:
        raise SettingError(
            f"Expected one label for each output for {use}, got outputs of shape "
            f"{list(outputs.shape)} and labels of shape {list(labels.shape)}: choose the `output` "
            "that they belong to, or another `metric`."
        )
    return labels.reshape(outputs.shape).to(outputs.dtype)


def token_cross_entropy_of(outputs: Tensor, labels: Any) -> Float[Tensor, " batch"]:  # noqa: ANN401
    """Return the mean cross-entropy of each sequence over its tokens, in nats.

    Args:
        outputs: Logits ``[batch, tokens, classes]``; those at a token score that token.
        labels: Class of each token, ``[batch, tokens]``; those labelled -100 do not count.

    Example:
        >>> token_cross_entropy_of(torch.zeros(1, 2, 4), torch.tensor([[3, -100]])).exp().round()
        tensor([4.])
    """
    truth = token_numbers(outputs, labels, "the cross-entropy of tokens")
    losses = [_cross_entropies(*sequence) for sequence in zip(outputs, truth, strict=True)]
    return mean_over_positions(torch.stack(losses), truth != IGNORED)


def _cross_entropies(
    logits: Float[Tensor, "tokens classes"], truth: Int[Tensor, " tokens"]
) -> Float[Tensor, " tokens"]:
    """Return the cross-entropy of each token; those labelled -100 have 0.

    A vocabulary has tens of thousands of tokens, and the logits of a block may fill the memory: no
    copy of all of them is made. Few tokens at a time stay in a processor's cache, which is five
    times as fast.
    """
    few = max(1, _IN_CACHE // max(1, logits.shape[1]))
    parts = zip(logits.split(few), truth.split(few), strict=True)
    losses = [
        functional.cross_entropy(one, other, reduction="none", ignore_index=IGNORED)
        for one, other in parts
    ]
    return torch.cat(losses) if len(losses) > 1 else losses[0]


def next_token_cross_entropy_of(outputs: Tensor, labels: Any) -> Float[Tensor, " batch"]:  # noqa: ANN401
    """Return the mean cross-entropy of each sequence over its next tokens, in nats.

    Args:
        outputs: Logits ``[batch, tokens, classes]``; those at a token score the one behind it.
        labels: The tokens themselves, ``[batch, tokens]``; those labelled -100 do not count.

    Example:
        >>> next_token_cross_entropy_of(torch.zeros(1, 2, 4), torch.tensor([[0, 1]])).exp().round()
        tensor([4.])
    """
    truth = token_numbers(outputs, labels, "the cross-entropy of next tokens")
    return token_cross_entropy_of(outputs[:, :-1], truth[:, 1:])


def token_numbers(outputs: Tensor, labels: Any, use: str) -> Tensor:  # noqa: ANN401
    """Return labels as 64-bit class numbers, one for each token of ``[batch, tokens, classes]``.

    Raises:
        ModelError: If outputs or labels are of another shape, or score too few classes.
        SettingError: If the labels are no class numbers.
    """
    if outputs.ndim != 3:
        raise ModelError(
            f"Expected outputs of shape [batch, tokens, classes] for {use}, got "
            f"{list(outputs.shape)}: choose the `output` that holds the logits of tokens"
            f"{recipe('language-model')}."
        )
    return class_numbers(outputs.transpose(1, 2), labels, use)


cross_entropy = Loss("cross_entropy", cross_entropy_of)
binary_cross_entropy = Loss("binary_cross_entropy", binary_cross_entropy_of)
mse = Loss("mse", squared_error_of)
mae = Loss("mae", absolute_error_of)
token_cross_entropy = Loss("token_cross_entropy", token_cross_entropy_of)
next_token_cross_entropy = Loss("next_token_cross_entropy", next_token_cross_entropy_of)
NAMED_LOSSES = {
    item.name: item
    for item in (
        *(cross_entropy, binary_cross_entropy, mse, mae),
        *(token_cross_entropy, next_token_cross_entropy),
    )
}
"""Every known loss by its name."""


def as_loss(value: object) -> Loss:
    """Return a loss from an object, a name or a function.

    Args:
        value: A ``Loss``, the name of one, ``module:function``, or a function of outputs and labels
            that returns one number a sample.

    Raises:
        SettingError: For an unknown name, or a value that cannot be called.

    Example:
        >>> as_loss("mse").name
        'mse'
    """
    if isinstance(value, Loss):
        return value
    if isinstance(value, str) and ":" in value:
        return as_loss(load_factory(value, "loss"))
    if isinstance(value, str):
        if value not in NAMED_LOSSES:
            raise SettingError(unknown("loss", value, list(NAMED_LOSSES)))
        return NAMED_LOSSES[value]
    if not callable(value):
        raise SettingError(
            f"Expected a loss to be a name or a function of outputs and labels, got "
            f"{type(value).__name__}."
        )
    name = getattr(value, "__name__", type(value).__name__)
    return Loss(name, cast(Callable[[Any, Any], Tensor], value))
