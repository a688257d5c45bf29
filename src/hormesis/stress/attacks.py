"""Adversarial inputs: how each attack is carried out, behind one guard.

An attack is a class in ``settings.attacks`` and a function here, in ``RUNS``. The guard owns what
each would otherwise have to care for: the network comes back as it was, random starts belong to the
sample and not to its batch, and what the attack returns is clipped and checked.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from eagerpy.astensor import astensor
from eagerpy.tensor.tensor import Tensor as EagerTensor
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from hormesis.errors import AttackError, DataError, SettingError
from hormesis.models.eval_mode import evaluation_mode
from hormesis.models.networks import logits_of
from hormesis.settings.attacks import ATTACKS, FGSM, PGD, Attack, RandomSigns, as_step_size, tries
from hormesis.settings.choices import check_new_name
from hormesis.stress.attempt import Attempt, Numbers, first_bad, numbers_of
from hormesis.stress.metrics import accuracy_of

with warnings.catch_warnings():
    # Foolbox 3.3.4 imports a SciPy name from its old place, for an attack that is not used here.
    warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
    from foolbox.attacks.projected_gradient_descent import LinfProjectedGradientDescentAttack
    from foolbox.criteria import Misclassification
    from foolbox.models.pytorch import PyTorchModel


@dataclass(frozen=True)
class PerturbedInputs:
    """Perturbed inputs, and the samples for which the attack had nothing to work with.

    Args:
        inputs: The perturbed inputs.
        idle: Of each sample, whether the gradient of the loss at the clean input is zero in every
            value; and whether the attack left the input as it was.
    """

    inputs: Float[Tensor, " batch *shape"]
    idle: Bool[Tensor, "two batch"]


def perturb(
    network: nn.Module,
    inputs: Float[Tensor, " batch *shape"],
    labels: Int[Tensor, " batch"],
    attack: Attack,
    *,
    bounds: tuple[float, float],
    seed: int,
    first: int | Int[Tensor, " batch"] = 0,
) -> Float[Tensor, " batch *shape"]:
    """Return the inputs as the attack changes them to raise the network's loss.

    The network is attacked in evaluation mode and is afterwards as it came, also after an
    exception; so is the global random state. A sample's random start depends on the seed and on
    its index alone. Works inside ``torch.no_grad()`` and ``torch.inference_mode()`` too.

    Args:
        network: Maps inputs to logits (see ``logits_of``), on the device of ``inputs``.
        inputs: Samples in input units, inside ``bounds``.
        labels: True class of each sample, on any device.
        attack: Any attack with a number as ``epsilon``, in input units.
        bounds: Lowest and highest value that an input may take.
        seed: Seed of the random starts, at least 0.
        first: Index in the data set of the first row, or the index of each.

    Returns:
        Perturbed inputs, detached: inside ``bounds`` and, up to rounding, within ``epsilon`` of
        ``inputs`` in every value.

    Raises:
        SettingError: If the attack's ``epsilon`` is still ``"auto"``.
        DataError: If an input is not finite or lies outside ``bounds``.
        ModelError: If the network scores fewer classes than the labels name.
        AttackError: If the network is not differentiable with respect to its input; or, naming the
            sample, if a gradient is NaN, or a perturbed input is not finite or breaks its limits.

    Example:
        >>> network = nn.Linear(2, 2, bias=False)
        >>> _ = nn.init.eye_(network.weight)
        >>> inputs, labels = torch.tensor([[0.5, 0.9]]), torch.tensor([0])
        >>> perturb(network, inputs, labels, FGSM(0.25), bounds=(0.0, 1.0), seed=0)
        tensor([[0.2500, 1.0000]])
    """
    options = {"bounds": bounds, "seed": seed, "first": first}
    return perturb_and_note(network, inputs, labels, attack, note_zero=False, **options).inputs


def perturb_and_note(
    network: nn.Module,
    inputs: Float[Tensor, " batch *shape"],
    labels: Int[Tensor, " batch"],
    attack: Attack,
    *,
    bounds: tuple[float, float],
    seed: int,
    first: int | Int[Tensor, " batch"] = 0,
    note_zero: bool = True,
) -> PerturbedInputs:
    """Return what ``perturb`` returns, and where the attack had nothing to work with.

    An attack from a random start takes one more gradient for that, at the clean inputs, unless
    ``note_zero`` is False.

    Example:
        >>> flat = nn.Sequential(nn.Linear(2, 2), nn.Threshold(1e9, 0.0))
        >>> inputs, labels = torch.tensor([[0.5, 0.9]]), torch.tensor([0])
        >>> options = {"bounds": (0.0, 1.0), "seed": 0}
        >>> perturb_and_note(flat, inputs, labels, FGSM(0.25), **options).idle.tolist()
        [[True], [True]]
    """
    if isinstance(attack.epsilon, str):
        raise SettingError(
            "Expected `epsilon` to be a number by the time of the attack, got 'auto'; "
            "`automatic_epsilon` finds one."
        )
    epsilon, limits = float(attack.epsilon), _representable(bounds, inputs.dtype)
    devices = [inputs.device] if inputs.device.type == "cuda" else []
    with (
        torch.inference_mode(False),  # turns gradients on as well, whatever the caller has set
        torch.random.fork_rng(devices=devices),
        evaluation_mode(network),
    ):
        clean = inputs.detach()
        if len(clean) == 0:
            return PerturbedInputs(clean.clone(), torch.zeros(2, 0, dtype=torch.bool))
        numbers = numbers_of(first, len(clean))
        _check_inputs(clean, limits, numbers)
        truth = labels.to(device=clean.device, dtype=torch.int64, copy=True)
        attempt = Attempt(network, clean, truth, epsilon, limits, seed, numbers, note_zero)
        perturbed = _run_once(attack, attempt)
        for restart in range(1, tries(attack)):
            with torch.no_grad():
                right = accuracy_of(logits_of(network(perturbed)), truth)
            if not right.any():
                break
            again = _run_once(attack, replace(attempt, restart=restart, note_zero=False))
            perturbed = torch.where(right.view(-1, *[1] * (clean.ndim - 1)), again, perturbed)
        unmoved = (perturbed == clean).flatten(1).all(dim=1)
        zero = torch.zeros_like(unmoved) if attempt.zero is None else attempt.zero
        return PerturbedInputs(perturbed, torch.stack([zero, unmoved]))


def _run_once(attack: Attack, attempt: Attempt) -> Tensor:
    """Return the inputs of one attempt, checked, and inside the limits to the last bit."""
    run = RUNS.get(type(attack))
    if run is None:
        raise SettingError(
            f"Expected a registered attack, got {type(attack).__name__}: "
            "`register_attack` says how it is carried out."
        )
    perturbed = run(attack, attempt)
    clean, epsilon, bounds = attempt.inputs, attempt.epsilon, attempt.bounds
    _check_perturbed(perturbed, clean, epsilon, bounds, attempt.numbers)
    return clip(perturbed, clean, epsilon=epsilon, bounds=bounds)


def clip(
    perturbed: Float[Tensor, " batch *shape"],
    inputs: Float[Tensor, " batch *shape"],
    *,
    epsilon: float,
    bounds: tuple[float, float],
) -> Float[Tensor, " batch *shape"]:
    """Return the perturbed inputs, each value moved into the ball and then into the bounds.

    Clipping twice changes nothing, bit for bit; NaN stays NaN.

    Args:
        perturbed: What an attack returned.
        inputs: The inputs it started from, inside ``bounds``.
        epsilon: Largest change of any value, in input units.
        bounds: Lowest and highest value that an input may take.

    Example:
        >>> inputs = torch.full((1, 2), 0.5)
        >>> clip(torch.tensor([[0.0, 2.0]]), inputs, epsilon=0.25, bounds=(0.0, 0.6))
        tensor([[0.2500, 0.6000]])
    """
    near = torch.clamp(perturbed, min=inputs - epsilon, max=inputs + epsilon)
    return near.clamp(*bounds)


class _Logits(nn.Module):
    """The logits as a module, whose ``.to(device)``, which Foolbox calls, moves nothing."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__()
        self._attempt = attempt

    def forward(self, inputs: Tensor) -> Tensor:
        return self._attempt.logits(inputs)


