"""How responses become scores and classes."""

from dataclasses import dataclass

from hormesis.errors import SettingError
from hormesis.settings.choices import (
    BASES,
    INTERVALS,
    MULTIPLICITIES,
    POPULATIONS,
    REFERENCES,
    check_choice,
)


@dataclass(frozen=True)
class Scoring:
    """How responses become scores and classes; may be changed after the measurement.

    Args:
        base: What responses are divided by: ``"network"``, the unfiltered network's performance, or
            ``"first"``, the response at the first threshold (the authors' notebooks).
        reference: What a response is compared with (METHOD, section 4): ``"base"``, the unfiltered
            network; ``"density"``, the share of values kept (the authors' notebooks), which says
            whether performance falls slower or faster than the tensor is emptied; or ``"random"``,
            the removal of as many values at random.
        tolerance: Half-width of the band around zero that is called robust, at least 0.
        interval: How confidence intervals are made: ``"delta"`` or ``"bootstrap"`` over samples.
        level: Confidence level of the intervals, above 0 and below 1.
        multiplicity: What a certain class has to stand up to: ``"none"``, each target on its own;
            ``"holm"``, a wrong one among all targets; ``"bh"``, their share among the certain ones
            (Benjamini and Hochberg).
        chance_corrected: Count performances from chance: ``(p − chance)/(p_base − chance)``.
        population: What intervals are about: ``"infinite"``, other samples like these, or
            ``"finite"``, just those of the study.

    Raises:
        SettingError: For a value outside these bounds.

    Example:
        >>> Scoring(reference="density").tolerance
        0.05
    """

    base: str = "network"
    reference: str = "base"
    tolerance: float = 0.05
    interval: str = "delta"
    level: float = 0.95
    multiplicity: str = "none"
    chance_corrected: bool = False
    population: str = "infinite"

    def __post_init__(self) -> None:
        """Check every field."""
        check_choice("base", self.base, BASES)
        check_choice("reference", self.reference, REFERENCES)
        if not 0 <= self.tolerance < float("inf"):
            raise SettingError(f"Expected `tolerance` to be at least 0, got {self.tolerance}.")
        check_choice("interval", self.interval, INTERVALS)
        if not 0 < self.level < 1:
            raise SettingError(f"Expected `level` between 0 and 1, such as 0.95, got {self.level}.")
        check_choice("choice of `multiplicity`", self.multiplicity, MULTIPLICITIES)
        check_choice("population", self.population, POPULATIONS)
