"""The flags that say how claims are put to the test."""

from jsonargparse import ArgumentParser, Namespace

from hormesis.settings.confirmation import WHENS, Confirmation


def add_confirmation(parser: ArgumentParser) -> None:
    """Add the flags of ``Confirmation``."""
    default = Confirmation()
    add = parser.add_argument_group("confirmation").add_argument
    add(
        "--confirm",
        type=str,
        metavar="WHEN",
        default=default.when,
        help="put targets that are antifragile under attack to the test, attacked anew and by a "
        f"stronger attack, beside controls of equal size: {', '.join(WHENS[:-1])} (also by the "
        f"estimate and the difference score) or {WHENS[-1]} (default: %(default)s)",
    )
    for name, metavar, text in (
        ("samples", "N", "samples attacked for that at most"),
        ("steps", "N", "steps of its PGD"),
        ("restarts", "N", "random starts of its PGD"),
        ("draws", "N", "controls of each kind for every removal, 0 for none"),
    ):
        add(
            f"--confirm-{name}",
            type=int,
            metavar=metavar,
            default=getattr(default, name),
            help=f"{text} (default: %(default)s)",
        )
    add(
        "--cross-check",
        action="store_true",
        help="measure all targets under random noise and under inputs perturbed on another "
        "network, too, and call figures masked that these harm more than the attack does",
    )


def confirmation_from(given: Namespace) -> Confirmation:
    """Return how claims are put to the test."""
    return Confirmation(
        when=given.confirm,
        samples=given.confirm_samples,
        steps=given.confirm_steps,
        restarts=given.confirm_restarts,
        draws=given.confirm_draws,
        cross_check=given.cross_check,
    )