class _SignSteps(LinfProjectedGradientDescentAttack):
    """Foolbox's steps along the sign of the gradient, with two of its hooks filled in."""

    def __init__(
        self, attempt: Attempt, steps: int, step_size: float, *, random_start: bool
    ) -> None:
        super().__init__(steps=steps, rel_stepsize=step_size, random_start=random_start)
        self._attempt = attempt

    def get_random_start(self, x0: EagerTensor, epsilon: float) -> EagerTensor:
        return x0 + epsilon * astensor(self._attempt.starts())

    def value_and_grad(
        self, loss_fn: Callable[[EagerTensor], EagerTensor], x: EagerTensor
    ) -> tuple[EagerTensor, EagerTensor]:
        # Foolbox's own calls backward().
        raw = x.raw.detach().clone().requires_grad_()
        loss = loss_fn(astensor(raw)).raw
        gradient = self._attempt.gradient_of(loss, raw)
        return astensor(loss.detach()), astensor(gradient)


def _sign_steps(attempt: Attempt, steps: int, size: float, *, random_start: bool) -> Tensor:
    clean, device = attempt.inputs, attempt.inputs.device
    model = PyTorchModel(_Logits(attempt).eval(), attempt.bounds, device=device)
    method = _SignSteps(attempt, steps, size, random_start=random_start)
    return method.run(model, clean, Misclassification(attempt.labels), epsilon=attempt.epsilon)


