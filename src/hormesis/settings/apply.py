"""What is asked of an applied network: its aim and its proof. Plain frozen values, no torch."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from hormesis.errors import SettingError
from hormesis.settings.option import check_choices, option

ROBUST, SPARSE = "robust", "sparse"
AIMS = {
    ROBUST: "raises the performance under stress",
    SPARSE: "zeroes as many values as both performances allow",
}
GLOBAL, LAYERS, RANDOM, WANDA = "magnitude", "magnitude-by-layer", "random", "wanda"
BASELINES = (GLOBAL, LAYERS, RANDOM, WANDA)
"""Ways to zero as many values that know nothing of the study."""
POINTS = 100.0
"""Percentage points of a performance of 1."""
UNFILTERED_NETWORK, APPLIED = "unfiltered", "applied"


@dataclass(frozen=True)
class Robust:
    """The aim of a better performance under attack, or on the stressed data of a study.

    Args:
        clean_loss: Clean performance that it may cost, in percentage points of the metric.

    Raises:
        SettingError: For a loss that is no number of at least 0.

    Example:
        >>> Robust(clean_loss=2).described()
        {'name': 'robust', 'clean_loss': 2.0}
    """

    name: ClassVar[str] = ROBUST
    clean_loss: float | int = 1.0

    def __post_init__(self) -> None:
        """Check the loss."""
        object.__setattr__(self, "clean_loss", as_points("clean_loss", self.clean_loss))

    @property
    def most(self) -> float:
        """The largest loss, in units of the metric."""
        return self.clean_loss / POINTS

    def described(self) -> dict[str, Any]:
        """Return name and loss as plain values."""
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True)
class Sparse:
    """The aim of as few values as possible.

    Args:
        loss: Performance that they may cost, clean and under stress each, in percentage points of
            the metric.

    Raises:
        SettingError: For a loss that is no number of at least 0.

    Example:
        >>> Sparse().described()
        {'name': 'sparse', 'loss': 0.5}
    """

    name: ClassVar[str] = SPARSE
    loss: float | int = 0.5

    def __post_init__(self) -> None:
        """Check the loss."""
        object.__setattr__(self, "loss", as_points("loss", self.loss))

    @property
    def most(self) -> float:
        """The largest loss, in units of the metric."""
        return self.loss / POINTS

    def described(self) -> dict[str, Any]:
        """Return name and loss as plain values."""
        return {"name": self.name, **asdict(self)}


Aim = Robust | Sparse


def as_points(name: str, value: object) -> float:
    """Return a loss in percentage points.

    Args:
        name: Of the setting.
        value: What was given.

    Raises:
        SettingError: If it is no number of at least 0.

    Example:
        >>> as_points("loss", -1)
        Traceback (most recent call last):
        hormesis.errors.SettingError: Expected `loss` to be a number of percentage points, at \
least 0, got -1.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)
    raise SettingError(
        f"Expected `{name}` to be a number of percentage points, at least 0, got {value!r:.80}."
    )


def as_aim(aim: object) -> Aim:
    """Return an aim; a name stands for the aim with its usual loss.

    Raises:
        SettingError: For anything else.

    Example:
        >>> as_aim("sparse")
        Sparse(loss=0.5)
    """
    if isinstance(aim, Robust | Sparse):
        return aim
    kinds = {ROBUST: Robust, SPARSE: Sparse}
    if isinstance(aim, str) and aim in kinds:
        return kinds[aim]()
    raise SettingError(
        "Expected `aim` to be `hormesis.Robust(clean_loss=1)` or `hormesis.Sparse(loss=0.5)`, got "
        f"{aim!r:.80}."
    )


@dataclass(frozen=True)
class Proof:
    """How a filtered network is proved, on samples that had no part in its choice.

    Args:
        data: Samples for the proof, in the forms of ``data``; by default those of the study's data
            set that the study did not use.
        samples: Most of these samples to take, stratified by class; all of ``data`` count if they
            are fewer.
        stressed: Stressed version of ``data``, for a study of a second data set.
        steps: Steps of PGD, at least 1, of 2.5 ε/steps each.
        restarts: Random starts of PGD, at least 1.
        autoattack: Also attack with AutoAttack what PGD leaves correct. It takes far longer than
            all else, and needs ``pyautoattack``.
        baselines: Which other ways to zero as many values are measured beside.
        draws: How often values are drawn at random, at least 1.
        seed: Seed of the choice of samples, of random starts and of random values.
        level: Confidence level of the intervals.

    Raises:
        SettingError: For a value outside these bounds.

    Example:
        >>> Proof(restarts=5).samples
        1000
    """

    data: Any = field(default=None, metadata=option(flag=""))
    samples: int = field(default=1000, metadata=option(flag="proof_samples"))
    stressed: Any = field(default=None, metadata=option(flag=""))
    steps: int = field(default=10, metadata=option(flag="pgd_steps"))
    restarts: int = field(default=2, metadata=option(flag="pgd_restarts"))
    autoattack: bool = False
    baselines: tuple[str, ...] = field(
        default=BASELINES, metadata=option(choices=BASELINES, noun="baseline", metavar="NAME")
    )
    draws: int = field(default=3, metadata=option(flag="random_draws"))
    seed: int = field(default=0, metadata=option(flag="proof_seed"))
    level: float = 0.95

    def __post_init__(self) -> None:
        """Check every field."""
        check_choices(self)
        for name, least in (("samples", 2), ("steps", 1), ("restarts", 1), ("draws", 1)):
            if getattr(self, name) < least:
                raise SettingError(
                    f"Expected `{name}` of the proof to be at least {least}, got "
                    f"{getattr(self, name)}."
                )
        if self.seed < 0:
            raise SettingError(f"Expected `seed` of the proof to be at least 0, got {self.seed}.")
        if not 0 < self.level < 1:
            raise SettingError(f"Expected `level` between 0 and 1, such as 0.95, got {self.level}.")
        if self.stressed is not None and self.data is None:
            raise SettingError("Expected `data` of the proof beside its `stressed` data, got none.")

    def described(self) -> dict[str, Any]:
        """Return the settings besides the data as plain values."""
        values = {name: value for name, value in vars(self).items() if name not in _DATA}
        return {**values, "baselines": list(self.baselines)}


_DATA = ("data", "stressed")
