"""Attacks of users and of other libraries, as plain values: what they are called, what they need.

How they are called is in ``stress.foreign_attacks``. Libraries are told apart by what their objects
have, so that none has to be installed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, ClassVar, cast

from hormesis.errors import SettingError
from hormesis.settings.attacks import ATTACKS, Attack, Evaluated, NoAttack, RandomSigns
from hormesis.settings.factory import load_factory
from hormesis.settings.magnitudes import AUTO, as_epsilon
from hormesis.settings.threat import L2, LINF, check_norm

FOOLBOX, TORCHATTACKS, ART, AUTOATTACK = "Foolbox", "torchattacks", "ART", "AutoAttack"
FUNCTION = "function"
_LONGEST = 64  # characters of a name that tables and manifests hold
_TAKEN = (NoAttack.name, Evaluated.name, RandomSigns.name)


@dataclass(frozen=True)
class CustomAttack:
    """An attack of your own, or of Foolbox, torchattacks, ART or AutoAttack.

    A function is called as ``function(network, inputs, labels)`` with the network as it is measured
    at that moment, filtered or not, and returns inputs of the same form. It is wrapped by itself
    where an attack is expected; this class adds what a function cannot say. Objects of
    torchattacks, ART and AutoAttack are bound to a network, which has to be the analysed one.

    Args:
        function: The function or object.
        name: What tables and the manifest call it, of at most 64 characters; by default where it
            was defined. The manifest holds names and settings, never code.
        epsilon: Largest change, in input units, that is then checked; None measures and reports the
            changes instead. Attacks of Foolbox that take one are called with it, and may have
            ``"auto"``.
        norm: ``"linf"`` or ``"l2"``, what ``epsilon`` is measured by; by default that of the
            object, or ``"linf"``.
        per_sample: Attack one sample at a time, seeded by the sample. Set by itself where results
            would depend on other samples or on chance.

    Raises:
        SettingError: For what is no attack, or a magnitude that does not fit it.

    Example:
        >>> def brighter(network, inputs, labels):
        ...     return (inputs + 0.1).clamp(0, 1)
        >>> CustomAttack(brighter, "brighter", epsilon=0.1).described()["epsilon"]
        0.1
    """

    straight: ClassVar[bool] = False
    training: ClassVar[Mapping[str, Any]] = {}
    function: Any
    name: str = ""
    epsilon: float | int | str | None = None
    norm: str | None = None
    per_sample: bool = False

    def __post_init__(self) -> None:
        """Check every field."""
        if library_of(self.function) is None:
            raise SettingError(refusal_of(self.function))
        object.__setattr__(self, "name", _checked_name(self.name, self.function))
        own = _own_norm(self.function)
        if self.epsilon is not None and own is None:
            raise SettingError(
                f"Expected no `epsilon` for {self.name!r}, whose norm is neither linf nor l2: call "
                "it in a function of your own, `def attack(network, inputs, labels)`."
            )
        object.__setattr__(self, "norm", self.norm or own or LINF)
        check_norm(self.norm)
        object.__setattr__(self, "epsilon", self._checked_epsilon())
        if not isinstance(self.per_sample, bool):
            raise SettingError(
                f"Expected `per_sample` to be True or False, got {self.per_sample!r:.80}."
            )

    def _checked_epsilon(self) -> float | str | None:
        if self.epsilon is None and needs_epsilon(self.function):
            raise SettingError(
                f"Expected an `epsilon` for {self.name!r}, which is called with one: "
                "`hormesis.CustomAttack(attack, epsilon=8/255)`."
            )
        epsilon = None if self.epsilon is None else as_epsilon(self.epsilon)
        if epsilon == AUTO and not self.scalable:
            raise SettingError(
                f"Expected `epsilon` as a number or None for {self.name!r}, which alone can change "
                "its magnitude, got 'auto'."
            )
        return epsilon

    @property
    def library(self) -> str:
        """How the object is called: the name of its library, or ``"function"``."""
        return library_of(self.function) or FUNCTION

    @property
    def scalable(self) -> bool:
        """Whether it is called with its magnitude, which may therefore be any."""
        return self.epsilon is not None and self.library == FOOLBOX

    @property
    def bound(self) -> Any:  # noqa: ANN401
        """The network that the object is bound to; None for one that takes any."""
        if self.library in (TORCHATTACKS, AUTOATTACK):
            return getattr(self.function, "model", None)
        if self.library == ART:
            return getattr(self.function.estimator, "model", None)
        return None

    def described(self) -> dict[str, Any]:
        """Return the attack as plain values, as a manifest holds it."""
        values: dict[str, Any] = {"name": self.name, "function": _origin_of(self.function)}
        if self.epsilon is not None:
            values["epsilon"] = self.epsilon
        if self.norm != LINF:
            values["norm"] = self.norm
        settings = _plain_settings(self.function)
        return {**values, "settings": settings} if settings else values


def load_attack(spec: str, settings: Mapping[str, Any]) -> Attack:
    """Return the attack that ``module:function`` names: a function, an object or a setting.

    Args:
        spec: Where it is.
        settings: Fields that it shall have, ``epsilon`` and ``norm``.

    Raises:
        SettingError: If it cannot be imported, is no attack, or has no such field.

    Example:
        >>> load_attack("hormesis:FGSM", {})
        Traceback (most recent call last):
        hormesis.errors.SettingError: Expected `attack` to be an attack, got the class FGSM: call \
