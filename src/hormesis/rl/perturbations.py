"""Stress of a policy: observations perturbed by an attack, or by noise of the same size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from hormesis.errors import SettingError, unknown
from hormesis.rl.policies import Policy
from hormesis.rl.spaces import BOX, DISCRETE, Actions
from hormesis.settings.attacks import FGSM, PGD, Attack, describe_attack
from hormesis.settings.choices import check_choice
from hormesis.settings.magnitudes import as_epsilon
from hormesis.settings.threat import target_of
from hormesis.stress.attacks import perturb
from hormesis.stress.losses import Loss

FIXED, ADAPTIVE = "fixed", "adaptive"
ACTION, VALUE = "action", "value"
STD = "std"
SIGNS, UNIFORM, GAUSSIAN = "signs", "uniform", "gaussian"
_VALUE = Loss("value", lambda outputs, labels: -outputs[:, 0])


@dataclass(frozen=True)
class Rows:
    """What is known of the rows of a batch of observations.

    Args:
        actions: How actions follow from outputs.
        low: Lowest observation, of the shape of one.
        high: Highest observation, of the same shape.
        scale: What a change of 1 is for each value of an observation, of the same shape.
        seed: Seed of everything that is drawn at random.
        numbers: Of each row, from its episode and its step. Rows without an episode of their own
            repeat another.
        noise: What draws the noise of each number.
    """

    actions: Actions
    low: Tensor
    high: Tensor
    scale: Tensor
    seed: int
    numbers: Int[Tensor, " batch"]
    noise: Mapping[int, np.random.Generator]

    def moved(self, clean: Tensor, changes: Tensor) -> Tensor:
        """Return observations with changes in units of ``scale``, inside their bounds."""
        low, high = torch.minimum(self.low, clean), torch.maximum(self.high, clean)
        return torch.minimum(torch.maximum(clean + self.scale * changes, low), high)


@dataclass(frozen=True)
class Perturbation:
    """Observations that an attack perturbs, within a ball around what the environment shows.

    The environment goes on from its own state; only the policy sees what was perturbed.

    Args:
        attack: ``FGSM`` or ``PGD``, with a number as ``epsilon``, in units of ``scale``; its
            ``norm`` is over one observation.
        aim: ``"action"`` makes the policy act otherwise than it would: the cross-entropy of its own
            action rises, or the squared distance from it if actions are real numbers. ``"value"``
            lowers what the critic expects. A ``Loss`` of outputs and undisturbed outputs is raised.
        adversary: ``"fixed"`` follows the gradients of the unfiltered policy, ``"adaptive"`` those
            of the filtered one.
        scale: What a change of 1 is: ``"std"``, for each value the standard deviation over clean
            episodes of the unfiltered policy; or a number, or an array with one for each value, in
            units of the environment.

    A squared distance has no slope where it is zero: FGSM then takes its gradient at a random point
    of the ball, and PGD needs its random start.

    Raises:
        SettingError: For an attack without a number as ``epsilon``, and an unknown choice.

    Example:
        >>> Perturbation(FGSM(0.1)).adversary
        'fixed'
    """

    attack: Attack = FGSM(0.1)
    aim: str | Loss = ACTION
    adversary: str = FIXED
    scale: Any = STD

    def __post_init__(self) -> None:
        """Check every field."""
        if not isinstance(self.attack, Attack) or isinstance(self.attack, type):
            raise SettingError(
                "Expected the attack of a perturbation to be such as `hormesis.FGSM(0.1)`, got "
                f"{self.attack!r:.80}."
            )
        if not isinstance(self.attack.epsilon, float | int):
            raise SettingError(
                "Expected `epsilon` of a perturbation to be a number, such as 0.1 standard "
                f"deviations, got {self.attack.epsilon!r}."
            )
        if not isinstance(self.aim, Loss) and self.aim not in (ACTION, VALUE):
            raise SettingError(unknown("`aim`", str(self.aim), (ACTION, VALUE)))
        check_choice("adversary", self.adversary, (FIXED, ADAPTIVE))
        check_scale(self.scale)

    def described(self) -> str:
        """Return the settings as one line of text."""
        aim = self.aim if isinstance(self.aim, str) else f"loss {self.aim.name}"
        return f"{describe_attack(self.attack)}|{aim}|{self.adversary}|{spell_scale(self.scale)}"

    def sentence(self) -> str:
        """Return what is done to observations."""
        aim = {ACTION: "the policy's own action", VALUE: "the critic's value"}
        goal = self.aim.name if isinstance(self.aim, Loss) else aim[self.aim]
        whose = "unfiltered" if self.adversary == FIXED else "filtered"
        return (
            f"Under stress, observations are perturbed by {self.attack.name.upper()} of magnitude "
            f"{self.attack.epsilon:g} {spell_scale(self.scale)} against {goal}, by the gradients "
            f"of the {whose} policy."
        )

    def check(self, actions: Actions) -> None:
        """Refuse an attack that does not fit the actions.

        Raises:
            SettingError: Naming the setting.
        """
        single = actions.kind == DISCRETE and self.aim == ACTION
        if target_of(self.attack) is not None and not single:
            raise SettingError(
                "Expected no `target` of the attack where an action is no single number and `aim` "
                f"not 'action', got {target_of(self.attack)!r}: leave it out."
            )
        flat = isinstance(self.attack, PGD) and not self.attack.random_start
        if actions.kind == BOX and self.aim == ACTION and flat:
            raise SettingError(
                "Expected a random start of PGD against actions that are real numbers, as the "
                "distance from the policy's own action has no slope there."
            )

    def perturbed(self, policy: Policy, clean: Tensor, rows: Rows) -> Tensor:
        """Return the observations that the policy gets to see.

        Args:
            policy: The policy under attack, filtered or not.
            clean: The observations.
            rows: What is known of them.
        """
        with torch.no_grad():
            outputs = policy(clean)
        attack, labels = self.attack, outputs
        if isinstance(self.aim, Loss):
            loss = self.aim
        elif self.aim == VALUE:
            loss = _VALUE
        else:
            labels, loss = rows.actions.labels(outputs), rows.actions.loss
            if rows.actions.kind == BOX and isinstance(attack, FGSM):
                attack = PGD(attack.epsilon, steps=1, step_size=2.0, norm=attack.norm)
        changes = perturb(
            _Moved(policy, clean, rows, value=self.aim == VALUE),
            torch.zeros_like(clean),
            labels,
            attack,
            bounds=(-np.inf, np.inf),
            seed=rows.seed,
            first=rows.numbers,
            loss=loss,
        )
        return rows.moved(clean, changes)


@dataclass(frozen=True)
class Noise:
    """Observations with noise: what an attack of the same size has to beat.

    Each episode has its own noise at each step, whatever the policy does.

    Args:
        epsilon: Its size, above 0, in units of ``scale``.
        kind: ``"signs"`` moves every value by ``epsilon``, up or down, as far as FGSM does;
            ``"uniform"`` by at most as much; ``"gaussian"`` has it as standard deviation.
        scale: See ``Perturbation``.

    Raises:
        SettingError: For a size that is no number above 0, and an unknown kind.

    Example:
        >>> Noise(0.1).kind
        'signs'
    """

    epsilon: float | int | str
    kind: str = SIGNS
    scale: Any = STD

    def __post_init__(self) -> None:
        """Check every field."""
        epsilon = as_epsilon(self.epsilon)
        if isinstance(epsilon, str):
            raise SettingError(f"Expected `epsilon` of noise to be a number, got {epsilon!r}.")
        object.__setattr__(self, "epsilon", epsilon)
        check_choice("kind", self.kind, (SIGNS, UNIFORM, GAUSSIAN))
        check_scale(self.scale)

    @property
    def adversary(self) -> str:
        """That no filtered network is looked at."""
        return FIXED

    def described(self) -> str:
        """Return the settings as one line of text."""
        return f"noise|{self.epsilon:g}|{self.kind}|{spell_scale(self.scale)}"

    def sentence(self) -> str:
        """Return what is done to observations."""
        return (
            f"Under stress, observations have noise ({self.kind}) of magnitude {self.epsilon:g} "
            f"{spell_scale(self.scale)}."
        )

    def check(self, actions: Actions) -> None:
        """Noise fits all actions."""

    def perturbed(self, policy: Policy, clean: Tensor, rows: Rows) -> Tensor:
        """Return the observations that the policy gets to see; see ``Perturbation.perturbed``."""
        del policy  # which noise does not look at
        drawn = {number: self._draw(one, clean.shape[1:]) for number, one in rows.noise.items()}
        changes = np.stack([drawn[number] for number in rows.numbers.tolist()])
        return rows.moved(clean, float(self.epsilon) * torch.from_numpy(changes).to(clean))

    def _draw(self, generator: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
        if self.kind == GAUSSIAN:
            return generator.standard_normal(shape)
        values = generator.uniform(-1.0, 1.0, shape)
        return values if self.kind == UNIFORM else np.where(values < 0, -1.0, 1.0)


Stress = Perturbation | Noise
"""What may be done to observations."""


class _Moved(nn.Module):
    """A policy as a function of the change of its observations, which starts at zero."""

    def __init__(self, policy: Policy, clean: Tensor, rows: Rows, *, value: bool) -> None:
        super().__init__()
        # In a tuple, where no module is looked for: the policy is in evaluation mode already, and
        # making sure of that at every step takes longer than a small policy does.
        self.parts, self.value = (policy, clean, rows), value

    def forward(self, changes: Tensor) -> Tensor:
        policy, clean, rows = self.parts
        return policy(rows.moved(clean, changes), value=self.value)


def stronger(stress: Stress, steps: int, restarts: int) -> Stress | None:
    """Return an adaptive PGD of the same magnitude and aim; None of what is no attack.

    Args:
        stress: What observations are stressed by.
        steps: Of PGD, at least.
        restarts: Of PGD, at least.
    """
    if not isinstance(stress, Perturbation):
        return None
    own = stress.attack
    if isinstance(own, PGD):
        steps, restarts = max(steps, own.steps), max(restarts, own.restarts)
    norm, target = getattr(own, "norm", "linf"), target_of(own)
    attack = PGD(own.epsilon, steps=steps, restarts=restarts, norm=norm, target=target)
    return replace(stress, attack=attack, adversary=ADAPTIVE)


def check_scale(scale: Any) -> None:  # noqa: ANN401
    """Refuse a scale that is no ``"std"`` and no numbers of at least 0.

    Raises:
        SettingError: Saying what came.
    """
    if isinstance(scale, str) and scale == STD:
        return
    try:
        values = np.asarray(scale, dtype=np.float64)
        fits = bool(np.isfinite(values).all() and (values >= 0).all() and values.any())
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise SettingError(
            "Expected `scale` to be 'std', or a number or one for each value of an observation, "
            f"none below 0, got {scale!r:.80}."
        )


def spell_scale(scale: Any) -> str:  # noqa: ANN401
    """Return what a magnitude is measured in.

    Example:
        >>> spell_scale("std"), spell_scale(1), spell_scale([1.0, 2.0])
        ('standard deviations', 'units of the observation', 'times [1.0, 2.0]')
    """
    if isinstance(scale, str):
        return "standard deviations"
    values = np.asarray(scale, dtype=np.float64)
    return "units of the observation" if (values == 1).all() else f"times {values.tolist()}"
