"""Settings of attacks: plain frozen values, checked when they are made, free of torch.

An attack is one class here, in ``ATTACKS``, and one function in ``stress.attacks.RUNS``, which
carries it out. Nothing else names one: flags, configurations, training, the search for a magnitude
and the manifest follow from the fields of the class.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Protocol, runtime_checkable

from hormesis.errors import SettingError, unknown
from hormesis.settings.magnitudes import AUTO, as_epsilon, as_step_size
from hormesis.settings.option import check_types
from hormesis.settings.threat import LINF, as_target, check_norm


@runtime_checkable
class Attack(Protocol):
    """The interface of an attack: a frozen dataclass with these fields, and any of its own.

    Some fields mean the same for all that have them: ``steps`` and ``step_size`` are set by the
    flags of these names; ``restarts`` is how many perturbed inputs of a sample are tried, each from
    another start, as long as none does its harm; ``norm`` is what ``epsilon`` is measured by, and
    ``target`` the class that samples shall be taken for.

    Attributes:
        __dataclass_fields__: That it is a dataclass.
        name: What flags, tables and the manifest call it.
        epsilon: Largest change, in input units, or ``"auto"``.
        straight: Whether its direction is the same at every magnitude, so that one gradient serves
            them all where a magnitude is searched for.
        training: Fields with other values in training, where an attack has to be quick.

    An attack whose fields are no plain values has a method ``described`` that returns such ones.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    name: ClassVar[str]
    straight: ClassVar[bool]
    training: ClassVar[Mapping[str, Any]]

    @property
    def epsilon(self) -> Any:  # noqa: ANN401
        """Largest change of an input."""
        ...


@dataclass(frozen=True)
class FGSM:
    """The fast gradient sign method: one step of size ``epsilon`` along the sign of the gradient.

    Perturbed inputs are ``clip(x + epsilon * sign(g))``, where ``g`` is the gradient of the loss,
    the cross-entropy with the true label (Goodfellow et al. 2015, arXiv:1412.6572, section 4); in
    L2 they are ``clip(x + epsilon * g / |g|)``.

    Args:
        epsilon: Largest change of any input value, in input units, above 0, or in L2 of all values
            together; ``"8/255"`` is understood; ``"auto"`` takes the magnitude half-way between
            clean accuracy and that of guessing. Of token ids the embeddings are attacked, and this
            is a share of their root mean square, or in L2 of the norm of a sequence.
        norm: ``"linf"`` or ``"l2"``, what ``epsilon`` is measured by.
        target: The number of a class, ``"least_likely"`` (for the input as it is) or ``"next"``
            (behind the true one) makes the attack lower the loss of that class instead. Samples of
            that class stay as they are.

    Raises:
        SettingError: For an epsilon that is zero, negative, infinite or no number, another norm, or
            a target that is no class.

    Example:
        >>> FGSM("0.25")
        FGSM(epsilon=0.25, norm='linf', target=None)
        >>> FGSM(-1)
        Traceback (most recent call last):
        hormesis.errors.SettingError: Expected `epsilon` to be a number above 0 in input units, \
such as 0.03 or 8/255, or 'auto', got -1.
    """

    name: ClassVar[str] = "fgsm"
    straight: ClassVar[bool] = True
    training: ClassVar[Mapping[str, Any]] = {}
    epsilon: float | int | str = AUTO
    norm: str = LINF
    target: int | str | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        object.__setattr__(self, "epsilon", as_epsilon(self.epsilon))
        check_norm(self.norm)
        object.__setattr__(self, "target", as_target(self.target))


_CROSSING = 2.5  # radii that the steps of PGD add up to


