"""Adversarial inputs: Foolbox's attacks behind one guard.

The guard owns what Foolbox leaves to its caller: the network comes back as it was, random starts
belong to the sample and not to its batch, and what the attack returns is clipped and checked.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from eagerpy.astensor import astensor
from eagerpy.tensor.tensor import Tensor as EagerTensor
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from hormesis.errors import AttackError, DataError, ModelError, SettingError
from hormesis.models.eval_mode import evaluation_mode
from hormesis.models.networks import logits_of
from hormesis.settings.attacks import FGSM, PGD, Attack, RandomSigns, as_step_size
from hormesis.stress.cancellation import step
from hormesis.stress.metrics import accuracy_of

with warnings.catch_warnings():
    # Foolbox 3.3.4 imports a SciPy name from its old place, for an attack that is not used here.
    warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
    from foolbox.attacks.projected_gradient_descent import LinfProjectedGradientDescentAttack
    from foolbox.criteria import Misclassification
    from foolbox.models.pytorch import PyTorchModel

Numbers = Int[np.ndarray, " batch"]
"""Index in the data set of each row."""

_STARTS = 1  # keeps these draws apart from others made with the same seed


@dataclass(frozen=True)
class Perturbed:
    """What an attack made of inputs, and where it had nothing to work with.

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
    attack: Attack | RandomSigns,
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
        attack: ``FGSM``, ``PGD`` or ``RandomSigns`` with a number as ``epsilon``, in input units.
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
    return _attacked(network, inputs, labels, attack, (bounds, seed, first)).inputs


def perturb_noted(
    network: nn.Module,
    inputs: Float[Tensor, " batch *shape"],
    labels: Int[Tensor, " batch"],
    attack: Attack | RandomSigns,
    *,
    bounds: tuple[float, float],
    seed: int,
    first: int | Int[Tensor, " batch"] = 0,
) -> Perturbed:
    """Return what ``perturb`` returns, and where the attack had nothing to work with.

    An attack from a random start takes one more gradient for that, at the clean inputs.

    Example:
        >>> flat = nn.Sequential(nn.Linear(2, 2), nn.Threshold(1e9, 0.0))
        >>> inputs, labels = torch.tensor([[0.5, 0.9]]), torch.tensor([0])
        >>> perturb_noted(flat, inputs, labels, FGSM(0.25), bounds=(0.0, 1.0), seed=0).idle.tolist()
        [[True], [True]]
    """
    return _attacked(network, inputs, labels, attack, (bounds, seed, first), noted=True)


def _attacked(
    network: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    attack: Attack | RandomSigns,
    where: tuple[tuple[float, float], int, int | Tensor],
    *,
    noted: bool = False,
) -> Perturbed:
    bounds, seed, first = where
    if isinstance(attack.epsilon, str):
        raise SettingError(
            "Expected `epsilon` to be a number by the time of the attack, got 'auto'; "
            "`automatic_epsilon` finds one."
        )
    epsilon, (low, high) = float(attack.epsilon), _representable(bounds, inputs.dtype)
    devices = [inputs.device] if inputs.device.type == "cuda" else []
    with (
        torch.inference_mode(False),  # turns gradients on as well, whatever the caller has set
        torch.random.fork_rng(devices=devices),
        evaluation_mode(network),
    ):
        clean = inputs.detach()
        if len(clean) == 0:
            return Perturbed(clean.clone(), torch.zeros(2, 0, dtype=torch.bool))
        numbers = _numbers(first, len(clean))
        _check_inputs(clean, (low, high), numbers)
        truth = labels.to(device=clean.device, dtype=torch.int64, copy=True)
        model = PyTorchModel(_Logits(network, truth).eval(), (low, high), device=clean.device)

        def run(steps: _SignSteps | _Signs) -> Tensor:
            once = steps.run(model, clean, Misclassification(truth), epsilon=epsilon)
            _check_found(once, clean, epsilon, (low, high), numbers)
            return clip(once, clean, epsilon=epsilon, bounds=(low, high))

        first_steps = _foolbox_attack(attack, seed, numbers)
        if noted:
            first_steps.look(model, clean, truth)
        found = run(first_steps)
        for restart in range(1, _tries(attack)):
            with torch.no_grad():
                right = accuracy_of(logits_of(network(found)), truth)
            if not right.any():
                break
            again = run(_foolbox_attack(attack, seed, numbers, restart))
            found = torch.where(right.view(-1, *[1] * (clean.ndim - 1)), again, found)
        unmoved = (found == clean).flatten(1).all(dim=1)
        zero = torch.zeros_like(unmoved) if first_steps.zero is None else first_steps.zero
        return Perturbed(found, torch.stack([zero, unmoved]))


