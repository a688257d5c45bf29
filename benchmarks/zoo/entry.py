"""A network of somebody else's making with data for it, ready to be measured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hormesis.data.evaluation import Evaluation
from hormesis.models.adapter import adapt, outputs_of
from hormesis.models.eval_mode import evaluation_mode
from hormesis.models.unwrapping import unwrapped
from hormesis.settings.attacks import FGSM, Attack

SAMPLES = 8
_EPSILON = 0.03


@dataclass(frozen=True)
class Entry:
    """A network, and how it is measured.

    Args:
        name: What the table calls it.
        library: The package that it comes from.
        ring: 1 for logits of one float tensor, 2 for any tensors, 3 for an ``Evaluation``.
        build: Makes the network; its weights are drawn again, see ``made``.
        inputs: Makes the inputs of ``SAMPLES`` samples, or the evaluation.
        metric: What is measured; labels that fit it are made from the network's own outputs.
        attack: Whether the inputs are attacked, too.
        output: Which of the network's outputs is measured.
    """

    name: str
    library: str
    ring: int
    build: Callable[[], nn.Module]
    inputs: Callable[[], Any]
    metric: Any = "accuracy"
    attack: bool = False
    output: Any = None

    @property
    def adversary(self) -> Attack | None:
        """The attack, or None."""
        return FGSM(_EPSILON) if self.attack else None


@dataclass(frozen=True)
class Made:
    """An entry's network and data.

    Args:
        network: In evaluation mode.
        data: ``(inputs, labels)``, or an ``Evaluation``.
    """

    network: nn.Module
    data: Any


def made(entry: Entry) -> Made:
    """Return the network and the data of an entry, the same ones every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = entry.build().eval()
        _draw_weights(network)
        inputs = entry.inputs()
        if isinstance(inputs, Evaluation):
            return Made(network, inputs)
        return Made(network, (inputs, _labels(entry, network, inputs)))


@torch.no_grad()
def _draw_weights(network: nn.Module) -> None:
    """Give weights values by which every layer matters: many start at zero, or next to it."""
    for parameter in network.parameters():
        if parameter.ndim > 1:
            inputs = parameter[0].numel()
            parameter.normal_(0.0, inputs**-0.5)
        elif parameter.is_floating_point():
            parameter.add_(0.1 * torch.randn_like(parameter))
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for tensor, middle in ((module.running_mean, 0.0), (module.running_var, 1.0)):
                if tensor is not None:
                    tensor.copy_(middle + 0.6 * (torch.rand_like(tensor) - 0.5))


def _labels(entry: Entry, network: nn.Module, inputs: Any) -> Any:  # noqa: ANN401
    """Return labels of which the network gets some right, in the form that the metric takes."""
    if entry.metric in ("cosine", "kl"):
        return None
    if entry.metric in ("next_token_accuracy", "perplexity"):
        return inputs["decoder_input_ids" if "decoder_input_ids" in inputs else "input_ids"]
    adapted = adapt(unwrapped(network), inputs, entry.output)
    with evaluation_mode(adapted), torch.no_grad():
        outputs = outputs_of(adapted, inputs)
    if entry.metric == "mse":
        return outputs + 0.1 * torch.randn_like(outputs)
    if entry.metric == "multilabel_accuracy":
        return (outputs > outputs.mean(dim=0)).to(torch.int64)
    return _classes(outputs, -1 if entry.metric == "token_accuracy" else 1)


def _classes(outputs: Tensor, axis: int) -> Tensor:
    best = outputs.argmax(dim=axis)
    best[::3] = (outputs - outputs.mean(dim=0)).argmax(dim=axis)[::3]
    return best