@dataclass(frozen=True)
class PGD:
    """Projected gradient descent: many small steps of FGSM from a random start, each projected.

    Madry et al. 2018 (arXiv:1706.06083, section 2.1). The last step is returned, whether or not it
    changes the prediction.

    Args:
        epsilon: Largest change of any input value, in input units, above 0, or in L2 of all values
            together; ``"8/255"`` is understood; ``"auto"`` takes the magnitude half-way between
            clean accuracy and that of guessing.
        steps: Number of steps, at least 1.
        step_size: Size of one step as a share of ``epsilon``, above 0; None takes 2.5 divided by
            ``steps``, with which any number of steps can cross the ball (ibid., section 5). The
            field then holds that number: a copy with other ``steps`` needs a new ``step_size``.
        random_start: Start from a point drawn evenly from the ball around each input, rather than
            from the input itself.
        restarts: Attack so many times, each from another start, those samples that are still
            right, or not yet taken for the target; at least 1.
        norm: ``"linf"`` or ``"l2"``, what ``epsilon`` is measured by. In L2, a step has its size
            along the gradient, and what leaves the ball is drawn back toward its centre.
        target: The number of a class, ``"least_likely"`` or ``"next"``, see ``FGSM``.

    Raises:
        SettingError: For a value outside these bounds.

    Example:
        >>> PGD(epsilon=8 / 255, steps=10).step_size
        0.25
    """

    name: ClassVar[str] = "pgd"
    straight: ClassVar[bool] = False
    training: ClassVar[Mapping[str, Any]] = {"steps": 10}
    epsilon: float | int | str = AUTO
    steps: int = 40
    step_size: float | int | None = None
    random_start: bool = True
    restarts: int = 1
    norm: str = LINF
    target: int | str | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        object.__setattr__(self, "epsilon", as_epsilon(self.epsilon))
        check_norm(self.norm)
        object.__setattr__(self, "target", as_target(self.target))
        check_types(self)
        if self.steps < 1:
            raise SettingError(f"Expected `steps` to be at least 1, got {self.steps}.")
        if self.restarts < 1 or (self.restarts > 1 and not self.random_start):
            raise SettingError(
                "Expected `restarts` to be 1, or more with a random start, got "
                f"{self.restarts}{'' if self.random_start else ' without one'}."
            )
        if self.step_size is None:
            object.__setattr__(self, "step_size", _CROSSING / self.steps)
        object.__setattr__(self, "step_size", as_step_size(self.step_size))


@dataclass(frozen=True)
class RandomSigns:
    """Every value moved by ``epsilon``, up or down at random: the noise that an attack has to beat.

    A gradient that shows the way does more harm than chance of the same magnitude; where it does
    not, it is masked (Carlini et al. 2019, arXiv:1902.06705, section 4). In L2, a sample is moved
    by ``epsilon`` in a direction drawn evenly from all.

    Args:
        epsilon: Change of every input value, in input units, above 0, or in L2 of all together;
            less at the bounds.
        draws: Number of tries, at least 1; a sample has to survive every one.
        norm: ``"linf"`` or ``"l2"``, what ``epsilon`` is measured by.

    Raises:
        SettingError: For a value outside these bounds.

    Example:
        >>> RandomSigns("51/255")
        RandomSigns(epsilon=0.2, draws=10, norm='linf')
    """

    name: ClassVar[str] = "random_signs"
    straight: ClassVar[bool] = False
    training: ClassVar[Mapping[str, Any]] = {}
    epsilon: float | int | str
    draws: int = 10
    norm: str = LINF

    def __post_init__(self) -> None:
        """Check every field."""
        object.__setattr__(self, "epsilon", as_epsilon(self.epsilon))
        check_norm(self.norm)
        check_types(self)
        if self.draws < 1:
            raise SettingError(f"Expected `draws` to be at least 1, got {self.draws}.")

    @property
    def restarts(self) -> int:
        """How many perturbed inputs of a sample are tried."""
        return self.draws


@dataclass(frozen=True)
class NoAttack:
    """No adversary: only the samples as they are get measured.

    ``None`` stands for it wherever an attack is asked for.

    Example:
        >>> NoAttack().epsilon is None
        True
    """

    name: ClassVar[str] = "none"
    straight: ClassVar[bool] = False
    training: ClassVar[Mapping[str, Any]] = {}

    @property
    def epsilon(self) -> Any:  # noqa: ANN401
        """None, as there is nothing that has a magnitude."""
        return None


@dataclass(frozen=True)
class Evaluated:
    """The stress of an evaluation: its own function perturbs the samples.

    Example:
        >>> Evaluated().name
        'evaluation'
    """

    name: ClassVar[str] = "evaluation"
    straight: ClassVar[bool] = False
    training: ClassVar[Mapping[str, Any]] = {}

    @property
    def epsilon(self) -> Any:  # noqa: ANN401
        """None, as the function does not say by how much."""
        return None


PAIRED, INDEPENDENT = "paired", "independent"
PAIRINGS = (PAIRED, INDEPENDENT)
"""How a second data set belongs to the first: sample by sample, or as another set of samples."""