def random_starts(
    inputs: Float[Tensor, " batch *shape"],
    *,
    seed: int,
    first: int | Int[Tensor, " batch"] = 0,
    restart: int = 0,
) -> Float[Tensor, " batch *shape"]:
    """Return one draw a sample, even over [-1, 1), from the seed and the sample's index alone.

    Neither the size of the batch nor the device nor the global random state has a say.

    Args:
        inputs: Gives the shape, the dtype and the device.
        seed: Seed, at least 0.
        first: Index in the data set of the first row, or the index of each.
        restart: Which of several starts of an attack, from 0.

    Example:
        >>> whole = random_starts(torch.zeros(3, 2), seed=0)
        >>> torch.equal(whole[2:], random_starts(torch.zeros(1, 2), seed=0, first=2))
        True
    """
    shape, again = inputs.shape[1:], (restart,) if restart else ()
    rows = [
        np.random.default_rng((_STARTS, seed, number, *again)).uniform(-1.0, 1.0, shape)
        for number in _numbers(first, len(inputs)).tolist()
    ]
    return torch.from_numpy(np.stack(rows)).to(dtype=inputs.dtype, device=inputs.device)


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
    """The network's logits, checked against the labels.

    The network is kept in a tuple, out of reach of ``.to(device)``, which Foolbox calls.
    """

    def __init__(self, network: nn.Module, labels: Tensor) -> None:
        super().__init__()
        self._network = (network,)
        self._top = int(labels.max())

    def forward(self, inputs: Tensor) -> Tensor:
        step()
        logits = logits_of(self._network[0](inputs))
        if logits.shape[1] <= self._top:
            raise ModelError(
                f"Expected the network to score at least {self._top + 1} classes, as the labels "
                f"run up to {self._top}, got {logits.shape[1]}."
            )
        return logits


class _SignSteps(LinfProjectedGradientDescentAttack):
    """Foolbox's steps along the sign of the gradient, with two of its hooks filled in."""

    def __init__(
        self,
        steps: int,
        step_size: float,
        *,
        random_start: bool,
        seed: int,
        numbers: Numbers,
        restart: int = 0,
    ) -> None:
        super().__init__(steps=steps, rel_stepsize=step_size, random_start=random_start)
        self._seed = seed
        self._numbers = numbers
        self._restart = restart
        self.zero: Tensor | None = None  # of each sample, whether its first gradient is zero

    def look(self, model: PyTorchModel, clean: Tensor, labels: Tensor) -> None:
        """Make sure that the first gradient is one at the clean inputs."""
        if self.random_start:
            self.value_and_grad(self.get_loss_fn(model, astensor(labels)), astensor(clean))

    def get_random_start(self, x0: EagerTensor, epsilon: float) -> EagerTensor:
        places = torch.from_numpy(self._numbers)
        starts = random_starts(x0.raw, seed=self._seed, first=places, restart=self._restart)
        return x0 + epsilon * astensor(starts)

    def value_and_grad(
        self, loss_fn: Callable[[EagerTensor], EagerTensor], x: EagerTensor
    ) -> tuple[EagerTensor, EagerTensor]:
        # Foolbox's own calls backward(), which leaves a .grad on every tensor that asks for one.
        raw = x.raw.detach().clone().requires_grad_()
        loss = loss_fn(astensor(raw)).raw
        gradient = None
        if loss.requires_grad:
            (gradient,) = torch.autograd.grad(loss, raw, allow_unused=True)
        if gradient is None:
            raise AttackError(
                "Expected a network that is differentiable with respect to its input, got outputs "
                "that are cut off from it; look for detach(), no_grad() or NumPy in its forward()."
            )
        # The sign of NaN is 0 in PyTorch: the sample would silently pass for one that resists.
        broken = _first_bad(gradient.isnan(), self._numbers)
        if broken is not None:
            raise AttackError(
                "Expected a gradient of the loss to follow, got NaN for sample "
                f"{broken}; look for NaN or infinite values in the network's weights or operations."
            )
        if self.zero is None:
            self.zero = (gradient == 0).flatten(1).all(dim=1)
        return astensor(loss.detach()), astensor(gradient)