it first, to make one.
    """
    found = load_factory(spec, "attack")
    ready = isinstance(found, Attack) and not isinstance(found, type)
    known = {one.name for one in fields(found if ready else CustomAttack)}
    for name, value in settings.items():
        if name not in known:
            raise SettingError(
                f"Expected no `{name}` for the attack {spec!r}, which has no such setting, got "
                f"{value}."
            )
    if ready:
        return replace(found, **settings)
    usual = {"epsilon": AUTO} if needs_epsilon(found) else {}
    return cast(Attack, CustomAttack(found, **{**usual, **settings}))


def library_of(attack: object) -> str | None:
    """Return the name of the library of an attack, ``"function"``, or None for what is no attack.

    Example:
        >>> library_of(lambda network, inputs, labels: inputs), library_of("pgd")
        ('function', None)
    """
    if isinstance(attack, type):
        return None
    if hasattr(attack, "run_standard_evaluation"):
        return AUTOATTACK
    if hasattr(attack, "generate") and hasattr(attack, "estimator"):
        return ART
    rooms = {kind.__module__.partition(".")[0] for kind in type(attack).__mro__}
    if "foolbox" in rooms:
        return FOOLBOX
    if "torchattacks" in rooms:
        return TORCHATTACKS
    return FUNCTION if callable(attack) else None


def refusal_of(attack: object) -> str:
    """Return the sentence that refuses what is no attack."""
    if isinstance(attack, type):
        return (
            f"Expected `attack` to be an attack, got the class {attack.__name__}: call it first, "
            "to make one."
        )
    return (
        "Expected `attack` to be a `hormesis.FGSM`, a `hormesis.PGD`, None, a function of network, "
        "inputs and labels, or an attack of Foolbox, torchattacks, ART or AutoAttack, got "
        f"{type(attack).__name__}."
    )


def needs_epsilon(attack: object) -> bool:
    """Return whether an attack cannot be called without a magnitude."""
    return any(kind.__name__ == "FixedEpsilonAttack" for kind in type(attack).__mro__)


def _own_norm(attack: Any) -> str | None:  # noqa: ANN401
    """Return the norm that an object measures magnitudes by; None for one that is not known here.

    Foolbox has ``distance.p``; ART and AutoAttack a ``norm``: infinity, 2, ``"inf"``, ``"Linf"``.
    """
    library = library_of(attack)
    if library == FOOLBOX:
        order = getattr(getattr(attack, "distance", None), "p", math.inf)
    elif library in (ART, AUTOATTACK):
        order = getattr(attack, "norm", math.inf)
    else:
        order = math.inf
    return {"inf": LINF, "Linf": LINF, "2": L2, "2.0": L2, "L2": L2}.get(str(order))


def _checked_name(name: object, attack: object) -> str:
    if not isinstance(name, str) or len(name) > _LONGEST or not (name.isprintable()):
        raise SettingError(
            f"Expected the `name` of an attack to be a text of at most {_LONGEST} characters, got "
            f"{name!r:.80}."
        )
    if name in ATTACKS or name in _TAKEN:
        raise SettingError(f"Expected another `name` than {name!r}, which is taken.")
    return name or _origin_of(attack).replace(":", ".")[-_LONGEST:]


def _origin_of(attack: Any) -> str:  # noqa: ANN401
    """Return where an attack was defined, as ``module:name``."""
    while isinstance(attack, partial):
        attack = attack.func
    known = attack if hasattr(attack, "__qualname__") else type(attack)
    module = known.__module__ or ""
    if library_of(attack) != FUNCTION:
        module = module.partition(".")[0]
    origin = f"{module}:{known.__qualname__}"
    return "".join(letter if letter.isprintable() else "?" for letter in origin)


def _plain_settings(attack: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the settings of an object, and what ``functools.partial`` fixes, as plain values."""
    if isinstance(attack, partial):
        values = attack.keywords
    elif library_of(attack) == FUNCTION:
        return {}
    else:
        values = {name: value for name, value in vars(attack).items() if name[0] != "_"}
    return {
        name: value
        for name, value in sorted(values.items())
        if type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value))
    }
