"""Attacks of users and of other libraries, called behind a guard of their own.

Whatever such an attack does to the network and to global random states is undone; a change of the
weights is refused. Its result is checked for its form here, for its limits in ``stress.attacks``.
"""

import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from hormesis.data.bounds import is_uniform, perturbable_part
from hormesis.data.trees import Tree, copy_rows, repeat_rows, select_rows
from hormesis.errors import AttackError, quoted
from hormesis.models.adapter import outputs_of
from hormesis.settings.custom_attack import (
    ART,
    AUTOATTACK,
    FOOLBOX,
    FUNCTION,
    TORCHATTACKS,
    CustomAttack,
)
from hormesis.stress.attempt import Attempt
from hormesis.stress.cancellation import step
from hormesis.stress.losses import PASSED_ON

_OWN = 2  # keeps these seeds apart from others made with the same one


def run_custom(attack: CustomAttack, attempt: Attempt) -> Tensor:
    """Return the inputs that an attack of a user or of another library returns.

    Args:
        attack: The attack.
        attempt: The batch; it is attacked as a whole, or one sample at a time.

    Raises:
        AttackError: If the attack fails, changes the network, or returns anything but inputs of
            the same form.
    """
    inputs = attempt.rebuild(attempt.inputs)
    with _kept(attempt.network, attack.name):
        if not attack.per_sample:
            return _checked_call(attack, attempt, inputs, attempt.labels, 0)
        rows = []
        for place in range(len(attempt.inputs)):
            # Twice: many networks squeeze their output, and would treat a batch of one differently.
            one = select_rows((inputs, attempt.labels), slice(place, place + 1))
            row, label = (repeat_rows(part, 2) for part in one)
            rows.append(_checked_call(attack, attempt, row, label, place)[:1])
        return torch.cat(rows)


def _checked_call(
    attack: CustomAttack, attempt: Attempt, inputs: Tree, labels: Tree, place: int
) -> Tensor:
    """Return the continuous part of what an attack returns for some samples.

    Args:
        attack: The attack.
        attempt: The batch that they belong to.
        inputs: The samples.
        labels: Their labels.
        place: Of the first of them in the batch.
    """
    step()
    number = int(attempt.numbers[place])
    try:
        with _seeded(attempt.seed, number, attempt.inputs.device):
            found = _CALLS[attack.library](attack, attempt, copy_rows(inputs), copy_rows(labels))
    except PASSED_ON:
        raise
    except Exception as error:  # anything may come out of code that is not ours
        raise AttackError(f"The attack {attack.name!r} failed: {quoted(error)}") from error
    _check_form(found, inputs, attack.name)
    return perturbable_part(found).detach().to(attempt.inputs.device)


def _check_form(found: Any, inputs: Tree, name: str) -> None:  # noqa: ANN401
    """Refuse what is no batch of inputs like those that were attacked."""
    (leaves, form), (clean, clean_form) = tree_flatten(found), tree_flatten(inputs)
    if form != clean_form or not all(isinstance(leaf, Tensor) for leaf in leaves):
        raise AttackError(
            f"Expected the attack {name!r} to return inputs like those that it got, got "
            f"{type(found).__name__}."
        )
    for leaf, own in zip(leaves, clean, strict=True):
        if not isinstance(own, Tensor):
            continue
        if leaf.shape != own.shape or leaf.dtype != own.dtype:
            wanted, got = (
                f"{str(one.dtype).removeprefix('torch.')} of shape {list(one.shape)}"
                for one in (own, leaf)
            )
            raise AttackError(f"Expected the attack {name!r} to return {wanted}, got {got}.")
        if not own.is_floating_point() and not torch.equal(leaf.to(own.device), own):
            raise AttackError(
                f"Expected the attack {name!r} to leave inputs of whole numbers as they are, got "
                "others."
            )


@contextmanager
def _seeded(seed: int, number: int, device: torch.device) -> Iterator[None]:
    """Seed the global random states by a sample; those of NumPy and Python come back afterwards.

    That of PyTorch is kept by ``stress.attacks``.
    """
    states = np.random.get_state(), random.getstate()  # noqa: NPY002  (the global state is meant)
    words = np.random.SeedSequence((_OWN, seed, number)).generate_state(3).tolist()
    try:
        torch.default_generator.manual_seed(words[0])
        if device.type == "cuda":
            torch.cuda.manual_seed(words[0])
        np.random.seed(words[1])  # noqa: NPY002
        random.seed(words[2])
        yield
    finally:
        np.random.set_state(states[0])  # noqa: NPY002
        random.setstate(states[1])