class _Signs:
    """One draw of ``RandomSigns``, called as Foolbox's attacks are."""

    zero: Tensor | None = None  # there is no gradient to be zero

    def __init__(self, seed: int, numbers: Numbers, draw: int) -> None:
        self._where = seed, torch.from_numpy(numbers), draw

    def look(self, model: PyTorchModel, clean: Tensor, labels: Tensor) -> None:
        """Look at nothing."""

    def run(self, model: PyTorchModel, clean: Tensor, rule: object, *, epsilon: float) -> Tensor:
        """Return inputs that are moved, inside the bounds."""
        seed, places, draw = self._where
        starts = random_starts(clean, seed=seed, first=places, restart=draw)
        return (clean + epsilon * torch.where(starts < 0, -1.0, 1.0)).clamp(*model.bounds)


def _tries(attack: Attack | RandomSigns) -> int:
    """Return how many perturbed inputs of a sample are tried at most."""
    if isinstance(attack, RandomSigns):
        return attack.draws
    return attack.restarts if isinstance(attack, PGD) else 1


def _foolbox_attack(
    attack: Attack | RandomSigns, seed: int, numbers: Numbers, restart: int = 0
) -> _SignSteps | _Signs:
    if isinstance(attack, RandomSigns):
        return _Signs(seed, numbers, restart)
    made = partial(_SignSteps, seed=seed, numbers=numbers, restart=restart)
    if isinstance(attack, FGSM):
        return made(1, 1.0, random_start=False)
    steps, size, start = attack.steps, as_step_size(attack.step_size), attack.random_start
    return made(steps, size, random_start=start)


def _numbers(first: int | Tensor, count: int) -> Numbers:
    """Return the index in the data set of each row."""
    return np.arange(first, first + count) if isinstance(first, int) else first.cpu().numpy()


def _representable(bounds: tuple[float, float], dtype: torch.dtype) -> tuple[float, float]:
    # A bound such as 0.1 lies between two numbers of a 32-bit input, which can only touch one.
    low, high = torch.tensor(bounds, dtype=torch.float64).to(dtype).tolist()
    return low, high


def _first_bad(bad: Tensor, numbers: Numbers) -> int | None:
    rows = bad.flatten(1).any(dim=1).nonzero()
    return int(numbers[int(rows[0])]) if len(rows) else None


def _check_inputs(inputs: Tensor, bounds: tuple[float, float], numbers: Numbers) -> None:
    low, high = bounds
    outside = _first_bad(~((inputs >= low) & (inputs <= high)), numbers)
    if outside is not None:
        raise DataError(
            f"Expected inputs between {low:g} and {high:g}, the declared bounds, got a value "
            f"outside them in sample {outside}."
        )


def _check_found(
    found: Tensor,
    inputs: Tensor,
    epsilon: float,
    bounds: tuple[float, float],
    numbers: Numbers,
) -> None:
    broken = _first_bad(~found.isfinite(), numbers)
    if broken is not None:
        raise AttackError(
            f"Expected the attack to return finite inputs, got NaN or infinity for sample {broken}."
        )
    outside = _first_bad((found < bounds[0]) | (found > bounds[1]), numbers)
    if outside is not None:
        raise AttackError(
            f"Expected the attack to stay between {bounds[0]:g} and {bounds[1]:g}, the declared "
            f"bounds, got a value outside them for sample {outside}."
        )
    rounding = 2 * torch.finfo(inputs.dtype).eps * inputs.abs().clamp(min=epsilon)
    far = _first_bad((found - inputs).abs() > epsilon + rounding, numbers)
    if far is not None:
        raise AttackError(
            f"Expected the attack to change no value by more than {epsilon:g}, its `epsilon`, got "
            f"a larger change for sample {far}."
        )
