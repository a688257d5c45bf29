"""The one request that travels from the command line or a Python call to engine and manifest."""

from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any

from hormesis.errors import SettingError, recipe
from hormesis.settings.attacks import FGSM, Attack, NoAttack, make_attack
from hormesis.settings.confirmation import ALWAYS, Confirmation
from hormesis.settings.execution import Execution
from hormesis.settings.scoring import Scoring, check_reference
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets


@dataclass(frozen=True)
class AnalysisRequest:
    """All settings of an analysis besides its network and data.

    Args:
        attack: The adversary, ``FGSM`` or ``PGD``; None measures clean samples alone.
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

    @property
    def stressed(self) -> bool:
        """Whether perturbed samples are measured, too."""
        return self.attack.name != NoAttack.name

    def __post_init__(self) -> None:
        """Check that the fields fit together."""
        object.__setattr__(self, "attack", as_attack(self.attack))
        _check_kinds(self)
        check_reference(self.scoring, replaces=self.sweep.replaces)
        if self.out is not None:
            object.__setattr__(self, "out", Path(self.out))
        if self.stressed:
            return
        needing = {
            "`adversary` 'adaptive'": self.sweep.adversary == "adaptive",
            "`confirm` 'always'": self.confirmation.when == ALWAYS,
            "`cross_check`": self.confirmation.cross_check,
        }
        for setting, given in needing.items():
            if given:
                raise SettingError(
                    f"Expected an attack for {setting}, got none: name one, or leave this out."
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

    Raises:
        SettingError: For an unknown name, or a value that is no attack.

    Example:
        >>> as_attack(None), as_attack(FGSM(0.1)), as_attack("fgsm")
        (NoAttack(), FGSM(epsilon=0.1), FGSM(epsilon='auto'))
    """
    if attack is None or isinstance(attack, str):
        return NoAttack() if attack is None else make_attack(attack)
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
    raise SettingError(
        "Expected `attack` to be a `hormesis.FGSM`, a `hormesis.PGD` or None, got "
        f"{type(attack).__name__}: perturb the inputs with it beforehand and measure them with "
        "`attack=None`, or call it in a stressed `hormesis.Evaluation`"
        f"{recipe('attacks-of-other-libraries')}."
    )
