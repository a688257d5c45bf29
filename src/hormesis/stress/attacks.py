"""Adversarial inputs: how each attack is carried out, behind one guard.

An attack is a class in ``settings.attacks`` and a function here, in ``RUNS``. The guard owns what
each would otherwise have to care for: the network comes back as it was, random starts belong to the
sample and not to its batch, and what the attack returns is clipped and checked.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from hormesis.data.bounds import (
    Bounds,
    Rebuild,
    clamp_to,
    perturbable_part,
    spell_bounds,
)
from hormesis.data.embedded import perturbable_values
from hormesis.data.trees import Tree, copy_rows, count_rows, device_of_rows, move_to
from hormesis.errors import AttackError, DataError, SettingError
from hormesis.models.eval_mode import evaluation_mode
from hormesis.settings.attacks import ATTACKS, FGSM, PGD, Attack, RandomSigns, tries
from hormesis.settings.choices import check_new_name
from hormesis.settings.custom_attack import CustomAttack
from hormesis.settings.magnitudes import as_step_size
from hormesis.settings.threat import L2, LINF, NORM_NAMES, norm_of, target_of
from hormesis.stress.aims import classes_aimed_at, still_standing
from hormesis.stress.attempt import Attempt, Numbers, first_bad, numbers_of
from hormesis.stress.foreign_attacks import run_custom
from hormesis.stress.losses import Loss, cross_entropy
from hormesis.stress.projections import along, clip, project, rounding, sizes, unit


@dataclass(frozen=True)
class PerturbedInputs:
    """Perturbed inputs, and the samples for which the attack had nothing to work with.

    Args:
        inputs: The perturbed inputs.
        idle: Of each sample, whether the gradient of the loss at the clean input is zero in every
            value; and whether the attack left the input as it was.
    """

    inputs: Tree
    idle: Bool[Tensor, "two batch"]


def perturb(
    network: nn.Module,
    inputs: Tree,
    labels: Any,  # noqa: ANN401
    attack: Attack,
    *,
    bounds: Bounds,
    seed: int,
    first: int | Int[Tensor, " batch"] = 0,
    loss: Loss = cross_entropy,
) -> Tree:
    """Return the inputs as the attack changes them to raise the network's loss.

    The network is attacked in evaluation mode and is afterwards as it came, also after an
    exception; so is the global random state. A sample's random start depends on the seed and on
    its index alone. Works inside ``torch.no_grad()`` and ``torch.inference_mode()`` too.

    Args:
        network: Maps inputs to outputs (see ``adapter.outputs_of``), on the device of ``inputs``.
        inputs: Samples in input units, inside ``bounds``: a tensor, or a structure of tensors, of
            which only the floating-point ones are perturbed.
        labels: True class of each sample, or whatever the loss takes, on any device.
        attack: Any attack with a number as ``epsilon``, in input units.
        bounds: Lowest and highest value that an input may take, see ``data.bounds``.
        seed: Seed of the random starts, at least 0.
        first: Index in the data set of the first row, or the index of each.
        loss: What the attack raises, the cross-entropy with the true class by default.

    Returns:
        Perturbed inputs, detached: inside ``bounds`` and, up to rounding, within ``epsilon`` of
        ``inputs`` in the norm of the attack.

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
    options = {"bounds": bounds, "seed": seed, "first": first, "loss": loss}
    return perturb_and_note(network, inputs, labels, attack, note_zero=False, **options).inputs