@dataclass(frozen=True)
class Given:
    """The stress of a second data set: its samples are the stressed ones, whatever the network.

    Args:
        data: Name of the second data set.
        fingerprint: Its fingerprint.
        pairing: One of ``PAIRINGS``.

    Example:
        >>> Given("fog", "0" * 64).epsilon is None
        True
    """

    name: ClassVar[str] = "given"
    straight: ClassVar[bool] = False
    training: ClassVar[Mapping[str, Any]] = {}
    data: str
    fingerprint: str
    pairing: str = PAIRED

    @property
    def epsilon(self) -> Any:  # noqa: ANN401
        """None, as the data do not say by how much they were changed."""
        return None


ATTACKS: dict[str, type[Any]] = {FGSM.name: FGSM, PGD.name: PGD}
"""Every attack that can be chosen, by its name."""


def tries(attack: Attack) -> int:
    """Return how many perturbed inputs of a sample are tried at most.

    Example:
        >>> tries(FGSM()), tries(PGD(restarts=3)), tries(RandomSigns(0.1))
        (1, 3, 10)
    """
    return getattr(attack, "restarts", 1)


def shortest(attack: Attack) -> Attack:
    """Return an attack of a single step, or the attack itself if it has no number of steps.

    Example:
        >>> shortest(PGD(0.1, steps=40)).steps
        1
    """
    return replace(attack, steps=1) if "steps" in _fields(type(attack)) else attack


def make_attack(
    name: str,
    epsilon: float | int | str = AUTO,
    *,
    training: bool = False,
    **settings: float | int | str | None,
) -> Attack:
    """Return the attack that the command line or a configuration file names.

    Args:
        name: One of ``ATTACKS`` or, except in training, ``"none"``.
        epsilon: Magnitude in input units, above 0, as a number or as text, or ``"auto"``.
        training: Take the attack's own defaults for training, which are fewer steps.
        settings: Other fields of the attack, such as ``steps``; ``None`` keeps the default.

    Raises:
        SettingError: For an unknown name (with the nearest known ones), an epsilon that cannot be
            used, a setting that the attack does not have, or any besides the name ``"none"``.

    Example:
        >>> make_attack("pgd", "51/255", steps=5).step_size
        0.5
        >>> make_attack("fgms")
        Traceback (most recent call last):
        hormesis.errors.SettingError: Unknown attack 'fgms'. Did you mean fgsm? Known: fgsm, pgd, \
none.
    """
    settings = {setting: value for setting, value in settings.items() if value is not None}
    if name == NoAttack.name and not training:
        return _no_attack({"epsilon": epsilon, **settings})
    if name not in ATTACKS:
        known = ATTACKS if training else (*ATTACKS, NoAttack.name)
        raise SettingError(unknown("attack", name, known))
    kind = ATTACKS[name]
    for setting, value in tuple(settings.items()):
        if setting in _fields(kind):
            continue
        if (setting, value) != _USUAL_NORM:
            reason = "has no such setting" if setting in _fields(FGSM) else "takes a single step"
            raise SettingError(
                f"Expected no `{setting}` for the attack {name!r}, which {reason}, got {value}."
            )
        del settings[setting]
    return kind(**{"epsilon": epsilon, **(kind.training if training else {}), **settings})


_USUAL_NORM = ("norm", LINF)  # a flag at its default says nothing


def _no_attack(settings: Mapping[str, Any]) -> NoAttack:
    given = [
        name
        for name, value in settings.items()
        if value not in (None, AUTO) and (name, value) != _USUAL_NORM
    ]
    if given:
        raise SettingError(
            f"Expected no `{given[0]}` without an attack, got {settings[given[0]]}: leave it out, "
            "or name an attack."
        )
    return NoAttack()


def _fields(kind: type[Any]) -> set[str]:
    return {field.name for field in fields(kind)}


_DEFAULTS = {"restarts": 1, "norm": LINF, "target": None}  # which older studies do not record


def describe_attack(attack: Attack, chosen: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return an attack's name and settings as plain values, and how its magnitude was chosen."""
    described = getattr(attack, "described", None)  # of those that are no plain values
    settings = {"name": attack.name, **asdict(attack)} if described is None else described()
    for name, default in _DEFAULTS.items():
        if name in settings and settings[name] == default:
            del settings[name]
    return settings if chosen is None else {**settings, "chosen": dict(chosen)}
