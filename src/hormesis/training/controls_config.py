"""How the networks of an experiment are evaluated, and which are trained; needs no torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from hormesis.errors import MissingExtraError, SettingError
from hormesis.settings.attacks import PGD
from hormesis.settings.choices import check_choice
from hormesis.settings.magnitudes import as_epsilon, as_step_size
from hormesis.settings.option import option
from hormesis.training.config import check_count
from hormesis.training.selection import ARMS


@dataclass(frozen=True)
class EvaluationConfig:
    """How a network is evaluated under attack.

    Args:
        epsilons: Magnitudes of the attacks in input units, each above 0. They are sorted;
            ``"8/255"`` is understood.
        steps: Steps of PGD, at least 1.
        restarts: Random starts of PGD, at least 1.
        autoattack: Also attack with AutoAttack what PGD leaves correct. It needs ``pyautoattack``.
        samples: Size of a random subset of the samples, stratified by class; by default all.
        seed: Seed of that subset and of random starts, at least 0.
        step_size: Size of a step of PGD as a share of epsilon; by default 2.5 divided by the steps.

    Raises:
        SettingError: For a value outside these bounds.

    Example:
        >>> EvaluationConfig(epsilons=("8/255", 0.01)).epsilons[0]
        0.01
    """

    epsilons: Sequence[float | int | str] = field(
        default=("2/255", "4/255", "8/255", "16/255"),
        metadata=option(metavar="X", expected="numbers, or fractions such as 8/255"),
    )
    steps: int = field(default=20, metadata=option(flag="pgd_steps"))
    restarts: int = 3
    autoattack: bool = False
    samples: int | None = field(default=None, metadata=option(flag="eval_samples"))
    seed: int = field(default=0, metadata=option(flag=""))
    step_size: float | None = field(default=None, metadata=option(flag="pgd_step_size"))

    def __post_init__(self) -> None:
        """Check every field."""
        if isinstance(self.epsilons, str) or not self.epsilons:
            raise SettingError(
                f"Expected `epsilons` to be several magnitudes, got {self.epsilons!r}."
            )
        magnitudes = [as_epsilon(epsilon) for epsilon in self.epsilons]
        if "auto" in magnitudes:
            raise SettingError("Expected `epsilons` to be numbers such as 8/255, got 'auto'.")
        object.__setattr__(self, "epsilons", tuple(sorted({float(each) for each in magnitudes})))
        check_count("steps", self.steps)
        if self.step_size is None:
            object.__setattr__(self, "step_size", PGD(steps=self.steps).step_size)
        object.__setattr__(self, "step_size", as_step_size(self.step_size))
        check_count("restarts", self.restarts)
        check_count("seed", self.seed, least=0)
        if self.samples is not None:
            check_count("samples", self.samples, least=2)
        if self.autoattack:
            check_autoattack()

    @property
    def attacks(self) -> tuple[str, ...]:
        """Names of the attacks, the weaker first."""
        return ("fgsm", "pgd", "autoattack") if self.autoattack else ("fgsm", "pgd")


@dataclass(frozen=True)
class Controls:
    """Which trainings are compared, and how.

    Args:
        arms: Some of ``ARMS``; the others are compared with ``"everything"``.
        seeds: Each arm is trained once per seed, which decides the order of the samples and the
            draws of the random arms.
        evaluation_config: How the robustness of every network is evaluated.
        test: Test data, as ``samples_from`` takes them; None takes the validation samples that the
            study has not used.

    Raises:
        SettingError: For an unknown arm, or a seed that cannot be used.

    Example:
        >>> Controls(seeds=(1, 2)).arms[0]
        'selective'
    """

    arms: Sequence[str] = ARMS
    seeds: Sequence[int] = (1, 2, 3)
    evaluation_config: EvaluationConfig = EvaluationConfig()
    test: Any = None

    def __post_init__(self) -> None:
        """Check every field."""
        for arm in self.arms:
            check_choice("arm", arm, ARMS)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise SettingError(f"Expected `seeds` that differ, got {self.seeds}.")
        for seed in self.seeds:
            check_count("seeds", seed, least=0)


def check_autoattack() -> None:
    """Check that AutoAttack is installed.

    Raises:
        MissingExtraError: It names the package.
    """
    if find_spec("pyautoattack") is None:
        raise MissingExtraError(
            "AutoAttack needs pyautoattack: run `pip install 'hormesis[autoattack]'`, or leave "
            "`autoattack` out."
        )