def _fgsm(attack: FGSM, attempt: Attempt) -> Tensor:
    return _sign_steps(attempt, 1, 1.0, random_start=False)


def _pgd(attack: PGD, attempt: Attempt) -> Tensor:
    if attack.random_start:
        attempt.look()
    size = as_step_size(attack.step_size)
    return _sign_steps(attempt, attack.steps, size, random_start=attack.random_start)


def _random_signs(attack: RandomSigns, attempt: Attempt) -> Tensor:
    signs = torch.where(attempt.starts() < 0, -1.0, 1.0).to(attempt.inputs.dtype)
    return (attempt.inputs + attempt.epsilon * signs).clamp(*attempt.bounds)


Run = Callable[[Any, Attempt], Tensor]
RUNS: dict[type, Run] = {FGSM: _fgsm, PGD: _pgd, RandomSigns: _random_signs}
"""How each attack is carried out: a function of it and of an attempt, to perturbed inputs."""


def register_attack(kind: type[Any], run: Run) -> type[Any]:
    """Register an attack by its name, for flags and configurations, and say how it is carried out.

    Args:
        kind: A frozen dataclass with the fields of ``Attack``. It replaces one of the same name,
            unless that is one of the package's own.
        run: Takes one of these and an ``Attempt``, and returns perturbed inputs inside its limits.

    Returns:
        The class itself.

    Raises:
        SettingError: If the package has an attack of this name.

    Example:
        >>> register_attack(FGSM, _fgsm)
        Traceback (most recent call last):
        hormesis.errors.SettingError: Expected another `name` than 'fgsm', which is taken.
    """
    check_new_name(kind.name, _BUILT_IN)
    ATTACKS[kind.name], RUNS[kind] = kind, run
    return kind


_BUILT_IN = frozenset(one.name for one in RUNS)


def _representable(bounds: tuple[float, float], dtype: torch.dtype) -> tuple[float, float]:
    # A bound such as 0.1 lies between two numbers of a 32-bit input, which can only touch one.
    low, high = torch.tensor(bounds, dtype=torch.float64).to(dtype).tolist()
    return low, high


def _check_inputs(inputs: Tensor, bounds: tuple[float, float], numbers: Numbers) -> None:
    low, high = bounds
    outside = first_bad(~((inputs >= low) & (inputs <= high)), numbers)
    if outside is not None:
        raise DataError(
            f"Expected inputs between {low:g} and {high:g}, the declared bounds, got a value "
            f"outside them in sample {outside}."
        )


def _check_perturbed(
    perturbed: Tensor,
    inputs: Tensor,
    epsilon: float,
    bounds: tuple[float, float],
    numbers: Numbers,
) -> None:
    broken = first_bad(~perturbed.isfinite(), numbers)
    if broken is not None:
        raise AttackError(
            f"Expected the attack to return finite inputs, got NaN or infinity for sample {broken}."
        )
    outside = first_bad((perturbed < bounds[0]) | (perturbed > bounds[1]), numbers)
    if outside is not None:
        raise AttackError(
            f"Expected the attack to stay between {bounds[0]:g} and {bounds[1]:g}, the declared "
            f"bounds, got a value outside them for sample {outside}."
        )
    rounding = 2 * torch.finfo(inputs.dtype).eps * inputs.abs().clamp(min=epsilon)
    far = first_bad((perturbed - inputs).abs() > epsilon + rounding, numbers)
    if far is not None:
        raise AttackError(
            f"Expected the attack to change no value by more than {epsilon:g}, its `epsilon`, got "
            f"a larger change for sample {far}."
        )