def perturb_and_note(
    network: nn.Module,
    inputs: Tree,
    labels: Any,  # noqa: ANN401
    attack: Attack,
    *,
    bounds: Bounds,
    seed: int,
    first: int | Int[Tensor, " batch"] = 0,
    loss: Loss = cross_entropy,
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
    devices = [device] if (device := device_of_rows(inputs)).type == "cuda" else []
    with (
        torch.inference_mode(False),  # turns gradients on as well, whatever the caller has set
        torch.random.fork_rng(devices=devices),
        evaluation_mode(network),
    ):
        if count_rows(inputs) == 0:
            return PerturbedInputs(inputs, torch.zeros(2, 0, dtype=torch.bool))
        own = inputs if isinstance(inputs, Tensor) else copy_rows(inputs)
        clean = perturbable_part(own).detach()
        attempt = Attempt(
            network,
            clean,
            labels=copy_rows(move_to(labels, clean.device)),
            epsilon=math.inf if attack.epsilon is None else float(attack.epsilon),
            bounds=_representable(bounds, clean),
            seed=seed,
            numbers=numbers_of(first, len(clean)),
            note_zero=note_zero,
            loss=loss,
            rebuild=Rebuild(own),
            norm=norm_of(attack),
            perturbable=perturbable_values(own),
        )
        _check_inputs(clean, attempt.bounds, attempt.numbers)
        attempt.toward = classes_aimed_at(target_of(attack), attempt)
        perturbed = _run_all(attack, attempt)
        if attempt.toward is not None:
            own_class = attempt.toward == attempt.labels
            perturbed = torch.where(along(own_class, clean), clean, perturbed)
        unmoved = (perturbed == clean).flatten(1).all(dim=1)
        zero = torch.zeros_like(unmoved) if attempt.zero is None else attempt.zero
        return PerturbedInputs(attempt.rebuild(perturbed), torch.stack([zero, unmoved]))


def _run_all(attack: Attack, attempt: Attempt) -> Tensor:
    """Return the inputs after all attempts: of each sample the first one that does its harm."""
    perturbed = _run_once(attack, attempt)
    for restart in range(1, tries(attack)):
        replaced = still_standing(attempt, perturbed)
        if replaced is not None and not replaced.any():
            break
        again = _run_once(attack, replace(attempt, restart=restart, note_zero=False))
        if replaced is None:
            replaced = _losses(attempt, again) > _losses(attempt, perturbed)
        perturbed = torch.where(along(replaced, again), again, perturbed)
    return perturbed


@torch.no_grad()
def _losses(attempt: Attempt, perturbed: Tensor) -> Float[Tensor, " batch"]:
    return attempt.loss.measure(attempt.outputs(perturbed), attempt.labels)


def _run_once(attack: Attack, attempt: Attempt) -> Tensor:
    """Return the inputs of one attempt, checked, and inside the limits to the last bit."""
    run = RUNS.get(type(attack))
    if run is None:
        raise SettingError(
            f"Expected a registered attack, got {type(attack).__name__}: "
            "`register_attack` says how it is carried out."
        )
    perturbed = run(attack, attempt)
    _check_perturbed(perturbed, attempt)
    limits = {"epsilon": attempt.epsilon, "bounds": attempt.bounds, "norm": attempt.norm}
    return clip(perturbed, attempt.inputs, **limits)


def _gradient_steps(attempt: Attempt, steps: int, size: float, *, random_start: bool) -> Tensor:
    """Return the inputs after steps along the gradient, each projected.

    Args:
        attempt: The batch under attack.
        steps: How many.
        size: Of one, as a share of the magnitude.
        random_start: Start from a point in the ball instead of its centre.
    """
    clean, epsilon, norm = attempt.inputs, attempt.epsilon, attempt.norm
    inputs = clean
    if random_start:
        inputs = clamp_to(clean + epsilon * attempt.starts(), attempt.bounds)
    for _ in range(steps):
        gradient = attempt.gradient(inputs)
        inputs = inputs + size * epsilon * (unit(gradient) if norm == L2 else gradient.sign())
        inputs = clean + project(inputs - clean, epsilon, norm)
        inputs = clamp_to(inputs, attempt.bounds)
    return inputs


def _fgsm(attack: FGSM, attempt: Attempt) -> Tensor:
    return _gradient_steps(attempt, 1, 1.0, random_start=False)


def _pgd(attack: PGD, attempt: Attempt) -> Tensor:
    if attack.random_start:
        attempt.look()
    size = as_step_size(attack.step_size)
    return _gradient_steps(attempt, attack.steps, size, random_start=attack.random_start)


def _random_signs(attack: RandomSigns, attempt: Attempt) -> Tensor:
    starts = attempt.starts()
    if attempt.norm == LINF:
        starts = torch.where(starts < 0, -1.0, 1.0).to(starts.dtype)
    else:
        starts = unit(starts)
    return clamp_to(attempt.inputs + attempt.epsilon * starts, attempt.bounds)


Run = Callable[[Any, Attempt], Tensor]
RUNS: dict[type, Run] = {
    FGSM: _fgsm,
    PGD: _pgd,
    RandomSigns: _random_signs,
    CustomAttack: run_custom,
}
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


def _representable(bounds: Bounds, values: Tensor) -> Bounds:
    # A bound such as 0.1 lies between two numbers of a 32-bit input, which can only touch one.
    if isinstance(bounds[0], Tensor):
        low, high = (torch.as_tensor(limit).to(values) for limit in bounds)
        return low, high
    low, high = torch.tensor(bounds, dtype=torch.float64).to(values.dtype).tolist()
    return low, high


def _check_inputs(inputs: Tensor, bounds: Bounds, numbers: Numbers) -> None:
    low, high = bounds
    outside = first_bad(~((inputs >= low) & (inputs <= high)), numbers)
    if outside is not None:
        raise DataError(
            f"Expected inputs between {spell_bounds(bounds)}, got a value outside them in sample "
            f"{outside}."
        )


def _check_perturbed(perturbed: Tensor, attempt: Attempt) -> None:
    inputs, epsilon, bounds = attempt.inputs, attempt.epsilon, attempt.bounds
    broken = first_bad(~perturbed.isfinite(), attempt.numbers)
    if broken is not None:
        raise AttackError(
            f"Expected the attack to return finite inputs, got NaN or infinity for sample {broken}."
        )
    outside = first_bad((perturbed < bounds[0]) | (perturbed > bounds[1]), attempt.numbers)
    if outside is not None:
        raise AttackError(
            f"Expected the attack to stay between {spell_bounds(bounds)}, got a value outside them "
            f"for sample {outside}."
        )
    changes = perturbed - inputs
    if attempt.norm == LINF:
        slack = 2 * torch.finfo(inputs.dtype).eps * inputs.abs().clamp(min=epsilon)
        far, what = changes.abs() > epsilon + slack, "change no value"
    else:
        most = epsilon + 2 * rounding(inputs, epsilon)
        far = (sizes(changes, attempt.norm) > most)[:, None]
        what = f"change no sample, in {NORM_NAMES[attempt.norm]},"
    sample = first_bad(far, attempt.numbers)
    if sample is not None:
        raise AttackError(
            f"Expected the attack to {what} by more than {epsilon:g}, its `epsilon`, got a larger "
            f"change for sample {sample}."
        )
