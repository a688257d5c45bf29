"""How responses become scores and classes."""

from dataclasses import dataclass, field

from hormesis.errors import SettingError
from hormesis.settings.choices import (
    BASES,
    INTERVALS,
    MULTIPLICITIES,
    POPULATIONS,
    REFERENCES,
)
from hormesis.settings.option import check_choices, option


@dataclass(frozen=True)
class Scoring:
    """How responses become scores and classes; may be changed after the measurement.

    Args:
        base: Divide responses by the metric of the unfiltered network, or by the response at the
            first threshold. The authors' notebooks take ``"first"``.
        reference: Compare responses with the unfiltered network, with the share of values kept, or
            with the removal of as many values at random. ``"density"`` is that of the authors'
            notebooks and says whether the metric falls slower or faster than the tensor is emptied
            (METHOD, section 4).
        tolerance: Half-width of the band around zero that is called robust, at least 0.
        interval: How confidence intervals over samples are made.
        level: Confidence level of the intervals, between 0 and 1.
        multiplicity: Correction of the classes for many targets. ``"none"`` takes each target on
            its own, ``"holm"`` bounds the chance of one wrong class among all targets, and ``"bh"``
            (Benjamini and Hochberg) the share of wrong ones among the certain ones.
        chance_corrected: Count the metric from its value for guessing: ``(p − chance)/(p_base −
            chance)``.
        population: Intervals are about other samples like these (infinite), or about all samples
            of the study, of which some were measured (finite).

    Raises:
        SettingError: For a value outside these bounds.

    Example:
        >>> Scoring(reference="density").tolerance
        0.05
    """

    base: str = field(default="network", metadata=option(choices=BASES))
    reference: str = field(default="base", metadata=option(choices=REFERENCES))
    tolerance: float = 0.05
    interval: str = field(default="delta", metadata=option(choices=INTERVALS))
    level: float = 0.95
    multiplicity: str = field(
        default="none", metadata=option(choices=MULTIPLICITIES, noun="choice of `multiplicity`")
    )
    chance_corrected: bool = False
    population: str = field(default="infinite", metadata=option(choices=POPULATIONS))

    def __post_init__(self) -> None:
        """Check every field."""
        check_choices(self)
        if not 0 <= self.tolerance < float("inf"):
            raise SettingError(f"Expected `tolerance` to be at least 0, got {self.tolerance}.")
        if not 0 < self.level < 1:
            raise SettingError(f"Expected `level` between 0 and 1, such as 0.95, got {self.level}.")


def check_reference(scoring: Scoring, *, replaces: bool) -> None:
    """Refuse a reference that says nothing where values are replaced.

    Args:
        scoring: The scoring.
        replaces: Whether values are replaced, and not removed.

    Raises:
        SettingError: Then, for any reference but ``base``.
    """
    if replaces and scoring.reference != "base":
        raise SettingError(
            f"Expected `reference` to be 'base' for replacements, got {scoring.reference!r}: they "
            "remove no values, which the others count."
        )
