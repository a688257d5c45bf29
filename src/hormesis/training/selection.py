"""Which targets of a study are to be trained again: what is asked for. Needs no torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hormesis.errors import SettingError
from hormesis.settings.option import check_choices, option
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
        keep: Classes whose targets are trained. ``"antifragile"`` includes what is so by the
            attack of the study, confirmed or not, as the paper has it; a target that is masked or
            at chance has no class.
        by: Score that decides.
        filter: Filter whose score decides, or ``"combined"``.
        scoring: Base, reference and tolerance; by default the study's own.
        undecided: Weights without a certain class: freeze them, train them, or take the class by
            the estimate alone. These are undecided, untested, undefined, or were never asked for;
            ``"estimate"`` freezes what has no estimate.
        others: Biases and norms: freeze them, train them, or follow the layer that they belong to.
            A bias follows the weight of its layer, a norm the layer used just before it; channel by
            channel, where the study is of channels. Targets are not meant.
        batchnorm: Running statistics behind frozen layers: keep them (frozen), or let them follow
            the data. A batch norm that keeps them normalises by them.

    Raises:
        SettingError: For a value that is not known, or no class at all.

    Example:
        >>> Selection(keep=("antifragile",), by="clean").undecided
        'freeze'
    """

    keep: Sequence[str] = field(
        default=("robust", "antifragile"),
        metadata=option(choices=CLASSES, noun="class to `keep`", metavar="CLASS"),
    )
    by: str = field(default="adversarial", metadata=option(choices=SCORES, noun="score"))
    filter: str = "combined"
    scoring: Scoring | None = field(default=None, metadata=option(flag=""))
    undecided: str = field(
        default="freeze", metadata=option(choices=UNDECIDEDS, noun="choice of `undecided`")
    )
    others: str = field(
        default="follow", metadata=option(choices=OTHERS, noun="choice of `others`")
    )
    batchnorm: str = field(
        default="frozen", metadata=option(choices=BATCHNORMS, noun="choice of `batchnorm`")
    )

    def __post_init__(self) -> None:
        """Check every field."""
        if isinstance(self.keep, str) or not self.keep:
            raise SettingError(
                f"Expected `keep` to name some of {', '.join(CLASSES)}, got {self.keep!r}."
            )
        check_choices(self)
