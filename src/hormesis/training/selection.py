"""Which targets of a study are to be trained again: what is asked for. Needs no torch."""

from collections.abc import Sequence
from dataclasses import dataclass

from hormesis.errors import SettingError
from hormesis.settings.choices import check_choice
from hormesis.settings.scoring import Scoring

CLASSES = ("fragile", "robust", "antifragile")
SCORES = ("clean", "adversarial", "difference")
UNDECIDEDS = ("freeze", "train", "estimate")
OTHERS = ("follow", "freeze", "train")
BATCHNORMS = ("frozen", "follow")
ARMS = ("selective", "everything", "fragile", "random-size", "random-layers", "none")


@dataclass(frozen=True)
class Selection:
    """Which parameters are trained again; all others are frozen.

    Args:
        keep: The classes whose targets are trained. ``"antifragile"`` takes in what is so by the
            attack of the study, confirmed or not, as the paper has it; a target that is masked or
            at chance has no class.
        by: Which score decides: ``"clean"``, ``"adversarial"`` or ``"difference"``.
        filter: Whose score: a filter that was swept, or ``"combined"``.
        scoring: Base, reference and tolerance; None takes the study's own.
        undecided: What becomes of weights without one of the three classes: undecided, untested,
            undefined, or never asked for. ``"freeze"``, ``"train"``, or ``"estimate"``, which takes
            the class by the estimate alone where there is one and else freezes.
        others: What becomes of biases and of the scales and shifts of norms, unless they were
            targets. ``"follow"``: a bias does as the weight of its layer, a norm as the layer used
            just before it; channel by channel, where the study is of channels. Or ``"freeze"``,
            ``"train"``.
        batchnorm: ``"frozen"``: a batch norm behind a frozen layer keeps its running statistics and
            normalises by them. ``"follow"``: the statistics of every batch norm follow the data.

    Raises:
        SettingError: For a value that is not known, or no class at all.

    Example:
        >>> Selection(keep=("antifragile",), by="clean").undecided
        'freeze'
    """

    keep: Sequence[str] = ("robust", "antifragile")
    by: str = "adversarial"
    filter: str = "combined"
    scoring: Scoring | None = None
    undecided: str = "freeze"
    others: str = "follow"
    batchnorm: str = "frozen"

    def __post_init__(self) -> None:
        """Check every field."""
        if isinstance(self.keep, str) or not self.keep:
            raise SettingError(
                f"Expected `keep` to name some of {', '.join(CLASSES)}, got {self.keep!r}."
            )
        for name in self.keep:
            check_choice("class to `keep`", name, CLASSES)
        check_choice("score", self.by, SCORES)
        check_choice("choice of `undecided`", self.undecided, UNDECIDEDS)
        check_choice("choice of `others`", self.others, OTHERS)
        check_choice("choice of `batchnorm`", self.batchnorm, BATCHNORMS)
