"""Settings of the confirmation of claims: plain frozen values, free of torch."""

from dataclasses import asdict, dataclass, field
from typing import Any

from hormesis.errors import SettingError
from hormesis.settings.option import check_choices, option

NEVER, AUTO, ALWAYS = "never", "auto", "always"
WHENS = (AUTO, ALWAYS, NEVER)


@dataclass(frozen=True)
class Confirmation:
    """How a claim that a target is antifragile under attack is put to the test.

    A fixed adversary was made against the unfiltered network, so that any change spoils some of its
    work. A claim is confirmed where it holds, too, against attacks made anew against every filtered
    network: the study's own, and PGD of the same magnitude with restarts (METHOD, section 4).

    Args:
        when: Test the targets that are antifragile under attack: those that are so for certain
            (auto), also by the difference score or by the estimate alone (always), or none (never).
            ``"auto"`` looks at the combined adversarial score by the reference ``base``.
        samples: Most samples that are attacked for that, at least 2. They are the first of the
            study's random order.
        steps: Steps of its PGD, at least 1. Each is of 2.5 ε/steps.
        restarts: Random starts of its PGD, at least 1. A sample has to survive every one.
        draws: Controls of each kind for every removal, 0 for none. They are Gaussian noise of the
            same norm and the removal of as many values at random.
        cross_check: Measure all targets under random noise and under inputs perturbed on another
            network, too, and call figures masked that these harm more than the attack does. That is
            done for every cell and the unfiltered network, whatever claims there are.

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

    when: str = field(
        default=AUTO, metadata=option(choices=WHENS, noun="choice of `confirm`", flag="confirm")
    )
    samples: int = field(default=500, metadata=option(flag="confirm_samples"))
    steps: int = field(default=10, metadata=option(flag="confirm_steps"))
    restarts: int = field(default=2, metadata=option(flag="confirm_restarts"))
    draws: int = field(default=2, metadata=option(flag="confirm_draws"))
    cross_check: bool = False

    def __post_init__(self) -> None:
        """Check every field."""
        check_choices(self)
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
