"""Settings of the adversaries of commands: plain frozen values, no torch."""

from dataclasses import dataclass, field

from hormesis.errors import SettingError
from hormesis.settings.attacks import Attack, make_attack
from hormesis.settings.magnitudes import AUTO, check_epsilons
from hormesis.settings.option import option
from hormesis.training.config import training_attack

EPSILON = option(expected="a number, a fraction such as 8/255, or 'auto'", metavar="X")


@dataclass(frozen=True)
class AttackOptions:
    """The adversary of an analysis.

    Args:
        attack: ``fgsm``, ``pgd``, or ``none`` to measure clean samples alone.
        epsilon: Magnitude in input units, such as 8/255 or 0.03; auto takes the one half-way
            between clean accuracy and guessing. Several, such as 2/255,4/255,8/255, get a study
            each, which share what was measured without an attack.
        steps: Steps of PGD; by default 40.
        step_size: Size of a step of PGD as a share of epsilon; by default 2.5 divided by the steps.
    """

    attack: str = "fgsm"
    epsilon: float | str = field(default=AUTO, metadata=EPSILON)
    steps: int | None = None
    step_size: float | None = None

    def __post_init__(self) -> None:
        """Check that the fields fit together."""
        self.to_attack()

    @property
    def epsilons(self) -> tuple[float, ...]:
        """Several magnitudes, in ascending order; empty if there is one."""
        if not isinstance(self.epsilon, str) or "," not in self.epsilon:
            return ()
        return check_epsilons(self.epsilon.split(","))

    def to_attack(self) -> Attack:
        """Return the attack, at the smallest of several magnitudes."""
        epsilon = min(self.epsilons, default=self.epsilon)
        return make_attack(self.attack, epsilon, steps=self.steps, step_size=self.step_size)


@dataclass(frozen=True)
class TrainingAttackOptions:
    """The adversary of a training.

    Args:
        attack: ``fgsm`` or ``pgd``: validate under attack too; by default no attack.
        epsilon: Magnitude in input units, such as 8/255 or 0.03.
        steps: Steps of PGD; by default 10.
        step_size: Size of a step of PGD as a share of epsilon; by default 2.5 divided by the steps.
    """

    attack: str | None = None
    epsilon: float | str | None = field(default=None, metadata=EPSILON)
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
        steps: Steps of PGD; by default 10.
        step_size: Size of a step of PGD as a share of epsilon; by default 2.5 divided by the steps.
    """

    objective: str = field(default="clean", metadata=option(choices=("clean", "fgsm", "pgd")))
    epsilon: float | str | None = field(default=None, metadata=EPSILON)
    steps: int | None = None
    step_size: float | None = None

    def to_attack(self) -> Attack | None:
        """Return the attack that is trained against, if any."""
        attack = None if self.objective == "clean" else self.objective
        return _training_attack("objective", attack, self)


def _training_attack(
    setting: str, name: str | None, options: TrainingAttackOptions | ObjectiveOptions
) -> Attack | None:
    epsilon, steps, step_size = options.epsilon, options.steps, options.step_size
    if name is not None:
        return training_attack(name, epsilon or AUTO, steps=steps, step_size=step_size)
    if (epsilon, steps, step_size) != (None, None, None):
        raise SettingError(
            f"Expected an `{setting}`, such as pgd, for `epsilon` and `steps` or `step_size`; got "
            "none."
        )
    return None
