"""The one request that travels from the command line or a Python call to engine and manifest."""

from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any, cast

from hormesis.errors import SettingError
from hormesis.settings.attacks import (
    FGSM,
    PAIRED,
    PAIRINGS,
    Attack,
    Given,
    NoAttack,
    make_attack,
)
from hormesis.settings.choices import check_choice
from hormesis.settings.confirmation import ALWAYS, Confirmation
from hormesis.settings.custom_attack import CustomAttack, load_attack
from hormesis.settings.execution import Execution
from hormesis.settings.factory import is_factory
from hormesis.settings.scoring import Scoring, check_reference
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets


@dataclass(frozen=True)
class AnalysisRequest:
    """All settings of an analysis besides its network and data.

    Args:
        attack: The adversary, ``FGSM``, ``PGD`` or one of your own, see ``CustomAttack``; None
            measures clean samples alone.
        targets: Which parameters are filtered.
        sweep: Filters, thresholds, adversary and control.
        scoring: How responses become scores and classes.
        metric: A name, a ``Metric``, or a function of logits and labels.
        out: Folder for the study; None keeps it in memory.
        execution: Engine, workers and progress; nothing that changes a result.
        confirmation: How claims that a target is antifragile under attack are put to the test.
        name: What tables and the manifest call the network; its class by default.
        origin: Where the network comes from, as plain values for the manifest.
        notes: What a reader has to know about network and data, in sentences.
        loss: What the attack raises: a name, a ``Loss``, or a function of outputs and labels; None
            takes the one that goes with the metric.
        output: Which of the network's outputs is measured: its name, its place, a function of all
            of them, ``"*"`` for all; None finds the logits.
        bounds: Lowest and highest value of inputs; None takes 0 and 1, or what the data declare.
        label: Key, column or place of the labels in data that are dictionaries, tables or tuples.
        stressed_data: A second data set, or a corruption of the first, in place of an attack.
        pairing: Whether its samples are those of the data, stressed, or others; one of
            ``settings.attacks.PAIRINGS``.

    Raises:
        SettingError: For a setting that needs an attack, without one, and for a reference other
            than ``base`` where values are replaced.

    Example:
        >>> AnalysisRequest(sweep=Sweep(thresholds=9)).sweep.thresholds
        9
    """

    attack: Attack = FGSM()
    targets: Targets = Targets()
    sweep: Sweep = Sweep()
    scoring: Scoring = Scoring()
    metric: Any = "accuracy"
    out: Path | None = None
    execution: Execution = Execution()
    confirmation: Confirmation = Confirmation()
    name: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    loss: Any = None
    output: Any = None
    bounds: Any = None
    label: str | int | None = None
    stressed_data: Any = None
    pairing: str = PAIRED

    @property
    def stressed(self) -> bool:
        """Whether stressed samples are measured, too."""
        return self.attack.name != NoAttack.name

    @property
    def attacked(self) -> bool:
        """Whether an adversary stresses them, and no second data set does."""
        return self.stressed and self.attack.name != Given.name

    def __post_init__(self) -> None:
        """Check that the fields fit together."""
        object.__setattr__(self, "attack", as_attack(self.attack))
        _check_kinds(self)
        check_reference(self.scoring, replaces=self.sweep.replaces)
        if self.out is not None:
            object.__setattr__(self, "out", Path(self.out))
        _check_stressed_data(self)
        if self.stressed_data is not None and self.attack.name != Given.name:
            object.__setattr__(self, "attack", Given("", ""))  # until the data have been read
        if self.attacked:
            return
        instead = "none" if self.stressed_data is None else "stressed data"
        needing = {
            "`adversary` 'adaptive'": self.sweep.adversary == "adaptive",
            "`confirm` 'always'": self.confirmation.when == ALWAYS,
            "`cross_check`": self.confirmation.cross_check,
        }
        for setting, given in needing.items():
            if given:
                raise SettingError(
                    f"Expected an attack for {setting}, got {instead}: name one, or leave this out."
                )


def _check_stressed_data(request: AnalysisRequest) -> None:
    """Refuse an attack beside a second data set, and a pairing without one.

    Raises:
        SettingError: Naming which.
    """
    check_choice("pairing", request.pairing, PAIRINGS)
    if request.stressed_data is None:
        if request.attack.name == Given.name:
            raise SettingError("Expected the second data set as `stressed`, got it as `attack`.")
        if request.pairing != PAIRED:
            raise SettingError(
                f"Expected `stressed`, a second data set, for `pairing` {request.pairing!r}, got "
                "none."
            )
    elif not (request.attack in (FGSM(), NoAttack()) or request.attack.name == Given.name):
        raise SettingError(
            f"Expected no `attack` beside `stressed`, got {request.attack.name!r}: the second data "
            "set takes its place."
        )


_EXAMPLES = {
    "targets": (Targets, "hormesis.Targets(include=('layer4.*',))"),
    "sweep": (Sweep, "hormesis.Sweep(thresholds=25)"),
    "scoring": (Scoring, "hormesis.Scoring(reference='density')"),
    "execution": (Execution, "hormesis.Execution(engine='plain')"),
    "confirmation": (Confirmation, "hormesis.Confirmation('never')"),
    "name": (str, "'my network'"),
    "origin": (Mapping, "{'paper': 'arXiv:2312.09821'}"),
    "out": (str | PathLike | None, "'studies/mine'"),
    "label": (str | int | None, "'target'"),
}


def _check_kinds(request: AnalysisRequest) -> None:
    """Refuse a field of another type.

    Raises:
        SettingError: Naming it, with an example.
    """
    for name, (kind, example) in _EXAMPLES.items():
        value = getattr(request, name)
        if not isinstance(value, kind):
            raise SettingError(
                f"Expected `{name}` to be such as `{example}`, got {type(value).__name__} "
                f"{value!r:.80}."
            )


def as_attack(attack: object) -> Attack:
    """Return an attack; ``None`` stands for ``NoAttack``, a name for the attack as it is by itself.

    A function or an object of another library becomes a ``CustomAttack``, and so does what
    ``module:function`` names.

    Raises:
        SettingError: For an unknown name, or a value that is no attack.

    Example:
        >>> as_attack(None), as_attack(FGSM(0.1)).epsilon, as_attack("fgsm").epsilon
        (NoAttack(), 0.1, 'auto')
    """
    if attack is None:
        return NoAttack()
    if isinstance(attack, str):
        return load_attack(attack, {}) if is_factory(attack) else make_attack(attack)
    if isinstance(attack, Attack) and not isinstance(attack, type):
        return attack
    if isinstance(attack, type) and is_dataclass(attack):
        raise SettingError(
            f"Expected `attack` to be an attack, got the class {attack.__name__}: call it, as in "
            f"`{attack.__name__}(epsilon=0.03)`."
        )
    if isinstance(attack, Real):
        raise SettingError(
            f"Expected `attack` to be an attack, got the number {attack}: `hormesis.FGSM({attack})`"
            " is one of this magnitude."
        )
    return cast(Attack, CustomAttack(attack))
