"""Settings of the adversaries of commands: plain frozen values, no torch."""

from dataclasses import dataclass, field
from typing import Any

from hormesis.errors import SettingError
from hormesis.settings.attacks import Attack, make_attack
from hormesis.settings.custom_attack import load_attack
from hormesis.settings.factory import is_factory
from hormesis.settings.magnitudes import AUTO, check_epsilons
from hormesis.settings.option import option
from hormesis.settings.threat import LINF, NORMS
from hormesis.training.config import training_attack

EPSILON = option(expected="a number, a fraction such as 8/255, or 'auto'", metavar="X")
TARGET = option(
    expected="the number of a class, 'least_likely' or 'next'", metavar="{N,least_likely,next}"
)
NORM = option(choices=NORMS)


@dataclass(frozen=True)
class AttackOptions:
    """The adversary of an analysis.

    Args:
        attack: ``fgsm``, ``pgd``, ``module:function``, or ``none`` to measure clean samples alone.
        epsilon: Magnitude in input units, such as 8/255 or 0.03; auto takes the one half-way
            between clean accuracy and guessing. Several, such as 2/255,4/255,8/255, get a study
            each, which share what was measured without an attack.
        norm: What epsilon is measured by, the largest change of a value or L2.
        target: Class that the attack aims at; by default any wrong one.
        steps: Steps of PGD; by default 40.
        step_size: Size of a step of PGD as a share of epsilon; by default 2.5 divided by the steps.
        restarts: Random starts of PGD, each for the samples that are still right; by default 1.
    """

    attack: str = field(default="fgsm", metadata=option(code=True))
    epsilon: float | str = field(default=AUTO, metadata=EPSILON)
    norm: str = field(default=LINF, metadata=NORM)
    target: int | str | None = field(default=None, metadata=TARGET)
    steps: int | None = None
    step_size: float | None = None
    restarts: int | None = None

    def __post_init__(self) -> None:
        """Check that the fields fit together, as far as that needs no code of the user's."""
        if not is_factory(self.attack):
            self.to_attack()

    @property
    def epsilons(self) -> tuple[float, ...]:
        """Several magnitudes, in ascending order; empty if there is one."""
        if not isinstance(self.epsilon, str) or "," not in self.epsilon:
            return ()
        return check_epsilons(self.epsilon.split(","))

    def to_attack(self) -> Attack:
        """Return the attack, at the smallest of several magnitudes; the user's own is imported."""
        epsilon = min(self.epsilons, default=self.epsilon)
        settings = {**_settings_of(self), "epsilon": epsilon}
        if not is_factory(self.attack):
            return make_attack(self.attack, **settings)
        given = {key: value for key, value in settings.items() if value not in (None, AUTO, LINF)}
        return load_attack(self.attack, given)


@dataclass(frozen=True)
class TrainingAttackOptions:
    """The adversary of a training.

    Args:
        attack: ``fgsm`` or ``pgd``: validate under attack too; by default no attack.
        epsilon: Magnitude in input units, such as 8/255 or 0.03.
        norm: What epsilon is measured by; by default the largest change of a value.
        steps: Steps of PGD; by default 10.
        step_size: Size of a step of PGD as a share of epsilon; by default 2.5 divided by the steps.
    """

    attack: str | None = None
    epsilon: float | str | None = field(default=None, metadata=EPSILON)
    norm: str | None = field(default=None, metadata=NORM)
    steps: int | None = None
    step_size: float | None = None

    def __post_init__(self) -> None:
        """Check that the fields fit together."""
        self.to_attack()

    def to_attack(self) -> Attack | None:
        """Return the attack, if any."""
        return _training_attack("attack", self.attack, self)


@dataclass(frozen=True)
class ObjectiveOptions:
    """What a retraining minimises.

    Args:
        objective: Train on clean samples, or against an attack.
        epsilon: Magnitude of that attack in input units, such as 8/255 or 0.03.
        norm: What epsilon is measured by; by default the largest change of a value.
        steps: Steps of PGD; by default 10.
        step_size: Size of a step of PGD as a share of epsilon; by default 2.5 divided by the steps.
    """

    objective: str = field(default="clean", metadata=option(choices=("clean", "fgsm", "pgd")))
    epsilon: float | str | None = field(default=None, metadata=EPSILON)
    norm: str | None = field(default=None, metadata=NORM)
    steps: int | None = None
    step_size: float | None = None

    def to_attack(self) -> Attack | None:
        """Return the attack that is trained against, if any."""
        attack = None if self.objective == "clean" else self.objective
        return _training_attack("objective", attack, self)


def _settings_of(options: Any) -> dict[str, Any]:  # noqa: ANN401  (any of these)
    """Return the settings of an attack, without what names it."""
    values = vars(options)
    return {name: values[name] for name in values if name not in ("attack", "objective")}


def _training_attack(
    setting: str, name: str | None, options: TrainingAttackOptions | ObjectiveOptions
) -> Attack | None:
    settings = _settings_of(options)
    if name is not None:
        return training_attack(name, settings.pop("epsilon") or AUTO, **settings)
    if any(value is not None for value in settings.values()):
        raise SettingError(
            f"Expected an `{setting}`, such as pgd, for `epsilon` and `steps`, `step_size` or "
            "`norm`; got none."
        )
    return None
