"""What can be asked of the confirmation of claims: plain frozen values, free of torch."""

from dataclasses import asdict, dataclass
from typing import Any

from hormesis.errors import SettingError
from hormesis.settings.choices import check_choice

NEVER, AUTO, ALWAYS = "never", "auto", "always"
WHENS = (AUTO, ALWAYS, NEVER)


@dataclass(frozen=True)
class Confirmation:
    """How a claim that a target is antifragile under attack is put to the test.

    A fixed adversary was made against the unfiltered network, so that any change spoils some of its
    work. A claim is confirmed where it holds, too, against attacks made anew against every filtered
    network: the study's own, and PGD of the same magnitude with restarts (METHOD, section 4).

    Args:
        when: ``"auto"`` tests the targets whose combined adversarial score is antifragile for
            certain by the reference ``base``; ``"always"`` also those whose difference score is,
            and those that are by the estimate alone; ``"never"`` leaves claims unconfirmed.
        samples: How many samples are attacked at most, the first of the study's random order; at
            least 2.
        steps: Steps of PGD, each of 2.5 ε/steps; at least 1.
        restarts: Random starts of PGD, of which a sample has to survive every one; at least 1.
        draws: Controls of each kind for every removal, Gaussian noise of the same norm and random
            removal of as many values; 0 measures none.
        cross_check: Whatever claims there are, measure every cell and the unfiltered network on the
            same samples under random noise and under perturbed inputs that were made on another
            network, and call figures masked that either of them harms more than the study's attack.

    Raises:
        SettingError: For a value outside these bounds.

    Example:
        >>> Confirmation(samples=200).when
        'auto'
        >>> Confirmation(when="maybe")
        Traceback (most recent call last):
        hormesis.errors.SettingError: Unknown choice of `confirm` 'maybe'. Known: auto, always, \
never.
    """

    when: str = AUTO
    samples: int = 500
    steps: int = 10
    restarts: int = 2
    draws: int = 2
    cross_check: bool = False

    def __post_init__(self) -> None:
        """Check every field."""
        check_choice("choice of `confirm`", self.when, WHENS)
        for name, least in (("samples", 2), ("steps", 1), ("restarts", 1), ("draws", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SettingError(
                    f"Expected `{name}` of the confirmation to be a whole number of at least "
                    f"{least}, got {value!r}."
                )

    def described(self) -> dict[str, Any]:
        """Return how claims are tested as plain values, as a manifest holds it."""
        return {name: value for name, value in asdict(self).items() if name != "cross_check"}