@contextmanager
def _kept(network: nn.Module, name: str) -> Iterator[None]:
    """Put the tensors of a network back if a block has changed them, and refuse that it did.

    Raises:
        AttackError: Naming the first tensor that changed.
    """
    held: list[dict[str, Any]] = [
        part for module in network.modules() for part in (module._parameters, module._buffers)
    ]
    own = [dict(part) for part in held]
    before = {
        key: (tensor, tensor.detach().clone())
        for key, tensor in (*network.named_parameters(), *network.named_buffers())
    }
    changed = ""
    try:
        yield
    finally:
        for part, before_it in zip(held, own, strict=True):
            if [*map(id, part.values())] != [*map(id, before_it.values())]:
                changed = changed or next(iter({**before_it, **part}))
                part.clear()
                part.update(before_it)
        with torch.no_grad():
            for key, (tensor, values) in before.items():
                if not torch.equal(tensor, values):
                    changed = key
                    tensor.copy_(values)
    if changed:
        raise AttackError(
            f"Expected the attack {name!r} to leave the network as it is, got a change of "
            f"{changed!r}, which was taken back: attack a copy, in evaluation mode."
        )


class _Outputs(nn.Module):
    """The network for a library: it takes the study's inputs and returns the measured output."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.training = False

    def forward(self, inputs: Tree) -> Tensor:
        return outputs_of(self.network, inputs)


def _call_function(attack: CustomAttack, attempt: Attempt, inputs: Tree, labels: Any) -> Any:  # noqa: ANN401
    return attack.function(attempt.network, inputs, labels)


def _call_foolbox(attack: CustomAttack, attempt: Attempt, inputs: Tree, labels: Any) -> Any:  # noqa: ANN401
    from foolbox.criteria import Misclassification
    from foolbox.models.pytorch import PyTorchModel

    if not is_uniform(attempt.bounds):
        raise AttackError(
            f"Expected bounds of two numbers for {attack.name!r}, got one for each value: call it "
            "in a function of your own."
        )
    low, high = attempt.bounds
    model = PyTorchModel(
        _Outputs(attempt.network), (float(low), float(high)), device=attempt.inputs.device
    )
    epsilon = attempt.epsilon if attack.epsilon is not None else None
    return attack.function(model, inputs, Misclassification(labels), epsilons=epsilon)[1]


def _call_torchattacks(attack: CustomAttack, attempt: Attempt, inputs: Tree, labels: Any) -> Any:  # noqa: ANN401
    return attack.function(inputs, labels)


def _call_art(attack: CustomAttack, attempt: Attempt, inputs: Any, labels: Any) -> Any:  # noqa: ANN401
    found = attack.function.generate(x=inputs.cpu().numpy(), y=labels.cpu().numpy())
    return torch.as_tensor(found).to(inputs)


def _call_autoattack(attack: CustomAttack, attempt: Attempt, inputs: Any, labels: Any) -> Any:  # noqa: ANN401
    run = attack.function.run_standard_evaluation
    named = [name for name in ("bs", "batch_size") if name in inspect.signature(run).parameters]
    found = run(inputs, labels, **dict.fromkeys(named, len(inputs)))
    return found[0] if isinstance(found, tuple) else found


_CALLS: dict[str, Callable[[CustomAttack, Attempt, Tree, Any], Any]] = {
    FUNCTION: _call_function,
    FOOLBOX: _call_foolbox,
    TORCHATTACKS: _call_torchattacks,
    ART: _call_art,
    AUTOATTACK: _call_autoattack,
}


def check_bound(attack: CustomAttack, network: nn.Module) -> None:
    """Refuse an attack that is bound to another network: filters work on this one.

    Args:
        attack: Any attack of a user or of another library.
        network: The analysed network.

    Raises:
        AttackError: With the way round.
    """
    bound = attack.bound
    if bound is None:
        return
    own = [parameter.data_ptr() for parameter in network.parameters()]
    if isinstance(bound, nn.Module):
        others = {parameter.data_ptr() for parameter in bound.parameters()}
        if others.issuperset(own):
            return
    raise AttackError(
        f"Expected {attack.name!r} to be bound to the analysed network, got another one: make it "
        "of this network, or pass a function that makes it of the network that it is given, "
        "`lambda network, inputs, labels: Attack(network)(inputs, labels)`."
    )
